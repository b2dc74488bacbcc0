"""Twins for the operations that `os` lacks or has less of: what they must do, from the manual pages.

Those of `os`, `fcntl`, `os.path` and libc, with the arguments checked first, in the order of the signature, as the
table's annotations say.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl as fcntl_module
import inspect
import mmap
import operator
import os
import os.path
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anyaio import _constants
from anyaio._results import Extent, Statx

AT_FDCWD = -100
NO_FD = (1 << 31) - 1
AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW = 0x100, 0x400
F_OFD_SETLK = 37
LOCKS = {1: fcntl_module.F_RDLCK, 2: fcntl_module.F_WRLCK, 8: fcntl_module.F_UNLCK}  # LOCK_SH, LOCK_EX, LOCK_UN
LOCK_NB = 4
FS_IOC_FIEMAP = 0xC020660B
FIEMAP_EXTENT_LAST = 1
MOST_EXTENTS = 100
ALL = (1 << 64) - 1
PAGE = mmap.PAGESIZE
SPECIAL = {_constants.UTIME_NOW: (1 << 30) - 1, _constants.UTIME_OMIT: (1 << 30) - 2}  # nanoseconds that are none
BLOCK = 1 << 16  # bytes that an emulated sendfile reads at once
CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTSOCK)

libc = ctypes.CDLL(None, use_errno=True)


def failed(number: int, *names: Any) -> OSError:
    first, second = (*names, None, None)[:2]
    return OSError(number, os.strerror(number), first, None, second)


def call(function: Any, *arguments: Any, names: tuple[Any, ...] = ()) -> int:
    function.restype = ctypes.c_long if function in (libc.tee, libc.readahead) else ctypes.c_int
    ctypes.set_errno(0)
    result: int = function(*arguments)
    if result < 0:
        raise failed(ctypes.get_errno(), *names)
    return result


# ---- arguments ----


def number(value: Any, low: int, high: int) -> int:
    found = operator.index(value)
    if not low <= found <= high:
        raise OverflowError(f"{found} is out of range")
    return found


def integer(value: Any) -> int:
    return number(value, -(1 << 31), (1 << 31) - 1)


def unsigned(value: Any) -> int:
    return number(value, -(1 << 31), (1 << 32) - 1) & 0xFFFFFFFF


def long(value: Any) -> int:
    return number(value, -(1 << 63), (1 << 63) - 1)


def is_descriptor(path: Any) -> bool:
    return hasattr(type(path), "__index__")


def path_or_attribute(value: Any) -> bytes:
    name = os.fsencode(value)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    return name


def path_or_descriptor(value: Any) -> Any:
    return integer(value) if is_descriptor(value) else path_or_attribute(value)


def readable(value: Any) -> memoryview:
    view = memoryview(value)
    if not view.c_contiguous:
        raise BufferError("not contiguous")
    return view


def argument(value: Any) -> Any:
    return unsigned(value) if is_descriptor(value) else readable(value)


def times(value: Any, **options: Any) -> Any:
    """os.utime looks at them first."""
    try:
        os.utime("", **options)
    except FileNotFoundError:
        pass
    return value


def or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


CHECKS: dict[str, Callable[[Any], Any]] = {
    "Fd": integer,
    "DirFd": or_none(integer),
    "StrOrBytesPath": path_or_attribute,
    "AnyPath[AnyStr]": path_or_attribute,
    "Attribute": path_or_attribute,
    "PathOrFd": path_or_descriptor,
    "PathOrFdOrNone": or_none(path_or_descriptor),
    "Int": integer,
    "Flags": integer,
    "Unsigned": unsigned,
    "Id": lambda value: number(value, -1, (1 << 32) - 1),
    "Device": lambda value: number(value, 0, (1 << 63) - 1),
    "Size": long,
    "Offset": long,
    "OptionalOffset": or_none(long),
    "Truth": bool,
    "Times": lambda value: times(value, times=value),
    "Nanoseconds": lambda value: times(value, ns=(0, 0) if value is None or is_special(value) else value),
    "Argument": argument,
    "ReadableBuffer": readable,
}


def checked(body: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as libc takes them; the first wrong one is raised."""
    taken = {}
    for name, parameter in inspect.signature(body).parameters.items():
        taken[name] = CHECKS[str(parameter.annotation)](arguments[name])
    if taken.get("times") is not None and taken["ns"] is not None:
        raise ValueError("you may specify either 'times' or 'ns' but not both")
    path = taken.get("path")
    if isinstance(path, int):
        if taken.get("dir_fd") not in (None, AT_FDCWD):
            raise ValueError("can't specify dir_fd without matching path")
        if not taken.get("follow_symlinks", True):
            raise ValueError("cannot use fd and follow_symlinks together")
    return taken


@contextmanager
def starting_at(dir_fd: int | None, path: Any) -> Iterator[None]:
    """Have relative paths start there: what os gives no dir_fd."""
    if dir_fd in (None, AT_FDCWD) or not isinstance(path, bytes) or path.startswith(b"/") or not path:
        yield
        return
    home = os.open(".", os.O_PATH)
    try:
        call(libc.fchdir, dir_fd, names=(path,))
        yield
    finally:
        os.fchdir(home)
        os.close(home)


def folder(dir_fd: int | None) -> int:
    return AT_FDCWD if dir_fd is None else dir_fd


# ---- descriptors ----


def sendfile(out_fd: int, in_fd: int, offset: int | None, count: int) -> int:
    not_negative(count)
    not_negative(offset or 0)
    try:
        return os.sendfile(out_fd, in_fd, offset, count)  # type: ignore[arg-type]  # typeshed forgets None
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        return emulated(out_fd, in_fd, offset, count, error)


def emulated(out_fd: int, in_fd: int, offset: int | None, count: int, why: OSError) -> int:
    done = 0
    while done < count:
        size = min(BLOCK, count - done)
        try:
            data = os.read(in_fd, size) if offset is None else os.pread(in_fd, size, offset + done)
            written = os.write(out_fd, data) if data else 0
        except OSError:
            if done == 0:
                raise
            return done
        done += written
        if not data or written < len(data):
            break
    return done


def copy_file_range(src: int, dst: int, count: int, offset_src: int | None, offset_dst: int | None) -> int:
    not_negative(count)
    return os.copy_file_range(src, dst, count, offset_src, offset_dst)


def not_negative(count: int) -> None:
    """Some of os raise ValueError; ours all leave it to the kernel, as `os.read` does."""
    if count < 0:
        raise failed(errno.EINVAL)


def tee(src: int, dst: int, count: int, flags: int) -> int:
    not_negative(count)
    return call(libc.tee, src, dst, ctypes.c_size_t(count), ctypes.c_uint(flags))


def splice(src: int, dst: int, count: int, offset_src: int | None, offset_dst: int | None, flags: int) -> int:
    not_negative(count)
    return os.splice(src, dst, count, offset_src, offset_dst, flags)  # type: ignore[arg-type]  # typeshed forgets None


def readahead(fd: int, offset: int, count: int) -> None:
    call(libc.readahead, fd, ctypes.c_int64(offset), ctypes.c_size_t(count))


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    call(libc.fallocate, fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length))


def syncfs(fd: int) -> None:
    call(libc.syncfs, fd)


def sync_file_range(fd: int, offset: int, count: int, flags: int) -> None:
    call(libc.sync_file_range, fd, ctypes.c_int64(offset), ctypes.c_int64(count), ctypes.c_uint(flags))


def fcntl(fd: int, cmd: int, arg: Any) -> int | bytes:
    return control(fcntl_module.fcntl, fd, cmd, arg)


def ioctl(fd: int, request: int, arg: Any) -> int | bytes:
    return control(fcntl_module.ioctl, fd, request, arg)


def control(function: Any, fd: int, number: int, arg: Any) -> int | bytes:
    """As the module `fcntl`, which has room for 1,024 bytes, and changes buffers for ioctl only."""
    if fd < 0:
        raise failed(errno.EBADF)
    if isinstance(arg, int):
        return int(function(fd, number, arg if arg < 1 << 31 else arg - (1 << 32)))
    room = bytearray(arg.tobytes()) + bytes(max(0, 1024 - arg.nbytes))
    if function is fcntl_module.ioctl:
        buffer = (ctypes.c_char * len(room)).from_buffer(room)
        result = call(libc.ioctl, fd, ctypes.c_ulong(number), buffer)
    else:
        buffer = (ctypes.c_char * len(room)).from_buffer(room)
        result = call(libc.fcntl, fd, number, buffer)
    made = bytes(room[: arg.nbytes])
    if arg.readonly:
        return made
    if made:
        arg.cast("B")[:] = made
    return result


def fiemap(fd: int, start: int, length: int | None, flags: int, count: int | None) -> list[Extent]:
    if start < 0 or (length or 0) < 0 or (count or 0) < 0:
        raise ValueError("negative")
    extents = []
    request = bytearray(32 + 56 * MOST_EXTENTS)
    struct.pack_into("QQIIII", request, 0, start, ALL - start if length is None else length, flags, 0, MOST_EXTENTS, 0)
    call(libc.ioctl, fd, ctypes.c_ulong(FS_IOC_FIEMAP), (ctypes.c_char * len(request)).from_buffer(request))
    for place in range(struct.unpack_from("I", request, 20)[0]):
        logical, physical, size, _, _, kind = struct.unpack_from("QQQQQI", request, 32 + 56 * place)
        extents.append(Extent(logical, physical, size, kind))
    return extents[:count]


def flock(fd: int, operation: int) -> None:
    call(libc.flock, fd, operation)


def lockf(fd: int, cmd: int, len: int, start: int, whence: int) -> None:
    lock(fcntl_module.F_SETLK, fd, cmd, len, start, whence)


def ofd_lock(fd: int, operation: int, length: int, start: int, whence: int) -> None:
    lock(F_OFD_SETLK, fd, operation, length, start, whence)


def lock(command: int, fd: int, kind: int, length: int, start: int, whence: int) -> None:
    if kind & ~LOCK_NB not in LOCKS:
        raise ValueError("no such lock")
    room = struct.pack("hhqqi4x", LOCKS[kind & ~LOCK_NB], ctypes.c_short(whence).value, start, length, 0)
    call(libc.fcntl, fd, command, ctypes.create_string_buffer(room, len(room)))


# ---- handle or path ----


class Stamp(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_int64), ("nsec", ctypes.c_uint32), ("_", ctypes.c_int32))

    def ns(self) -> int:
        return int(self.sec) * 10**9 + int(self.nsec)


class Told(ctypes.Structure):
    """struct statx."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("mask", "blksize")),
        ("attributes", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("nlink", "uid", "gid")),
        *((name, ctypes.c_uint16) for name in ("mode", "_1")),
        *((name, ctypes.c_uint64) for name in ("ino", "size", "blocks", "attributes_mask")),
        *((name, Stamp) for name in ("atime", "btime", "ctime", "mtime")),
        *((name, ctypes.c_uint32) for name in ("rdev_major", "rdev_minor", "dev_major", "dev_minor")),
        ("mnt_id", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("dio_mem_align", "dio_offset_align")),
        ("_2", ctypes.c_uint64 * 12),
    )


def statx(path: Any, mask: int, flags: int, dir_fd: int | None, follow_symlinks: bool) -> Statx:
    told = Told()
    name, start = (b"", path) if isinstance(path, int) else (path, folder(dir_fd))
    if isinstance(path, int):
        start = closed(path)
        flags |= 0x1000  # AT_EMPTY_PATH
    if not follow_symlinks:
        flags |= AT_SYMLINK_NOFOLLOW
    call(libc.statx, start, name, ctypes.c_uint(flags), ctypes.c_uint(mask), ctypes.byref(told), names=(path,))
    values = {}
    for field in Statx._fields:
        key = field.removeprefix("stx_")
        if key.endswith("_ns"):
            values[field] = getattr(told, key.removesuffix("_ns")).ns()
        elif key in ("dev", "rdev"):
            values[field] = os.makedev(getattr(told, f"{key}_major"), getattr(told, f"{key}_minor"))
        else:
            values[field] = getattr(told, key)
    return Statx(**values)


def statvfs(path: Any, dir_fd: int | None) -> os.statvfs_result:
    if isinstance(path, int):
        return named(os.statvfs, path)
    with starting_at(dir_fd, path):
        return os.statvfs(path)


def closed(path: Any) -> Any:
    """A negative descriptor as one that nobody has: os means "none" by some of them, the kernel "here" by -100."""
    return NO_FD if isinstance(path, int) and path < 0 else path


def named(function: Callable[..., Any], path: Any, *arguments: Any, **options: Any) -> Any:
    """Call with a path or descriptor, which an OSError names: also where os forgets it."""
    try:
        return function(closed(path), *arguments, **options)
    except OSError as error:
        error.filename = path
        raise


def utime(path: Any, times: Any, ns: Any, dir_fd: int | None, follow_symlinks: bool) -> None:
    if is_special(ns):
        utimensat(path, ns, dir_fd, follow_symlinks)
        return
    options: dict[str, Any] = {"times": times} if ns is None else {"ns": ns}
    named(os.utime, path, dir_fd=dir_fd, follow_symlinks=follow_symlinks, **options)


def is_special(ns: Any) -> bool:
    return type(ns) is tuple and any(each in SPECIAL for each in ns if type(each) is int)


def utimensat(path: Any, ns: tuple[int, int], dir_fd: int | None, follow_symlinks: bool) -> None:
    times = (ctypes.c_int64 * 4)()
    for place, each in enumerate(ns):
        times[2 * place], times[2 * place + 1] = (0, SPECIAL[each]) if each in SPECIAL else divmod(each, 10**9)
    if isinstance(path, int):
        call(libc.futimens, closed(path), times, names=(path,))
    else:
        flags = 0 if follow_symlinks else AT_SYMLINK_NOFOLLOW
        call(libc.utimensat, folder(dir_fd), path, times, flags, names=(path,))


def fchown(fd: int, uid: int, gid: int) -> None:
    os.fchown(fd, uid, gid)


def chmod(path: Any, mode: int, dir_fd: int | None, follow_symlinks: bool) -> None:
    if not follow_symlinks and stat.S_ISLNK(os.lstat(path, dir_fd=dir_fd).st_mode):
        raise failed(errno.EOPNOTSUPP, path)
    named(os.chmod, path, mode, dir_fd=dir_fd)


def chown(path: Any, uid: int, gid: int, dir_fd: int | None, follow_symlinks: bool) -> None:
    named(os.chown, path, uid, gid, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def lchown(path: Any, uid: int, gid: int, dir_fd: int | None) -> None:
    os.chown(path, uid, gid, dir_fd=dir_fd, follow_symlinks=False)


def truncate(path: Any, length: int, dir_fd: int | None) -> None:
    if isinstance(path, int):
        named(os.truncate, path, length)
        return
    with starting_at(dir_fd, path):
        os.truncate(path, length)


def access(path: Any, mode: int, dir_fd: int | None, effective_ids: bool, follow_symlinks: bool) -> bool:
    return os.access(path, mode, dir_fd=dir_fd, effective_ids=effective_ids, follow_symlinks=follow_symlinks)


def attribute_function(function: Callable[..., Any]) -> Callable[..., Any]:
    def ask(path: Any, *arguments: Any) -> Any:
        *given, follow_symlinks, dir_fd = arguments
        if isinstance(path, int):
            return named(function, path, *given)
        place = b"." if path is None else path
        with starting_at(dir_fd, place):
            try:
                return function(place, *given, follow_symlinks=follow_symlinks)
            except OSError as error:
                error.filename = path
                raise

    return ask


# ---- paths ----


def realpath(filename: bytes, strict: bool, dir_fd: int | None) -> bytes:
    with starting_at(dir_fd, filename):
        try:
            return os.path.realpath(filename, strict=strict)
        except OSError as error:
            error.filename = filename
            raise


def makedirs(name: bytes, mode: int, exist_ok: bool, dir_fd: int | None) -> None:
    with starting_at(dir_fd, name):
        try:
            os.makedirs(name, mode, exist_ok)
        except OSError as error:
            error.filename = name
            raise


def mkfifo(path: bytes, mode: int, dir_fd: int | None) -> None:
    named(os.mkfifo, path, mode, dir_fd=dir_fd)


def mknod(path: bytes, mode: int, device: int, dir_fd: int | None) -> None:
    call(libc.mknodat, folder(dir_fd), path, ctypes.c_uint(mode), ctypes.c_ulong(device), names=(path,))


def link(src: bytes, dst: bytes, src_dir_fd: int | None, dst_dir_fd: int | None, follow_symlinks: bool) -> None:
    flags = AT_SYMLINK_FOLLOW if follow_symlinks else 0
    call(libc.linkat, folder(src_dir_fd), src, folder(dst_dir_fd), dst, flags, names=(src, dst))


# ---- whole files ----


def read_bytes(path: bytes, offset: int, length: int | None, dir_fd: int | None) -> bytes:
    if length is not None and length < 0:
        raise failed(errno.EINVAL, path)
    fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        if offset < 0:
            offset += os.lseek(fd, 0, os.SEEK_END)
            if offset < 0:
                raise failed(errno.EINVAL)
        parts: list[bytes] = []
        left = 1 << 30 if length is None else min(length, 1 << 30)
        while left and (data := os.pread(fd, min(left, 1 << 20), offset)):
            parts.append(data)
            offset += len(data)
            left -= len(data)
        return b"".join(parts)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def write_bytes(path: bytes, data: memoryview, dir_fd: int | None) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=dir_fd)
    try:
        done = os.write(fd, data) if data.nbytes else 0
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)
    assert done == data.nbytes
    return done


# ---- memory ----


def msync(buffer: memoryview, offset: int, length: int | None, flags: int) -> None:
    start, size = pages(buffer, offset, length)
    call(libc.msync, ctypes.c_void_p(start), ctypes.c_size_t(size), flags)


def mtouch(buffer: memoryview, offset: int, length: int | None, flags: int) -> None:
    start, size = pages(buffer, offset, length)
    populate = 23 if flags & 1 else 22  # MADV_POPULATE_WRITE, MADV_POPULATE_READ
    call(libc.madvise, ctypes.c_void_p(start), ctypes.c_size_t(size), populate)


def mlock(buffer: memoryview, offset: int, length: int | None) -> None:
    start, size = pages(buffer, offset, length)
    call(libc.mlock, ctypes.c_void_p(start), ctypes.c_size_t(size))
    call(libc.munlock, ctypes.c_void_p(start), ctypes.c_size_t(size))


def mlockall(flags: int) -> None:
    call(libc.mlockall, flags)


def pages(buffer: memoryview, offset: int, length: int | None) -> tuple[int, int]:
    """Where the whole pages of the range are, and how many bytes."""
    start = offset + buffer.nbytes if offset < 0 else offset
    if not 0 <= start <= buffer.nbytes:
        raise ValueError("offset is outside of the buffer")
    if length is not None and length < 0:
        raise ValueError("negative length")
    size = buffer.nbytes - start if length is None else min(length, buffer.nbytes - start)
    if size == 0:
        return 0, 0
    first = address(buffer) + start
    low = first - first % PAGE
    return low, (first + size - low + PAGE - 1) // PAGE * PAGE


class Buffer(ctypes.Structure):
    """Py_buffer."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("rest", ctypes.c_byte * 128),
    )


def address(view: memoryview) -> int:
    buffer = Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    try:
        return int(buffer.buf or 0)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


CHECKED_TWINS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        sendfile, copy_file_range, tee, splice, readahead, fallocate, syncfs, sync_file_range, fcntl, ioctl, fiemap,
        flock, lockf, ofd_lock, statx, statvfs, utime, chmod, fchown, chown, lchown, truncate, access, realpath,
        makedirs, mkfifo, mknod, link, read_bytes, write_bytes, msync, mtouch, mlock, mlockall,
    )
} | {
    function.__name__: attribute_function(function)
    for function in (os.getxattr, os.listxattr, os.setxattr, os.removexattr)
}  # fmt: skip
"""They get the arguments as `checked` returns them, by position."""

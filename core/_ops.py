"""The table: one typed function an operation.

Each gives its operation's name, signature, docstring and class, and a body that the Python backend runs in a worker
and that the native backend is tested against. `tools/generate.py` makes the four colours, the adapters' functions and
the rows of the C table from it: run it after a change here.

An annotation is the parameter's *kind* (`_table.KINDS`): how the argument is checked and converted when it is
submitted. A worker therefore only meets arguments that are right: descriptors are ints, paths are what `os.fspath`
gave, buffers are memoryviews, times are nanoseconds, and a range of a buffer is one.
"""

from __future__ import annotations

import os
import time
from types import ModuleType
from typing import AnyStr, overload

from ._constants import MS_SYNC, MT_MODIFY
from ._direntry import DirEntry
from ._python.listing import list_names, read_entries, sweep
from ._python.paths import call, check
from ._results import Extent, Statx
from ._table import OPERATIONS as OPERATIONS
from ._table import (
    AnyPathOrFd,
    Argument,
    Attribute,
    Device,
    DirFd,
    Fd,
    Flags,
    Id,
    Int,
    Nanoseconds,
    NewFd,
    Offset,
    OptionalOffset,
    Order,
    PathOrFd,
    PathOrFdOrNone,
    ReadableBuffers,
    Seconds,
    Size,
    Times,
    Truth,
    Unsigned,
    WriteableBuffers,
    operation,
)
from ._table import public_operations as public_operations
from ._types import AnyPath, ReadableBuffer, StrOrBytesPath

LOCK_UN = 8  # <sys/file.h>; `fcntl` is an operation here
COPY_STEP = 16 << 20  # bytes that are copied before a cancellation is looked for


def libc() -> ModuleType:
    """Return the calls that `os` lacks. ctypes is not loaded for nothing."""
    from ._python import libc as module

    return module


# ---- what makes another class of a request ----


def creates(path: object, flags: int, *rest: object) -> bool:
    """Whether opening with *flags* changes something that others can see."""
    tmpfile: int = getattr(os, "O_TMPFILE", os.O_CREAT)
    return bool(flags & (os.O_CREAT | os.O_TRUNC)) or flags & tmpfile == tmpfile


def unlocks(fd: int, operation: int, *rest: object) -> bool:
    """Whether a lock is given back."""
    return bool(operation & LOCK_UN)


def modifies(buffer: object, offset: int, length: int | None, flags: int) -> bool:
    """Whether pages are made dirty."""
    return bool(flags & MT_MODIFY)


# ---- special ----


@operation("look")
def nop() -> None:
    """Do nothing, in a worker: it shows how long the way there and back takes."""


@operation("look")
def busy(seconds: Seconds) -> None:
    """Occupy a worker for *seconds*; a negative number is 0. For tests and artificial load."""
    time.sleep(max(0.0, seconds))


# ---- descriptors ----


@operation("make", unless=(creates, "change"))
def open(path: StrOrBytesPath, flags: Flags, mode: Int = 0o777, *, dir_fd: DirFd = None) -> NewFd:
    """Open a file and return its descriptor, which is not inherited by other programs (O_CLOEXEC).

    *flags* are those of `os.open`, such as ``os.O_RDONLY``. A descriptor that nobody took, because the caller was
    cancelled, is closed. With O_CREAT, O_TRUNC or O_TMPFILE a running open is waited for when it is cancelled.
    """
    return os.open(path, flags, mode, dir_fd=dir_fd)


@operation("must")
def close(fd: Fd) -> None:
    """Close a descriptor; what the kernel says of late write errors is raised.

    It always runs, also in a cancelled scope: the cancellation is raised afterwards. After an error the descriptor
    is closed all the same (close(2)): do not try again.
    """
    os.close(fd)


@operation("change")
def lseek(fd: Fd, position: Offset, whence: Int) -> int:
    """Move a descriptor's position and return the new one."""
    return os.lseek(fd, position, whence)


@operation("change")
def read(fd: Fd, n: Size) -> bytes:
    """Read at most *n* bytes from the descriptor's position on and move it; b"" at the end.

    Cancelled while it waits for data in a pipe, socket or terminal, it consumes nothing.
    """
    return os.read(fd, n)


@operation("look")
def pread(fd: Fd, n: Size, offset: Offset) -> bytes:
    """Read at most *n* bytes at *offset*, leaving the descriptor's position alone; b"" past the end."""
    return os.pread(fd, n, offset)


@operation("change")
def readv(fd: Fd, buffers: WriteableBuffers) -> int:
    """Read into *buffers*, one after the other, and return the number of bytes; a short count is possible.

    The buffers cannot be resized until the request is done.
    """
    return os.readv(fd, buffers)


@operation("change")
def preadv(fd: Fd, buffers: WriteableBuffers, offset: Offset, flags: Flags = 0) -> int:
    """Read at *offset* into *buffers*, one after the other, and return the number of bytes.

    *flags* are ``os.RWF_*`` (preadv2(2)). The buffers cannot be resized until the request is done.
    """
    return os.preadv(fd, buffers, offset, flags)


@operation("change")
def write(fd: Fd, data: ReadableBuffer) -> int:
    """Write *data* at the descriptor's position and return how many bytes went: maybe fewer than given.

    *data* is not copied: it cannot be resized, and should not be changed, until the request is done.
    """
    return os.write(fd, data)


@operation("change")
def pwrite(fd: Fd, data: ReadableBuffer, offset: Offset) -> int:
    """Write *data* at *offset*, leaving the position alone, and return how many bytes went: maybe fewer than given.

    *data* is not copied: it cannot be resized, and should not be changed, until the request is done.
    """
    return os.pwrite(fd, data, offset)


@operation("change")
def writev(fd: Fd, buffers: ReadableBuffers) -> int:
    """Write *buffers*, one after the other, and return how many bytes went: maybe fewer than given."""
    return os.writev(fd, buffers)


@operation("change")
def pwritev(fd: Fd, buffers: ReadableBuffers, offset: Offset, flags: Flags = 0) -> int:
    """Write *buffers* at *offset*, one after the other, and return how many bytes went.

    *flags* are ``os.RWF_*`` (pwritev2(2)).
    """
    return os.pwritev(fd, buffers, offset, flags)


@operation("change")
def sendfile(out_fd: Fd, in_fd: Fd, offset: OptionalOffset, count: Size) -> int:
    """Copy at most *count* bytes of *in_fd*, from *offset* on, to *out_fd*'s position; return how many went.

    With *offset* None the bytes come from *in_fd*'s position, which moves. Where the kernel cannot (sendfile(2):
    EINVAL, ENOSYS, ENOTSUP, ENOTSOCK) they are read and written, 64 KiB at a time. On a non-blocking socket the count
    may be short, or the error BlockingIOError. Cancelled while it waits for room, it ends with what went.
    """
    return call("sendfile")(out_fd, in_fd, offset, count)  # type: ignore[no-any-return]


@operation("change")
def copy_file_range(
    src: Fd, dst: Fd, count: Size, offset_src: OptionalOffset = None, offset_dst: OptionalOffset = None
) -> int:
    """Copy at most *count* bytes between two files within the kernel, which may share them; return how many went.

    An offset that is None is the descriptor's position, which moves. OSError with EXDEV, EINVAL or EOPNOTSUPP where
    the file systems cannot (copy_file_range(2)).
    """
    from ._python.paths import copy_range

    return copy_range(src, dst, count, offset_src, offset_dst)


@operation("change")
def _copy_range(src: Fd, dst: Fd, offset: Offset, count: Size) -> int:
    """Copy *count* bytes of *src*, from *offset* on, to *dst*'s position, and return how many went.

    In one job, but of several calls of copy_file_range(2): cancelled, it stops between two. For `copy`, and not among
    the colours' functions.
    """
    return os.copy_file_range(src, dst, min(count, COPY_STEP), offset)


@operation("change")
def splice(
    src: Fd,
    dst: Fd,
    count: Size,
    offset_src: OptionalOffset = None,
    offset_dst: OptionalOffset = None,
    flags: Unsigned = 0,
) -> int:
    """Move at most *count* bytes between two descriptors, one of them a pipe; return how many; 0 at the end.

    An offset must be None for a pipe. *flags* are ``SPLICE_F_*`` (splice(2)). Cancelled while it waits for data or for
    room, it moves nothing.
    """
    return call("splice")(src, dst, count, offset_src, offset_dst, flags)  # type: ignore[no-any-return]


@operation("change")
def tee(src: Fd, dst: Fd, count: Size, flags: Unsigned = 0) -> int:
    """Duplicate at most *count* bytes of one pipe into another, without consuming them; return how many.

    *flags* are ``SPLICE_F_*`` (tee(2)). Cancelled while it waits for data or for room, it does nothing.
    """
    return libc().tee(src, dst, count, flags)  # type: ignore[no-any-return]


@operation("look")
def readahead(fd: Fd, offset: Offset, count: Size) -> None:
    """Read *count* bytes from *offset* on into the page cache, whole pages; the position stays (readahead(2))."""
    libc().readahead(fd, offset, count)


@operation("change")
def posix_fadvise(fd: Fd, offset: Offset, length: Offset, advice: Int) -> None:
    """Tell the kernel how *length* bytes from *offset* on will be used; a *length* of 0 is up to the end.

    *advice* is one of ``os.POSIX_FADV_*``.
    """
    call("posix_fadvise")(fd, offset, length, advice)


@operation("change")
def fallocate(fd: Fd, mode: Int, offset: Offset, length: Offset) -> None:
    """Reserve *length* bytes of disk space from *offset* on, or what *mode* says.

    *mode* is 0 or a sum of ``anyaio.FALLOC_FL_*``: keep the size, punch a hole, collapse, zero, insert, unshare
    (fallocate(2)). Not every file system can: expect OSError with EOPNOTSUPP.
    """
    libc().fallocate(fd, mode, offset, length)


@operation("change")
def ftruncate(fd: Fd, length: Offset) -> None:
    """Cut the file to *length* bytes, or extend it with zeros."""
    os.ftruncate(fd, length)


@overload
def fcntl(fd: Fd, cmd: Int, arg: int = ...) -> int: ...
@overload
def fcntl(fd: Fd, cmd: Int, arg: ReadableBuffer) -> int | bytes: ...
@operation("change")
def fcntl(fd: Fd, cmd: Int, arg: Argument = 0) -> int | bytes:
    """Do what `fcntl.fcntl` does: return the call's int, or, if *arg* is bytes, what the kernel made of them.

    A writable buffer is changed in place, and the int returned; it cannot be resized until the request is done. A
    command that waits, such as F_SETLKW, occupies a worker and cannot be cancelled: see `lockf`.
    """
    from ._python.control import fcntl

    return fcntl(fd, cmd, arg)  # type: ignore[arg-type]  # a buffer is a memoryview here


@overload
def ioctl(fd: Fd, request: Unsigned, arg: int = ...) -> int: ...
@overload
def ioctl(fd: Fd, request: Unsigned, arg: ReadableBuffer) -> int | bytes: ...
@operation("change")
def ioctl(fd: Fd, request: Unsigned, arg: Argument = 0) -> int | bytes:
    """Do what `fcntl.ioctl` does: return the call's int, or, if *arg* is bytes, what the driver made of them.

    A writable buffer is changed in place, and the int returned; it cannot be resized until the request is done. The
    driver gets memory of at least the size that *request* encodes, whatever *arg* has.
    """
    from ._python.control import ioctl

    return ioctl(fd, request, arg)  # type: ignore[arg-type]  # as above


@operation("look")
def fiemap(
    fd: Fd, start: Offset = 0, length: OptionalOffset = None, *, flags: Unsigned = 0, count: OptionalOffset = None
) -> list[Extent]:
    """Return where on the disk *length* bytes from *start* on are: extents in their order, at most *count* of them.

    With None, up to the end of the file, and all of them, in as many ioctls as it takes. *flags* are
    ``anyaio.FIEMAP_FLAG_*``; OSError with EBADR for one that the file system does not know, with EOPNOTSUPP where it
    has no extents.
    """
    from ._python.fiemap import read_extents

    return read_extents(fd, start, length, flags, count)


@operation("change")
def fchmod(fd: Fd, mode: Int) -> None:
    """Change the permission bits of an open file."""
    os.fchmod(fd, mode)


@operation("change")
def fchown(fd: Fd, uid: Id, gid: Id) -> None:
    """Change owner and group of an open file; -1 leaves one as it is."""
    os.fchown(fd, uid, gid)


@operation("change")
def fsync(fd: Fd) -> None:
    """Force a file's data and metadata to the disk.

    An error is reported once per open file: do not try again and believe (fsync(2)).
    """
    os.fsync(fd)


@operation("change")
def fdatasync(fd: Fd) -> None:
    """Force a file's data to the disk, and of its metadata what reading it back needs."""
    getattr(os, "fdatasync", os.fsync)(fd)


@operation("change")
def syncfs(fd: Fd) -> None:
    """Force everything of the file system that the descriptor is on to the disk (syncfs(2))."""
    libc().syncfs(fd)


@operation("change")
def sync_file_range(fd: Fd, offset: Offset, count: Offset, flags: Unsigned) -> None:
    """Write *count* bytes from *offset* on to the disk, or what *flags* say; a *count* of 0 is up to the end.

    *flags* are ``anyaio.SYNC_FILE_RANGE_*``. No metadata is written: after a crash the data may be out of reach
    (sync_file_range(2)).
    """
    libc().sync_file_range(fd, offset, count, flags)


@operation("change")
def sync() -> None:
    """Force everything of all file systems to the disk."""
    os.sync()


# ---- locks: who waits for one holds no worker ----


@operation("change", unless=(unlocks, "must"))
def flock(fd: Fd, operation: Int) -> None:
    """Lock or unlock an open file, as `fcntl.flock`.

    *operation* is LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB if it must not wait. A lock that another holds is tried
    again and again, without a worker: cancelled meanwhile, it never ran. One that is granted to a cancelled caller is
    given back, and with it one that it replaced. Unlocking always runs.
    """
    from ._python.locks import lock

    lock("flock", fd, operation)


@operation("change", unless=(unlocks, "must"))
def lockf(fd: Fd, cmd: Int, len: Offset = 0, start: Offset = 0, whence: Int = 0) -> None:
    """Lock or unlock a part of a file for this process, as `fcntl.lockf`.

    It is *len* bytes (0: all that follow) from *start*. It waits as `flock` does; a deadlock is not detected. The
    process loses these locks when it closes any descriptor of the file: prefer `ofd_lock`.
    """
    from ._python.locks import lock

    lock("lockf", fd, cmd, len, start, whence)


@operation("change", unless=(unlocks, "must"))
def ofd_lock(fd: Fd, operation: Int, length: Offset = 0, start: Offset = 0, whence: Int = 0) -> None:
    """Lock or unlock a part of a file for this open file, not for the process: F_OFD_SETLK of fcntl(2).

    *operation* is LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB if it must not wait; *length* 0 is all that follows. It
    waits as `flock` does.
    """
    from ._python.locks import lock

    lock("ofd_lock", fd, operation, length, start, whence)


# ---- handle or path ----


@operation("look")
def stat(path: PathOrFd, *, dir_fd: DirFd = None, follow_symlinks: Truth = True) -> os.stat_result:
    """Return the status of a file, equal field by field to what `os.stat` returns."""
    return os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


@operation("look")
def lstat(path: StrOrBytesPath, *, dir_fd: DirFd = None) -> os.stat_result:
    """Return the status of a file without following a symlink."""
    return os.lstat(path, dir_fd=dir_fd)


@operation("look")
def fstat(fd: Fd) -> os.stat_result:
    """Return the status of an open file."""
    return os.fstat(fd)


@operation("look")
def statx(
    path: PathOrFd, *, mask: Unsigned = 0xFFF, flags: Unsigned = 0, dir_fd: DirFd = None, follow_symlinks: Truth = True
) -> Statx:
    """Return what statx(2) tells of a file: birth time, mount, attributes and more.

    *mask* is a sum of ``anyaio.STATX_*``, by default STATX_BASIC_STATS and STATX_BTIME; *flags* are
    ``anyaio.AT_STATX_*`` and AT_NO_AUTOMOUNT.
    """
    check(path)
    return libc().statx(path, mask, flags, dir_fd, follow_symlinks)  # type: ignore[no-any-return]


@operation("look")
def statvfs(path: PathOrFd, *, dir_fd: DirFd = None) -> os.statvfs_result:
    """Return what `os.statvfs` does of the file system that *path* is on. It needs no permission to read *path*."""
    from ._python.paths import statvfs

    return statvfs(path, dir_fd)


@operation("look")
def access(
    path: StrOrBytesPath,
    mode: Int,
    *,
    dir_fd: DirFd = None,
    effective_ids: Truth = False,
    follow_symlinks: Truth = True,
) -> bool:
    """Return whether the user may do with *path* what *mode* says, as `os.access`.

    *mode* is F_OK, or a sum of R_OK, W_OK and X_OK. It is False for whatever the reason may be.
    """
    return os.access(path, mode, dir_fd=dir_fd, effective_ids=effective_ids, follow_symlinks=follow_symlinks)


@operation("change")
def utime(
    path: PathOrFd,
    times: Times = None,
    *,
    ns: Nanoseconds = None,
    dir_fd: DirFd = None,
    follow_symlinks: Truth = True,
) -> None:
    """Set the times of access and modification, as `os.utime`.

    They are *times*, in seconds, or *ns*, in nanoseconds; else now. In *ns*, ``anyaio.UTIME_NOW`` sets that one to now
    and ``anyaio.UTIME_OMIT`` leaves it as it is (utimensat(2)).
    """
    from ._python.paths import utime

    utime(path, times, ns, dir_fd, follow_symlinks)


@operation("change")
def chmod(path: PathOrFd, mode: Int, *, dir_fd: DirFd = None, follow_symlinks: Truth = True) -> None:
    """Change the permission bits.

    Without *follow_symlinks* a symlink is an OSError with EOPNOTSUPP: on Linux it has none of its own.
    """
    from ._python.paths import chmod

    chmod(path, mode, dir_fd, follow_symlinks)


@operation("change")
def chown(path: PathOrFd, uid: Id, gid: Id, *, dir_fd: DirFd = None, follow_symlinks: Truth = True) -> None:
    """Change owner and group; -1 leaves one as it is."""
    from ._python.paths import chown

    chown(path, uid, gid, dir_fd, follow_symlinks)


@operation("change")
def lchown(path: StrOrBytesPath, uid: Id, gid: Id, *, dir_fd: DirFd = None) -> None:
    """Change owner and group without following a symlink; -1 leaves one as it is."""
    os.chown(path, uid, gid, dir_fd=dir_fd, follow_symlinks=False)


@operation("change")
def truncate(path: PathOrFd, length: Offset, *, dir_fd: DirFd = None) -> None:
    """Cut the file to *length* bytes, or extend it with zeros."""
    from ._python.paths import truncate

    truncate(path, length, dir_fd)


@operation("look")
def getxattr(path: PathOrFd, attribute: Attribute, *, follow_symlinks: Truth = True, dir_fd: DirFd = None) -> bytes:
    """Return the value of an extended attribute; OSError with ENODATA if there is none of that name."""
    from ._python.paths import getxattr

    return getxattr(path, attribute, dir_fd, follow_symlinks)


@operation("look")
def listxattr(path: PathOrFdOrNone = None, *, follow_symlinks: Truth = True, dir_fd: DirFd = None) -> list[str]:
    """Return the names of the extended attributes; of the current directory if *path* is None."""
    from ._python.paths import listxattr

    return listxattr(path, dir_fd, follow_symlinks)


@operation("change")
def setxattr(
    path: PathOrFd,
    attribute: Attribute,
    value: ReadableBuffer,
    flags: Int = 0,
    *,
    follow_symlinks: Truth = True,
    dir_fd: DirFd = None,
) -> None:
    """Set an extended attribute; *flags* are ``os.XATTR_CREATE`` or ``os.XATTR_REPLACE``."""
    from ._python.paths import setxattr

    setxattr(path, attribute, value, flags, dir_fd, follow_symlinks)


@operation("change")
def removexattr(path: PathOrFd, attribute: Attribute, *, follow_symlinks: Truth = True, dir_fd: DirFd = None) -> None:
    """Remove an extended attribute; OSError with ENODATA if there is none of that name."""
    from ._python.paths import removexattr

    removexattr(path, attribute, dir_fd, follow_symlinks)


# ---- paths ----


@overload
def listdir(path: str | os.PathLike[str] | int = ..., *, dir_fd: DirFd = None) -> list[str]: ...
@overload
def listdir(path: bytes | os.PathLike[bytes], *, dir_fd: DirFd = None) -> list[bytes]: ...
@operation("look")
def listdir(path: AnyPathOrFd = ".", *, dir_fd: DirFd = None) -> list[str] | list[bytes]:
    """Return the names in a directory, without "." and "..", in the kernel's order.

    A descriptor (O_PATH too) is opened anew, so that two readers of one do not take each other's entries.
    """
    return list_names(path, dir_fd)


@overload
def scandir(
    path: str | os.PathLike[str] | int = ...,
    *,
    order: Order = "kernel",
    stat: Truth = False,
    follow_symlinks: Truth = False,
    resolve: Truth = True,
    dir_fd: DirFd = None,
) -> list[DirEntry[str]]: ...
@overload
def scandir(
    path: bytes | os.PathLike[bytes],
    *,
    order: Order = "kernel",
    stat: Truth = False,
    follow_symlinks: Truth = False,
    resolve: Truth = True,
    dir_fd: DirFd = None,
) -> list[DirEntry[bytes]]: ...
@operation("look")
def scandir(
    path: AnyPathOrFd = ".",
    *,
    order: Order = "kernel",
    stat: Truth = False,
    follow_symlinks: Truth = False,
    resolve: Truth = True,
    dir_fd: DirFd = None,
) -> list[DirEntry[str]] | list[DirEntry[bytes]]:
    """Return a directory's entries, with what `os.DirEntry` tells of them and without a system call later.

    *order* is ``"kernel"``; ``"dirs_first"``; ``"stat"``, by inode, which is fast to stat; or ``"dirs_first+stat"``.
    With *stat* the worker stats each entry, following symlinks if *follow_symlinks*, for `DirEntry.stat`. With
    *resolve* it finds out what symlinks lead to and what a file system left unknown, so that `is_dir` and `is_file`
    can answer; without, such a question is a RuntimeError.
    """
    return read_entries(path, order, stat, follow_symlinks, resolve, dir_fd)


@operation("look")
def readlink(path: AnyPath[AnyStr], *, dir_fd: DirFd = None) -> AnyStr:
    """Return what a symlink points to."""
    return os.readlink(path, dir_fd=dir_fd)


@operation("change")
def unlink(path: StrOrBytesPath, *, dir_fd: DirFd = None) -> None:
    """Remove a name that is not a directory's."""
    os.unlink(path, dir_fd=dir_fd)


@operation("change")
def mkdir(path: StrOrBytesPath, mode: Int = 0o777, *, dir_fd: DirFd = None) -> None:
    """Make a directory; the umask applies to *mode*."""
    os.mkdir(path, mode, dir_fd=dir_fd)


@operation("change")
def rmdir(path: StrOrBytesPath, *, dir_fd: DirFd = None) -> None:
    """Remove an empty directory."""
    os.rmdir(path, dir_fd=dir_fd)


@operation("change")
def rename(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: DirFd = None,
    dst_dir_fd: DirFd = None,
    flags: Flags = 0,
) -> None:
    """Rename *src* to *dst*, which is replaced if it exists.

    *flags*, ``anyaio.RENAME_NOREPLACE``, RENAME_EXCHANGE or RENAME_WHITEOUT, are renameat2(2)'s: OSError with EINVAL
    where the file system does not know them.
    """
    if flags:
        libc().renameat2(os.fspath(src), os.fspath(dst), src_dir_fd, dst_dir_fd, flags)
        return
    os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


@operation("look")
def realpath(filename: AnyPath[AnyStr], *, strict: Truth = True, dir_fd: DirFd = None) -> AnyStr:
    """Return the absolute path without symlinks, "." and "..".

    OSError if a part does not exist, or with ELOOP after 40 symlinks, as the kernel has it; without *strict* what does
    not exist stays as it is written. A relative path starts at *dir_fd*, wherever that directory is now.
    """
    from ._python.paths import realpath

    return realpath(filename, strict, dir_fd)  # type: ignore[no-any-return]


@operation("change")
def remove(path: StrOrBytesPath, *, dir_fd: DirFd = None) -> None:
    """Remove a name that is not a directory's: `unlink`."""
    os.remove(path, dir_fd=dir_fd)


@operation("change")
def makedirs(name: StrOrBytesPath, mode: Int = 0o777, exist_ok: Truth = False, *, dir_fd: DirFd = None) -> None:
    """Make a directory, and those above it that are missing, in one job.

    As with `os.makedirs`, *mode* is the last one's; *exist_ok* lets it be there already.
    """
    from ._python.paths import makedirs

    makedirs(name, mode, exist_ok, dir_fd)


@operation("change")
def mknod(path: StrOrBytesPath, mode: Int = 0o600, device: Device = 0, *, dir_fd: DirFd = None) -> None:
    """Make a file, FIFO, socket or device, by the S_IF bits of *mode*; the umask applies to the others."""
    os.mknod(path, mode, device, dir_fd=dir_fd)


@operation("change")
def mkfifo(path: StrOrBytesPath, mode: Int = 0o666, *, dir_fd: DirFd = None) -> None:
    """Make a FIFO; the umask applies to *mode*."""
    os.mkfifo(path, mode, dir_fd=dir_fd)


@operation("change")
def link(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: DirFd = None,
    dst_dir_fd: DirFd = None,
    follow_symlinks: Truth = False,
) -> None:
    """Make another name, *dst*, of the file *src*; of a symlink itself, unless *follow_symlinks*."""
    from ._python.paths import link

    link(src, dst, src_dir_fd, dst_dir_fd, follow_symlinks)


@operation("change")
def symlink(
    src: StrOrBytesPath, dst: StrOrBytesPath, target_is_directory: Truth = False, *, dir_fd: DirFd = None
) -> None:
    """Make a symlink *dst* that points to *src*; *dir_fd* is where *dst* starts.

    *target_is_directory* is for Windows, as in `os.symlink`.
    """
    os.symlink(src, dst, target_is_directory, dir_fd=dir_fd)


@operation("change")
def replace(src: StrOrBytesPath, dst: StrOrBytesPath, *, src_dir_fd: DirFd = None, dst_dir_fd: DirFd = None) -> None:
    """Rename *src* to *dst*, which is replaced if it exists: as `rename` does here."""
    os.replace(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


@operation("change")
def pathsync(path: StrOrBytesPath, *, dir_fd: DirFd = None) -> None:
    """Open *path* for reading, fsync it and close it, in one job: for a directory after a rename in it.

    OSError with EINVAL where the file system cannot, as in /proc.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@operation("change")
def _sweep(path: AnyPathOrFd, *, dir_fd: DirFd = None) -> list[DirEntry[str]] | list[DirEntry[bytes]]:
    """Remove everything in a directory but directories, in one job, and return what is left.

    What could not be removed is among that: to unlink it tells why. Cancelled, it stops between two entries. The
    directory is not reached through a symlink. For `rmtree`, and not among the colours' functions.
    """
    return sweep(path, dir_fd)


# ---- whole files ----


@operation("look")
def read_bytes(
    path: StrOrBytesPath, offset: Offset = 0, length: OptionalOffset = None, *, dir_fd: DirFd = None
) -> bytes:
    """Return a file's content from *offset* on, at most *length* bytes, in one job.

    It reads to the end whatever the size is said to be, so files of /proc are complete. A negative *offset* counts from
    the end; OSError with EINVAL if that is before the beginning.
    """
    from ._python.wholefile import read_bytes

    return read_bytes(path, offset, length, dir_fd)


@operation("change")
def write_bytes(path: StrOrBytesPath, data: ReadableBuffer, *, dir_fd: DirFd = None) -> int:
    """Make the file, or empty it, write all of *data* and close it, in one job; return the number of bytes.

    After an error the file may have a part of *data*: see `copy` for all or nothing. *data* is not copied: it cannot be
    resized, and should not be changed, until the request is done.
    """
    from ._python.wholefile import write_bytes

    return write_bytes(path, data, dir_fd)


# ---- memory: a range is widened to whole pages, and cannot be unmapped or resized until the request is done ----


@operation("change")
def msync(buffer: ReadableBuffer, offset: Offset = 0, length: OptionalOffset = None, flags: Int = MS_SYNC) -> None:
    """Write a mapped file's changed pages, from *offset* on for *length* bytes (None: the rest), to the disk.

    *flags* are ``anyaio.MS_*`` (msync(2)). A negative *offset* counts from the end.
    """
    from ._python.memory import msync

    msync(buffer, offset, length, flags)  # type: ignore[arg-type]  # checked: a memoryview, and a range of it


@operation("look", unless=(modifies, "change"))
def mtouch(buffer: ReadableBuffer, offset: Offset = 0, length: OptionalOffset = None, flags: Int = 0) -> None:
    """Have the pages of a range in memory: read each, or with ``anyaio.MT_MODIFY`` make it dirty.

    What is in them does not change. Cancelled, it stops between pages. A page that is not there, such as one beyond the
    end of a file that was truncated, is an OSError with EFAULT, not a SIGBUS. MT_MODIFY needs Linux 5.14 (madvise(2)).
    """
    from ._python.memory import mtouch

    mtouch(buffer, offset, length, flags)  # type: ignore[arg-type]  # checked: a memoryview, and a range of it


@operation("change")
def mlock(buffer: ReadableBuffer, offset: Offset = 0, length: OptionalOffset = None) -> None:
    """Read the pages of a range and keep them in memory, until `anyaio.munlock` or the end of the mapping."""
    from ._python.memory import mlock

    mlock(buffer, offset, length)  # type: ignore[arg-type]  # checked: a memoryview, and a range of it


@operation("change")
def mlockall(flags: Int) -> None:
    """Keep all pages of the process in memory; *flags* are ``anyaio.MCL_*`` (mlockall(2))."""
    libc().mlockall(flags)

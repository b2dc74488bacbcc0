"""The calls of libc that `os` and `fcntl` lack. Python backend only; imported when the first of them is needed.

One that the platform lacks is an OSError with ENOSYS when it is called. ctypes releases the GIL around each call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

from .._results import Statx

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW, _AT_SYMLINK_FOLLOW, _AT_EMPTY_PATH = 0x100, 0x400, 0x1000
_UTIME_NOW, _UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE  # the kernel's, in place of the nanoseconds

_libc = ctypes.CDLL(None, use_errno=True)
_int, _uint, _offset, _size, _pointer = ctypes.c_int, ctypes.c_uint, ctypes.c_int64, ctypes.c_size_t, ctypes.c_void_p
_Path = ctypes.c_char_p


def fail(number: int) -> OSError:
    """Return the OSError of an error's number."""
    return OSError(number, os.strerror(number))


def _function(name: str, *parameters: Any) -> Callable[..., int]:
    """Return a call by the types of its parameters, that raises what errno says."""
    # Where off_t has 32 bits, the one with 64 has a name of its own.
    function: Any = getattr(_libc, f"{name}64", None) if _offset in parameters else None
    function = function or getattr(_libc, name, None)
    if function is None:
        return _missing
    function.argtypes = parameters
    function.restype = ctypes.c_ssize_t if name in ("tee", "process_vm_readv") else _int

    def call(*arguments: Any) -> int:
        while (result := function(*arguments)) == -1:
            if (number := ctypes.get_errno()) != errno.EINTR:
                raise fail(number)
        return int(result)

    return call


def _missing(*arguments: Any) -> int:
    raise fail(errno.ENOSYS)


_fallocate = _function("fallocate", _int, _int, _offset, _offset)
_fchmodat = _function("fchmodat", _int, _Path, _uint, _int)
_fcntl = _function("fcntl", _int, _int)  # and what the command takes: on some machines it matters that this is not told
_futimens = _function("futimens", _int, _pointer)
_linkat = _function("linkat", _int, _Path, _int, _Path, _int)
_readahead = _function("readahead", _int, _offset, _size)
_renameat2 = _function("renameat2", _int, _Path, _int, _Path, _uint)
_statx = _function("statx", _int, _Path, _int, _uint, _pointer)
_sync_file_range = _function("sync_file_range", _int, _offset, _offset, _uint)
_syncfs = _function("syncfs", _int)
_tee = _function("tee", _int, _int, _size, _uint)
_utimensat = _function("utimensat", _int, _Path, _pointer, _int)

madvise = _function("madvise", _pointer, _size, _int)
mlock = _function("mlock", _pointer, _size)
mlockall = _function("mlockall", _int)
msync = _function("msync", _pointer, _size, _int)
process_vm_readv = _function(
    "process_vm_readv", _int, _pointer, ctypes.c_ulong, _pointer, ctypes.c_ulong, ctypes.c_ulong
)


def _start(dir_fd: int | None) -> int:
    return _AT_FDCWD if dir_fd is None else dir_fd


# ---- descriptors ----


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Reserve space, or what *mode* says."""
    _fallocate(fd, mode, offset, length)


def readahead(fd: int, offset: int, count: int) -> None:
    """Read into the page cache."""
    if count < 0:
        raise fail(errno.EINVAL)
    _readahead(fd, offset, count)


def syncfs(fd: int) -> None:
    """Write a file system's changes."""
    _syncfs(fd)


def sync_file_range(fd: int, offset: int, count: int, flags: int) -> None:
    """Write a range of a file."""
    _sync_file_range(fd, offset, count, flags)


def tee(src: int, dst: int, count: int, flags: int) -> int:
    """Duplicate what is in a pipe."""
    return _tee(src, dst, count, flags)


def fcntl(fd: int, cmd: int, arg: int | bytearray) -> int:
    """Call fcntl(2); memory must have room for whatever *cmd* writes. Some results are negative: F_GETOWN's."""
    if isinstance(arg, int):
        return _fcntl(fd, cmd, ctypes.c_long(arg))
    return _fcntl(fd, cmd, (ctypes.c_char * len(arg)).from_buffer(arg))


# ---- paths ----


def renameat2(src: str | bytes, dst: str | bytes, src_dir_fd: int | None, dst_dir_fd: int | None, flags: int) -> None:
    """Rename with *flags*."""
    _renameat2(_start(src_dir_fd), os.fsencode(src), _start(dst_dir_fd), os.fsencode(dst), flags & 0xFFFFFFFF)


def linkat(src: str | bytes, dst: str | bytes, src_dir_fd: int | None, dst_dir_fd: int | None) -> None:
    """Make another name of what *src* leads to: `os.link` follows a symlink only if it is given a descriptor."""
    _linkat(_start(src_dir_fd), os.fsencode(src), _start(dst_dir_fd), os.fsencode(dst), _AT_SYMLINK_FOLLOW)


def lchmod(path: str | bytes, mode: int, dir_fd: int | None) -> None:
    """Change the permission bits of what is no symlink: `os.chmod` asks what the platform had when it was built."""
    _fchmodat(_start(dir_fd), os.fsencode(path), mode & 0xFFFFFFFF, _AT_SYMLINK_NOFOLLOW)


class _Times(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("atime", "atime_ns", "mtime", "mtime_ns")]


def utimens(
    path: str | bytes | int, times: tuple[int | None, int | None], now: int, dir_fd: int | None, follow_symlinks: bool
) -> None:
    """Set the times, in nanoseconds; one that is *now* to the present, one that is None not at all."""
    pairs = [
        (0, _UTIME_OMIT) if time is None else (0, _UTIME_NOW) if time == now else divmod(time, 10**9) for time in times
    ]
    memory = ctypes.byref(_Times(*pairs[0], *pairs[1]))
    if isinstance(path, int):
        _futimens(path, memory)
    else:
        _utimensat(_start(dir_fd), os.fsencode(path), memory, 0 if follow_symlinks else _AT_SYMLINK_NOFOLLOW)


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_uint32), ("_reserved", ctypes.c_int32)]


class _Status(ctypes.Structure):
    """struct statx of <linux/stat.h>."""

    _fields_ = [
        ("stx_mask", ctypes.c_uint32),
        ("stx_blksize", ctypes.c_uint32),
        ("stx_attributes", ctypes.c_uint64),
        ("stx_nlink", ctypes.c_uint32),
        ("stx_uid", ctypes.c_uint32),
        ("stx_gid", ctypes.c_uint32),
        ("stx_mode", ctypes.c_uint16),
        ("_spare0", ctypes.c_uint16),
        ("stx_ino", ctypes.c_uint64),
        ("stx_size", ctypes.c_uint64),
        ("stx_blocks", ctypes.c_uint64),
        ("stx_attributes_mask", ctypes.c_uint64),
        ("stx_atime", _Time),
        ("stx_btime", _Time),
        ("stx_ctime", _Time),
        ("stx_mtime", _Time),
        ("stx_rdev_major", ctypes.c_uint32),
        ("stx_rdev_minor", ctypes.c_uint32),
        ("stx_dev_major", ctypes.c_uint32),
        ("stx_dev_minor", ctypes.c_uint32),
        ("stx_mnt_id", ctypes.c_uint64),
        ("stx_dio_mem_align", ctypes.c_uint32),
        ("stx_dio_offset_align", ctypes.c_uint32),
        ("_spare1", ctypes.c_uint64 * 12),
    ]


def statx(path: str | bytes | int, mask: int, flags: int, dir_fd: int | None, follow_symlinks: bool) -> Statx:
    """Return what statx(2) tells. A descriptor must not be negative: one of them means the current directory."""
    if not follow_symlinks:
        flags |= _AT_SYMLINK_NOFOLLOW
    status = _Status()
    if isinstance(path, int):
        _statx(path, b"", flags | _AT_EMPTY_PATH, mask, ctypes.byref(status))
    else:
        _statx(_start(dir_fd), os.fsencode(path), flags, mask, ctypes.byref(status))
    return Statx(*(_field(status, name) for name in Statx._fields))


def _field(status: _Status, name: str) -> int:
    if name in ("stx_rdev", "stx_dev"):
        return os.makedev(getattr(status, f"{name}_major"), getattr(status, f"{name}_minor"))
    if not name.endswith("_ns"):
        return int(getattr(status, name))
    time: _Time = getattr(status, name.removesuffix("_ns"))
    return int(time.seconds) * 10**9 + int(time.nanoseconds)

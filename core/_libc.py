"""The calls of libc that `os` lacks. Python backend only; imported when the first of them is needed."""

from __future__ import annotations

import ctypes
import errno
import os

_AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)


def renameat2(src: str | bytes, dst: str | bytes, src_dir_fd: int | None, dst_dir_fd: int | None, flags: int) -> None:
    """Rename with *flags*; OSError with ENOSYS where libc lacks renameat2(2)."""
    try:
        function = _libc.renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    src_fd = _AT_FDCWD if src_dir_fd is None else src_dir_fd
    dst_fd = _AT_FDCWD if dst_dir_fd is None else dst_dir_fd
    if function(src_fd, os.fsencode(src), dst_fd, os.fsencode(dst), ctypes.c_uint(flags & 0xFFFFFFFF)) == 0:
        return
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))

"""Whole files in the Python backend: read_bytes and write_bytes.

How a worker reads and writes what it may have to wait for, such as a FIFO, is told to these functions by `stream.py`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .kinds import as_bytes
from .listing import stop_if_abandoned

_CHUNK = 16 << 20  # bytes moved between two looks whether anybody still waits
_FIRST = 64 << 10  # what is asked for at first where no size is told

Reader = Callable[[int, int], bytes]


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def read_bytes(path: Any, offset: int, length: int | None, dir_fd: int | None, read: Reader = os.read) -> bytes:
    """Return what the file has from *offset* on, whatever its size is said to be."""
    if length is not None and length < 0:
        raise _error(errno.EINVAL)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=dir_fd)
    try:
        return _content(fd, offset, length, read)
    finally:
        os.close(fd)


def _content(fd: int, offset: int, length: int | None, read: Reader) -> bytes:
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        raise _error(errno.EISDIR)
    regular = stat.S_ISREG(status.st_mode)
    size, start = status.st_size if regular else 0, offset
    if offset < 0:
        end = size if regular else os.lseek(fd, 0, os.SEEK_END)
        if regular and not end:
            return _tail(fd, offset, length)
        start = end + offset
        if start < 0:
            raise _error(errno.EINVAL)
    if start:
        os.lseek(fd, start, os.SEEK_SET)
    data = _read(fd, max(size - start, 0), length, os.read if regular else read)
    if offset < 0 and regular and not data and length != 0:
        return _tail(fd, offset, length)  # the end is not where the file says, as in /sys
    return data


def _tail(fd: int, offset: int, length: int | None) -> bytes:
    """Read all, for the size is not known, and return the last of it."""
    os.lseek(fd, 0, os.SEEK_SET)
    data = _read(fd, 0, None, os.read)
    if -offset > len(data):
        raise _error(errno.EINVAL)
    return data[offset:] if length is None else data[offset:][:length]


def _read(fd: int, expected: int, length: int | None, read: Reader) -> bytes:
    """Read to the end, or *length* bytes; *expected* are there, as far as we know."""
    pieces: list[bytes] = []
    left = length  # None: no limit
    room = expected if left is None else min(expected, left)
    if room > _CHUNK:
        pieces.append(_read_large(fd, room))
        left = None if left is None else left - len(pieces[0])
    size = _FIRST if pieces else max(room, _FIRST)
    while left is None or left > 0:
        stop_if_abandoned()
        piece = read(fd, size if left is None else min(size, left))
        if not piece:
            break
        pieces.append(piece)
        left = None if left is None else left - len(piece)
        size = min(2 * size, _CHUNK)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_large(fd: int, size: int) -> bytes:
    """Read at most *size* bytes of a regular file into one piece of memory."""
    from .memory import unfilled_bytes

    data, view = unfilled_bytes(size)
    done = 0
    while done < size:
        stop_if_abandoned()
        got = os.readv(fd, [view[done : done + _CHUNK]])
        if not got:
            return data[:done]
        done += got
    return data


def write_file(fd: int, data: memoryview) -> int:
    """Write all of it."""
    left = as_bytes(data)
    while left.nbytes:
        written = os.write(fd, left)
        if not written:
            raise _error(errno.EIO)
        left = left[written:]
    return data.nbytes


def write_bytes(path: Any, data: Any, dir_fd: int | None, write: Callable[[int, memoryview], int] = write_file) -> int:
    """Write the file anew; return the number of bytes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o666, dir_fd=dir_fd)
    try:
        written = write(fd, data)
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise
    os.close(fd)  # late errors are told here
    return written

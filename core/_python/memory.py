"""Memory in the Python backend: where a buffer is, and what is done to its pages.

A range is widened to whole pages. The buffer is exported as long as its request lasts: it stays where it is.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

from .._constants import MT_MODIFY
from . import libc
from .listing import stop_if_abandoned

_PAGE = mmap.PAGESIZE
_CHUNK = 256 * _PAGE  # between two looks whether anybody still waits
_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23  # <linux/mman.h>, from Linux 5.14 on


class _View(ctypes.Structure):
    """Py_buffer of the stable ABI."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_python = ctypes.PyDLL(None)  # not ctypes.pythonapi: that is everybody's, and declared by whoever came last
_get_buffer = _python.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_View), ctypes.c_int]
_release_buffer = _python.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_View)]
_release_buffer.restype = None

_new_bytes = _python.PyBytes_FromStringAndSize
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
_new_bytes.restype = ctypes.py_object
_start_of_bytes = _python.PyBytes_AsString
_start_of_bytes.argtypes = [ctypes.py_object]
_start_of_bytes.restype = ctypes.c_void_p


def address(buffer: memoryview) -> int:
    """Return where a contiguous buffer begins. ctypes itself tells that of writable ones only."""
    view = _View()
    _get_buffer(buffer, ctypes.byref(view), 0)  # PyBUF_SIMPLE
    try:
        return view.buf or 0
    finally:
        _release_buffer(ctypes.byref(view))


def unfilled_bytes(size: int) -> tuple[bytes, memoryview]:
    """Return bytes that nobody has seen yet, and a view to fill them by; at least 2, for the shorter ones are shared.

    They come without being touched: a bytearray of that size is zeroed first, while everybody else waits.
    """
    assert size > 1
    result: bytes = _new_bytes(None, size)
    return result, memoryview((ctypes.c_char * size).from_address(_start_of_bytes(result))).cast("B")


# ---- operations: of the part of *buffer* from *offset* on ----


def _pages(buffer: memoryview, offset: int, length: int) -> tuple[int, int]:
    """Return where the pages begin and how many bytes they are."""
    start = address(buffer) + offset
    first = start - start % _PAGE
    return first, -(-(start + length - first) // _PAGE) * _PAGE


def msync(buffer: memoryview, offset: int, length: int, flags: int) -> None:
    """Write a mapping's changes."""
    if length:
        libc.msync(*_pages(buffer, offset, length), flags)


def mlock(buffer: memoryview, offset: int, length: int) -> None:
    """Keep pages in memory."""
    if length:
        libc.mlock(*_pages(buffer, offset, length))


def mtouch(buffer: memoryview, offset: int, length: int, flags: int) -> None:
    """Have pages in memory. A page that is not there is EFAULT: the kernel looks, we do not."""
    if flags & ~MT_MODIFY:
        raise libc.fail(errno.EINVAL)
    if not length:
        return
    start, size = _pages(buffer, offset, length)
    advice = _MADV_POPULATE_WRITE if flags & MT_MODIFY else _MADV_POPULATE_READ
    known = _is_known(start, advice)
    if not known and flags & MT_MODIFY:
        raise libc.fail(errno.ENOSYS)
    for place in range(start, start + size, _CHUNK):
        stop_if_abandoned()
        part = min(_CHUNK, start + size - place)
        if known:
            libc.madvise(place, part, advice)
        else:
            _read_pages(place, part)


def _is_known(start: int, advice: int) -> bool:
    """Whether the kernel knows the advice; of nothing it tells only that."""
    try:
        libc.madvise(start, 0, advice)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        return False
    return True


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def _read_pages(start: int, size: int) -> None:
    """Read a byte of each page: the kernel does it, so that one that is not there is no signal."""
    count = size // _PAGE
    sink = ctypes.create_string_buffer(count)
    parts = (_Part * count)(*(_Part(start + place * _PAGE, 1) for place in range(count)))
    target = _Part(ctypes.addressof(sink), count)
    if libc.process_vm_readv(os.getpid(), ctypes.byref(target), 1, ctypes.byref(parts), count, 0) < count:
        raise libc.fail(errno.EFAULT)

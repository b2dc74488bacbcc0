"""Calling functions of libc in the caller's thread: their arguments, their errors, the addresses of buffers.

ctypes is loaded with the first call, never by an import. The GIL is released while a function runs.
"""

from __future__ import annotations

import errno
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, NoReturn, SupportsIndex

C_INT = (-(2**31), 2**31 - 1)
C_UNSIGNED = (0, 2**32 - 1)


def fail(number: int, *filenames: object) -> NoReturn:
    """Raise the OSError of an errno, with at most two filenames."""
    names = (filenames[0], None, filenames[1]) if len(filenames) == 2 else filenames
    raise OSError(number, os.strerror(number), *names)


def load(*filenames: object) -> ModuleType:
    """Return ctypes; OSError with ENOSYS if this Python was built without."""
    try:
        import ctypes
    except ImportError:
        fail(errno.ENOSYS, *filenames)
    return ctypes


@cache
def function(name: str) -> Callable[..., int] | None:
    """Return a function of libc, or None if that lacks it."""
    found: Callable[..., int] | None = getattr(load().CDLL(None, use_errno=True), name, None)
    return found


def call(name: str, *arguments: Any, filenames: tuple[object, ...] = ()) -> int:
    """Call a function of libc that returns an int; its errno is raised, and ENOSYS if libc lacks it."""
    ctypes = load(*filenames)
    found = function(name)
    if found is None:
        fail(errno.ENOSYS, *filenames)
    result = found(*arguments)
    if result == -1:
        fail(ctypes.get_errno(), *filenames)
    return result


# ---- arguments ----


def kind(value: object) -> str:
    return repr(type(value).__name__)


def integer(name: str, value: SupportsIndex, limits: tuple[int, int]) -> int:
    """Return *value* as an int that C can take: wrong bits are not cut off."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {kind(value)}") from None
    if not limits[0] <= number <= limits[1]:
        raise OverflowError(f"{name} must be from {limits[0]} to {limits[1]}, not {number}")
    return number


def descriptor(name: str, value: Any) -> int:
    """Return a descriptor, or that of an object with fileno(), as the functions of `os` do."""
    return integer(name, value if isinstance(value, int) or not hasattr(value, "fileno") else value.fileno(), C_INT)


def text(name: str, value: object, *, optional: bool) -> bytes | None:
    """Return a str, bytes or path as C takes it."""
    if value is None and optional:
        return None
    if not isinstance(value, str | bytes | os.PathLike):
        raise TypeError(f"{name} must be str, bytes or os.PathLike, not {kind(value)}")
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError(f"{name} has an embedded null byte")
    return encoded


# ---- buffers ----


@cache
def _buffer_api() -> tuple[Any, Any, Any]:
    """Return Py_buffer, PyObject_GetBuffer and PyBuffer_Release: ctypes takes only writable buffers by itself."""
    ctypes = load()

    class Buffer(ctypes.Structure):  # type: ignore[misc,name-defined]  # ctypes is not known to be it
        _fields_ = (
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.c_void_p),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_void_p),
            ("shape", ctypes.c_void_p),
            ("strides", ctypes.c_void_p),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        )

    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get.argtypes = (ctypes.py_object, ctypes.POINTER(Buffer), ctypes.c_int)
    release.argtypes = (ctypes.POINTER(Buffer),)
    release.restype = None
    return Buffer, get, release


@contextmanager
def addressed(buffer: object) -> Iterator[tuple[int, int]]:
    """Have address and size of a contiguous buffer, which can neither go nor be resized meanwhile."""
    new_buffer, get, release = _buffer_api()
    view = new_buffer()
    get(buffer, view, 0)
    try:
        yield view.buf or 0, view.len
    finally:
        release(view)


def part(name: str, size: int, offset: int, length: int | None) -> tuple[int, int]:
    """Return where *length* bytes from *offset* on are in a buffer of *size* bytes, and how many there are."""
    limits = (-(2**63), 2**63 - 1)
    offset = integer(f"{name}: offset", offset, limits)
    start = offset + size if offset < 0 else offset
    if not 0 <= start <= size:
        raise ValueError(f"{name}: offset is outside of the buffer of {size} bytes: {offset}")
    if length is None:
        return start, size - start
    length = integer(f"{name}: length", length, limits)
    if length < 0:
        raise ValueError(f"{name}: length must not be negative: {length}")
    return start, min(length, size - start)


def whole_pages(address: int, length: int) -> tuple[Any, Any]:
    """Return the address and the size of the pages that *length* bytes lie in, as arguments."""
    import mmap

    ctypes = load()
    start = address - address % mmap.PAGESIZE
    end = address + length + -(address + length) % mmap.PAGESIZE
    return ctypes.c_void_p(start), ctypes.c_size_t(end - start)

"""Arguments of the Python backend, one by one: each kind of the table has a checker.

A checker takes the argument and the words that name it in an error, such as ``pread: n``. It returns what the
operation's body gets.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

from .._constants import UTIME_NOW, UTIME_OMIT

MAX_TRANSFER = 0x7FFFF000  # the kernel moves no more in one call: read(2)
BILLION = 10**9

Checker = Callable[[Any, str], Any]
Integer = Callable[[Any, str], int]

_ORDERS = ("kernel", "dirs_first", "stat", "dirs_first+stat")
_MODES = {
    "r": "os.O_RDONLY",
    "w": "os.O_WRONLY | os.O_CREAT | os.O_TRUNC",
    "x": "os.O_WRONLY | os.O_CREAT | os.O_EXCL",
    "a": "os.O_WRONLY | os.O_CREAT | os.O_APPEND",
    "+": "os.O_RDWR",
}


def kind_of(value: Any) -> str:
    """Return the words for what was given."""
    return repr(type(value).__name__)


# ---- numbers ----


def _integer(low: int, high: int, c_type: str) -> Integer:
    def check(value: Any, label: str) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{label} must be an int, not {kind_of(value)}") from None
        if not low <= number <= high:
            # Without the number: Python refuses to print a very long one.
            raise OverflowError(f"{label} is too {'large' if number > high else 'small'} for a C {c_type}")
        return number

    return check


_int = _integer(-(1 << 31), (1 << 31) - 1, "int")
_offset = _integer(-(1 << 63), (1 << 63) - 1, "off_t")
_ssize = _integer(-(1 << 63), (1 << 63) - 1, "ssize_t")
_any_int = _integer(-(1 << 31), (1 << 32) - 1, "unsigned int")
_id = _integer(-1, (1 << 32) - 1, "uid_t")
_device = _integer(0, (1 << 63) - 1, "dev_t")
_time = _integer(-(1 << 63), (1 << 63) - 1, "time_t")


def _flags(value: Any, label: str) -> int:
    if isinstance(value, str) and label.startswith("open:"):
        meant = next((flags for letter, flags in _MODES.items() if letter in value), "os.O_RDONLY")
        raise TypeError(f"{label} must be an int such as {meant}, not the mode {value!r}")
    return _int(value, label)


def _unsigned(value: Any, label: str) -> int:
    return _any_int(value, label) & 0xFFFFFFFF


def _directory(value: Any, label: str) -> int | None:
    return None if value is None else _int(value, label)


def _optional_offset(value: Any, label: str) -> int | None:
    return None if value is None else _offset(value, label)


def _seconds(value: Any, label: str) -> float:
    try:
        seconds = value if isinstance(value, float) else float(operator.index(value))
    except TypeError:
        raise TypeError(f"{label} must be a float, not {kind_of(value)}") from None
    if seconds != seconds:
        raise ValueError(f"{label} must be a number, not nan")
    return seconds


def _truth(value: Any, label: str) -> bool:
    return bool(value)


def _order(value: Any, label: str) -> str:
    if value not in _ORDERS:
        raise ValueError(f"{label} must be one of {', '.join(map(repr, _ORDERS))}, not {value!r}")
    return str(value)


# ---- times, in the end in nanoseconds ----


def _pair(value: Any, label: str, numbers: str) -> tuple[Any, Any]:
    if type(value) is not tuple or len(value) != 2:  # os.utime takes no subclass either
        raise TypeError(f"{label} must be a tuple of two {numbers} or None, not {kind_of(value)}")
    return value


def _times(value: Any, label: str) -> tuple[int, int] | None:
    """Return them in nanoseconds, rounded down as `os.utime` does."""
    if value is None:
        return None
    atime, mtime = _pair(value, label, "numbers")
    return _second(atime, label), _second(mtime, label)


def _second(value: Any, label: str) -> int:
    if not isinstance(value, float):
        return _time(value, label) * BILLION
    if value != value:
        raise ValueError(f"{label} must be numbers, not nan")
    fraction, whole = math.modf(value)
    if math.isinf(value) or not -(2.0**63) <= whole + (-1 if fraction < 0 else 0) < 2.0**63:
        raise OverflowError(f"{label}: timestamp out of range for platform time_t: {value}")
    return int(whole) * BILLION + math.floor(fraction * 1e9)


def _nanoseconds(value: Any, label: str) -> tuple[int, int] | None:
    if value is None:
        return None
    atime, mtime = _pair(value, label, "ints")
    return _nanosecond(atime, label), _nanosecond(mtime, label)


def _nanosecond(value: Any, label: str) -> int:
    try:
        seconds, rest = map(operator.index, divmod(value, BILLION))  # as os.utime: what cannot be divided is no time
    except TypeError:
        raise TypeError(f"{label} must be ints, not {kind_of(value)}") from None
    number = seconds * BILLION + rest
    if number not in (UTIME_NOW, UTIME_OMIT):
        _time(seconds, label)
    return number


# ---- paths ----


def _path(value: Any, label: str) -> str | bytes:
    try:
        path: str | bytes = os.fspath(value)
    except TypeError:
        raise TypeError(f"{label} must be str, bytes or os.PathLike, not {kind_of(value)}") from None
    if b"\0" in os.fsencode(path):
        raise ValueError(f"{label}: embedded null byte")
    return path


def _path_or_descriptor(value: Any, label: str) -> str | bytes | int:
    if hasattr(type(value), "__index__"):
        return _int(value, label)
    try:
        return _path(value, label)
    except TypeError:
        raise TypeError(f"{label} must be str, bytes, os.PathLike or an int, not {kind_of(value)}") from None


def _path_or_descriptor_or_none(value: Any, label: str) -> str | bytes | int:
    if value is None:
        return "."
    try:
        return _path_or_descriptor(value, label)
    except TypeError:
        raise TypeError(f"{label} must be str, bytes, os.PathLike, an int or None, not {kind_of(value)}") from None


# ---- buffers ----


class Buffers(list[memoryview]):
    """A list of pinned buffers."""


def _readable(value: Any, label: str) -> memoryview:
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{label} must be a bytes-like object, not {kind_of(value)}") from None
    if not view.c_contiguous:
        view.release()
        raise BufferError(f"{label} must be a contiguous buffer")
    return view


def _writable(value: Any, label: str) -> memoryview:
    view = _readable(value, label)
    if view.readonly:
        view.release()
        raise BufferError(f"{label} must be a writable buffer")
    return view


def _argument(value: Any, label: str) -> int | memoryview:
    if hasattr(type(value), "__index__"):
        return _any_int(value, label)
    try:
        return _readable(value, label)
    except TypeError:
        raise TypeError(f"{label} must be an int or a bytes-like object, not {kind_of(value)}") from None


def _several(check: Checker) -> Checker:
    def check_all(value: Any, label: str) -> Buffers:
        if not isinstance(value, Sequence) and not _is_sequence(value):
            raise TypeError(f"{label} must be a sequence of buffers, not {kind_of(value)}")
        views = Buffers()
        try:
            for buffer in value:
                views.append(check(buffer, label))
        except BaseException:
            release(views)
            raise
        return views

    return check_all


def _is_sequence(value: Any) -> bool:
    return hasattr(type(value), "__getitem__") and hasattr(type(value), "__len__") and not hasattr(value, "keys")


def release(value: Any) -> None:
    """Unpin the buffers in *value*, if it is one or has some."""
    if isinstance(value, memoryview):
        value.release()
    elif isinstance(value, (tuple, Buffers)):
        for item in value:
            release(item)


def as_bytes(view: memoryview) -> memoryview:
    """Return a view of the same buffer, to be cut by bytes."""
    try:
        return view.cast("B")
    except TypeError:  # of a format that memoryview does not know, such as a ctypes structure's
        return memoryview(view.tobytes())


_CHECKERS: dict[str, Checker] = {
    "f": _int,
    "d": _directory,
    "p": _path,
    "P": _path_or_descriptor,
    "Q": _path_or_descriptor_or_none,
    "x": _path,
    "i": _int,
    "u": _unsigned,
    "g": _id,
    "v": _device,
    "z": _ssize,
    "o": _offset,
    "O": _optional_offset,
    "s": _seconds,
    "b": _truth,
    "c": _order,
    "t": _times,
    "n": _nanoseconds,
    "a": _argument,
    "D": _readable,
    "W": _several(_readable),
    "B": _several(_writable),
}


def checker(annotation: str, shape: str) -> Checker:
    """Return what checks arguments of the kind that is called *annotation* and has the letter *shape*."""
    return _flags if annotation == "Flags" else _CHECKERS[shape]

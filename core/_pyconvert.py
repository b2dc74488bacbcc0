"""Arguments of the Python backend: checked when they are submitted, and the call that a worker makes of them.

The parameters' kinds come from the annotations in the table (`_ops.KINDS`). A checker takes the argument and the words
that name it in an error, such as ``pread: n``.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import _ops
from ._table import KINDS, Operation

_AT_FDCWD = -100
MAX_TRANSFER = 0x7FFFF000  # the kernel moves no more in one call: read(2)

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


class Buffers(list[memoryview]):
    """A list of pinned buffers."""


def _integer(bits: int, c_type: str) -> Integer:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def check(value: Any, label: str) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{label} must be an int, not {_kind(value)}") from None
        if not low <= number <= high:
            raise OverflowError(f"{label} is too large for a C {c_type}: {number}")
        return number

    return check


_int = _integer(32, "int")
_offset = _integer(64, "off_t")
_ssize = _integer(64, "ssize_t")


def _kind(value: Any) -> str:
    return repr(type(value).__name__)


def _flags(value: Any, label: str) -> int:
    if isinstance(value, str) and label.startswith("open:"):
        meant = next((flags for letter, flags in _MODES.items() if letter in value), "os.O_RDONLY")
        raise TypeError(f"{label} must be an int such as {meant}, not the mode {value!r}")
    return _int(value, label)


def _size(value: Any, label: str) -> int:
    return min(_ssize(value, label), MAX_TRANSFER)


def _directory(value: Any, label: str) -> int | None:
    return None if value is None else _int(value, label)


def _path(value: Any, label: str) -> str | bytes:
    try:
        path: str | bytes = os.fspath(value)
    except TypeError:
        raise TypeError(f"{label} must be str, bytes or os.PathLike, not {_kind(value)}") from None
    if b"\0" in os.fsencode(path):
        raise ValueError(f"{label}: embedded null byte")
    return path


def _path_or_descriptor(value: Any, label: str) -> str | bytes | int:
    if hasattr(type(value), "__index__"):
        return _int(value, label)
    try:
        return _path(value, label)
    except TypeError:
        raise TypeError(f"{label} must be str, bytes, os.PathLike or an int, not {_kind(value)}") from None


def _seconds(value: Any, label: str) -> float:
    try:
        seconds = value if isinstance(value, float) else float(operator.index(value))
    except TypeError:
        raise TypeError(f"{label} must be a float, not {_kind(value)}") from None
    if seconds != seconds:
        raise ValueError(f"{label} must be a number, not nan")
    return seconds


def _truth(value: Any, label: str) -> bool:
    return bool(value)


def _order(value: Any, label: str) -> str:
    if value not in _ORDERS:
        raise ValueError(f"{label} must be one of {', '.join(map(repr, _ORDERS))}, not {value!r}")
    return str(value)


def _readable(value: Any, label: str) -> memoryview:
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{label} must be a bytes-like object, not {_kind(value)}") from None
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


def _several(check: Checker) -> Checker:
    def check_all(value: Any, label: str) -> Buffers:
        if not isinstance(value, Sequence) and not _is_sequence(value):
            raise TypeError(f"{label} must be a sequence of buffers, not {_kind(value)}")
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


CHECKERS: dict[str, Checker] = {
    "f": _int,
    "d": _directory,
    "p": _path,
    "P": _path_or_descriptor,
    "i": _int,
    "z": _size,
    "o": _offset,
    "s": _seconds,
    "b": _truth,
    "c": _order,
    "D": _readable,
    "W": _several(_readable),
    "B": _several(_writable),
}


def release(value: Any) -> None:
    """Unpin the buffers in *value*, if it is one or has some."""
    if isinstance(value, memoryview):
        value.release()
    elif isinstance(value, (tuple, Buffers)):
        for item in value:
            release(item)


class Plan(NamedTuple):
    """How an operation's arguments are taken and its body called."""

    operation: Operation
    rows: tuple[tuple[Checker, str], ...]  # a checker and the words that name the argument, by position
    positional: int  # so many arguments go by position, the others by these names
    keywords: tuple[str, ...]
    paths: tuple[int, ...]  # which of them an OSError carries as filename and filename2
    descriptor_paths: bool  # the first may be a descriptor, then `dir_fd` and `follow_symlinks` must be left alone
    pins: bool  # some are buffers
    descriptor: bool  # the result is a descriptor, closed if nobody takes it

    def take(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Check the arguments, raise for a wrong one, and return what the body gets."""
        if len(arguments) != len(self.rows):
            raise TypeError(f"{self.operation.name} takes {len(self.rows)} arguments, not {len(arguments)}")
        taken: list[Any] = []
        try:
            for (check, label), value in zip(self.rows, arguments, strict=True):
                taken.append(check(value, label))
        except BaseException:
            release(tuple(taken))
            raise
        if self.descriptor_paths and isinstance(taken[0], int):
            self._check_descriptor(taken)
        return tuple(taken)

    def _check_descriptor(self, taken: list[Any]) -> None:
        name, options = self.operation.name, dict(zip(self.keywords, taken[self.positional :], strict=True))
        if options.get("dir_fd") not in (None, _AT_FDCWD):
            raise ValueError(f"{name}: can't specify dir_fd without matching path")
        # The status of a descriptor's own symlink makes no sense; scandir's option speaks of the entries.
        if name == "stat" and not options["follow_symlinks"]:
            raise ValueError(f"{name}: cannot use fd and follow_symlinks together")

    def call(self, taken: tuple[Any, ...]) -> Any:
        """Run the body."""
        if not self.keywords:
            return self.operation.body(*taken)
        named = dict(zip(self.keywords, taken[self.positional :], strict=True))
        return self.operation.body(*taken[: self.positional], **named)


def _plan(operation: Operation) -> Plan:
    code, annotations = operation.body.__code__, operation.body.__annotations__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    shape = "".join(KINDS[annotations[name]].shape for name in names)
    return Plan(
        operation,
        tuple((_checker(annotations[name]), f"{operation.name}: {name}") for name in names),
        code.co_argcount,
        names[code.co_argcount :],
        tuple(place for place, letter in enumerate(shape) if letter in "pP"),
        shape.startswith("P"),
        any(letter in "DWB" for letter in shape),
        annotations["return"] == "NewFd",
    )


def _checker(annotation: str) -> Checker:
    return _flags if annotation == "Flags" else CHECKERS[KINDS[annotation].shape]


PLANS = tuple(map(_plan, _ops.OPERATIONS))

"""Calls of the Python backend: all arguments checked together when they are submitted, and what a worker makes of them.

The parameters' kinds come from the annotations in the table (`_ops.py`); each argument alone is checked by `kinds.py`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _ops
from .._table import KINDS, Operation
from .kinds import MAX_TRANSFER as MAX_TRANSFER
from .kinds import Checker, checker
from .kinds import release as release

_AT_FDCWD = -100

Given = dict[str, Any]  # the checked arguments by name, in their order

# ---- arguments that are wrong together ----


def _times(name: str, given: Given) -> None:
    if given["times"] is not None and given["ns"] is not None:
        raise ValueError(f"{name}: you may specify either 'times' or 'ns' but not both")


def _lock(name: str, given: Given) -> None:
    parameter = "cmd" if name == "lockf" else "operation"
    if given[parameter] & ~fcntl.LOCK_NB not in (fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN):
        raise ValueError(
            f"{name}: {parameter} must be LOCK_SH, LOCK_EX or LOCK_UN, with or without LOCK_NB, not {given[parameter]}"
        )


def _counts(name: str, given: Given) -> None:
    for parameter in ("start", "length", "count"):
        value = given[parameter]
        if value is not None and value < 0:
            raise ValueError(f"{name}: {parameter} must not be negative: {value}")


def _range(name: str, given: Given) -> None:
    """Make offset and length what they mean: a part of the buffer."""
    size, offset, length = given["buffer"].nbytes, given["offset"], given["length"]
    start = offset + size if offset < 0 else offset
    if not 0 <= start <= size:
        raise ValueError(f"{name}: offset is outside of the buffer of {size} bytes: {offset}")
    if length is not None and length < 0:
        raise ValueError(f"{name}: length must not be negative: {length}")
    given["offset"] = start
    given["length"] = size - start if length is None else min(length, size - start)


_TOGETHER: dict[str, Callable[[str, Given], None]] = {
    "utime": _times,
    "lockf": _lock,
    "ofd_lock": _lock,
    "fiemap": _counts,
    "msync": _range,
    "mtouch": _range,
    "mlock": _range,
}


def _descriptor(name: str, given: Given) -> None:
    """The first argument is a descriptor where a path could be."""
    if given.get("dir_fd") not in (None, _AT_FDCWD):
        raise ValueError(f"{name}: can't specify dir_fd without matching path")
    # The status of a descriptor's own symlink makes no sense; scandir's option speaks of the entries.
    if name != "scandir" and not given.get("follow_symlinks", True):
        raise ValueError(f"{name}: cannot use fd and follow_symlinks together")


# ---- calls ----


class Plan(NamedTuple):
    """How an operation's arguments are taken and its body called."""

    operation: Operation
    names: tuple[str, ...]  # the parameters'
    rows: tuple[tuple[Checker, str], ...]  # a checker and the words that name the argument, by position
    positional: int  # so many arguments go by position, the others by their names
    paths: tuple[int, ...]  # which of them an OSError carries as filename and filename2
    descriptor_paths: bool  # the first may be a descriptor, then `dir_fd` and `follow_symlinks` must be left alone
    together: Callable[[str, Given], None] | None  # checks what one argument does not tell
    pins: bool  # some are buffers, or may be
    descriptor: bool  # the result is a descriptor, closed if nobody takes it

    def take(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Check the arguments, raise for a wrong one, and return what the body gets."""
        if len(arguments) != len(self.rows):
            raise TypeError(f"{self.operation.name} takes {len(self.rows)} arguments, not {len(arguments)}")
        taken: list[Any] = []
        try:
            for (check, label), value in zip(self.rows, arguments, strict=True):
                taken.append(check(value, label))
            if self.together is not None or (self.descriptor_paths and isinstance(taken[0], int)):
                return self._check_together(taken)
        except BaseException:
            release(tuple(taken))
            raise
        return tuple(taken)

    def _check_together(self, taken: list[Any]) -> tuple[Any, ...]:
        given = dict(zip(self.names, taken, strict=True))
        if self.together is not None:
            self.together(self.operation.name, given)
        if self.descriptor_paths and isinstance(taken[0], int):
            _descriptor(self.operation.name, given)
        return tuple(given.values())

    def call(self, taken: tuple[Any, ...]) -> Any:
        """Run the body."""
        if self.positional == len(self.names):
            return self.operation.body(*taken)
        named = dict(zip(self.names[self.positional :], taken[self.positional :], strict=True))
        return self.operation.body(*taken[: self.positional], **named)


def _plan(operation: Operation) -> Plan:
    code, annotations = operation.body.__code__, operation.body.__annotations__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    shape = "".join(KINDS[annotations[name]].shape for name in names)
    return Plan(
        operation,
        names,
        tuple(
            (checker(annotations[name], letter), f"{operation.name}: {name}")
            for name, letter in zip(names, shape, strict=True)
        ),
        code.co_argcount,
        tuple(place for place, letter in enumerate(shape) if letter in "pPQ"),
        shape.startswith(("P", "Q")),
        _TOGETHER.get(operation.name),
        any(letter in "aDWB" for letter in shape),
        annotations["return"] == "NewFd",
    )


PLANS = tuple(map(_plan, _ops.OPERATIONS))

"""What a row of the table of operations is: its kinds of parameters, its class, and how it is entered.

The rows are in `_ops.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from ._types import ReadableBuffer, StrOrBytesPath, WriteableBuffer

F = TypeVar("F", bound=Callable[..., Any])


class Kind(NamedTuple):
    """How one sort of argument is taken."""

    shape: str  # the letter that stands for it in the C table
    public: str  # its annotation in the colours


KINDS = {
    "Fd": Kind("f", "int"),
    "DirFd": Kind("d", "int | None"),
    "StrOrBytesPath": Kind("p", "StrOrBytesPath"),
    "AnyPath[AnyStr]": Kind("p", "AnyPath[AnyStr]"),
    "PathOrFd": Kind("P", "StrOrBytesPath | int"),
    "AnyPathOrFd": Kind("P", "StrOrBytesPath | int"),
    "PathOrFdOrNone": Kind("Q", "StrOrBytesPath | int | None"),
    "Attribute": Kind("x", "StrOrBytesPath"),
    "Int": Kind("i", "int"),
    "Flags": Kind("i", "int"),
    "Unsigned": Kind("u", "int"),
    "Id": Kind("g", "int"),
    "Device": Kind("v", "int"),
    "Size": Kind("z", "int"),
    "Offset": Kind("o", "int"),
    "OptionalOffset": Kind("O", "int | None"),
    "Seconds": Kind("s", "float"),
    "Truth": Kind("b", "bool"),
    "Order": Kind("c", 'Literal["kernel", "dirs_first", "stat", "dirs_first+stat"]'),
    "Times": Kind("t", "tuple[int, int] | tuple[float, float] | None"),
    "Nanoseconds": Kind("n", "tuple[int, int] | None"),
    "Argument": Kind("a", "int | ReadableBuffer"),
    "ReadableBuffer": Kind("D", "ReadableBuffer"),
    "ReadableBuffers": Kind("W", "Sequence[ReadableBuffer]"),
    "WriteableBuffers": Kind("B", "Sequence[WriteableBuffer]"),
}

Fd: TypeAlias = int
DirFd: TypeAlias = "int | None"  # None: relative paths start at the current directory
PathOrFd: TypeAlias = "StrOrBytesPath | int"
AnyPathOrFd: TypeAlias = "StrOrBytesPath | int"
PathOrFdOrNone: TypeAlias = "StrOrBytesPath | int | None"  # None: the current directory
Attribute: TypeAlias = "StrOrBytesPath"  # encoded as a path is, but no filename of an OSError
Int: TypeAlias = int
Flags: TypeAlias = int
Unsigned: TypeAlias = int  # 32 bits, as a signed or as an unsigned number
Id: TypeAlias = int  # a user's or group's; -1 is none
Device: TypeAlias = int
Size: TypeAlias = int  # an ssize_t
Offset: TypeAlias = int  # an off_t
OptionalOffset: TypeAlias = "int | None"
Seconds: TypeAlias = float
Truth: TypeAlias = bool
Order: TypeAlias = Literal["kernel", "dirs_first", "stat", "dirs_first+stat"]
Times: TypeAlias = "tuple[int, int] | tuple[float, float] | None"  # seconds
Nanoseconds: TypeAlias = "tuple[int, int] | None"  # each may be UTIME_NOW or UTIME_OMIT
Argument: TypeAlias = "int | ReadableBuffer"  # of fcntl and ioctl: a writable buffer is changed in place
ReadableBuffers: TypeAlias = "Sequence[ReadableBuffer]"
WriteableBuffers: TypeAlias = "Sequence[WriteableBuffer]"
NewFd: TypeAlias = int  # a descriptor that the request made: closed if nobody takes it

RequestClass = Literal["look", "make", "change", "must"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table."""

    name: str
    number: int  # its place in the table, and its number in C
    body: Callable[..., Any]
    request_class: RequestClass  # what cancelling a running one means: docs/internals.md
    unless: tuple[Callable[..., bool], RequestClass] | None  # arguments that make another class of it

    def class_of(self, arguments: tuple[Any, ...]) -> RequestClass:
        """Return the class of a request with these arguments."""
        if self.unless is not None and self.unless[0](*arguments):
            return self.unless[1]
        return self.request_class

    def must_run(self, arguments: tuple[Any, ...]) -> bool:
        """Whether it runs whoever is cancelled, and however much is under way. The arguments may be wrong."""
        try:
            return self.class_of(arguments) == "must"
        except TypeError:
            return False


OPERATIONS: list[Operation] = []


def operation(
    request_class: RequestClass, *, unless: tuple[Callable[..., bool], RequestClass] | None = None
) -> Callable[[F], F]:
    """Enter the function below as an operation of this class."""

    def enter(body: F) -> F:
        OPERATIONS.append(Operation(body.__name__, len(OPERATIONS), body, request_class, unless))
        return body

    return enter


def public_operations() -> list[Operation]:
    """Return those that the colours have. The others, whose names begin with "_", are steps of composites only."""
    return [row for row in OPERATIONS if not row.name.startswith("_")]

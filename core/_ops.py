"""The table: one typed function an operation.

Each gives its operation's name, signature, docstring and class, and a body that the Python backend runs in a worker
and that the native backend is tested against. `tools/generate.py` makes the four colours, the adapters' functions and
the rows of the C table from it: run it after a change here.

An annotation is the parameter's *kind* (`KINDS`): how the argument is checked and converted when it is submitted. A
worker therefore only meets arguments that are right: descriptors are ints, paths are what `os.fspath` gave.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, AnyStr, Literal, NamedTuple, TypeAlias, TypeVar, overload

from ._direntry import DirEntry
from ._listing import list_names, read_entries
from ._types import AnyPath, ReadableBuffer, StrOrBytesPath, WriteableBuffer

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
    "Int": Kind("i", "int"),
    "Flags": Kind("i", "int"),
    "Size": Kind("z", "int"),
    "Offset": Kind("o", "int"),
    "Seconds": Kind("s", "float"),
    "Truth": Kind("b", "bool"),
    "Order": Kind("c", 'Literal["kernel", "dirs_first", "stat", "dirs_first+stat"]'),
    "ReadableBuffer": Kind("D", "ReadableBuffer"),
    "ReadableBuffers": Kind("W", "Sequence[ReadableBuffer]"),
    "WriteableBuffers": Kind("B", "Sequence[WriteableBuffer]"),
}

Fd: TypeAlias = int
DirFd: TypeAlias = "int | None"  # None: relative paths start at the current directory
PathOrFd: TypeAlias = "StrOrBytesPath | int"
AnyPathOrFd: TypeAlias = "StrOrBytesPath | int"
Int: TypeAlias = int
Flags: TypeAlias = int
Size: TypeAlias = int  # an ssize_t
Offset: TypeAlias = int  # an off_t
Seconds: TypeAlias = float
Truth: TypeAlias = bool
Order: TypeAlias = Literal["kernel", "dirs_first", "stat", "dirs_first+stat"]
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
    change_if: Callable[..., bool] | None  # arguments that turn a *make* into a *change*


OPERATIONS: list[Operation] = []


def operation(request_class: RequestClass, *, change_if: Callable[..., bool] | None = None) -> Callable[[F], F]:
    """Enter the function below as an operation of this class."""

    def enter(body: F) -> F:
        OPERATIONS.append(Operation(body.__name__, len(OPERATIONS), body, request_class, change_if))
        return body

    return enter


def creates(path: object, flags: int, *rest: object) -> bool:
    """Whether opening with *flags* changes something that others can see."""
    return bool(flags & (os.O_CREAT | os.O_TRUNC)) or flags & os.O_TMPFILE == os.O_TMPFILE


# ---- special ----


@operation("look")
def nop() -> None:
    """Do nothing, in a worker: it shows how long the way there and back takes."""


@operation("look")
def busy(seconds: Seconds) -> None:
    """Occupy a worker for *seconds*; a negative number is 0. For tests and artificial load."""
    time.sleep(max(0.0, seconds))


# ---- descriptors ----


@operation("make", change_if=creates)
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
def fsync(fd: Fd) -> None:
    """Force a file's data and metadata to the disk.

    An error is reported once per open file: do not try again and believe (fsync(2)).
    """
    os.fsync(fd)


@operation("change")
def fdatasync(fd: Fd) -> None:
    """Force a file's data to the disk, and of its metadata what reading it back needs."""
    os.fdatasync(fd)


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

    *flags*, RENAME_NOREPLACE (1), RENAME_EXCHANGE (2) or RENAME_WHITEOUT (4), are renameat2(2)'s: OSError with EINVAL
    where the file system does not know them.
    """
    if flags:
        from ._libc import renameat2  # ctypes is not loaded for nothing

        renameat2(os.fspath(src), os.fspath(dst), src_dir_fd, dst_dir_fd, flags)
        return
    os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


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

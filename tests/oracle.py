"""What each operation of the table must do: its twin in `os`, and where ours differs on purpose.

Of those that `os` lacks, or has less of, the twins are in `twins.py`.

An outcome is told in words that do not depend on whose call it was: the result, or the exception's type, errno, text
and file names, these as the arguments that they are.
"""

from __future__ import annotations

import ctypes
import fcntl
import inspect
import operator
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hostile import MOST, NOTHING
from twins import CHECKED_TWINS, checked

from anyaio._ops import public_operations
from anyaio._table import KINDS, Operation

PUBLIC = public_operations()

Arguments = dict[str, Any]

NO_FD = (1 << 31) - 1  # never open

# ---- twins: `os` itself, or what is made of it ----


def _tried(function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Raise for wrong arguments only."""
    try:
        function(*arguments, **options)
    except OSError:
        pass


def nop() -> None:
    pass


def busy(seconds: Any) -> None:
    time.sleep(0 if isinstance(seconds, float | int) and seconds < 0 else seconds)


def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
    _tried(os.preadv, fd, [], 0)
    _tried(os.readv, NO_FD, buffers)
    return os.preadv(fd, buffers, offset, flags)


def pwritev(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
    _tried(os.pwritev, fd, [], 0)
    _tried(os.writev, NO_FD, buffers)
    return os.pwritev(fd, buffers, offset, flags)


def _open_directory(path: Any, dir_fd: Any) -> int:
    if not hasattr(type(path), "__index__"):
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
    os.stat(path, dir_fd=dir_fd)  # a wrong one raises, with the descriptor as filename
    fd: int = _named(os.open, path)(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=path)
    return fd


def _named(function: Callable[..., Any], *names: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except OSError as error:
            error.filename, error.filename2 = (*names, None)[:2]
            raise

    return call


def listdir(path: Any = ".", *, dir_fd: Any = None) -> list[Any]:
    if dir_fd is None and not hasattr(type(path), "__index__"):
        return os.listdir(path)
    fd = _open_directory(path, dir_fd)
    try:
        names = os.listdir(fd)
    finally:
        os.close(fd)
    return [os.fsencode(name) for name in names] if _is_bytes(path) else names


def _is_bytes(path: Any) -> bool:
    return not hasattr(type(path), "__index__") and isinstance(os.fspath(path), bytes)


def scandir(
    path: Any = ".",
    *,
    order: Any = "kernel",
    stat: Any = False,
    follow_symlinks: Any = False,
    resolve: Any = True,
    dir_fd: Any = None,
) -> list[dict[str, Any]]:
    _tried(os.stat, path)
    if order not in [*ORDERS]:
        raise ValueError("no such order")
    stat, follow_symlinks, resolve = bool(stat), bool(follow_symlinks), bool(resolve)
    fd = _open_directory(path, dir_fd)
    try:
        with os.scandir(fd) as stream:
            entries = ORDERS[order](list(stream))
        return [_expected(entry, path, stat, follow_symlinks, resolve) for entry in entries]
    finally:
        os.close(fd)


def _expected(entry: os.DirEntry[str], folder: Any, fetched: bool, followed: bool, resolved: bool) -> dict[str, Any]:
    name: Any = os.fsencode(entry.name) if _is_bytes(folder) else entry.name
    path = name if hasattr(type(folder), "__index__") else os.path.join(os.fspath(folder), name)
    own = stat_type(entry.stat(follow_symlinks=False))

    def ask(question: Callable[..., Any], follow: bool, known: bool) -> Outcome:
        if not known:
            return Outcome("raised", (RuntimeError,))
        return outcome_of(_named(question, path), {}, follow_symlinks=follow)

    link = entry.is_symlink()
    return {
        "name": name,
        "path": path,
        "fspath": path,
        "type": own,
        "inode": entry.inode(),
        "is_symlink": link,
        **{f"is_dir {follow}": ask(entry.is_dir, follow, resolved or not (link and follow)) for follow in BOTH},
        **{f"is_file {follow}": ask(entry.is_file, follow, resolved or not (link and follow)) for follow in BOTH},
        **{f"stat {follow}": ask(entry.stat, follow, fetched and (not link or follow == followed)) for follow in BOTH},
    }


def described(entry: Any) -> dict[str, Any]:
    """What one of our entries says."""

    def ask(question: Callable[..., Any], follow: bool) -> Outcome:
        return outcome_of(question, {}, follow_symlinks=follow)

    return {
        "name": entry.name,
        "path": entry.path,
        "fspath": os.fspath(entry),
        "type": entry.type,
        "inode": entry.inode(),
        "is_symlink": entry.is_symlink(),
        **{
            f"{question} {follow}": ask(getattr(entry, question), follow)
            for question in ("is_dir", "is_file", "stat")
            for follow in BOTH
        },
    }


BOTH = (False, True)


def stat_type(status: os.stat_result) -> int:
    return stat.S_IFMT(status.st_mode) >> 12


def _by_inode(entries: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    return sorted(entries, key=lambda entry: entry.inode())


def _directories_first(entries: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    return _by_inode([entry for entry in entries if _is_directory(entry)]) + [
        entry for entry in entries if not _is_directory(entry)
    ]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


ORDERS: dict[Any, Callable[[list[os.DirEntry[str]]], list[os.DirEntry[str]]]] = {
    "kernel": list,
    "dirs_first": _directories_first,
    "stat": _by_inode,
    "dirs_first+stat": lambda entries: sorted(entries, key=lambda entry: (not _is_directory(entry), entry.inode())),
}


def rename(src: Any, dst: Any, *, src_dir_fd: Any = None, dst_dir_fd: Any = None, flags: Any = 0) -> None:
    for path in (src, dst):
        _tried(os.lstat, path)
    for dir_fd in (src_dir_fd, dst_dir_fd):
        _tried(os.lstat, "", dir_fd=dir_fd)
    _tried(os.preadv, NO_FD, [], 0, flags)
    if not flags:
        return os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
    at_cwd = -100
    libc = ctypes.CDLL(None, use_errno=True)
    folders = [at_cwd if dir_fd is None else int(dir_fd) for dir_fd in (src_dir_fd, dst_dir_fd)]
    if libc.renameat2(folders[0], os.fsencode(src), folders[1], os.fsencode(dst), ctypes.c_uint(flags)) == 0:
        return None
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), os.fspath(src), None, os.fspath(dst))


def pathsync(path: Any, *, dir_fd: Any = None) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        _named(os.fsync, os.fspath(path))(fd)
    finally:
        os.close(fd)


# The others are in twins.py, or functions of `os` by the same name.
OWN_TWINS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (nop, busy, preadv, pwritev, listdir, scandir, rename, pathsync)
}


def twin_of(operation: Operation) -> Callable[..., Any]:
    """What the operation is compared with."""
    own = OWN_TWINS.get(operation.name) or CHECKED_TWINS.get(operation.name)
    twin: Callable[..., Any] = own or getattr(os, operation.name)
    return twin


# ---- where ours is another than os's ----


def _some_path(arguments: Arguments, test: Callable[[Any], bool]) -> bool:
    return any(name in arguments and test(arguments[name]) for name in PATHS)


def _without_buffers(arguments: Arguments) -> Arguments:
    return {
        name: NOTHING if name in PATHS and isinstance(value, bytearray | memoryview) else value
        for name, value in arguments.items()
    }


PATHS = ("path", "src", "dst", "filename", "name")
PATH_KINDS = {name for name, kind in KINDS.items() if kind.shape in "pP"}
WITH_PATHS = tuple(
    operation.name for operation in PUBLIC if not PATH_KINDS.isdisjoint(operation.body.__annotations__.values())
)
ROOM = 2 << 20  # more than any specimen of a file holds


class Difference(NamedTuple):
    operations: tuple[str, ...]
    applies: Callable[[Arguments], bool]
    instead: Callable[[Callable[..., Any], Arguments], Any]  # given the twin, do what is right
    reason: str


def _is_minus_one(path: Any) -> bool:
    return hasattr(type(path), "__index__") and not isinstance(getattr(path, "value", 0), Exception) and path == -1


def _is_negative(path: Any) -> bool:
    return isinstance(path, int) and -(1 << 31) <= path < 0


def _int_at_least(value: Any, least: int) -> bool:
    return isinstance(value, int) and least <= value < 1 << 63


DIFFERENCES = [
    Difference(
        ("read", "pread"),
        lambda arguments: _int_at_least(arguments["n"], ROOM),
        lambda twin, arguments: twin(**{**arguments, "n": ROOM}),
        "os allocates all that was asked for, which is a MemoryError or OverflowError; ours asks for what the kernel"
        f" moves at most, {MOST} bytes, and allocates what the file has",
    ),
    Difference(
        ("fsync", "fdatasync"),
        lambda arguments: type(arguments["fd"]) is not int or arguments["fd"] < 0,
        lambda twin, arguments: _fd_twin(twin, arguments["fd"]),
        "these two of os also take what has a fileno(), but no __index__, and raise ValueError for a negative number;"
        " ours take a descriptor as all other operations do",
    ),
    Difference(
        ("stat",),
        lambda arguments: _is_negative(arguments["path"]) and not arguments["follow_symlinks"],
        lambda twin, arguments: twin(**{**arguments, "path": 0}),
        "os means a path by a negative descriptor, and then follow_symlinks=False with it is no ValueError",
    ),
    Difference(
        ("stat", "listdir", "scandir"),
        lambda arguments: _is_minus_one(arguments["path"]),
        lambda twin, arguments: _named(twin, arguments["path"])(**{**arguments, "path": -2}),
        "os means by -1 that no descriptor was given: its stat fails with EFAULT, its listdir lists the current"
        " directory",
    ),
    Difference(
        ("listdir", "scandir"),
        lambda arguments: arguments["path"] is None,
        lambda twin, arguments: twin(**{**arguments, "path": NOTHING}),
        "None is no path in ours: the default is spelled '.'",
    ),
    Difference(
        WITH_PATHS,
        lambda arguments: _some_path(arguments, lambda path: isinstance(path, bytearray | memoryview)),
        lambda twin, arguments: twin(**_without_buffers(arguments)),
        "os deprecates paths that are other buffers than bytes; ours never took them",
    ),
]
"""Beside these, ours differ in the following, which the comparison itself allows for:

- the filename of an OSError is the caller's own object, not what its __fspath__ returned, nor the part of it that was
  missing (makedirs, realpath); also where os leaves it out (utime, mkfifo, a descriptor in listdir);
- a negative count is the kernel's EINVAL everywhere, as in `os.read`; `os.splice` and `os.copy_file_range` raise
  ValueError;
- of several wrong arguments, ours tell the first, also where os looks at the buffers last;
- listdir and scandir take dir_fd, and a descriptor that was opened with O_PATH; rename takes flags;
- flags of splice and requests of ioctl have 32 bits: a larger number is an OverflowError, not cut;
- fcntl and ioctl take what is no str, of any length, as buffer; a writable one is changed in place by both;
- lockf takes LOCK_UN with LOCK_NB, and nothing beside the locks: `fcntl.lockf` refuses the one and takes the other.
"""


def _fd_twin(twin: Callable[..., Any], fd: Any) -> Any:
    os.fstat(fd)
    return twin(fd=int(fd))


# ---- outcomes ----


class Outcome(NamedTuple):
    how: str  # "returned" or "raised"
    value: Any


def outcome_of(function: Callable[..., Any], told: Arguments, *arguments: Any, **options: Any) -> Outcome:
    """Call it and tell the outcome; *told* are the arguments by which file names are known."""
    try:
        return Outcome("returned", function(*arguments, **options))
    except Exception as error:
        return Outcome("raised", words(error, told, same=lambda name, argument: name is argument))


def words(error: Exception, arguments: Arguments, same: Callable[[Any, Any], bool]) -> tuple[Any, ...]:
    if not isinstance(error, OSError):
        return (type(error),)
    first = _which(error.filename, PATHS, arguments, same)
    second = _which(error.filename2, ("dst", "src"), arguments, same)
    return type(error), error.errno, error.strerror, first, second


def _which(name: Any, parameters: Sequence[str], arguments: Arguments, same: Callable[[Any, Any], bool]) -> Any:
    """The parameter whose argument this file name is."""
    if name is None:
        return None
    return next((f"the {key}" for key in parameters if key in arguments and same(name, arguments[key])), (name,))


def expected(operation: Operation, arguments: Arguments) -> Outcome:
    """What the operation must do with these arguments. It does that."""
    twin = twin_of(operation)
    bound = inspect.signature(operation.body).bind(**arguments)
    bound.apply_defaults()
    by_name = dict(bound.arguments)

    def call() -> Any:
        if operation.name in CHECKED_TWINS:
            result = twin(*checked(operation.body, by_name).values())
            in_bytes = operation.name != "realpath" or _is_bytes(by_name["filename"])
            return result if in_bytes else os.fsdecode(result)
        for difference in DIFFERENCES:
            if operation.name in difference.operations and difference.applies(by_name):
                return difference.instead(lambda **changed: positional(twin, operation, changed), by_name)
        return positional(twin, operation, by_name)

    try:
        return Outcome("returned", plain(operation, call()))
    except Exception as error:
        return Outcome("raised", words(error, arguments, _same_path))


def asked_for(arguments: Arguments) -> int:
    """The bytes that a transfer would like to move, as far as that can be told."""
    if isinstance(arguments.get("n"), int):
        return int(arguments["n"])
    try:
        return sum(memoryview(buffer).nbytes for buffer in arguments.get("buffers", []))
    except (TypeError, ValueError):  # wrong buffers
        return 0


def positional(twin: Callable[..., Any], operation: Operation, arguments: Arguments) -> Any:
    """Call the twin, whose parameters may have other names."""
    parameters = inspect.signature(operation.body).parameters.values()
    by_place = [arguments[each.name] for each in parameters if each.kind is not each.KEYWORD_ONLY]
    by_name = {each.name: arguments[each.name] for each in parameters if each.kind is each.KEYWORD_ONLY}
    return twin(*by_place, **by_name)


def _same_path(name: Any, argument: Any) -> bool:
    return bool(
        name is argument
        or name == argument
        or (
            (isinstance(name, str | bytes) and isinstance(argument, str | bytes | os.PathLike))
            and os.fsencode(name) == os.fsencode(argument)
        )
        or (type(name) is int and hasattr(type(argument), "__index__") and name == operator.index(argument))
    )


def plain(operation: Operation, result: Any) -> Any:
    """The result in words, told the same for all that are equal."""
    kind = str(operation.body.__annotations__["return"])
    if kind == "NewFd":
        return descriptor(result)
    if kind.startswith("os.stat_result"):
        return status(result)
    if kind == "os.statvfs_result":
        return type(result), [(name, getattr(result, name)) for name in dir(result) if name in LASTING]
    if kind == "Statx":
        return type(result).__name__, [(name, getattr(result, name)) for name in dir(result) if name.startswith("stx_")]
    if kind == "list[Extent]":
        return [(type(extent).__name__, tuple(extent)) for extent in result]
    if operation.name == "scandir":
        return [entry if isinstance(entry, dict) else described(entry) for entry in result]
    return type(result), result


# What others do not change meanwhile.
LASTING = ("f_bsize", "f_frsize", "f_blocks", "f_flag", "f_fsid", "f_namemax")


def status(result: os.stat_result) -> list[Any]:
    """All its fields, also those that have no place in the tuple."""
    assert type(result) is os.stat_result
    return [(name, getattr(result, name)) for name in dir(result) if name.startswith("st_")] + list(result)


def descriptor(fd: int) -> tuple[Any, ...]:
    """What a new descriptor is; it is closed."""
    assert type(fd) is int
    try:
        leads_to = os.readlink(f"/proc/self/fd/{fd}").replace(os.path.dirname(os.getcwd()), "")
        mode = os.fstat(fd).st_mode
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        return re.sub(r"#\d+", "#", leads_to), oct(mode), oct(flags), os.get_inheritable(fd)
    finally:
        os.close(fd)

"""Directories in the Python backend: the bodies of listdir and scandir, and the entries they return.

A directory is always opened anew and read through that descriptor: two readers of one description would take each
other's entries, and names deep in a tree need no path that the kernel would find too long. What `os.scandir` does not
tell (FIFO, socket, device) an lstat does, so a type is unknown here only if the entry went away meanwhile.
"""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, AnyStr, NoReturn

from .. import _direntry
from .original import thread

DT_UNKNOWN, DT_DIR, DT_REG, DT_LNK = 0, 4, 8, 10

running = thread._local()  # `job`: what this worker runs at the moment
"""What takes long looks between two entries, pages or pieces whether its job was abandoned."""


class Abandoned(Exception):
    """Nobody waits for this any more."""


def stop_if_abandoned() -> None:
    """End what this worker does if nobody waits for it."""
    job = _current()
    if job is not None and job.abandoned:
        raise Abandoned


def list_names(path: Any, dir_fd: int | None) -> list[Any]:
    """Return the names in the directory *path*, a path or a descriptor, in the kernel's order."""
    with _opened(path, dir_fd) as fd:
        return list(map(_encoder(path), [entry.name for entry in _entries(fd)]))


def read_entries(
    path: Any, order: str, stat: bool, follow_symlinks: bool, resolve: bool, dir_fd: int | None
) -> list[Any]:
    """Return the entries of the directory *path*, a path or a descriptor, with what else was asked for."""
    encode = _encoder(path)
    prefix = encode("") if isinstance(path, int) else os.path.join(path, encode(""))
    with _opened(path, dir_fd) as fd:
        entries: list[DirEntry[Any]] = [DirEntry(prefix, encode(entry.name), entry, fd) for entry in _entries(fd)]
        ordered = _ORDERS[order](entries)
        job = _current()
        for entry in ordered if stat or resolve else ():
            if job is not None and job.abandoned:
                raise Abandoned
            if stat:
                entry._fetch(fd, follow_symlinks)
            if resolve:
                entry._resolve(fd)
    return ordered


def sweep(path: Any, dir_fd: int | None) -> list[Any]:
    """Unlink everything in the directory *path*, a path or a descriptor, but directories; return what is left."""
    encode = _encoder(path)
    prefix = encode("") if isinstance(path, int) else os.path.join(path, encode(""))
    left = []
    with _opened(path, dir_fd, os.O_NOFOLLOW) as fd:
        for entry in list(_entries(fd)):
            stop_if_abandoned()
            if not entry.is_dir(follow_symlinks=False):
                try:
                    os.unlink(entry.name, dir_fd=fd)
                    continue
                except FileNotFoundError:
                    continue
                except OSError:
                    pass
            left.append(DirEntry(prefix, encode(entry.name), entry, fd))
    return left


def _encoder(path: Any) -> Callable[[str], Any]:
    """Return what makes a name of the same type as *path*."""
    return os.fsencode if isinstance(path, bytes) else str


@contextmanager
def _opened(path: Any, dir_fd: int | None, flags: int = 0) -> Iterator[int]:
    if isinstance(path, int):
        if path < 0:
            os.fstat(path)  # fails with EBADF: -100 as dir_fd would be the current directory
        path, dir_fd = ".", path
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC | flags, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _entries(fd: int) -> Iterator[os.DirEntry[str]]:
    job = _current()
    with os.scandir(fd) as entries:
        for entry in entries:
            if job is not None and job.abandoned:
                raise Abandoned
            yield entry


def _current() -> Any:
    return getattr(running, "job", None)


def _type(entry: os.DirEntry[str], fd: int) -> int:
    if entry.is_dir(follow_symlinks=False):
        return DT_DIR
    if entry.is_file(follow_symlinks=False):
        return DT_REG
    if entry.is_symlink():
        return DT_LNK
    try:
        return modes.S_IFMT(os.lstat(entry.name, dir_fd=fd).st_mode) >> 12  # IFTODT
    except FileNotFoundError:
        return DT_UNKNOWN


class DirEntry(_direntry.DirEntry[AnyStr]):
    """An entry with what the worker learnt of it."""

    __slots__ = ("_prefix", "_name", "_inode", "_type", "_target", "_status", "_followed")

    _prefix: AnyStr  # what `path` begins with: the path given to scandir and a slash; empty if it was a descriptor
    _name: AnyStr
    _inode: int
    _type: int
    _target: int | OSError | None  # the d_type of what a symlink leads to, or why not; None: not looked up
    _status: os.stat_result | OSError | None  # None: not asked for
    _followed: bool  # whether `_status` is of what a symlink leads to

    def __init__(self, prefix: AnyStr, name: AnyStr, entry: os.DirEntry[str], fd: int) -> None:
        self._prefix = prefix
        self._name = name
        self._inode = entry.inode()
        self._type = _type(entry, fd)
        self._target = None
        self._status = None
        self._followed = False

    def _fetch(self, fd: int, follow_symlinks: bool) -> None:
        self._followed = follow_symlinks
        try:
            self._status = os.stat(self._name, dir_fd=fd, follow_symlinks=follow_symlinks)
        except OSError as error:
            error.filename = self.path
            self._status = error.with_traceback(None)

    def _resolve(self, fd: int) -> None:
        if self._type != DT_LNK:
            return
        if self._status is None or not self._followed:
            self._target = _target(self._name, fd, self.path)
        elif isinstance(self._status, OSError):
            self._target = self._status
        else:
            self._target = modes.S_IFMT(self._status.st_mode) >> 12

    @property
    def name(self) -> AnyStr:
        return self._name

    @property
    def path(self) -> AnyStr:
        return self._prefix + self._name

    @property
    def type(self) -> int:
        return self._type

    def inode(self) -> int:
        return self._inode

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._is(DT_DIR, follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._is(DT_REG, follow_symlinks)

    def is_symlink(self) -> bool:
        return self._type == DT_LNK

    def _is(self, wanted: int, follow_symlinks: bool) -> bool:
        if self._type != DT_LNK or not follow_symlinks:
            return self._type == wanted
        if isinstance(self._target, FileNotFoundError):
            return False  # as os.DirEntry: it leads nowhere
        if isinstance(self._target, OSError):
            self._fail(self._target)
        if self._target is not None:
            return self._target == wanted
        self._unknown("what the symlink leads to", "resolve=True")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if self._status is None:
            self._unknown("the status", "stat=True")
        if self._type == DT_LNK and follow_symlinks != self._followed:
            self._unknown("this status of a symlink", f"follow_symlinks={follow_symlinks}")
        if isinstance(self._status, OSError):
            self._fail(self._status)
        return self._status

    def _fail(self, error: OSError) -> NoReturn:
        try:
            raise error.with_traceback(None)
        finally:
            del self, error  # the traceback must not lead back to the entry that holds the error

    def _unknown(self, what: str, argument: str) -> NoReturn:
        raise RuntimeError(f"{what} of {self._name!r} was not fetched: give {argument} to scandir")

    def __fspath__(self) -> AnyStr:
        return self.path

    def __repr__(self) -> str:
        return f"<anyaio entry {self._name!r}>"


def _target(name: str | bytes, fd: int, path: str | bytes) -> int | OSError:
    try:
        return modes.S_IFMT(os.stat(name, dir_fd=fd).st_mode) >> 12
    except OSError as error:
        error.filename = path
        return error.with_traceback(None)


# ---- order, as IO::AIO's readdirx ----


def _score(entry: DirEntry[Any]) -> int:
    """How little an entry looks like a directory, 0 to 7: its type if that is known, else its name."""
    if entry._type != DT_UNKNOWN:
        return 0 if entry._type == DT_DIR else 7
    name = os.fsencode(entry._name)
    if name.startswith(b"."):
        return 1
    if b"." in name:
        return 7
    return next(score for longest, score in ((1, 2), (3, 4), (6, 5), (255, 6)) if len(name) <= longest)


def _by_inode(entries: list[DirEntry[Any]]) -> list[DirEntry[Any]]:
    return sorted(entries, key=lambda entry: entry._inode)


def _by_score(entries: list[DirEntry[Any]]) -> list[DirEntry[Any]]:
    return sorted(entries, key=lambda entry: (_score(entry), entry._inode))


def _dirs_first(entries: list[DirEntry[Any]]) -> list[DirEntry[Any]]:
    if any(entry._type == DT_UNKNOWN for entry in entries):
        return _by_score(entries)
    directories = [entry for entry in entries if entry._type == DT_DIR]
    return _by_inode(directories) + [entry for entry in entries if entry._type != DT_DIR]


_ORDERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "kernel": list,
    "dirs_first": _dirs_first,
    "stat": _by_inode,
    "dirs_first+stat": _by_score,
}

"""Paths in the Python backend: what `os` does not do, or not with a `dir_fd`.

A descriptor in place of a path is never -1 or AT_FDCWD here: `os` and the kernel take these for "none given" and for
the current directory.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from .._constants import UTIME_NOW, UTIME_OMIT

_AT_FDCWD = -100
_O_PATH: int = getattr(os, "O_PATH", 0)

Path: TypeAlias = Any  # str or bytes: the table speaks of what the caller gives
Handle: TypeAlias = Any  # these, or a descriptor


def check(path: Handle) -> None:
    """Raise EBADF for a negative descriptor, of which others have other ideas."""
    if isinstance(path, int) and path < 0:
        os.fstat(path)


def call(name: str) -> Callable[..., Any]:
    """Return a function of `os` that not every platform has."""
    function: Callable[..., Any] | None = getattr(os, name, None)
    if function is None:
        raise _error(errno.ENOSYS)
    return function


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@contextmanager
def _reached(path: Path, dir_fd: int | None, follow_symlinks: bool = True) -> Iterator[int]:
    """Find the file and yield a descriptor of its place, which needs no permission to read it."""
    if not _O_PATH:
        raise _error(errno.ENOSYS)
    fd = os.open(path, _O_PATH | os.O_CLOEXEC | (0 if follow_symlinks else os.O_NOFOLLOW), dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _way(fd: int) -> str:
    """Return a path to what a descriptor is open for: even if that is a symlink."""
    return f"/proc/self/fd/{fd}"


# ---- handle or path ----


def statvfs(path: Handle, dir_fd: int | None) -> os.statvfs_result:
    """Return what `os.statvfs` does; relative to *dir_fd*."""
    check(path)
    if isinstance(path, int) or dir_fd is None:
        return os.statvfs(path)
    with _reached(path, dir_fd) as fd:
        return os.statvfs(fd)


def utime(
    path: Handle,
    times: Any,
    ns: tuple[int, int] | None,
    dir_fd: int | None,
    follow_symlinks: bool,
) -> None:
    """Set the times; *times* and *ns* are both in nanoseconds, at most one is given."""
    check(path)
    both = times if ns is None else ns
    if both is None:
        os.utime(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    elif UTIME_NOW in both or UTIME_OMIT in both:
        from .libc import utimens

        atime, mtime = (None if time == UTIME_OMIT else time for time in both)
        utimens(path, (atime, mtime), UTIME_NOW, dir_fd, follow_symlinks)
    else:
        os.utime(path, ns=both, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def chmod(path: Handle, mode: int, dir_fd: int | None, follow_symlinks: bool) -> None:
    """Change the permission bits; of a symlink itself it is EOPNOTSUPP."""
    check(path)
    if isinstance(path, int) or follow_symlinks:
        os.chmod(path, mode, dir_fd=dir_fd)
        return
    from .libc import lchmod

    lchmod(path, mode, dir_fd)


def chown(path: Handle, uid: int, gid: int, dir_fd: int | None, follow_symlinks: bool) -> None:
    """Change owner and group."""
    check(path)
    os.chown(path, uid, gid, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def truncate(path: Handle, length: int, dir_fd: int | None) -> None:
    """Set a file's length; relative to *dir_fd*. Neither opens a FIFO nor waits for a lease more than truncate(2)."""
    if isinstance(path, int):
        os.ftruncate(path, length)
        return
    if dir_fd is None:
        os.truncate(path, length)
        return
    with _reached(path, dir_fd) as fd:
        if os.path.exists(_way(fd)):
            os.truncate(_way(fd), length)
            return
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.ftruncate(fd, length)
    finally:
        os.close(fd)


def copy_range(src: int, dst: int, count: int, offset_src: int | None, offset_dst: int | None) -> int:
    """Copy within the kernel; a negative count is the kernel's error, not ours."""
    if count < 0:
        raise _error(errno.EINVAL)
    copied: int = call("copy_file_range")(src, dst, count, offset_src, offset_dst)
    return copied


# ---- extended attributes ----


def getxattr(path: Handle, attribute: Path, dir_fd: int | None, follow_symlinks: bool) -> bytes:
    """Return an attribute's value."""
    value: bytes = _attributes("getxattr", path, dir_fd, follow_symlinks, attribute)
    return value


def listxattr(path: Handle, dir_fd: int | None, follow_symlinks: bool) -> list[str]:
    """Return the attributes' names."""
    names: list[str] = _attributes("listxattr", path, dir_fd, follow_symlinks)
    return names


def setxattr(path: Handle, attribute: Path, value: Any, flags: int, dir_fd: int | None, follow_symlinks: bool) -> None:
    """Set an attribute."""
    _attributes("setxattr", path, dir_fd, follow_symlinks, attribute, value, flags)


def removexattr(path: Handle, attribute: Path, dir_fd: int | None, follow_symlinks: bool) -> None:
    """Remove an attribute."""
    _attributes("removexattr", path, dir_fd, follow_symlinks, attribute)


def _attributes(name: str, path: Handle, dir_fd: int | None, follow_symlinks: bool, *arguments: Any) -> Any:
    check(path)
    if isinstance(path, int):
        return call(name)(path, *arguments)
    if dir_fd is None:
        return call(name)(path, *arguments, follow_symlinks=follow_symlinks)
    with _reached(path, dir_fd, follow_symlinks) as fd:
        try:
            # This path is followed to the file itself and no further, be it a symlink.
            return call(name)(_way(fd), *arguments)
        except FileNotFoundError:  # the file is there: it is /proc that is not
            raise _error(errno.ENOSYS) from None


# ---- names ----


def link(src: Path, dst: Path, src_dir_fd: int | None, dst_dir_fd: int | None, follow_symlinks: bool) -> None:
    """Make another name of *src*, or of what it leads to."""
    if not follow_symlinks:
        os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)
        return
    from .libc import linkat

    linkat(src, dst, src_dir_fd, dst_dir_fd)


def makedirs(name: Path, mode: int, exist_ok: bool, dir_fd: int | None) -> None:
    """Make a directory and those above it, as `os.makedirs` does; however deep, and though others make them too."""
    levels: list[tuple[Path, bool]] = []  # from the last to the first: what to make, and whether it is "." of the next
    path = name
    while True:
        head, tail = os.path.split(path)
        if not tail:
            head, tail = os.path.split(head)
        missing = bool(head and tail) and _mode(head, dir_fd) == 0
        levels.append((path, missing and tail in (".", b".")))
        if not missing:
            break
        path = head
    last = len(levels) - 1
    for place, (path, is_made) in enumerate(reversed(levels)):
        if is_made:
            continue
        try:
            os.mkdir(path, mode if place == last else 0o777, dir_fd=dir_fd)
        except OSError as error:
            if place < last and isinstance(error, FileExistsError):
                continue
            if not exist_ok or not modes.S_ISDIR(_mode(path, dir_fd)):
                raise


def _mode(path: Path, dir_fd: int | None) -> int:
    """Return a file's mode, or 0 if there is none."""
    try:
        return os.stat(path, dir_fd=dir_fd).st_mode
    except OSError:
        return 0


# ---- realpath ----

_MOST_LINKS = 40  # MAXSYMLINKS of the kernel


def realpath(filename: Path, strict: bool, dir_fd: int | None) -> Path:
    """Resolve as `posixpath.realpath` of Python 3.11 does; however deep, and relative to *dir_fd*.

    What is looked up stays relative, so that neither a long way to that directory nor one without permission matters.
    """
    found = _resolved(os.fsdecode(filename), strict, dir_fd)
    if not os.path.isabs(found):
        found = os.path.join(_base(dir_fd), found)
    found = os.path.normpath(found)
    return os.fsencode(found) if isinstance(filename, bytes) else found


def _base(dir_fd: int | None) -> str:
    if dir_fd is None or dir_fd == _AT_FDCWD:
        return os.getcwd()
    status = os.fstat(dir_fd)
    if not modes.S_ISDIR(status.st_mode):
        raise _error(errno.ENOTDIR)
    base = os.readlink(_way(dir_fd))
    if not base.startswith("/") or (status.st_nlink == 0 and base.endswith(" (deleted)")):
        raise _error(errno.ENOENT)  # it is not below our root, or was removed: as getcwd
    return base


def _resolved(filename: str, strict: bool, dir_fd: int | None) -> str:
    """Return the path without symlinks, absolute if *filename* or a link of it is."""
    path, links = "", 0
    seen: dict[str, str | None] = {}  # links, and where they lead; None: we are on the way there
    rest: list[tuple[str, bool]] = []  # what is still to do, the next thing last: names, and links whose way ends here

    def go_on(way: str) -> str:
        rest.extend((name, False) for name in reversed(way.split("/")) if name not in ("", "."))
        return "/" if way.startswith("/") else path

    path = go_on(filename)
    while rest:
        name, is_end = rest.pop()
        if is_end:
            seen[name] = path
            continue
        if name == "..":
            path = _parent(path)
            continue
        new = os.path.join(path, name)
        try:
            is_link = modes.S_ISLNK(os.lstat(new, dir_fd=dir_fd).st_mode)
        except OSError:
            if strict:
                raise
            is_link = False
        if not is_link:
            path = new
            continue
        links += 1
        circle = new in seen and seen[new] is None
        if strict and (circle or links > _MOST_LINKS):
            raise _error(errno.ELOOP)
        if circle:  # the rest stays as it is written
            return os.path.join(new, *(name for name, is_end in reversed(rest) if not is_end))
        if new in seen:
            path = seen[new] or ""
            continue
        seen[new] = None
        rest.append((new, True))
        path = go_on(os.readlink(new, dir_fd=dir_fd))
    return path


def _parent(path: str) -> str:
    if not path:
        return ".."
    head, name = os.path.split(path)
    return os.path.join(head, "..", "..") if name == ".." else head

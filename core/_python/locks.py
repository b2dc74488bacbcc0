"""Locks of files: what a worker of the Python backend does for flock, lockf and ofd_lock.

A worker never waits for a lock. It makes an *attempt*; if another has the lock, the pool sets the request aside and has
it attempted again later. The arguments are those of the operation, as the table has them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

from .paths import check

NAMES = frozenset(("flock", "lockf", "ofd_lock"))

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN) if sys.platform == "linux" else (errno.EAGAIN, errno.EACCES)
_FLOCK = "hhqqi0q"  # struct flock of Linux with a 64-bit off_t, whose end is padded
_TYPES = {fcntl.LOCK_SH: fcntl.F_RDLCK, fcntl.LOCK_EX: fcntl.F_WRLCK, fcntl.LOCK_UN: fcntl.F_UNLCK}


def attempt(name: str, arguments: tuple[Any, ...]) -> bool:
    """Lock or unlock without waiting; False: another has it. What else goes wrong is an OSError."""
    fd, operation, *rest = arguments
    try:
        _CALLS[name](fd, operation | fcntl.LOCK_NB, *rest)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def settled(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with a range that starts at a fixed place, so that what is given back is what was locked."""
    if name not in ("lockf", "ofd_lock"):
        return arguments
    fd, operation, length, start, whence = arguments
    try:
        if whence == os.SEEK_CUR:
            base = os.lseek(fd, 0, os.SEEK_CUR)
        elif whence == os.SEEK_END:
            base = os.fstat(fd).st_size
        else:
            return arguments
    except OSError:
        return arguments  # the call tells the error
    if not start + base < 1 << 63:
        return arguments
    return fd, operation, length, start + base, os.SEEK_SET


def unlock(name: str, arguments: tuple[Any, ...]) -> None:
    """Give back what an attempt with these arguments got."""
    fd, _, *rest = arguments
    _CALLS[name](fd, fcntl.LOCK_UN, *rest)


def waits(name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it waits for a lock that another has; if not, its body fails then."""
    return name in NAMES and not arguments[1] & (fcntl.LOCK_NB | fcntl.LOCK_UN)


def unlocks(name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it gives a lock back."""
    return name in NAMES and bool(arguments[1] & fcntl.LOCK_UN)


# ---- the bodies: they wait if they are told to ----


def lock(name: str, *arguments: Any) -> None:
    """Lock or unlock; BlockingIOError if it must not wait."""
    try:
        _CALLS[name](*arguments)
    except PermissionError as error:  # another word of POSIX for the same
        if not arguments[1] & fcntl.LOCK_NB:
            raise
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error


def flock(fd: int, operation: int) -> None:
    """Lock or unlock the open file."""
    check(fd)
    fcntl.flock(fd, operation)


def lockf(fd: int, cmd: int, length: int, start: int, whence: int) -> None:
    """Lock or unlock a range for this process."""
    check(fd)
    if cmd & fcntl.LOCK_UN:
        cmd = fcntl.LOCK_UN  # with LOCK_NB the module does not know it
    fcntl.lockf(fd, cmd, length, start, _known(whence))


def ofd_lock(fd: int, operation: int, length: int, start: int, whence: int) -> None:
    """Lock or unlock a range for the open file."""
    check(fd)
    waits = not operation & fcntl.LOCK_NB
    command: int | None = getattr(fcntl, "F_OFD_SETLKW" if waits else "F_OFD_SETLK", None)
    if command is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    kind = _TYPES[operation & ~fcntl.LOCK_NB]
    fcntl.fcntl(fd, command, struct.pack(_FLOCK, kind, _known(whence), start, length, 0))


_CALLS: dict[str, Callable[..., None]] = {"flock": flock, "lockf": lockf, "ofd_lock": ofd_lock}


def _known(whence: int) -> int:
    """Raise EINVAL for what the kernel would, had its field room for it."""
    if not -(1 << 15) <= whence < 1 << 15:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return whence

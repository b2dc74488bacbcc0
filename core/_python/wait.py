"""How a worker of the Python backend waits for a pipe, socket or terminal: in poll(2), where a cancel reaches it.

It waits for the descriptor and for its own wake-up, and then makes a call that does not wait, if there is one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from typing import Any

from .job import Job
from .notifier import Notifier
from .original import select

TRIES = 100  # calls that somebody else was faster than although poll(2) said that there is something

_BLIND = 50  # milliseconds between two looks at a request when there is no descriptor left to be woken by
_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
# What the descriptor's driver, the kernel, or a sandbox (EPERM) says to such a call: the plain one tells.
_NO_NOWAIT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM)


class Withdrawn(Exception):
    """The request was taken back before it did anything."""


def may_wait(fd: int, access: int) -> bool:
    """Whether a call that reads (os.O_RDONLY) or writes (os.O_WRONLY) may wait for somebody."""
    mode = os.fstat(fd).st_mode
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE not in (access, os.O_RDWR):
        return False  # the call fails at once; poll(2) would wait
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode)) and os.get_blocking(fd)


def is_ready(fd: int, events: int) -> bool:
    """Whether a wait would end at once."""
    poller = select.poll()
    poller.register(fd, events)
    return bool(poller.poll(0))


def wait(job: Job, pool: Any, fd: int, events: int) -> None:
    """Wait until the descriptor is ready; raise Withdrawn if the request is taken back meanwhile."""
    poller = select.poll()
    poller.register(fd, events)
    wakeup = None
    try:
        wakeup = Notifier()
        poller.register(wakeup.fd, select.POLLIN)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
    timeout = None if wakeup is not None else _BLIND
    pool.begin_waiting(job, wakeup)
    try:
        while not job.unwanted and not poller.poll(timeout):
            pass
    finally:
        # Whoever wakes this worker may still hold the notifier: the last of them closes it.
        del wakeup
        withdrawn = pool.end_waiting(job)
    if withdrawn:
        raise Withdrawn


def read_now(fd: int, buffers: Sequence[Any]) -> int | None:
    """Read without waiting, or raise BlockingIOError; None: this is not known of such a descriptor."""
    return _at_once(os.preadv, fd, buffers)


def write_now(fd: int, buffers: Sequence[Any]) -> int | None:
    """Write without waiting, or raise BlockingIOError; None: this is not known of such a descriptor."""
    return _at_once(os.pwritev, fd, buffers)


def write_with_room(fd: int, data: memoryview) -> int:
    """Write where the call that does not wait is not known, as of FIFOs, once poll(2) has said that there is room.

    A pipe with room takes as much as it writes atomically; of others the plain call tells.
    """
    return os.write(fd, data[: select.PIPE_BUF] if stat.S_ISFIFO(os.fstat(fd).st_mode) else data)


def _at_once(transfer: Any, fd: int, buffers: Sequence[Any]) -> int | None:
    if not _RWF_NOWAIT:
        return None
    try:
        return int(transfer(fd, buffers, -1, _RWF_NOWAIT))
    except OSError as error:
        if error.errno in _NO_NOWAIT:
            return None
        raise

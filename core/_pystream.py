"""Calls that the Python backend does not make as the table has them: those that may wait for somebody, and big reads.

On a pipe, socket or terminal a worker first waits in poll(2), for the descriptor and for its own wake-up, so that a
cancelled request can always be taken back there. What counts after that is a change that has begun.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

from ._original import select
from ._pyjob import Job
from ._pynotifier import Notifier

_IN_ONE_CALL = 1 << 20  # what is read from a pipe or socket at most, and what is allocated without asking for the size
_BLIND = 50  # milliseconds between two looks at a request when there is no descriptor left to be woken by
_TRIES = 100  # reads that found nothing although poll(2) said there is something

_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_IOV_MAX = os.sysconf("SC_IOV_MAX")
_NO_NOWAIT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE)


class Withdrawn(Exception):
    """The request was taken back before it did anything."""


def _read(job: Job, pool: Any) -> bytes:
    fd, n = job.arguments
    if n <= 0 or not _may_wait(fd, os.O_RDONLY):
        return os.read(fd, _room(fd, n, None))

    def read_now() -> bytes:
        buffer = bytearray(min(n, _IN_ONE_CALL))
        return bytes(memoryview(buffer)[: os.preadv(fd, [buffer], -1, _RWF_NOWAIT)])

    return _read_when_ready(job, pool, read_now, lambda: os.read(fd, min(n, _IN_ONE_CALL)))  # type: ignore[no-any-return]


def _readv(job: Job, pool: Any) -> int:
    fd, buffers = job.arguments
    if not any(view.nbytes for view in buffers) or not _may_wait(fd, os.O_RDONLY):
        return os.readv(fd, buffers)
    return _read_when_ready(  # type: ignore[no-any-return]
        job, pool, lambda: os.preadv(fd, buffers, -1, _RWF_NOWAIT), lambda: os.readv(fd, buffers)
    )


def _read_when_ready(job: Job, pool: Any, read_now: Callable[[], Any], read: Callable[[], Any]) -> Any:
    """Wait, then read without waiting, again if somebody else was faster; plainly where that is not known."""
    for _ in range(_TRIES):
        _wait(job, pool, select.POLLIN)
        if not _RWF_NOWAIT:
            break
        try:
            return read_now()
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                raise
            break
    return read()


def _write(job: Job, pool: Any) -> int:
    fd, data = job.arguments
    return _write_all(job, pool, [data], lambda: os.write(fd, data))


def _writev(job: Job, pool: Any) -> int:
    fd, buffers = job.arguments
    return _write_all(job, pool, buffers, lambda: os.writev(fd, buffers))


def _write_all(job: Job, pool: Any, buffers: Sequence[memoryview], write: Callable[[], int]) -> int:
    """Write all, as who blocks does, but wait for room in poll(2): a cancel ends it there, with what went."""
    fd = job.arguments[0]
    if not any(view.nbytes for view in buffers) or not _may_wait(fd, os.O_WRONLY):
        return write()
    left = [_as_bytes(view) for view in buffers if view.nbytes]
    while left:
        try:
            _wait(job, pool, select.POLLOUT)
            if not _RWF_NOWAIT:
                return job.written + write()
            written = os.pwritev(fd, left[:_IOV_MAX], -1, _RWF_NOWAIT)
        except BlockingIOError:
            continue
        except (OSError, Withdrawn) as error:
            if job.written:
                return job.written  # the next write tells the error
            if isinstance(error, OSError) and error.errno in _NO_NOWAIT:
                return write()
            raise
        job.written += written
        while left and written >= left[0].nbytes:
            written -= left.pop(0).nbytes
        if written:
            left[0] = left[0][written:]
    return job.written


def _as_bytes(view: memoryview) -> memoryview:
    try:
        return view.cast("B")
    except TypeError:  # of a format that memoryview does not know, such as a ctypes structure's
        return memoryview(view.tobytes())


def _pread(job: Job, pool: Any) -> bytes:
    fd, n, offset = job.arguments
    return os.pread(fd, _room(fd, n, offset), offset)


def _fsync(job: Job, pool: Any) -> None:
    (fd,) = job.arguments
    _check(fd)
    os.fsync(fd)


def _fdatasync(job: Job, pool: Any) -> None:
    (fd,) = job.arguments
    _check(fd)
    os.fdatasync(fd)


def _stat(job: Job, pool: Any) -> os.stat_result:
    _check(job.arguments[0])
    return job.plan.call(job.arguments)  # type: ignore[no-any-return]  # what the operation returns


def _check(fd: Any) -> None:
    """Raise EBADF for a negative descriptor, of which `os` has other ideas."""
    if isinstance(fd, int) and fd < 0:
        os.fstat(fd)


RUNNERS: dict[str, Callable[[Job, Any], Any]] = {
    "read": _read,
    "readv": _readv,
    "write": _write,
    "writev": _writev,
    "pread": _pread,
    "fsync": _fsync,
    "fdatasync": _fdatasync,
    "stat": _stat,
}


def _may_wait(fd: int, access: int) -> bool:
    mode = os.fstat(fd).st_mode
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE not in (access, os.O_RDWR):
        return False  # the call fails at once; poll(2) would wait
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode)) and os.get_blocking(fd)


def _room(fd: int, n: int, offset: int | None) -> int:
    """Return *n*, or less if the file has less: the memory is allocated before the call."""
    if n <= _IN_ONE_CALL:
        return n
    if offset is not None and offset < 0:
        return _IN_ONE_CALL  # the call fails
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return n
    start = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
    # Files in /proc say that they are empty.
    return min(n, max(status.st_size - start, _IN_ONE_CALL))


def _wait(job: Job, pool: Any, events: int) -> None:
    poller = select.poll()
    poller.register(job.arguments[0], events)
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

"""Calls that the Python backend does not make as the table has them: those that may wait for somebody, and big reads.

On a pipe, socket or terminal a worker first waits in poll(2), for the descriptor and for its own wake-up, so that a
cancelled request can always be taken back there. What counts after that is a change that has begun.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

from . import transfer
from .job import Job
from .kinds import MAX_TRANSFER, as_bytes
from .original import select
from .paths import check
from .wait import TRIES, may_wait, read_now, wait, write_now, write_with_room
from .wait import Withdrawn as Withdrawn
from .wholefile import read_bytes, write_bytes, write_file

_IN_ONE_CALL = 1 << 20  # what is read from a pipe or socket at most, and what is allocated without asking for the size
_IOV_MAX = os.sysconf("SC_IOV_MAX")


def _read(job: Job, pool: Any) -> bytes:
    fd, n = job.arguments
    if n <= 0 or not may_wait(fd, os.O_RDONLY):
        return os.read(fd, _room(fd, n, None))
    n = min(n, _IN_ONE_CALL)
    buffer = bytearray(n)
    got = _read_when_ready(job, pool, [buffer])
    return os.read(fd, n) if got is None else bytes(memoryview(buffer)[:got])


def _readv(job: Job, pool: Any) -> int:
    fd, buffers = job.arguments
    if not any(view.nbytes for view in buffers) or not may_wait(fd, os.O_RDONLY):
        return os.readv(fd, buffers)
    got = _read_when_ready(job, pool, buffers)
    return os.readv(fd, buffers) if got is None else got


def _read_when_ready(job: Job, pool: Any, buffers: Sequence[Any]) -> int | None:
    """Wait, then read without waiting, again if somebody else was faster; None: make the plain call."""
    fd = job.arguments[0]
    for _ in range(TRIES):
        wait(job, pool, fd, select.POLLIN)
        try:
            return read_now(fd, buffers)
        except BlockingIOError:
            continue
    return None


def _write(job: Job, pool: Any) -> int:
    fd, data = job.arguments
    return _write_stream(job, pool, [data], lambda: os.write(fd, data))


def _writev(job: Job, pool: Any) -> int:
    fd, buffers = job.arguments
    return _write_stream(job, pool, buffers, lambda: os.writev(fd, buffers))


def _write_stream(job: Job, pool: Any, buffers: Sequence[memoryview], write: Callable[[], int]) -> int:
    fd = job.arguments[0]
    if not any(view.nbytes for view in buffers) or not may_wait(fd, os.O_WRONLY):
        return write()
    try:
        _write_all(job, pool, fd, buffers)
    except (OSError, Withdrawn):
        if not job.written:
            raise
    return job.written  # the next write tells the error


def _write_all(job: Job, pool: Any, fd: int, buffers: Sequence[memoryview]) -> None:
    """Write all, as who blocks does, but wait for room in poll(2); a cancel ends it. `job.written` is what went."""
    left = [as_bytes(view) for view in buffers if view.nbytes]
    at_once = True
    while left:
        wait(job, pool, fd, select.POLLOUT)
        try:
            written = write_now(fd, left[:_IOV_MAX]) if at_once else write_with_room(fd, left[0])
        except BlockingIOError:
            continue
        if written is None:
            at_once = False
            continue
        job.written += written
        while left and written >= left[0].nbytes:
            written -= left.pop(0).nbytes
        if written:
            left[0] = left[0][written:]


def _read_bytes(job: Job, pool: Any) -> bytes:
    def read(fd: int, n: int) -> bytes:
        if may_wait(fd, os.O_RDONLY):
            wait(job, pool, fd, select.POLLIN)
        return os.read(fd, n)

    path, offset, length, dir_fd = job.arguments
    return read_bytes(path, offset, length, dir_fd, read)


def _write_bytes(job: Job, pool: Any) -> int:
    def write(fd: int, data: memoryview) -> int:
        if not may_wait(fd, os.O_WRONLY):
            return write_file(fd, data)
        try:
            _write_all(job, pool, fd, [data])
        except Withdrawn:
            if not job.written:
                raise
        return job.written

    path, data, dir_fd = job.arguments
    return write_bytes(path, data, dir_fd, write)


def _pread(job: Job, pool: Any) -> bytes:
    fd, n, offset = job.arguments
    return os.pread(fd, _room(fd, n, offset), offset)


def _fsync(job: Job, pool: Any) -> None:
    (fd,) = job.arguments
    check(fd)
    os.fsync(fd)


def _fdatasync(job: Job, pool: Any) -> None:
    (fd,) = job.arguments
    check(fd)
    job.plan.call(job.arguments)


def _stat(job: Job, pool: Any) -> os.stat_result:
    check(job.arguments[0])
    return job.plan.call(job.arguments)  # type: ignore[no-any-return]  # what the operation returns


RUNNERS: dict[str, Callable[[Job, Any], Any]] = {
    "read": _read,
    "readv": _readv,
    "write": _write,
    "writev": _writev,
    "pread": _pread,
    "fsync": _fsync,
    "fdatasync": _fdatasync,
    "stat": _stat,
    "read_bytes": _read_bytes,
    "write_bytes": _write_bytes,
    **transfer.RUNNERS,
}


def _room(fd: int, n: int, offset: int | None) -> int:
    """Return *n*, or less if the file has less: the memory is allocated before the call."""
    if n <= _IN_ONE_CALL:
        return n
    if offset is not None and offset < 0:
        return _IN_ONE_CALL  # the call fails
    n = min(n, MAX_TRANSFER)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return n
    start = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
    # Files in /proc say that they are empty.
    return min(n, max(status.st_size - start, _IN_ONE_CALL))

"""The Python backend's operations that move bytes from one descriptor to another.

Where the kernel would sit and wait for somebody, for data in a pipe or for room in a socket, they wait in poll(2)
before, where a cancel reaches them, and then make calls that do not wait.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

from .job import Job
from .kinds import MAX_TRANSFER
from .original import select
from .paths import call
from .wait import (
    TRIES,
    Withdrawn,
    is_ready,
    may_wait,
    read_now,
    wait,
    write_now,
    write_with_room,
)

_ROUND = 64 << 10  # what is read and written at a time
_SMALL = 4096  # a pipe that poll(2) says is ready takes as much at once
_SOCKET_PIECE = 16 << 10
_SPLICE_F_NONBLOCK: int = getattr(os, "SPLICE_F_NONBLOCK", 2)

_BEYOND_THE_KERNEL = (
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOTSOCK,
)


def _fail(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _is_fifo(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)


# ---- sendfile ----


class _Transfer:
    """A sendfile on its way; what went is counted in the job's `written`, and counts more than a later error."""

    def __init__(self, job: Job, pool: Any) -> None:
        self.job = job
        self.pool = pool
        self.out, self.into, self.offset, self.left = job.arguments
        if self.left < 0 or (self.offset is not None and self.offset < 0):
            raise _fail(errno.EINVAL)
        try:  # To move nothing tells of wrong descriptors, before anybody waits for them.
            self.by_kernel(0)
        except OSError as error:
            if error.errno not in _BEYOND_THE_KERNEL:
                raise
        self.wait_out = may_wait(self.out, os.O_WRONLY)
        self.wait_in = self.offset is None and may_wait(self.into, os.O_RDONLY)

    def run(self) -> int:
        move: Callable[[], None] | None = None
        if not self.wait_out and not self.wait_in:
            move = self.send_by_kernel
        elif not self.wait_in and _is_fifo(self.out):
            move = self.send_to_pipe
        try:
            if move is not None:
                try:
                    move()
                    return self.job.written
                except OSError as error:
                    if self.job.written or error.errno not in _BEYOND_THE_KERNEL:
                        raise
            self.send_by_hand()
        except (OSError, Withdrawn):
            if not self.job.written:
                raise
        return self.job.written

    def by_kernel(self, count: int) -> int:
        if sys.platform != "linux":  # what others call by this name is something else
            raise _fail(errno.ENOSYS)
        return int(call("sendfile")(self.out, self.into, self.offset, count))

    def count(self, sent: int) -> None:
        self.job.written += sent
        self.left -= sent
        if self.offset is not None:
            self.offset += sent

    def send_by_kernel(self) -> None:
        """Who blocks gets all that he asked for, unless the input ends: so more than one call moves is continued."""
        while self.left > 0:
            wanted = min(self.left, MAX_TRANSFER)
            sent = self.by_kernel(wanted)
            self.count(sent)
            if sent < wanted:
                return

    def send_to_pipe(self) -> None:
        """Splice, for sendfile(2) of older kernels would sit there until all has gone."""
        tries = 0
        while self.left > 0:
            wait(self.job, self.pool, self.out, select.POLLOUT)
            try:
                sent = call("splice")(
                    self.into,
                    self.out,
                    min(self.left, MAX_TRANSFER),
                    self.offset,
                    None,
                    _SPLICE_F_NONBLOCK,
                )
            except BlockingIOError:
                tries += 1
                if tries < TRIES:
                    continue
                raise
            if sent == 0:
                return
            tries = 0
            self.count(sent)

    def send_by_hand(self) -> None:
        """Read and write. An input that may keep us waiting gives what it has, and is waited for only at first."""
        lasting = self.offset is not None or self.has_position()
        # What was read of a pipe cannot be put back: take only what is sure to go.
        size = _SMALL if self.wait_out and not lasting else _ROUND
        while self.left > 0:
            if self.wait_in and self.job.written and not is_ready(self.into, select.POLLIN):
                return
            if self.wait_in:
                wait(self.job, self.pool, self.into, select.POLLIN)
            if self.wait_out:
                wait(self.job, self.pool, self.out, select.POLLOUT)
            try:
                data = self.read_round(min(self.left, size))
            except BlockingIOError:
                if not self.wait_in:
                    raise
                continue
            if not data:
                return
            self.write_round(memoryview(data))

    def has_position(self) -> bool:
        try:
            os.lseek(self.into, 0, os.SEEK_CUR)
        except OSError:
            return False
        return True

    def read_round(self, size: int) -> bytes:
        if self.offset is not None:
            return os.pread(self.into, size, self.offset)
        if self.wait_in:
            buffer = bytearray(size)
            got = read_now(self.into, [buffer])
            if got is not None:
                return bytes(memoryview(buffer)[:got])
        return os.read(self.into, size)

    def write_round(self, data: memoryview) -> None:
        """Write what was read; if something comes between, give the rest back where that is possible."""
        done = 0
        try:
            while done < len(data):
                if self.wait_out:
                    wait(self.job, self.pool, self.out, select.POLLOUT)
                try:
                    written = self.write_some(data[done:])
                except BlockingIOError:
                    if not self.wait_out:
                        raise
                    continue
                done += written
                self.count(written)
        except (OSError, Withdrawn):
            if self.offset is None and self.has_position():
                os.lseek(self.into, done - len(data), os.SEEK_CUR)
            raise

    def write_some(self, data: memoryview) -> int:
        if not self.wait_out:
            return os.write(self.out, data)
        written = write_now(self.out, [data])
        return write_with_room(self.out, data[:_SMALL]) if written is None else written


def _sendfile(job: Job, pool: Any) -> int:
    return _Transfer(job, pool).run()


# ---- splice and tee ----


class _End:
    """An end of a splice. A pipe is waited for when the call found it not ready; of others the call does not tell."""

    def __init__(self, fd: int, access: int, events: int) -> None:
        self.fd = fd
        self.events = events
        self.pipe = _is_fifo(fd)
        self.waits = may_wait(fd, access)

    def before(self, job: Job, pool: Any) -> None:
        """Wait before a call that would sit there."""
        if self.waits and not self.pipe:
            wait(job, pool, self.fd, self.events)

    def after(self, job: Job, pool: Any) -> None:
        """Wait after a call that found a pipe not ready."""
        if self.waits and self.pipe:
            wait(job, pool, self.fd, self.events)


def _splice(job: Job, pool: Any) -> int:
    src, dst, count, offset_src, offset_dst, flags = job.arguments
    splice = call("splice")
    return _move(
        job,
        pool,
        count,
        flags,
        lambda n, flags: int(splice(src, dst, n, offset_src, offset_dst, flags)),
    )


def _tee(job: Job, pool: Any) -> int:
    from .libc import tee

    src, dst, count, flags = job.arguments
    return _move(job, pool, count, flags, lambda n, flags: tee(src, dst, n, flags))


def _move(job: Job, pool: Any, count: int, flags: int, once: Callable[[int, int], int]) -> int:
    if count < 0:
        raise _fail(errno.EINVAL)
    count = min(count, MAX_TRANSFER)
    into = _End(job.arguments[0], os.O_RDONLY, select.POLLIN)
    out = _End(job.arguments[1], os.O_WRONLY, select.POLLOUT)
    if into.pipe and out.pipe:  # one that does not block makes the whole call so
        into.waits = out.waits = into.waits and out.waits
    # What is wrong, or is not to wait, ends at once.
    if not count or flags & _SPLICE_F_NONBLOCK or not (into.pipe or out.pipe) or not (into.waits or out.waits):
        return once(count, flags)
    if out.waits and not out.pipe:
        count = min(count, _SOCKET_PIECE)  # SPLICE_F_NONBLOCK says nothing to a socket
    for _ in range(TRIES):
        into.before(job, pool)
        out.before(job, pool)
        try:
            return once(count, flags | _SPLICE_F_NONBLOCK)
        except BlockingIOError:
            into.after(job, pool)
            out.after(job, pool)
    return once(count, flags)


RUNNERS: dict[str, Callable[[Job, Any], Any]] = {
    "sendfile": _sendfile,
    "splice": _splice,
    "tee": _tee,
}

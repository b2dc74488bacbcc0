"""Requests that wait for a lock which another holds.

They occupy no worker. Each attempt is one that does not wait; who does not get the lock is *set aside*, "queued" again,
and all of them are tried again at each *tick*, and those of one file at once when this pool has given back a lock on
it or closed a descriptor of it. They go to the head of the queue then, and only one attempt is under way at a time, so
that a lock is handed over in the order of arrival. An attempt that takes long, on a dead mount say, holds up nobody for
more than a tick.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from .convert import Plan
from .job import Job, Mailbox, Queue
from .locks import NAMES, attempt, settled, unlock, unlocks, waits
from .timer import Timer

FIRST_TICK, LONGEST_TICK = 0.001, 0.02  # seconds

File = tuple[int, int]  # device and inode


class Taken(Exception):
    """Another has the lock."""


class LockJob(Job):
    """A request that locks or unlocks a file."""

    __slots__ = ("locks", "waits", "turn", "file", "granted", "attempted", "releases")

    waits: bool  # it is set aside when another has the lock
    turn: int  # its place in the order of arrival; 0 before its first attempt
    file: File | None  # of its lock, when it is set aside
    granted: bool  # it has got a lock, which is to be given back unless somebody takes it
    attempted: float  # when its last attempt began,
    releases: int  # and how many releases there had been then

    def __init__(self, plan: Plan, arguments: tuple[Any, ...], mailbox: Mailbox, priority: int) -> None:
        super().__init__(plan, arguments, mailbox, priority)
        name = plan.operation.name
        self.waits = waits(name, self.arguments)
        self.locks = not unlocks(name, self.arguments)
        self.turn = self.releases = 0
        self.granted = False
        self.file = None
        self.attempted = 0.0

    def unpin(self) -> None:
        """Nothing is pinned, and the arguments are needed to give the lock back."""

    def dispose(self, *_: Any, **__: Any) -> None:
        """Give back the lock that nobody took: here and now, as the descriptor could be another file's soon."""
        if self.granted and not self.taken:
            self.status = "never ran"
            self.mailbox.closer.give_back(self)
            self.granted = False

    def attempt(self) -> None:
        """Lock or unlock; if another has the lock, raise Taken or, if it does not wait for that, an OSError."""
        name = self.plan.operation.name
        if self.file is not None and _file(self.arguments[0]) != self.file:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # it was closed, and is another file's now
        self.arguments = settled(name, self.arguments)
        if not self.waits:
            self.plan.call(self.arguments)
        elif not attempt(name, self.arguments):
            self.file = _file(self.arguments[0])
            raise Taken

    def give_back(self) -> None:
        """Unlock what was locked, if it still is."""
        try:
            unlock(self.plan.operation.name, self.arguments)
        except OSError:
            pass  # the descriptor was closed, and the lock is gone with it


class WaitingLocks:
    """Who waits for a lock, and whose turn it is. Called with the pool's lock held, but for `released_by`.

    A signal's handler may raise after any call: who stands in two lists, or in none, is found and put right.
    """

    def __init__(self, queue: Queue, timer: Timer) -> None:
        self._queue = queue  # the pool's
        self._timer = timer
        self._aside: list[LockJob] = []  # who did not get the lock; also some that were taken back meanwhile
        self._due: list[LockJob] = []  # who went back to the queue to be tried again
        self._stalled: list[LockJob] = []  # whom a worker met while another was at it: they go back to the queue
        self._current: LockJob | None = None  # whose attempt is under way
        self._turns = 0
        self._releases = 0
        self._pause = FIRST_TICK
        self.overdue = False  # no thread could be started that keeps the time

    def __len__(self) -> int:
        return len(_waiting(self._aside))

    def __iter__(self) -> Iterator[LockJob]:
        """All that wait and are not in the queue."""
        return iter(_waiting(self._aside + self._stalled))

    def released_by(self, job: Job) -> File | None:
        """Return the file of which *job* gives locks back, if that is of interest. Called before it does."""
        if not self._aside and self._current in (None, job):
            return None
        if isinstance(job, LockJob) or job.plan.operation.name == "close":
            return _file(job.arguments[0])
        return None

    def enter(self, job: LockJob) -> bool:
        """Let a worker make an attempt for *job*; False: it is to wait for its turn."""
        if self._current is not None:
            self._stalled.append(job)
            self._wait_for_tick()
            return False
        self._current = job
        job.attempted = time.monotonic()
        job.releases = self._releases
        if not job.turn:
            self._turns += 1
            job.turn = self._turns
        return True

    def leave(self, job: LockJob) -> None:
        """The attempt is over."""
        if self._current is job:
            self._current = None
        if self._current is None:
            self._let_go()

    def set_aside(self, job: LockJob) -> None:
        """Another has the lock. Called before `leave`."""
        if not (self._aside or self._due):
            self._pause = FIRST_TICK
        job.state = "queued"
        job.mailbox.queued += 1
        if job.releases == self._releases:
            self._aside.append(job)
            self._wait_for_tick()
        else:  # it was given back during the attempt, perhaps
            self._stalled.append(job)

    def granted(self) -> None:
        """Somebody has got a lock: things move."""
        self._pause = FIRST_TICK

    def release(self, file: File) -> None:
        """Have those tried again that wait for a lock of *file*: one was given back."""
        self._releases += 1
        self._retry(file)

    def tick(self) -> None:
        """Have all tried again, unless some still are in the queue since the last time."""
        self.overdue = False
        current = self._current
        if current is not None and current.attempted < time.monotonic() - LONGEST_TICK:
            self._current = None
            self._let_go()
        self._pause = min(2 * self._pause, LONGEST_TICK)
        self._due = [job for job in self._due if job.place is not None]
        if not self._due and not self._stalled:
            self._retry(None)
        if self._aside or self._stalled:
            self._wait_for_tick()

    def _wait_for_tick(self) -> None:
        self.overdue = not self._timer.tick_in(self._pause)

    def _retry(self, file: File | None) -> None:
        """Put those that wait for a lock of *file*, or of any, at the head of the queue."""
        self._let_go()
        waiting = _waiting(self._aside)
        jobs = [job for job in waiting if file is None or job.file in (file, None)]
        self._push(jobs)
        self._due += jobs
        self._aside = [job for job in waiting if job.place is None]

    def _let_go(self) -> None:
        self._push(_waiting(self._stalled))
        self._stalled = []

    def _push(self, jobs: list[LockJob]) -> None:
        now = time.monotonic()
        for job in sorted(jobs, key=_turn)[::-1]:  # who is there for the first time has no turn yet
            job.since = now
            self._queue.push_first(job)


def _waiting(jobs: list[LockJob]) -> list[LockJob]:
    """Those that nobody has taken back or queued again."""
    return [job for job in jobs if job.state == "queued" and job.place is None and not job.abandoned]


def is_lock(plan: Plan) -> bool:
    """Whether its requests are LockJobs."""
    return plan.operation.name in NAMES


def _turn(job: LockJob) -> int:
    return job.turn or sys.maxsize


def _file(fd: int) -> File | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino

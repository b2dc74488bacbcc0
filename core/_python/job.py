"""What a worker sees of a request, the queue it waits in, and the mailbox it goes to.

The pool's lock guards everything here that changes. Callbacks, waiters and the like are the engine's: a worker cannot
reach them.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from .._request import State, Status
from .._table import RequestClass
from .convert import Plan, release
from .notifier import Notifier

HIGHEST, LANES = 4, 9  # priorities 4 to -4


class Job:
    """One call to make."""

    __slots__ = (
        "plan", "arguments", "names", "mailbox", "priority", "request_class", "state", "place", "since",
        "abandoned", "withdrawn", "wakeup", "waiting", "written", "deadline",
        "value", "error", "status", "taken",
    )  # fmt: skip

    plan: Plan
    arguments: tuple[Any, ...]  # converted; may pin buffers
    names: tuple[Any, ...]  # the caller's own path objects, for an OSError
    mailbox: Mailbox
    priority: int
    request_class: RequestClass
    state: State
    place: Queue | None  # the queue it is in
    since: float  # when it was queued
    abandoned: bool  # nobody waits for it. Set once; long calls look at it without the lock
    withdrawn: bool  # it shall not wait in poll(2), nor do anything after that
    written: int  # bytes that went, while the rest waits for room
    waiting: bool  # its worker sits in poll(2) for it: can be taken back
    wakeup: Notifier | None  # what that worker also waits for; None without descriptors left
    deadline: float | None  # when patience runs out
    value: Any
    error: BaseException | None
    status: Status  # valid when finished or done
    taken: bool  # its result is the caller's: a descriptor, or a lock
    locks = False  # it asks for a lock

    def __init__(self, plan: Plan, arguments: tuple[Any, ...], mailbox: Mailbox, priority: int) -> None:
        self.plan = plan
        self.arguments = plan.take(arguments)
        self.names = tuple(arguments[place] for place in plan.paths)
        self.mailbox = mailbox
        self.priority = priority
        self.request_class = plan.operation.class_of(self.arguments)
        self.state = "queued"
        self.place = self.wakeup = self.deadline = None
        self.abandoned = self.withdrawn = self.waiting = self.taken = False
        self.written = 0
        self.value = self.error = None
        self.status = "done"

    @property
    def droppable(self) -> bool:
        """Whether nothing is lost when it never runs, or its result is dropped."""
        return self.request_class in ("look", "make")

    @property
    def reads(self) -> bool:
        """Whether it takes from a stream: nobody would have the bytes if its engine is gone."""
        return self.plan.operation.name in ("read", "readv", "read_bytes", "sendfile", "splice", "tee")

    @property
    def unwanted(self) -> bool:
        """Whether it shall not wait in poll(2). A write goes on without its engine."""
        return self.withdrawn or (self.abandoned and self.reads)

    def unpin(self) -> None:
        """Give the caller's buffers back. The worker must be done with them."""
        if self.plan.pins:
            release(self.arguments)
        self.arguments = ()

    def dispose(self, close: Any = os.close, finalizing: Any = sys.is_finalizing) -> None:
        """Have the descriptor closed that nobody took: by a worker, as a close may block."""
        if not self.plan.descriptor or self.taken or self.value is None:
            return
        fd, self.value = self.value, None
        if finalizing():  # no worker runs any more, and one may have the pool's lock
            close(fd)
        else:
            self.mailbox.closer.close(fd)


class DescriptorJob(Job):
    """One whose result is a descriptor.

    Only these have a finalizer: the exception of a signal's handler would be lost in it.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if hasattr(self, "taken"):  # not if an argument was wrong
            self.dispose()


class Closer(Protocol):
    """The pool, as far as a job knows it."""

    def close(self, fd: int) -> None:
        """Have a worker close a descriptor that nobody took."""

    def give_back(self, job: Any) -> None:
        """Give back the lock that *job* got and nobody took."""


class Queue:
    """Nine FIFO queues, one a priority. What was removed stays in its place and is passed over later."""

    def __init__(self) -> None:
        self._lanes: tuple[deque[Job], ...] = tuple(deque() for _ in range(LANES))
        self._live = 0  # jobs whose place is here
        self._dead = 0  # others that are still in a lane

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[Job]:
        return (job for lane in self._lanes for job in tuple(lane) if job.place is self)

    def push(self, job: Job) -> None:
        job.place = self
        self._live += 1
        self._lanes[HIGHEST - job.priority].append(job)

    def push_first(self, job: Job) -> None:
        """Have it taken before all others of its priority."""
        job.place = self
        self._live += 1
        self._lanes[HIGHEST - job.priority].appendleft(job)

    def found(self) -> list[Job]:
        """Return what is in the lanes, whatever the counts and places say."""
        return [job for lane in self._lanes for job in lane]

    def pop(self) -> Job | None:
        """Take the oldest of the highest priority."""
        for lane in self._lanes:
            if self._peel(lane):
                job = lane.popleft()
                job.place = None
                self._live -= 1
                return job
        return None

    def remove(self, job: Job) -> None:
        if job.place is not self:
            return
        job.place = None
        self._live -= 1
        self._dead += 1
        if self._dead > self._live + 64:
            self._compact()

    def oldest(self) -> float:
        """When the one that waits longest was queued; infinity if there is none."""
        return min((lane[0].since for lane in self._lanes if self._peel(lane)), default=float("inf"))

    def _peel(self, lane: deque[Job]) -> bool:
        while lane and lane[0].place is not self:
            lane.popleft()
            self._dead -= 1
        return bool(lane)

    def _compact(self) -> None:
        for lane in self._lanes:
            for _ in range(len(lane)):  # in place: a finalizer may push meanwhile
                job = lane.popleft()
                if job.place is self:
                    lane.append(job)
        self._dead = 0


class Mailbox:
    """What an engine shares with the workers. Call with the pool's lock held.

    The notifier's descriptor is readable exactly while `finished` is not empty, or `rung` is set.
    """

    def __init__(self, closer: Closer, notifier: Notifier | None) -> None:
        self.closer = closer  # of the descriptors that nobody takes
        self.finished = Queue()
        self.notifier = notifier  # None once the engine has gone
        self.rung = False  # the engine is to poll, since there is something to tell the logger
        self.queued = 0
        self.longest_wait = 0.0

    def post(self, job: Job) -> None:
        notifier = self.notifier
        if notifier is None:
            return
        self.finished.push(job)
        if len(self.finished) == 1 and not self.rung:
            notifier.set()

    def ring(self) -> None:
        if self.notifier is None or self.rung:
            return
        if not self.finished:
            self.notifier.set()
        self.rung = True

    def hush(self) -> None:
        """Undo `ring`."""
        self.rung = False
        self._clear_if_empty()

    def take(self) -> Job | None:
        job = self.finished.pop()
        if job is not None:
            self._clear_if_empty()
        return job

    def remove(self, job: Job) -> None:
        self.finished.remove(job)
        self._clear_if_empty()

    def restore(self, jobs: list[Job]) -> None:
        """Be as if all of *jobs*, and no others, had been posted and none taken. Those that were taken come first."""
        found = self.finished.found()
        wanted, there = set(jobs), set(found)
        finished = Queue()
        for job in [job for job in jobs if job not in there] + [job for job in found if job in wanted]:
            finished.push(job)
        self.finished = finished
        if self.notifier is not None:
            self.notifier.clear()
            if finished or self.rung:
                self.notifier.set()

    def _clear_if_empty(self) -> None:
        if not self.finished and not self.rung and self.notifier is not None:
            self.notifier.clear()

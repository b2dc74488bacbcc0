"""The pool's timer: tells when patience with a cancelled request has run out, and when to try waiting locks again.

Its thread lasts as long as there is something to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .job import Job
from .original import thread


class Timer:
    """Deadlines of jobs, and the next tick. Call with the pool's lock held."""

    def __init__(self, lock: Any, expire: Callable[[Job], None], tick: Callable[[], None]) -> None:
        self._lock = lock  # the pool's
        self._expire = expire  # these two are called with the lock held
        self._tick = tick
        self._jobs: list[Job] = []  # few: changes that were cancelled and still run
        self._next_tick: float | None = None
        self._wakeup = thread.allocate_lock()  # free when the thread shall look again
        self._wakeup.acquire()
        self._running = False

    def add(self, job: Job, seconds: float) -> None:
        """Expire *job* in *seconds*, or now if there is no thread to wait so long."""
        job.deadline = time.monotonic() + seconds
        self._jobs.append(job)
        if not self._look_again():
            self._jobs.remove(job)
            self._expire(job)

    def forget(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self._wake()

    def tick_in(self, seconds: float) -> bool:
        """Tick, once, in *seconds* at the latest; False: there is no thread to wait so long."""
        when = time.monotonic() + seconds
        if self._next_tick is not None and self._next_tick <= when:
            return True
        self._next_tick = when
        if self._look_again():
            return True
        self._next_tick = None
        return False

    def _look_again(self) -> bool:
        """Have the thread look at what is new; False: there is none and none can be started."""
        if self._running:
            self._wake()
            return True
        try:
            thread.start_new_thread(self._work, ())
        except (RuntimeError, MemoryError):
            return False
        self._running = True
        return True

    def _wake(self) -> None:
        if self._wakeup.locked():
            self._wakeup.release()

    def _work(self) -> None:
        while (delay := self._look()) is not None:
            self._wakeup.acquire(timeout=min(delay, thread.TIMEOUT_MAX))

    def _look(self) -> float | None:
        """Do what is due; return the seconds to wait, or None to end."""
        with self._lock:
            now = time.monotonic()
            for job in [job for job in self._jobs if _deadline(job) <= now]:
                self._jobs.remove(job)
                self._expire(job)
            if self._next_tick is not None and self._next_tick <= now:
                self._next_tick = None
                self._tick()
            events = [*map(_deadline, self._jobs), *([] if self._next_tick is None else [self._next_tick])]
            self._running = bool(events)
            return max(0.0, min(events) - now) if events else None


def _deadline(job: Job) -> float:
    assert job.deadline is not None, "only jobs with a deadline are added"
    return job.deadline

"""The pool's timer: tells when patience with a cancelled request has run out. Its thread lasts as long as deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ._original import thread
from ._pyjob import Job


class Timer:
    """Deadlines of jobs. Call with the pool's lock held."""

    def __init__(self, lock: Any, expire: Callable[[Job], None]) -> None:
        self._lock = lock  # the pool's
        self._expire = expire  # called with the lock held
        self._jobs: list[Job] = []  # few: changes that were cancelled and still run
        self._wakeup = thread.allocate_lock()  # free when the thread shall look again
        self._wakeup.acquire()
        self._running = False

    def add(self, job: Job, seconds: float) -> None:
        """Expire *job* in *seconds*, or now if there is no thread to wait so long."""
        job.deadline = time.monotonic() + seconds
        self._jobs.append(job)
        if self._running:
            self._wake()
            return
        try:
            thread.start_new_thread(self._work, ())
        except (RuntimeError, MemoryError):
            self._jobs.remove(job)
            self._expire(job)
            return
        self._running = True

    def forget(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self._wake()

    def _wake(self) -> None:
        if self._wakeup.locked():
            self._wakeup.release()

    def _work(self) -> None:
        while (delay := self._look()) is not None:
            self._wakeup.acquire(timeout=min(delay, thread.TIMEOUT_MAX))

    def _look(self) -> float | None:
        """Expire what is due; return the seconds to wait, or None to end."""
        with self._lock:
            now = time.monotonic()
            for job in [job for job in self._jobs if _deadline(job) <= now]:
                self._jobs.remove(job)
                self._expire(job)
            self._running = bool(self._jobs)
            return max(0.0, min(map(_deadline, self._jobs)) - now) if self._jobs else None


def _deadline(job: Job) -> float:
    assert job.deadline is not None, "only jobs with a deadline are added"
    return job.deadline

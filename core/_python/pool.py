"""The Python backend's pool: the queue, what becomes of the jobs in it, and the statistics.

One lock guards the queue, the mailboxes and the jobs' states; nothing is called with it held but the notifiers'
non-blocking writes and the start of a thread. It can be taken again by the thread that has it, since a signal's handler
or a finalizer may come in between; an engine's finalizer takes no lock at all. That handler may raise, which Python
lets it do after a call has returned: where two changes belong together, there is none between them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from copy import copy
from typing import Any

from .._opcodes import CLOSE
from .._request import Status
from .convert import PLANS
from .job import Job, Mailbox
from .listing import Abandoned, running
from .notifier import Notifier
from .original import thread
from .process import generation, process
from .stream import RUNNERS, Withdrawn
from .timer import Timer
from .waiting import LONGEST_TICK, File, LockJob, Taken, WaitingLocks
from .workers import Worker, Workers

EXIT_SLICE = 0.05  # seconds between two looks at the exit for what can be dropped
STUCK = 1.0  # seconds after which a call shows in the statistics


class Pool(Workers):
    """The worker threads. One is shared by the process's engines, unless an engine is given its own."""

    def __init__(
        self, *, max_parallel: int = 32, max_stuck: int | None = None, max_idle: int = 4, idle_timeout: float = 10.0
    ) -> None:
        super().__init__(
            count(max_parallel, "max_parallel"),
            None if max_stuck is None else count(max_stuck, "max_stuck"),
            count(max_idle, "max_idle"),
            seconds(idle_timeout, "idle_timeout"),
        )
        self.exit_timeout = 5.0
        self.generation = generation()
        self._timer = Timer(self._lock, self._expire, self._tick)
        self._locks = WaitingLocks(self._queue, self._timer)
        self._completions = 0
        self._drained: Any = None  # a lock that is released at each completion while `drain` waits
        self._longest_wait = 0.0
        process.enter(self)

    def __repr__(self) -> str:
        return f"<anyaio pool threads={self.nthreads}/{self._max_parallel}>"

    @property
    def max_parallel(self) -> int:
        return self._max_parallel

    @max_parallel.setter
    def max_parallel(self, value: int) -> None:
        self._max_parallel = count(value, "max_parallel")
        self._reconsider()

    @property
    def max_stuck(self) -> int | None:
        return self._max_stuck

    @max_stuck.setter
    def max_stuck(self, value: int | None) -> None:
        self._max_stuck = None if value is None else count(value, "max_stuck")
        self._look_after = 0.0
        self._reconsider()

    @property
    def max_idle(self) -> int:
        return self._max_idle

    @max_idle.setter
    def max_idle(self, value: int) -> None:
        self._max_idle = count(value, "max_idle")
        self._reconsider()

    @property
    def idle_timeout(self) -> float:
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, value: float) -> None:
        self._idle_timeout = seconds(value, "idle_timeout")
        self._reconsider()

    @property
    def nthreads(self) -> int:
        return len(self._workers)

    def stats(self) -> dict[str, Any]:
        with self._lock:
            now = time.monotonic()
            workers = self._calls()
            calls = [(worker.job, now - worker.begun) for worker in workers if worker.job is not None]
            return {
                "threads": len(self._workers),
                "idle": max(0, len(self._workers) - len(workers)),  # at the end, who submits is busy too
                "queued": len(self._queue),
                "running": len(workers),
                "waiting_locks": len(self._locks),
                "stuck": [
                    {"operation": job.plan.operation.name, "seconds": elapsed, "abandoned": job.abandoned}
                    for job, elapsed in calls
                    if elapsed > STUCK or job.abandoned
                ],
                "max_parallel": self._max_parallel,
                "max_stuck": self._most_stuck,
                "max_idle": self._max_idle,
                "idle_timeout": self._idle_timeout,
                "longest_wait": self._longest_wait,
                "start_failures": self._start_failures,
            }

    # ---- for engines ----

    def join(self, mailbox: Mailbox) -> None:
        """Keep workers for this mailbox's engine."""
        self._mailboxes.add(id(mailbox))

    def leave(self, mailbox: Mailbox) -> None:
        """The engine has gone. Takes no lock: a finalizer may come at any time."""
        self._mailboxes.discard(id(mailbox))
        if self._mailboxes:
            return
        try:
            worker = self._idle.pop()
        except IndexError:
            return
        worker.wakeup.release()

    def submit(self, job: Job) -> None:
        """Queue *job*; RuntimeError, and nothing is queued, if there is no thread and none can be started.

        At the interpreter's end this thread runs what is queued if nobody else comes to it.
        """
        with self._lock:
            job.since = time.monotonic()
            job.mailbox.queued += 1
            self._queue.push(job)
            self._call_worker()
            alone = self._leaving and not (self._looking or self._idle or self._standby)
            if not self._max_parallel or (self._workers and not alone):
                return
            if not alone:
                self._unqueue(job)
        if not alone:
            raise RuntimeError("cannot start a single worker thread")
        self._work_here()

    def post(self, job: Job) -> None:
        """Have *job* polled as if a worker had ended it."""
        with self._lock:
            job.state = "finished"
            job.mailbox.post(job)

    def cast_off(self, job: Job) -> None:
        """The submit of *job* was left by an exception, at whatever point."""
        with self._lock:
            if job.state == "queued":
                if job.place is not None:
                    self._queue.remove(job)
                job.state = "done"
                job.unpin()
                job.mailbox.queued = sum(other.mailbox is job.mailbox for other in (*self._queue, *self._locks))
            else:
                self.give_up(job)
            self._call_worker()
        job.dispose()

    def close(self, fd: int) -> None:
        """Have a worker close a descriptor that nobody took, or close it here if there is none. Finalizers call it."""
        if self.generation == generation() and not self._leaving:
            job = Job(PLANS[CLOSE], (fd,), Mailbox(self, None), 0)
            job.abandoned = True
            try:
                self.submit(job)
                return
            except RuntimeError:
                pass  # not one thread could be started
        os.close(fd)

    def give_back(self, job: LockJob) -> None:
        """Unlock at once what *job* got and nobody took."""
        if self.generation != generation():
            return  # the lock is the parent's as well
        file = self._locks.released_by(job)
        job.give_back()
        if file is not None:
            with self._lock:
                self._locks.release(file)
                self._call_worker()

    def take(self, mailbox: Mailbox) -> Job | None:
        """Return the next finished job and make it done."""
        with self._lock:
            job = mailbox.take()
            if job is not None:
                job.state = "done"
            return job

    def hush(self, mailbox: Mailbox) -> None:
        """What it was rung for is told."""
        with self._lock:
            mailbox.hush()

    def restore(self, mailbox: Mailbox, jobs: list[Job]) -> None:
        """Have those of an engine's jobs that have ended polled: an exception has come between them and their owner."""
        with self._lock:
            ended = [job for job in jobs if job.state in ("finished", "done")]
            for job in ended:
                job.state = "finished"
            mailbox.restore(ended)

    def take_back(self, job: Job, patience: float | None) -> Status | None:
        """Undo *job* if its class and state allow it. If not, the worker has *patience* seconds to end."""
        with self._lock:
            if job.state == "queued" and job.request_class != "must":
                self._unqueue(job)
                return "never ran"
            if job.state == "running":
                job.withdrawn = True
            if job.state == "running" and job.waiting and not job.written:
                self._abandon(job, "never ran")
                return "never ran"
            if job.state == "running" and job.wakeup is not None:
                job.wakeup.set()  # it ends at once, with what it has written
            if job.state == "running" and job.droppable:
                self._abandon(job, "abandoned")
                return "abandoned"
            if job.state == "finished" and job.droppable:
                job.mailbox.remove(job)
                job.state = "done"
                return "abandoned"
            if job.state == "finished" and isinstance(job, LockJob) and job.granted:
                job.mailbox.remove(job)
                job.state = "done"
                return "never ran"  # once it is disposed of
            self._set_deadline(job, patience)
            return None

    def give_up(self, job: Job) -> Status:
        """Wait for *job* no longer: a worker ends it, or has ended it."""
        with self._lock:
            if job.state == "finished":
                job.mailbox.remove(job)
                job.state = "done"
                return job.status
            self._abandon(job, "unknown")
            return "unknown"

    def _set_deadline(self, job: Job, patience: float | None) -> None:
        if patience is not None and job.deadline is None and job.state in ("queued", "running"):
            self._timer.add(job, patience)

    def _abandon(self, job: Job, status: Status) -> None:
        job.abandoned = True
        job.status = status
        job.state = "done"
        if job.wakeup is not None and job.unwanted:
            job.wakeup.set()

    def _unqueue(self, job: Job) -> None:
        self._queue.remove(job)
        job.mailbox.queued -= 1
        job.status = "never ran"
        job.state = "done"
        job.unpin()

    def _expire(self, job: Job) -> None:
        """Patience has run out: the engine is told; a worker has the job, or will have it."""
        if job.state not in ("queued", "running"):
            return
        if job.state == "queued":  # a close: what waits for a worker stands in one queue, what ended in another
            self._queue.remove(job)
            heir = copy(job)
            heir.abandoned, heir.deadline = True, None
            self._queue.push(heir)
        job.abandoned = True
        job.state = "finished"
        job.status = "unknown"
        job.mailbox.post(job)

    def _tick_in(self, seconds: float) -> None:
        self._timer.tick_in(seconds)

    def _tick(self) -> None:
        self._locks.tick()
        self._call_worker()
        self._find_news()

    # ---- the workers' side ----

    def _serve(self, worker: Worker) -> None:
        running.job = job = worker.job
        assert job is not None, "the worker has begun one"
        file = None if job.locks else self._locks.released_by(job)
        value, error = self._run(job)
        running.job = None
        while True:
            with self._lock:
                if error is not None or not isinstance(job, LockJob) or not job.locks or _is_wanted(job):
                    wanted = not self._end(worker, job, value, error, file)
                    break
            file = self._locks.released_by(job)
            job.give_back()
            error = Withdrawn()
        if wanted:
            # Whoever polls it shall be its only owner: with him go its descriptor and its error's traceback.
            del job, value, error
        else:
            job.unpin()
            _close_late(job, value)
        if self._locks.overdue:
            time.sleep(LONGEST_TICK)
            with self._lock:
                self._tick()

    def _begin(self, worker: Worker) -> bool:
        job = self._pop()
        if job is None:
            return False
        now = time.monotonic()
        self._looking -= 1
        self._busy.add(worker)
        worker.job, worker.begun = job, now
        job.mailbox.queued -= 1
        job.mailbox.longest_wait = max(job.mailbox.longest_wait, now - job.since)
        self._longest_wait = max(self._longest_wait, now - job.since)
        if not job.abandoned:
            job.state = "running"
        self._find_news()
        self._call_worker()
        return True

    def _pop(self) -> Job | None:
        while (job := self._queue.pop()) is not None:
            if job.abandoned and (job.droppable or job.locks):
                job.state = "done"  # its engine has gone
            elif not isinstance(job, LockJob) or self._locks.enter(job):
                break
        return job

    def _run(self, job: Job) -> tuple[Any, BaseException | None]:
        runner: Callable[[Job, Any], Any] | None = RUNNERS.get(job.plan.operation.name)
        try:
            if isinstance(job, LockJob):
                job.attempt()
                return None, None
            value = job.plan.call(job.arguments) if runner is None else runner(job, self)
            return value, None
        except (Withdrawn, Taken) as error:
            return None, error.with_traceback(None)
        except Abandoned:
            return None, None
        except BaseException as error:  # whatever it is, it is the caller's: `result()` raises it
            error.__traceback__ = None  # it would hold the pinned buffers
            if isinstance(error, OSError) and job.names:
                error.filename = job.names[0]
                if len(job.names) > 1:  # an assigned None would show in the message
                    error.filename2 = job.names[1]
            return None, error

    def _end(self, worker: Worker, job: Job, value: Any, error: BaseException | None, released: File | None) -> bool:
        """Hand over what a call gave; return True if nobody wants it. With the lock held."""
        self._busy.discard(worker)
        self._stuck.discard(worker)
        worker.job = None
        self._looking += 1
        if job.deadline is not None:
            self._timer.forget(job)
        set_aside = isinstance(error, Taken) and _is_wanted(job)
        if isinstance(job, LockJob):
            if set_aside:
                self._locks.set_aside(job)
            self._locks.leave(job)
        if released is not None:
            self._locks.release(released)
        if self._drained is not None and self._drained.locked():
            self._drained.release()
        if set_aside:
            return False
        self._completions += 1
        if job.abandoned:
            return True
        if isinstance(error, (Withdrawn, Taken)):
            job.status = "never ran"
        else:
            job.value, job.error = value, error
            job.status = "done" if error is None else "failed"
        if isinstance(job, LockJob) and job.locks and error is None:
            job.granted = True
            self._locks.granted()
        job.state = "finished"
        job.mailbox.post(job)
        return False

    def begin_waiting(self, job: Job, wakeup: Notifier | None) -> None:
        """The worker is about to sit in poll(2) for *job*, which can be taken back from now on."""
        with self._lock:
            job.waiting = True
            job.wakeup = wakeup

    def end_waiting(self, job: Job) -> bool:
        """The worker goes on with *job*; True: it was taken back."""
        with self._lock:
            job.waiting = False
            job.wakeup = None
            return job.unwanted

    # ---- exit ----

    def drain(self, timeout: float | None) -> None:
        """Drop looks, and reads that wait, then wait for changes as long as one ends every *timeout* seconds."""
        if timeout is None:
            timeout = self.exit_timeout
        self._drained = thread.allocate_lock()
        seen, last = self._completions, time.monotonic()
        while self._drop_looks() and (left := last + timeout - time.monotonic()) > 0:
            self._drained.acquire(timeout=min(left, EXIT_SLICE))
            if self._completions != seen:
                seen, last = self._completions, time.monotonic()

    def _drop_looks(self) -> bool:
        """Drop what nobody will have; return whether changes are left."""
        with self._lock:
            for job in [job for job in (*self._queue, *self._locks) if job.droppable or job.locks]:
                self._unqueue(job)
                if not job.abandoned:
                    job.state = "finished"
                    job.mailbox.post(job)
            calls = [worker.job for worker in self._calls() if worker.job is not None]
            for job in calls:
                if job.waiting and job.reads and not job.withdrawn:
                    job.withdrawn = True
                    if job.wakeup is not None:
                        job.wakeup.set()
            # What is held back by max_parallel=0 will not end by itself.
            return self._max_parallel > 0 and (len(self._queue) > 0 or any(not job.droppable for job in calls))


def default_pool() -> Pool:
    """The pool that engines share; a new one after fork."""
    if process.default is None:
        process.default = Pool()
    return process.default


def _is_wanted(job: Job) -> bool:
    """Whether no cancel has come while it ran."""
    return not (job.withdrawn or job.abandoned)


def _close_late(job: Job, value: Any) -> None:
    if job.plan.descriptor and value is not None:
        os.close(value)


def count(value: int, name: str) -> int:
    """Return a limit that is an int and not negative, or raise."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value


def seconds(value: float, name: str) -> float:
    """Return a time that is a number from 0 on, or raise."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__!r}")
    if not value >= 0:
        raise ValueError(f"{name} must be 0 or more, not {value}")
    return value

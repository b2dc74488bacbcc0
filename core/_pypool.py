"""The Python backend's worker threads.

One lock guards the queue, the mailboxes and the jobs' states; nothing is called with it held but the notifiers'
non-blocking writes and the start of a thread. It can be taken again by the thread that has it, since a signal's handler
or a finalizer may come in between; an engine's finalizer takes no lock at all. That handler may raise, which Python
lets it do after a call has returned: where two changes belong together, there is none between them.

A worker is *running* (in a call), *looking* (on its way to the queue), on *standby* or *idle*. Whoever finds work to be
done and nobody looking calls one worker. A called worker takes work only if those that run have been in their call
for a while, or the queue does not get shorter; otherwise it stands by and looks again a moment later. A thread too many
costs more than it brings, all the more where they share the interpreter's lock.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import weakref
from collections.abc import Callable
from typing import Any

from ._listing import Abandoned, running
from ._opcodes import CLOSE
from ._original import thread
from ._pyconvert import PLANS
from ._pyjob import Job, Mailbox, Queue
from ._pynotifier import Notifier
from ._pystream import RUNNERS, Withdrawn
from ._pytimer import Timer
from ._request import Status

CALL_GRACE = 0.001  # seconds after which a running call is taken for a slow one
QUEUE_GRACE = 0.005  # seconds of waiting after which a further worker helps
EXIT_SLICE = 0.05  # seconds between two looks at the exit for what can be dropped
STUCK = 1.0  # seconds after which a call shows in the statistics


class Worker:
    """A thread of the pool. All but `wakeup` is guarded by the pool's lock."""

    __slots__ = ("wakeup", "called", "job", "begun")

    def __init__(self) -> None:
        self.wakeup = thread.allocate_lock()  # released to wake it
        self.wakeup.acquire()
        self.called = True  # counted as looking, and woken or about to be
        self.job: Job | None = None  # what it runs
        self.begun = 0.0


class Pool:
    """The worker threads. One is shared by the process's engines, unless an engine is given its own."""

    def __init__(self, *, max_parallel: int = 32, max_idle: int = 4, idle_timeout: float = 10.0) -> None:
        self._lock = thread.RLock()
        self._max_parallel = _count(max_parallel, "max_parallel")
        self._max_idle = _count(max_idle, "max_idle")
        self._idle_timeout = _seconds(idle_timeout, "idle_timeout")
        self.exit_timeout = 5.0
        self.generation = _process.generation
        self._queue = Queue()
        self._workers: set[Worker] = set()
        self._busy: set[Worker] = set()  # in a call
        self._idle: list[Worker] = []  # the last to become idle is called first, so that others can end
        self._standby: Worker | None = None
        self._looking = 0  # workers on their way to the queue
        self._mailboxes: set[int] = set()  # ids of the engines' mailboxes
        self._timer = Timer(self._lock, self._expire)
        self._completions = 0
        self._drained: Any = None  # a lock that is released at each completion while `drain` waits
        self._longest_wait = 0.0
        self._start_failures = 0
        self._untold: tuple[int, BaseException] | None = None  # the first failure, and beside how many threads
        self._told = False
        self._leaving = False  # the interpreter is at its end and starts no thread
        _process.enter(self)

    def __repr__(self) -> str:
        return f"<anyaio pool threads={self.nthreads}/{self._max_parallel}>"

    @property
    def max_parallel(self) -> int:
        return self._max_parallel

    @max_parallel.setter
    def max_parallel(self, value: int) -> None:
        self._max_parallel = _count(value, "max_parallel")
        self._reconsider()

    @property
    def max_idle(self) -> int:
        return self._max_idle

    @max_idle.setter
    def max_idle(self, value: int) -> None:
        self._max_idle = _count(value, "max_idle")
        self._reconsider()

    @property
    def idle_timeout(self) -> float:
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, value: float) -> None:
        self._idle_timeout = _seconds(value, "idle_timeout")
        self._reconsider()

    @property
    def nthreads(self) -> int:
        return len(self._workers)

    def stats(self) -> dict[str, Any]:
        with self._lock:
            now = time.monotonic()
            calls = [(worker.job, now - worker.begun) for worker in self._busy if worker.job is not None]
            return {
                "threads": len(self._workers),
                "idle": max(0, len(self._workers) - len(self._busy)),  # at the end, who submits is busy too
                "queued": len(self._queue),
                "running": len(self._busy),
                "stuck": [
                    {"operation": job.plan.operation.name, "seconds": seconds, "abandoned": job.abandoned}
                    for job, seconds in calls
                    if seconds > STUCK or job.abandoned
                ],
                "max_parallel": self._max_parallel,
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

    def cast_off(self, job: Job) -> None:
        """The submit of *job* was left by an exception, at whatever point."""
        with self._lock:
            if job.state == "queued":
                if job.place is not None:
                    self._queue.remove(job)
                job.state = "done"
                job.unpin()
                job.mailbox.queued = sum(other.mailbox is job.mailbox for other in self._queue)
            else:
                self.give_up(job)
            self._call_worker()
        job.dispose()

    def tell(self) -> None:
        """Log, once, that a thread could not be started. Called without the lock."""
        failure, self._untold = self._untold, None
        if failure is not None and not self._told:
            self._told = True
            logging.getLogger("anyaio").warning("cannot start a thread beside %d: %s", *failure)

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

    def take(self, mailbox: Mailbox) -> Job | None:
        """Return the next finished job and make it done."""
        with self._lock:
            job = mailbox.take()
            if job is not None:
                job.state = "done"
            return job

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
        if patience is None or job.deadline is not None:
            return
        if job.state == "running":
            self._timer.add(job, patience)
        elif job.state == "queued" and job.patience is None:
            job.patience = patience

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
        """Patience has run out: the engine is told, the worker keeps the job."""
        if job.state != "running":
            return
        job.abandoned = True
        job.state = "finished"
        job.status = "unknown"
        job.mailbox.post(job)

    # ---- who works: with the lock held ----

    def _call_worker(self) -> None:
        """See to it that somebody looks at the queue."""
        if self._looking or not self._queue:
            return
        if self._standby is not None and self._is_brisk():
            return  # it looks again in a moment
        if self._standby is not None or self._idle:
            self._call()
        elif len(self._workers) < self._max_parallel:
            self._start()

    def _call(self) -> None:
        """Call the worker that stands by or, if there is none, an idle one."""
        worker, self._standby = self._standby, None
        if worker is None:
            worker = self._idle[-1]
            del self._idle[-1]
        worker.called = True
        self._looking += 1
        worker.wakeup.release()

    def _reconsider(self) -> None:
        """Limits have changed, or the last engine has gone."""
        with self._lock:
            while self._idle:
                self._call()
            self._call_worker()

    def _start(self) -> None:
        worker = Worker()
        self._workers |= {worker}
        self._looking += 1
        try:
            thread.start_new_thread(self._work, (worker,))
        except (RuntimeError, MemoryError) as error:
            self._workers.discard(worker)
            self._looking -= 1
            self._start_failures += 1
            # From 3.12 on none can be started when the handlers of atexit run. Nothing else tells that.
            self._leaving = self._leaving or "interpreter shutdown" in str(error)
            if self._untold is None and not self._leaving:
                self._untold = len(self._workers), error

    def _is_brisk(self) -> bool:
        """Whether a running call has just begun."""
        recently = time.monotonic() - CALL_GRACE
        return any(worker.begun > recently for worker in self._busy)

    def _needs_help(self) -> bool:
        return not self._is_brisk() or self._queue.oldest() < time.monotonic() - QUEUE_GRACE

    # ---- the workers' side ----

    def _work(self, worker: Worker) -> None:
        _prepare_thread()
        eager = False
        while self._next(worker, eager):
            self._serve(worker)
            eager = True

    def _serve(self, worker: Worker) -> None:
        running.job = job = worker.job
        assert job is not None, "the worker has begun one"
        value, error = self._run(job)
        running.job = None
        with self._lock:
            if not self._end(worker, job, value, error):
                # Whoever polls it shall be its only owner: with him go its descriptor and its error's traceback.
                del job, value, error
                return
        job.unpin()
        _close_late(job, value)

    def _work_here(self) -> None:
        """Do the work of the worker that cannot be started."""
        worker = Worker()
        with self._lock:
            self._looking += 1
        while True:
            with self._lock:
                if not self._begin(worker):
                    self._looking -= 1
                    return
            self._serve(worker)

    def _next(self, worker: Worker, eager: bool) -> bool:
        """Wait for a job and begin it; False: end this thread. A worker that has just ended a call is *eager*."""
        timed_out = False
        while True:
            with self._lock:
                worker.called = False
                if self._is_surplus(timed_out):
                    self._retire(worker)
                    return False
                if (eager or self._needs_help()) and self._begin(worker):
                    return True
                timeout = self._rest(worker)
            eager = False
            woken = worker.wakeup.acquire(timeout=timeout)
            with self._lock:
                timed_out = self._rise(worker, woken)

    def _is_surplus(self, timed_out: bool) -> bool:
        if len(self._workers) > self._max_parallel:
            return True
        if self._queue:
            return False
        return not self._mailboxes or (timed_out and len(self._idle) >= self._max_idle)

    def _retire(self, worker: Worker) -> None:
        self._looking -= 1
        self._workers.discard(worker)
        if not self._mailboxes:
            while self._idle:
                self._call()
        self._call_worker()

    def _begin(self, worker: Worker) -> bool:
        job = self._queue.pop()
        while job is not None and job.abandoned and job.droppable:
            job.state = "done"  # its engine has gone
            job = self._queue.pop()
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
            self._set_deadline(job, job.patience)
        self._call_worker()
        return True

    def _rest(self, worker: Worker) -> float:
        """Stand by or be idle; return for how long, -1 for ever."""
        self._looking -= 1
        if self._queue and self._standby is None:
            self._standby = worker
            return CALL_GRACE
        self._idle.append(worker)
        if not self._mailboxes:
            return 0.0  # the last engine went this moment and found nobody idle
        return min(self._idle_timeout, thread.TIMEOUT_MAX) if len(self._idle) > self._max_idle else -1

    def _rise(self, worker: Worker, woken: bool) -> bool:
        """Be looking again, called or not; return whether it was idle for its time."""
        if worker.called:
            if not woken:  # called at the very moment its time was over
                worker.wakeup.acquire()
            return False
        self._looking += 1
        was_idle = worker in self._idle
        if was_idle:
            self._idle.remove(worker)
        elif self._standby is worker:
            self._standby = None
        elif not woken:  # an engine's finalizer took it from the list and is about to wake it
            worker.wakeup.acquire()
        return was_idle

    def _run(self, job: Job) -> tuple[Any, BaseException | None]:
        runner: Callable[[Job, Any], Any] | None = RUNNERS.get(job.plan.operation.name)
        try:
            value = job.plan.call(job.arguments) if runner is None else runner(job, self)
            return value, None
        except Withdrawn as error:
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

    def _end(self, worker: Worker, job: Job, value: Any, error: BaseException | None) -> bool:
        """Hand over what a call gave; return True if nobody wants it. With the lock held."""
        self._busy.discard(worker)
        worker.job = None
        self._looking += 1
        self._completions += 1
        if job.deadline is not None:
            self._timer.forget(job)
        if self._drained is not None and self._drained.locked():
            self._drained.release()
        if job.abandoned:
            return True
        if isinstance(error, Withdrawn):
            job.status = "never ran"
        else:
            job.value, job.error = value, error
            job.status = "done" if error is None else "failed"
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
            for job in [job for job in self._queue if job.droppable]:
                self._unqueue(job)
                if not job.abandoned:
                    job.state = "finished"
                    job.mailbox.post(job)
            calls = [worker.job for worker in self._busy if worker.job is not None]
            for job in calls:
                if job.waiting and job.reads and not job.withdrawn:
                    job.withdrawn = True
                    if job.wakeup is not None:
                        job.wakeup.set()
            # What is held back by max_parallel=0 will not end by itself.
            return self._max_parallel > 0 and (len(self._queue) > 0 or any(not job.droppable for job in calls))


class Process:
    """What belongs to this process alone: a forked child starts anew and leaves the parent's pools untouched."""

    def __init__(self) -> None:
        self.generation = 0
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self.default: Pool | None = None
        self._hooked = False

    def enter(self, pool: Pool) -> None:
        if not self._hooked:
            self._hooked = True
            os.register_at_fork(after_in_child=self._start_anew)
        self.pools.add(pool)

    def _start_anew(self) -> None:
        self.generation += 1
        _abandoned.append((self.pools, self.default))
        self.pools = weakref.WeakSet()
        self.default = None


_process = Process()
_abandoned: list[object] = []  # the parent's pools, in a child: never freed, for their locks may be held


def generation() -> int:
    """Return a number that is another one in a forked child."""
    return _process.generation


def default_pool() -> Pool:
    """The pool that engines share; a new one after fork."""
    if _process.default is None:
        _process.default = Pool()
    return _process.default


def drain(timeout: float | None = None) -> None:
    """At exit: drop queued looks, wait for changes while completions arrive. Registered with atexit."""
    for pool in list(_process.pools):
        pool.drain(timeout)


def _prepare_thread() -> None:
    """Leave signals to the loop's thread, and show under our name in ``ps``."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with open(f"/proc/self/task/{thread.get_native_id()}/comm", "w") as comm:
            comm.write("anyaio")
    except OSError:
        pass  # no /proc here: a name is not worth more


def _close_late(job: Job, value: Any) -> None:
    if job.plan.descriptor and value is not None:
        os.close(value)


def _count(value: int, name: str) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value


def _seconds(value: float, name: str) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__!r}")
    if not value >= 0:
        raise ValueError(f"{name} must be 0 or more, not {value}")
    return value

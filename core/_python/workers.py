"""The threads of the Python backend's pool: how many there are, and which of them looks at the queue.

A worker is *running* (in a call), *looking* (on its way to the queue), on *standby* or *idle*. Whoever finds work to be
done and nobody looking calls one worker. A called worker takes work only if those that run have been in their call
for a while, or the queue does not get shorter; otherwise it stands by and looks again a moment later. A thread too many
costs more than it brings, all the more where they share the interpreter's lock.

A call that has lasted for STUCK_AFTER is *stuck*, such as the open of a FIFO that nobody writes to: up to `max_stuck`
of them leave their place to another worker. When they end there is one too many, and it goes.
"""

from __future__ import annotations

import logging
import math
import signal
import time

from .job import Job, Queue
from .original import thread

CALL_GRACE = 0.001  # seconds after which a running call is taken for a slow one
QUEUE_GRACE = 0.005  # seconds of waiting after which a further worker helps
STUCK_AFTER = 0.1  # seconds: ten times what a disk needs, so that slow calls are not taken for stuck ones
WORTH_TELLING = 5.0  # seconds after which stuck calls that fill the pool are told to the logger


class Worker:
    """A thread of the pool. All but `wakeup` is guarded by the pool's lock."""

    __slots__ = ("wakeup", "called", "job", "begun")

    def __init__(self) -> None:
        self.wakeup = thread.allocate_lock()  # released to wake it
        self.wakeup.acquire()
        self.called = True  # counted as looking, and woken or about to be
        self.job: Job | None = None  # what it runs
        self.begun = 0.0


class Workers:
    """The pool, as far as its threads are concerned. Called with its lock held, but for what a thread runs."""

    def __init__(self, max_parallel: int, max_stuck: int | None, max_idle: int, idle_timeout: float) -> None:
        self._lock = thread.RLock()
        self._queue = Queue()
        self._max_parallel = max_parallel
        self._max_stuck = max_stuck
        self._max_idle = max_idle
        self._idle_timeout = idle_timeout
        self._workers: set[Worker] = set()
        self._busy: set[Worker] = set()  # in a call,
        self._stuck: set[Worker] = set()  # in one that was found to be stuck: each request looks through the others
        self._idle: list[Worker] = []  # the last to become idle is called first, so that others can end
        self._standby: Worker | None = None
        self._looking = 0  # workers on their way to the queue
        self._mailboxes: set[int] = set()  # ids of the engines' mailboxes
        self._start_failures = 0
        self._untold: tuple[int, BaseException] | None = None  # the first failure, and beside how many threads
        self._told = False
        self._look_after = 0.0  # no further call is stuck before
        self._tell_after = math.inf  # when it is time to tell of stuck calls
        self._told_stuck = False  # since there are some
        self._untold_stuck = False
        self._leaving = False  # the interpreter is at its end and starts no thread

    # ---- what the pool does in a thread ----

    def _begin(self, worker: Worker) -> bool:
        """Take a job, if there is one, and be busy with it."""
        raise NotImplementedError

    def _serve(self, worker: Worker) -> None:
        """Do the job that has begun, without the lock, and look for another."""
        raise NotImplementedError

    def _tick_in(self, seconds: float) -> None:
        """Have `_call_worker` called, and what is worth telling found, in that time."""
        raise NotImplementedError

    # ---- who works ----

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
        elif self._max_parallel and time.monotonic() >= self._look_after:
            self._look_for_stuck()

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
        """Limits have changed, or the last engine has gone. Called without the lock."""
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

    def tell(self) -> None:
        """Log, once, that a thread could not be started. Called without the lock."""
        failure, self._untold = self._untold, None
        if failure is not None and not self._told:
            self._told = True
            logging.getLogger("anyaio").warning("cannot start a thread beside %d: %s", *failure)
        if self._untold_stuck:
            self._untold_stuck = False
            self._tell_stuck()

    # ---- calls that do not end ----

    def _calls(self) -> set[Worker]:
        return self._busy | self._stuck

    @property
    def _most_stuck(self) -> int:
        return 2 * self._max_parallel if self._max_stuck is None else self._max_stuck

    def _ceiling(self) -> int:
        """How many threads there may be now."""
        return self._max_parallel and self._max_parallel + min(len(self._stuck), self._most_stuck)

    def _look_for_stuck(self) -> None:
        """All threads are busy: start another one in the place of a stuck one, or look again in time."""
        now = time.monotonic()
        late = {worker for worker in self._busy if worker.begun <= now - STUCK_AFTER}
        self._stuck |= late  # an interruption may leave some in both
        self._busy -= late
        if len(self._workers) < self._ceiling():
            self._start()
            return
        self._look_after = min([now, *(worker.begun for worker in self._busy)]) + STUCK_AFTER
        oldest = min((worker.begun for worker in self._stuck), default=now)
        if oldest > now - WORTH_TELLING:
            self._told_stuck = False
        self._tell_after = math.inf if self._told_stuck else oldest + WORTH_TELLING
        self._find_news()
        self._tick_in(self._look_after - now)

    def _find_news(self) -> None:
        """See to it that somebody who polls tells the logger of stuck calls, if it is time."""
        if time.monotonic() < self._tell_after:
            return
        self._tell_after = math.inf
        limit = time.monotonic() - WORTH_TELLING
        if len(self._calls()) < self._max_parallel or not any(worker.begun <= limit for worker in self._stuck):
            return
        self._told_stuck = self._untold_stuck = True
        for job in self._queue:
            job.mailbox.ring()
            break

    def _tell_stuck(self) -> None:
        with self._lock:
            calls = [(worker.begun, worker.job.plan.operation.name) for worker in self._stuck if worker.job is not None]
            queued = len(self._queue)
        if calls:
            begun, name = min(calls)
            logging.getLogger("anyaio").warning(
                "%d calls are stuck, the longest of them, %s, for %d s; up to max_stuck=%d do not count against "
                "max_parallel=%d; %d requests wait for a thread",
                *(len(calls), name, time.monotonic() - begun, self._most_stuck, self._max_parallel, queued),
            )

    def _is_brisk(self) -> bool:
        """Whether a running call has just begun."""
        recently = time.monotonic() - CALL_GRACE
        return any(worker.begun > recently for worker in self._busy)

    def _needs_help(self) -> bool:
        return not self._is_brisk() or self._queue.oldest() < time.monotonic() - QUEUE_GRACE

    # ---- the threads' side ----

    def _work(self, worker: Worker) -> None:
        _prepare_thread()
        eager = False
        while self._next(worker, eager):
            self._serve(worker)
            eager = True

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
        if len(self._workers) > self._max_parallel and len(self._workers) > self._ceiling():
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


def _prepare_thread() -> None:
    """Leave signals to the loop's thread, and show under our name in ``ps``."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with open(f"/proc/self/task/{thread.get_native_id()}/comm", "w") as comm:
            comm.write("anyaio")
    except OSError:
        pass  # no /proc here: a name is not worth more

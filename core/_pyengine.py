"""The engine in Python: for where the native one cannot be built. Same face, same behaviour: `_engine.pyi`.

A request here is what its caller sees; the job behind it is what a worker sees (`_pyjob.py`). The pool holds jobs only,
so that an engine, its callbacks and its waiters are never kept alive by a call that does not end. All of this module
but finalizers runs on the engine's own thread.
"""

from __future__ import annotations

import contextvars
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from . import _opcodes
from ._listing import DirEntry as DirEntry
from ._ops import OPERATIONS
from ._original import select, thread
from ._pyconvert import PLANS
from ._pyjob import DescriptorJob, Job, Mailbox
from ._pynotifier import Notifier
from ._pypool import Pool as Pool
from ._pypool import default_pool as default_pool
from ._pypool import drain as drain
from ._pypool import generation
from ._request import Cancelled, Outcome, State, Status
from ._request import Request as BaseRequest

T = TypeVar("T")

NAME: Final = "python"
FINGERPRINT: Final = _opcodes.FINGERPRINT

LANES = ("auto", "pool")

_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) takes


class Request(BaseRequest[T]):
    """A request of the Python backend."""

    __slots__ = (
        "_job", "_engine", "_patience", "_callback", "_context", "_waiter", "_status", "_cancelled", "__weakref__",
    )  # fmt: skip

    _job: Job
    _engine: weakref.ref[Engine]
    _patience: float | None
    _callback: Callable[[BaseRequest[T]], object] | None
    _context: contextvars.Context | None  # of the submit, for the callback
    _waiter: Any
    _status: Status | None  # what it did; None until it is done
    _cancelled: bool

    def __init__(self, job: Job, engine: weakref.ref[Engine], patience: float | None) -> None:
        self._job = job
        self._engine = engine
        self._patience = patience
        self._callback = self._context = self._waiter = self._status = None
        self._cancelled = False

    def __repr__(self) -> str:
        return f"<anyaio request {self.operation} {self.state}>"

    @property
    def operation(self) -> str:
        return self._job.plan.operation.name

    @property
    def priority(self) -> int:
        return self._job.priority

    @property
    def state(self) -> State:
        return self._job.state if self._status is None else "done"

    @property
    def outcome(self) -> Outcome | None:
        job = self._job
        if self._status == "done":
            return Outcome("done", job.value if job.taken or not job.plan.descriptor else None)
        if self._status == "failed":
            return Outcome("failed", error=job.error)
        return None if self._status is None else Outcome(self._status)

    @property
    def callback(self) -> Callable[[BaseRequest[T]], object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[[BaseRequest[T]], object] | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__!r}")
        if self._status is not None:
            raise RuntimeError(f"{self.operation} is done: a callback would never run")
        if self._context is None and callback is not None:
            self._context = contextvars.copy_context()
        self._callback = callback

    def cancel(self) -> bool:
        return self._take_back(wake=True)

    def withdraw(self) -> bool:
        return self._take_back(wake=False)

    def attach(self, waiter: Any) -> None:
        engine = self._checked_engine()
        if self._status is None:
            self._waiter = waiter
        elif engine is not None:
            engine._wake(waiter)

    def abandon(self) -> None:
        engine = self._checked_engine()
        if engine is None or self._status is not None or self._take_back(wake=True):
            return
        engine._hand_over(self, engine._pool.give_up(self._job))

    def settle(self, error: BaseException) -> None:
        engine = self._checked_engine()
        if engine is not None and self._status is None and not self._take_back(wake=False):
            self._finish(engine, engine._pool.give_up(self._job))
        self._cancelled = True
        self._job.dispose()
        error.outcome = self.outcome  # type: ignore[attr-defined]  # the adapters' exceptions have a dict
        if self._status == "failed":
            error.__cause__ = self._job.error

    def result(self) -> T:
        if self._status is None:
            raise RuntimeError(f"{self!r} has no result yet")
        if self._cancelled or self._status not in ("done", "failed"):
            raise Cancelled(outcome=self.outcome)
        job = self._job
        if job.error is None:
            job.taken = True
            return job.value  # type: ignore[no-any-return]  # what the operation returns
        try:
            raise job.error.with_traceback(None)
        finally:
            del self, job  # the traceback must not lead back to the request that holds the error

    def _forsake(self) -> None:
        """Be done because the engine goes: from a finalizer, without a lock."""
        job = self._job
        job.abandoned = self._cancelled = True
        self._status = "abandoned" if job.droppable else "unknown"
        if job.unwanted and (wakeup := job.wakeup) is not None:
            wakeup.set()

    def _checked_engine(self) -> Engine | None:
        engine = self._engine()
        if engine is not None:
            engine._check()
        return engine

    def _take_back(self, wake: bool) -> bool:
        engine = self._checked_engine()
        if engine is None or self._status is not None:
            return False
        try:
            engine._restore()
            status = engine._pool.take_back(self._job, self._patience)
            if status is None:
                return False
            self._cancelled = True
            self._job.dispose()
            self._end(engine, status, wake)
        except BaseException:
            engine._disturbed = True
            raise
        return True

    def _end(self, engine: Engine, status: Status, wake: bool) -> None:
        """Be done as a cancelled request."""
        self._cancelled = True
        waiter, *_ = self._finish(engine, status)
        if wake and waiter is not None:
            engine._wake(waiter)

    def _finish(self, engine: Engine, status: Status) -> tuple[Any, Any, contextvars.Context | None]:
        """Be done; return the waiter to wake, the callback to call and its context."""
        if not self._job.abandoned:
            self._job.unpin()
        told = self._waiter, self._callback, self._context
        # No call from here on until somebody is told: a signal's handler may raise after each.
        if self._status is not None:
            return None, None, None  # such a handler has polled
        self._status = status
        self._waiter = self._callback = self._context = None
        del engine._requests[self._job]
        return told


class Submitter:
    """An engine's way in, with the options of one view."""

    __slots__ = ("_engine", "priority", "patience", "lane")

    def __init__(self, engine: Engine, priority: int, patience: float | None, lane: str) -> None:
        self._engine = engine
        self.priority: Final = priority
        self.patience: Final = patience
        self.lane: Final = lane

    def __call__(self, operation: int, /, *arguments: Any) -> Any:
        return self._engine._submit(operation, arguments, self.priority, self.patience)

    def queue(
        self, operation: int, callback: Callable[[BaseRequest[Any]], object] | None, /, *arguments: Any
    ) -> Request[Any]:
        return self._engine._queue_request(operation, callback, arguments, self.priority, self.patience)


class Engine:
    """A notifier descriptor and the requests of one thread."""

    wake: Callable[[Any], object] | None = None
    on_error: Callable[[BaseException, BaseRequest[Any]], object] | None = None
    max_poll_reqs: int = 0
    max_poll_time: float = 0.005

    _mailbox: Mailbox | None = None  # None before it is made, for the finalizer
    _closed = False
    _disturbed = False  # an exception has left a method: what was taken may not have been handed over

    def __init__(self, pool: Pool | None = None) -> None:
        if pool is not None and not isinstance(pool, Pool):
            raise TypeError(f"pool must be a Pool of the same backend, not {type(pool).__name__!r}")
        self._generation = generation()
        self._thread = thread.get_ident()
        self._pool = default_pool() if pool is None else pool
        if self._pool.generation != self._generation:
            raise RuntimeError("this pool was made before fork; make a new one in the child")
        self._requests: dict[Job, Request[Any]] = {}  # those that are not done
        self._counts = [0] * len(OPERATIONS)
        self._weak: weakref.ref[Engine] = weakref.ref(self)
        self._mailbox = Mailbox(self._pool, Notifier())
        self._pool.join(self._mailbox)

    def __repr__(self) -> str:
        if self._closed:
            return "<anyaio engine shut down>"
        return f"<anyaio engine fd={self.fileno()} nreqs={self.nreqs}>"

    def fileno(self) -> int:
        if self._closed or self._mailbox is None or self._mailbox.notifier is None:
            raise ValueError("this engine was shut down")
        return self._mailbox.notifier.fd

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def pool(self) -> Pool:
        return self._pool

    @property
    def nreqs(self) -> int:
        return len(self._requests)

    @property
    def nready(self) -> int:
        return self._mailbox.queued if self._mailbox is not None else 0

    @property
    def npending(self) -> int:
        return len(self._mailbox.finished) if self._mailbox is not None else 0

    def submitter(self, *, priority: int = 0, patience: float | None = 5.0, lane: str = "auto") -> Submitter:
        if not isinstance(priority, int):
            raise TypeError(f"priority must be an int, not {type(priority).__name__!r}")
        if not -4 <= priority <= 4:
            raise ValueError(f"priority must be from -4 to 4, not {priority}")
        if patience is not None and not isinstance(patience, (int, float)):
            raise TypeError(f"patience must be a number or None, not {type(patience).__name__!r}")
        if patience is not None and not patience >= 0:
            raise ValueError(f"patience must be 0 or more, not {patience}")
        if lane not in LANES:
            raise ValueError(f"lane must be 'auto' or 'pool', not {lane!r}")
        return Submitter(self, priority, patience, lane)

    def queue(
        self, operation: int, callback: Callable[[BaseRequest[Any]], object] | None, /, *arguments: Any
    ) -> Request[Any]:
        return self._queue_request(operation, callback, arguments, 0, 5.0)

    def poll(self) -> int:
        self._check()
        if self._closed or self._mailbox is None:
            return 0
        self._pool.tell()
        try:
            return self._poll(self._mailbox)
        except BaseException:
            self._disturbed = True
            raise

    def _poll(self, mailbox: Mailbox) -> int:
        self._restore()
        stop = time.monotonic() + self.max_poll_time if self.max_poll_time > 0 else float("inf")
        handled = 0
        while (job := self._pool.take(mailbox)) is not None:
            handled += 1
            self._hand_over(self._requests.get(job), job.status)
            if handled == self.max_poll_reqs or time.monotonic() >= stop or self._closed:
                break
            if self._generation != generation():
                break  # a callback has forked, and this is the child
        del job  # as in `_hand_over`
        return handled

    def _restore(self) -> None:
        """Have everything polled that has ended, also what an exception has cut off from its owner."""
        if self._disturbed and self._mailbox is not None:
            self._pool.restore(self._mailbox, list(self._requests))
            self._disturbed = False

    def wait(self, timeout: float | None = None) -> bool:
        self._check()
        if not self._requests or self._closed:
            return False
        self._restore()
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        # Rounded up: a wait must not end before its time. poll(2) is tried again after signals, whose handlers run.
        return bool(poller.poll(None if timeout is None else min(max(0.0, timeout) * 1000, _LONGEST)))

    def flush(self) -> None:
        while self.wait():
            self.poll()

    def shutdown(self) -> None:
        if self._closed:
            return
        if self._generation != generation():
            self._closed = True
            self._close_notifier()
            return
        self._check()
        self._restore()
        self._closed = True
        waiters = []
        for request in list(self._requests.values()):
            job = request._job
            status = self._pool.take_back(job, None) if job.droppable or (job.waiting and job.reads) else None
            status = status or self._pool.give_up(job)
            waiter, *_ = request._finish(self, status)
            if status not in ("done", "failed"):  # what had finished keeps its result
                request._cancelled = True
                job.dispose()
            if waiter is not None:
                waiters.append(waiter)
        self._close_notifier()
        for waiter in waiters:
            self._wake(waiter)

    def stats(self) -> dict[str, Any]:
        states = [request._job.state for request in self._requests.values()]
        return {
            "requests": {row.name: count for row, count in zip(OPERATIONS, self._counts, strict=True) if count},
            "queued": states.count("queued"),
            "running": states.count("running"),
            "finished": states.count("finished"),
            "lanes": {"pool": sum(self._counts), "inline": 0},
            "longest_wait": self._mailbox.longest_wait if self._mailbox is not None else 0.0,
        }

    def __del__(self) -> None:
        """As a shutdown that wakes nobody. It may come on any thread, with any lock held: it takes none."""
        if self._mailbox is None or self._closed:
            return
        if self._generation == generation():
            for request in self._requests.values():
                request._forsake()
            self._pool.leave(self._mailbox)
        self._closed = True  # whoever still has it is a finalizer
        self._mailbox.notifier = None  # a worker may be about to write to it: the last who holds it closes it

    def _close_notifier(self) -> None:
        assert self._mailbox is not None
        self._pool.leave(self._mailbox)
        self._mailbox.notifier = None

    def _submit(
        self, operation: int, arguments: tuple[Any, ...], priority: int, patience: float | None
    ) -> Request[Any]:
        self._check()
        if self._closed or self._mailbox is None:
            raise RuntimeError("this engine was shut down")
        plan = PLANS[operation]
        job = (DescriptorJob if plan.descriptor else Job)(plan, arguments, self._mailbox, priority)
        request: Request[Any] = Request(job, self._weak, patience)
        self._requests[job] = request
        try:
            self._pool.submit(job)
        except BaseException:
            self._requests.pop(job, None)
            self._pool.cast_off(job)
            raise
        self._counts[operation] += 1
        return request

    def _queue_request(
        self,
        operation: int,
        callback: Callable[[BaseRequest[Any]], object] | None,
        arguments: tuple[Any, ...],
        priority: int,
        patience: float | None,
    ) -> Request[Any]:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__!r}")
        request = self._submit(operation, arguments, priority, patience)
        if callback is not None:
            request.callback = callback
        return request

    def _wake(self, waiter: Any) -> None:
        if self.wake is not None:
            self.wake(waiter)

    def _hand_over(self, request: Request[Any] | None, status: Status) -> None:
        if request is None:  # a signal's handler has polled, or has left the submit with an exception
            return
        waiter, callback, context = request._finish(self, status)
        try:
            if waiter is not None:
                self._wake(waiter)
            if context is not None and callback is not None:
                context.run(callback, request)
        except Exception as error:
            self._report(error, request)
        finally:
            # The traceback of an error that the callback met and kept leads here, and must not go on to the request.
            del request, waiter, callback, context

    def _report(self, error: Exception, request: Request[Any]) -> None:
        if self.on_error is None:
            _unraisable(error, request)
            return
        try:
            self.on_error(error, request)
        except Exception as another:
            _unraisable(another, request)

    def _check(self) -> None:
        if self._generation != generation():
            raise RuntimeError("this engine was made before fork; make a new one in the child")
        if self._thread != thread.get_ident():
            raise RuntimeError("an engine can only be used in the thread that made it")


def _unraisable(error: BaseException, request: Request[Any]) -> None:
    # The type of the hook's argument has no public name.
    arguments = next(kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs")
    message = f"Exception ignored in the callback of {request!r}"
    sys.unraisablehook(arguments((type(error), error, error.__traceback__, message, request)))  # type: ignore[arg-type]

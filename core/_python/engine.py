"""The engine in Python: for where the native one cannot be built. Same face, same behaviour: `_engine.pyi`.

A request is what its caller sees (`request.py`); the job behind it is what a worker sees (`job.py`). The pool
holds jobs only, so that an engine, its callbacks and its waiters are never kept alive by a call that does not end. All
of this module but finalizers runs on the engine's own thread.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from .. import _opcodes
from .._ops import OPERATIONS
from .._request import Request as BaseRequest
from .._request import Status
from .convert import PLANS
from .job import DescriptorJob, Job, Mailbox
from .listing import DirEntry as DirEntry
from .notifier import Notifier
from .original import select, thread
from .pool import Pool as Pool
from .pool import count, seconds
from .pool import default_pool as default_pool
from .process import drain as drain
from .process import generation
from .request import Request as Request
from .route import Route as Route
from .waiting import LockJob, is_lock

NAME: Final = "python"
FINGERPRINT: Final = _opcodes.FINGERPRINT

LANES = ("auto", "pool")

JOBS = tuple(LockJob if is_lock(plan) else DescriptorJob if plan.descriptor else Job for plan in PLANS)

_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) takes


class Submitter:
    """An engine's way in, with the options of one view."""

    __slots__ = ("_engine", "_hold", "priority", "patience", "lane")

    def __init__(
        self, engine: Engine, priority: int, patience: float | None, lane: str, hold: Callable[..., Any] | None
    ) -> None:
        self._engine = engine
        self._hold = hold
        self.priority: Final = priority
        self.patience: Final = patience
        self.lane: Final = lane

    @property
    def engine(self) -> Engine:
        return self._engine

    def __call__(self, operation: int, /, *arguments: Any) -> Any:
        engine = self._engine
        if self._hold is not None and engine.full and not OPERATIONS[operation].must_run(arguments):
            engine._check()
            return self._hold(self, operation, *arguments)
        return engine._submit(operation, arguments, self.priority, self.patience)

    start = __call__

    def queue(
        self, operation: int, callback: Callable[[BaseRequest[Any]], object] | None, /, *arguments: Any
    ) -> Request[Any]:
        return self._engine._queue_request(operation, callback, arguments, self.priority, self.patience)

    def post(self, callback: Callable[[BaseRequest[None]], object] | None, /) -> Request[None]:
        return self._engine._post(callback, self.priority, self.patience)


class Engine:
    """A notifier descriptor and the requests of one thread."""

    wake: Callable[[Any], object] | None = None
    on_error: Callable[[BaseException, BaseRequest[Any]], object] | None = None
    on_room: Callable[[], object] | None = None
    on_busy: Callable[[bool], object] | None = None
    _mailbox: Mailbox | None = None  # None before it is made, for the finalizer
    _closed = False
    _max_outstanding = _max_poll_reqs = 0
    _max_poll_time = 0.005
    _max_inline_reqs, _max_inline_bytes, _max_inline_time = 512, 4 << 20, 0.0005  # of a lane that is not here
    _told_busy = False
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

    @property
    def max_outstanding(self) -> int:
        return self._max_outstanding

    @max_outstanding.setter
    def max_outstanding(self, value: int) -> None:
        before, self._max_outstanding = self._max_outstanding, count(value, "max_outstanding")
        if before and not value:
            self._call_on_room()
        elif value > before:
            self._tell_room()

    @property
    def max_poll_reqs(self) -> int:
        return self._max_poll_reqs

    @max_poll_reqs.setter
    def max_poll_reqs(self, value: int) -> None:
        self._max_poll_reqs = count(value, "max_poll_reqs")

    @property
    def max_poll_time(self) -> float:
        return self._max_poll_time

    @max_poll_time.setter
    def max_poll_time(self, value: float) -> None:
        self._max_poll_time = seconds(value, "max_poll_time")

    @property
    def max_inline_reqs(self) -> int:
        return self._max_inline_reqs

    @max_inline_reqs.setter
    def max_inline_reqs(self, value: int) -> None:
        self._max_inline_reqs = count(value, "max_inline_reqs")

    @property
    def max_inline_bytes(self) -> int:
        return self._max_inline_bytes

    @max_inline_bytes.setter
    def max_inline_bytes(self, value: int) -> None:
        self._max_inline_bytes = count(value, "max_inline_bytes")

    @property
    def max_inline_time(self) -> float:
        return self._max_inline_time

    @max_inline_time.setter
    def max_inline_time(self, value: float) -> None:
        self._max_inline_time = seconds(value, "max_inline_time")

    @property
    def full(self) -> bool:
        return 0 < self._max_outstanding <= len(self._requests)

    def submitter(
        self,
        *,
        priority: int = 0,
        patience: float | None = 5.0,
        lane: str = "auto",
        hold: Callable[..., Any] | None = None,
    ) -> Submitter:
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
        if hold is not None and not callable(hold):
            raise TypeError(f"hold must be callable or None, not {type(hold).__name__!r}")
        return Submitter(self, priority, patience, lane, hold)

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
        finally:
            self._tell_fewer()

    def _poll(self, mailbox: Mailbox) -> int:
        self._restore()
        if mailbox.rung:
            self._pool.hush(mailbox)
        stop = time.monotonic() + self._max_poll_time if self._max_poll_time > 0 else float("inf")
        handled = 0
        while (job := self._pool.take(mailbox)) is not None:
            handled += 1
            self._hand_over(self._requests.get(job), job.status)
            if handled == self._max_poll_reqs or time.monotonic() >= stop or self._closed:
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
        told = []
        for request in list(self._requests.values()):
            job = request._job
            dropped = job.droppable or (job.waiting and job.reads) or (job.locks and job.state != "finished")
            status = self._pool.take_back(job, None) if dropped else None
            status = status or self._pool.give_up(job)
            waiter, *_, group = request._finish(self, status)
            if status not in ("done", "failed"):  # what had finished keeps its result
                request._cancelled = True
                job.dispose()
            told.append((waiter, group, request))
        self._close_notifier()
        for waiter, group, request in told:
            if waiter is not None:
                self._wake(waiter)
            self._tell_group(group, request)
        self._tell_busy()

    def stats(self) -> dict[str, Any]:
        states = [request._job.state for request in self._requests.values()]
        return {
            "requests": {row.name: count for row, count in zip(OPERATIONS, self._counts, strict=True) if count},
            "parked": 0,
            "queued": states.count("queued"),
            "running": states.count("running"),
            "finished": states.count("finished"),
            "lanes": {"inline": 0, "pool": sum(self._counts)},
            "parkings": 0,
            "slow_inline": 0,
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
        job = JOBS[operation](PLANS[operation], arguments, self._mailbox, priority)
        request: Request[Any] = Request(job, self._weak, patience)
        self._requests[job] = request
        try:
            self._pool.submit(job)
        except BaseException:
            self._requests.pop(job, None)
            self._pool.cast_off(job)
            raise
        self._counts[operation] += 1
        self._tell_busy()
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

    def _post(
        self, callback: Callable[[BaseRequest[None]], object] | None, priority: int, patience: float | None
    ) -> Request[None]:
        self._check()
        if self._closed or self._mailbox is None:
            raise RuntimeError("this engine was shut down")
        job = Job(PLANS[_opcodes.NOP], (), self._mailbox, priority)
        request: Request[None] = Request(job, self._weak, patience)
        request.callback = callback
        self._requests[job] = request
        try:
            self._pool.post(job)
        except BaseException:
            self._requests.pop(job, None)
            self._pool.cast_off(job)
            raise
        self._counts[_opcodes.NOP] += 1
        self._tell_busy()
        return request

    def _wake(self, waiter: Any) -> None:
        if self.wake is not None:
            self.wake(waiter)

    def _hand_over(self, request: Request[Any] | None, status: Status) -> None:
        if request is None:  # a signal's handler has polled, or has left the submit with an exception
            return
        waiter, callback, context, group = request._finish(self, status)
        try:
            if waiter is not None:
                self._wake(waiter)
            if context is not None and callback is not None:
                context.run(callback, request)
        except Exception as error:
            self._report(error, request)
        finally:
            try:
                self._tell_group(group, request)
            finally:
                # The traceback of an error that a callback met and kept leads here, and must not go on to the request.
                del request, waiter, callback, context, group

    def _tell_group(self, group: Any, request: Request[Any]) -> None:
        if group is None:
            return
        try:
            group._member_done(request)
        except Exception as error:
            self._report(error, request)
        finally:
            del group, request  # as above

    def _tell_room(self) -> None:
        if self._max_outstanding and not self.full:
            self._call_on_room()

    def _tell_busy(self) -> None:
        busy = bool(self._requests)
        if busy == self._told_busy or self.on_busy is None:
            return
        self._told_busy = busy
        try:
            self.on_busy(busy)
        except Exception as error:
            self._report(error, self.on_busy)

    def _tell_fewer(self) -> None:
        """Tell, after requests have ended, that there is room, and that none is left."""
        self._tell_room()
        self._tell_busy()

    def _call_on_room(self) -> None:
        if self.on_room is None or self._closed:
            return
        try:
            self.on_room()
        except Exception as error:
            self._report(error, self.on_room)

    def _report(self, error: Exception, request: Any) -> None:
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


def _unraisable(error: BaseException, request: Any) -> None:
    # The type of the hook's argument has no public name.
    arguments = next(kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs")
    message = f"Exception ignored in the callback of {request!r}"
    sys.unraisablehook(arguments((type(error), error, error.__traceback__, message, request)))  # type: ignore[arg-type]

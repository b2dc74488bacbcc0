"""Requests of the Python backend: what the caller sees of a job. They run on their engine's own thread."""

from __future__ import annotations

import contextvars
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .._request import Cancelled, Outcome, State, Status
from .._request import Request as BaseRequest
from .job import Job

if TYPE_CHECKING:
    from .engine import Engine

T = TypeVar("T")


class Request(BaseRequest[T]):
    """A request of the Python backend."""

    __slots__ = (
        "_job", "_engine", "_patience", "_callback", "_context", "_waiter", "_status", "_cancelled", "group",
        "__weakref__",
    )  # fmt: skip

    _job: Job
    _engine: weakref.ref[Engine]
    _patience: float | None
    _callback: Callable[[BaseRequest[T]], object] | None
    _context: contextvars.Context | None  # of the submit, for the callback
    _waiter: Any
    _status: Status | None  # what it did; None until it is done
    _cancelled: bool
    group: Any  # told when it is done, and forgotten then

    def __init__(self, job: Job, engine: weakref.ref[Engine], patience: float | None) -> None:
        self._job = job
        self._engine = engine
        self._patience = patience
        self._callback = self._context = self._waiter = self._status = self.group = None
        self._cancelled = False

    def __repr__(self) -> str:
        return f"<anyaio request {self.operation} {self.state}>"

    @property
    def engine(self) -> Engine | None:
        engine = self._engine()
        return None if engine is None or engine.closed else engine

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
        engine._tell_fewer()

    def settle(self, error: BaseException) -> None:
        engine = self._checked_engine()
        if engine is not None and self._status is None and not self._take_back(wake=False):
            *_, group = self._finish(engine, engine._pool.give_up(self._job))
            try:
                self._give_back(error)
            finally:
                engine._tell_group(group, self)
            engine._tell_fewer()
        else:
            self._give_back(error)

    def _give_back(self, error: BaseException) -> None:
        """Dispose of what nobody took, and tell *error* what the request did."""
        self._cancelled = True
        self._job.dispose()
        if self._job.status == "never ran":  # a lock that is given back
            self._status = "never ran"
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
        lock_waits = job.locks and job.state == "queued"
        self._status = "abandoned" if job.droppable else "never ran" if lock_waits else "unknown"
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
        engine._tell_fewer()
        return True

    def _end(self, engine: Engine, status: Status, wake: bool) -> None:
        """Be done as a cancelled request."""
        self._cancelled = True
        waiter, *_, group = self._finish(engine, status)
        try:
            if wake and waiter is not None:
                engine._wake(waiter)
        finally:
            engine._tell_group(group, self)

    def _finish(self, engine: Engine, status: Status) -> tuple[Any, Any, contextvars.Context | None, Any]:
        """Be done; return the waiter to wake, the callback to call and its context, and the group to tell."""
        if not self._job.abandoned:
            self._job.unpin()
        told = self._waiter, self._callback, self._context, self.group
        # No call from here on until somebody is told: a signal's handler may raise after each.
        if self._status is not None:
            return None, None, None, None  # such a handler has polled
        self._status = status
        self._waiter = self._callback = self._context = self.group = None
        del engine._requests[self._job]
        return told

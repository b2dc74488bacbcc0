"""Requests that wait for room: what a full engine's submitter hands to who can wait.

They stand in one queue an engine, first come, first served, and are submitted as soon as the engine is not full. Until
then nothing of them exists but what is here: cancelled, they never ran.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from . import _opcodes
from ._drive import call_back
from ._request import Cancelled, Outcome, Request, State, T
from ._runner import Home

if TYPE_CHECKING:
    from ._engine import Engine, Submitter


class Held(Request[T]):
    """A request that is not submitted yet, and the face of the one that it becomes."""

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_callback",
        "_context",
        "_number",
        "_outcome",
        "_request",
        "_submitter",
        "_waiter",
        "_waiting",
        "group",
    )
    group: Any  # told when it is done, and forgotten then

    def __init__(self, waiting: Waiting, submitter: Submitter, number: int, arguments: tuple[Any, ...]) -> None:
        self._waiting = waiting
        self._submitter = submitter
        self._number = number
        self._arguments = arguments
        self._request: Request[T] | None = None  # once there was room
        self._outcome: Outcome | None = None  # if it ended without
        self._callback: Callable[[Request[T]], object] | None = None
        self._context: Context | None = None
        self._waiter: Any = None
        self.group = None

    def __repr__(self) -> str:
        return f"<anyaio request {self.operation} {self.state}>"

    @property
    def operation(self) -> str:
        return next(name.lower() for name, number in vars(_opcodes).items() if number == self._number)

    @property
    def priority(self) -> int:
        return self._submitter.priority

    @property
    def state(self) -> State:
        if self._request is not None:
            return self._request.state
        return "queued" if self._outcome is None else "done"

    @property
    def outcome(self) -> Outcome | None:
        return self._outcome if self._request is None else self._request.outcome

    @property
    def callback(self) -> Callable[[Request[T]], object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[[Request[T]], object] | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__!r}")
        if self.state == "done":
            raise RuntimeError(f"{self.operation} is done: a callback would never run")
        if self._context is None and callback is not None:
            self._context = copy_context()
        self._callback = callback

    @property
    def engine(self) -> Engine:
        return self._submitter.engine

    def submit(self) -> None:
        """Become a request of the engine; what is wrong with the arguments is the result."""
        try:
            request = self._submitter.queue(self._number, None, *self._arguments)
        except BaseException as error:
            self._outcome = Outcome("failed", error=error.with_traceback(None))
            self._tell()
            if not isinstance(error, Exception):
                raise
            return
        self._request = request
        self._arguments = ()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            request.attach(waiter)
        request.group = self  # tells it last of all, and in whatever way it ends

    def _member_done(self, request: Request[T]) -> None:
        self._tell()

    def _tell(self) -> None:
        waiter, self._waiter = self._waiter, None
        callback, self._callback = self._callback, None
        context, self._context = self._context, None
        group, self.group = self.group, None
        try:
            self._waiting.wake(waiter)
        finally:
            try:
                if callback is not None and context is not None and not self._is_taken_back():
                    call_back(self.engine, context, callback, self)
            finally:
                if group is not None:
                    group._member_done(self)

    def _is_taken_back(self) -> bool:
        outcome = self.outcome
        return outcome is not None and outcome.status in ("never ran", "abandoned")

    def never_run(self) -> None:
        """Be done without having been submitted."""
        if self._request is None and self._outcome is None:
            self._outcome = Outcome("never ran")
            self._arguments = ()
            self._tell()

    def cancel(self) -> bool:
        self._waiting.check("request")
        if self._request is not None:
            return self._request.cancel()
        if self._outcome is not None:
            return False
        self._waiting.remove(self)
        self.never_run()
        return True

    def withdraw(self) -> bool:
        if self._request is not None:
            return self._request.withdraw()
        waiter, self._waiter = self._waiter, None
        if self.cancel():
            return True
        self._waiter = waiter
        return False

    def abandon(self) -> None:
        if self._request is not None:
            self._request.abandon()
        else:
            self.cancel()

    def attach(self, waiter: Any) -> None:
        self._waiting.check("request")
        if self._request is not None:
            self._request.attach(waiter)
        elif self._outcome is not None:
            self._waiting.wake(waiter)
        elif self._waiter is not None:
            raise RuntimeError(f"{self!r} is being waited for already")
        else:
            self._waiter = waiter

    def settle(self, error: BaseException) -> None:
        if self._request is not None:
            self._request.settle(error)
            return
        self.withdraw()
        error.outcome = self._outcome  # type: ignore[attr-defined]  # that is what it is for

    def result(self) -> T:
        try:
            if self._request is not None:
                return self._request.result()
            if self._outcome is None:
                raise RuntimeError(f"{self!r} has no result yet")
            if self._outcome.error is not None:
                raise self._outcome.error
            raise Cancelled(outcome=self._outcome)
        finally:
            del self  # an error that is raised here holds this frame


class Waiting(Home):
    """Those of one engine that wait for room."""

    __slots__ = ("_queue",)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._queue: OrderedDict[Held[Any], None] = OrderedDict()

    def append(self, held: Held[Any]) -> None:
        self._queue[held] = None

    def remove(self, held: Held[Any]) -> None:
        self._queue.pop(held, None)

    def _pop(self) -> Held[Any]:
        return self._queue.popitem(last=False)[0]

    def submit(self) -> None:
        """Submit as many as there is room for: what the engine calls when there is some."""
        failure = None
        while self._queue and (engine := self.engine) is not None and not engine.full:
            try:
                self._pop().submit()
            except BaseException as error:  # an interruption: without the others nobody might ever come again
                failure = failure or error
        if failure is not None:
            raise failure

    def end(self) -> None:
        """Take all of them back."""
        failure = None
        while self._queue:
            try:
                self._pop().never_run()
            except BaseException as error:
                failure = failure or error
        if failure is not None:
            raise failure


def waiting_of(engine: Engine) -> Waiting | None:
    """Return where the engine's held requests stand: it alone knows, for they refer to it."""
    waiting = getattr(engine.on_room, "__self__", None)
    return waiting if isinstance(waiting, Waiting) else None


def hold(submitter: Submitter, number: int, *arguments: Any) -> Held[Any]:
    """Return a request that will be submitted when there is room: what a front end's submitter does when full."""
    engine = submitter.engine
    waiting = waiting_of(engine)
    if waiting is None:
        waiting = Waiting(engine)
        engine.on_room = waiting.submit
    held: Held[Any] = Held(waiting, submitter, number, arguments)
    waiting.append(held)
    return held


def end_held(engine: Engine) -> None:
    """Take back, at the engine's shutdown, what waits for room."""
    waiting = waiting_of(engine)
    if waiting is not None and not waiting.inherited:
        waiting.end()

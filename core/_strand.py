"""Strands: the coroutines of composites, and what they wait for. `_drive.py` tells the rules."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from ._request import Cancelled, Request, State, T

if TYPE_CHECKING:
    from ._drive import Composite
    from ._scope import Scope


@coroutine
def suspend(request: Request[T]) -> Generator[Request[T], Any, T]:
    """Hand *request* to the trampoline; return its result or raise its error."""
    try:
        return (yield request)  # type: ignore[no-any-return]  # the trampoline sends the result
    finally:
        del request  # the error of a request holds this frame


WHO: Final = object()  # a strand that yields this is sent itself, at once


@coroutine
def current_strand() -> Generator[Any, Strand, Strand]:
    """Return the strand that awaits this."""
    return (yield WHO)


class Signal(Request[None]):
    """A step that no engine runs: news that strands of one composite give each other. It serves once."""

    __slots__ = ("_callback", "_state")

    def __init__(self) -> None:
        self._callback: Callable[[Request[None]], object] | None = None
        self._state: State = "running"

    @property
    def operation(self) -> str:
        return "signal"

    @property
    def state(self) -> State:
        return self._state

    @property
    def callback(self) -> Callable[[Request[None]], object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[[Request[None]], object] | None) -> None:
        self._callback = callback

    def fire(self) -> None:
        """Resume who waits, or will."""
        self._state = "done"
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(self)

    def cancel(self) -> bool:
        if self._state == "done":
            return False
        self._state = "done"
        self._callback = None
        return True

    def result(self) -> None:
        return None

    def settle(self, error: BaseException) -> None:
        """There is nothing to tell."""


class Strand:
    """One coroutine that the trampoline runs."""

    __slots__ = ("cancellers", "cancelling", "composite", "context", "coroutine", "error", "scope", "scopes", "step")

    def __init__(self, composite: Composite[Any], coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self.composite = composite
        self.coroutine = coroutine
        self.context = context
        self.step: Request[Any] | None = None  # what it waits for
        self.error: BaseException | None = None  # what to throw when it is resumed
        self.scope: Scope | None = None  # whose child it is
        self.scopes: list[Scope] = []  # those it has entered, the innermost last
        self.cancellers: list[object] = []  # who wants it cancelled and was not served yet
        self.cancelling: object | None = None  # whose Cancelled was thrown; until a scope that threw it has ended

    def resume(self, step: Request[Any]) -> None:
        """Go on: the callback of its step."""
        self.composite._enqueue(self)

    def advance(self) -> None:
        """Run the coroutine until it is suspended on an unfinished step, or has ended."""
        value = self._answer()
        run = self.context.run
        while True:
            try:
                if self.error is None:
                    step = run(self.coroutine.send, value)
                else:
                    step = run(self.coroutine.throw, self._take_error())
            except StopIteration as end:
                self._end(end.value, None)
                return
            except BaseException as error:
                self._end(None, without_frame(error))
                return
            if step is WHO:
                value = self
                continue
            if not isinstance(step, Request):
                self.error = TypeError(f"a composite can only await its steps, scopes and batches, not {step!r}")
                continue
            self.step = step
            if step.state != "done":
                step.callback = self.resume
                if not (self._wanted() and step.cancel()):
                    return
            del step
            value = self._answer()

    def _answer(self) -> Any:
        """Return what to send in after the step has ended; an error is set aside to be thrown."""
        if self._wanted():
            self._interrupt()
        step, self.step = self.step, None
        if step is None or self.error is not None:
            return None
        try:
            return step.result()
        except BaseException as error:
            self.error = error.with_traceback(None)
            return None

    def _wanted(self) -> bool:
        """Is there a cancellation to throw?"""
        return bool(self.cancellers) and self.cancelling is None

    def _interrupt(self) -> None:
        """Set Cancelled aside to be thrown, in place of what the step returned."""
        self.cancelling = self.cancellers.pop(0)
        step = self.step
        error = Cancelled(f"{self.composite.operation} was cancelled")
        if step is not None:
            step.settle(error)
        self.step = None
        self.error = error

    def _take_error(self) -> BaseException:
        error, self.error = self.error, None
        assert error is not None, "it was looked at before"
        return error

    def _end(self, value: Any, error: BaseException | None) -> None:
        if self.scope is None:
            self.composite._end(value, error)
        else:
            self.scope.child_ended(self, error)


def without_frame(error: BaseException) -> BaseException:
    """Drop the caller's frame, the outermost, from the traceback."""
    traceback = error.__traceback__
    return error if traceback is None else error.with_traceback(traceback.tb_next)

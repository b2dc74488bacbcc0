"""The trampoline: it runs an ordinary coroutine on an engine, and makes a request of it, without any event loop.

1. A coroutine, `async def f(steps, ...)`, awaits the operations of *steps*. One that is not finished at once reaches
   the trampoline as an unfinished Request: the *step*. The step's callback brings the coroutine back, with the result
   sent in or the error thrown. Who awaits nothing unfinished is run to its end at once, and is its result.
2. A coroutine that the trampoline runs is a *strand*. A composite has one, and one more for each child of a `scope`.
   Nothing calls back into a strand: what is to be resumed stands in a queue that one loop empties, so neither many
   steps, nor wide or deep scopes, nor composites that wait for composites use up the stack.
3. Cancelling goes to the running step of each strand by the step's own class. When the step is taken back or has ended,
   Cancelled is thrown into its strand, once: what `finally:` blocks await is not interrupted by later cancels.
4. A suspended coroutine is never closed, nor left to the garbage collector: its `finally:` blocks could then not
   await. `_runner.py` keeps it until it has ended. At exit, and by `finish_all` at an engine's shutdown, it is
   cancelled and driven to its end. A forked child keeps it for ever: running it there would remove the parent's
   temporary files.
5. Errors are kept without the trampoline's own frames, which would tie them to the composite in a cycle.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ._request import Cancelled, Outcome, Request, State, T
from ._runner import Runner
from ._runner import finish_all as finish_all
from ._strand import Strand

if TYPE_CHECKING:
    from ._engine import Engine, Submitter


class Composite(Request[T]):
    """A request made of others: a coroutine that the trampoline runs.

    Its outcome, when a cancellation ended it, is "failed" with that Cancelled: it stopped between two steps.
    """

    __slots__ = (
        "__weakref__",
        "_callback",
        "_context",
        "_ended",
        "_error",
        "_held",
        "_operation",
        "_outcome",
        "_ready",
        "_root",
        "_runner",
        "_state",
        "_submitter",
        "_value",
        "_waiter",
        "_working",
        "group",
    )
    group: Any  # told when it is done, and forgotten then

    def __init__(
        self,
        engine: Engine,
        submitter: Submitter,
        function: Callable[..., Coroutine[Any, Any, T]],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        from ._steps import Steps  # it imports the composites, which import this module

        self._operation = function.__name__
        self._submitter = submitter
        self._context = copy_context()
        self._root = Strand(self, function(Steps(engine, submitter), *arguments, **options), self._context)
        self._ready = deque((self._root,))  # strands to resume; filled by callbacks, emptied by `_work`
        self._working = False
        self._held = True  # the end is not told now: whoever set this tells it
        self._ended = False  # the coroutine has returned or raised
        self._state: State = "running"
        self._outcome: Outcome | None = None
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callback: Callable[[Request[T]], object] | None = None
        self._waiter: Any = None
        self.group = None
        self._runner = Runner.of(engine)
        self._runner.composites.add(self)

    def __repr__(self) -> str:
        return f"<anyaio composite {self.operation}, {self._state}>"

    @property
    def operation(self) -> str:
        return self._operation

    @property
    def priority(self) -> int:
        return self._submitter.priority

    @property
    def state(self) -> State:
        return self._state

    @property
    def outcome(self) -> Outcome | None:
        return self._outcome

    @property
    def callback(self) -> Callable[[Request[T]], object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[[Request[T]], object] | None) -> None:
        self._callback = callback

    @property
    def engine(self) -> Engine:
        return self._runner.engine

    # ---- running ----

    def _prepare(self, strand: Strand) -> None:
        """Have the strand resumed when the runner's loop, or the `_work` further down the stack, comes to it."""
        self._ready.append(strand)
        if not self._working:
            self._runner.queue.append(self)

    def _enqueue(self, strand: Strand) -> None:
        self._prepare(strand)
        if not self._working:
            self._runner.run()

    def _work(self) -> None:
        """Run what is ready. Entered by the runner's loop, and by the submit."""
        ready = self._ready
        self._working = True
        try:
            while ready:
                ready.popleft().advance()
        finally:
            self._working = False
        if self._ended and not self._held:
            self._deliver()

    def _end(self, value: T | None, error: BaseException | None) -> None:
        self._value = value
        self._error = error
        self._ended = True
        del self._root  # it refers to its composite
        self._runner.remove(self)
        if self._state == "done":  # abandoned
            return
        self._state = "finished"
        self._outcome = Outcome("done", value) if error is None else Outcome("failed", error=error)

    def _deliver(self) -> None:
        """Tell who waits that it is done."""
        if self._state == "done":
            return
        self._state = "done"
        waiter, self._waiter = self._waiter, None
        callback, self._callback = self._callback, None
        group, self.group = self.group, None
        engine = self._runner.engine
        try:
            if waiter is not None and engine.wake is not None:
                engine.wake(waiter)
        except Exception as error:  # of a loop that is closed: nobody is left to be woken
            report(engine, error, self)
        finally:
            try:
                if callback is not None:
                    # A copy, for the coroutine's own may be entered right now.
                    call_back(engine, self._context.copy(), callback, self)
            finally:
                if group is not None:
                    group._member_done(self)
        if waiter is callback is group is None and isinstance(self._error, KeyboardInterrupt | SystemExit):
            raise self._error  # nobody else would ever see it

    def _deliver_later(self) -> None:
        """Have the next poll deliver."""
        try:
            self._submitter.post(lambda request: self._deliver())
        except RuntimeError:  # the engine takes no more requests: nothing will be polled
            self._deliver()

    # ---- cancelling ----

    def _cancel_root(self) -> list[tuple[Strand, object]]:
        return [] if self._ended else [(self._root, self)]

    def _cancel(self) -> None:
        """Cancel the coroutine; it may have ended, untold, when this returns."""
        self._held, held = True, self._held
        cancel_strands(self._cancel_root())
        self._runner.run()
        self._held = held

    def cancel(self) -> bool:
        """Cancel the running steps, then the coroutine; always False: the callback comes when it has ended.

        ``result()`` raises Cancelled then, unless the coroutine completed all the same.
        """
        self._runner.check()
        if self._ended or self._state == "done":
            return False
        self._cancel()
        if self._ended and not self._held:
            self._deliver() if self._callback is None else self._deliver_later()
        return False

    def withdraw(self) -> bool:
        self._runner.check()
        if self._ended or self._state == "done":
            return False
        waiter, self._waiter = self._waiter, None
        self._cancel()
        if self._ended and isinstance(self._error, Cancelled) and not self._held:
            self._callback = None
            self._deliver()
            return True
        self._waiter = waiter
        if self._ended and not self._held:
            self._deliver() if self._callback is None else self._deliver_later()
        return False

    def abandon(self) -> None:
        """Let who waits go on; the coroutine is driven to its end all the same."""
        self._runner.check()
        if self._state == "done":
            return
        if not self._ended:
            self._outcome = Outcome("unknown")
        self._deliver()

    def attach(self, waiter: Any) -> None:
        self._runner.check()
        if self._state != "done":
            self._waiter = waiter
        elif (wake := self._runner.engine.wake) is not None:
            wake(waiter)

    def settle(self, error: BaseException) -> None:
        if not self._ended:
            self.withdraw()
        outcome = self._outcome or Outcome("unknown")
        error.outcome = outcome  # type: ignore[attr-defined]  # that is what it is for
        if isinstance(outcome.error, Exception):
            error.__cause__ = outcome.error

    def result(self) -> T:
        try:
            if self._state != "done":
                raise RuntimeError(f"{self.operation} is not done")
            if self._outcome is not None and self._outcome.status == "unknown":
                raise Cancelled(f"{self.operation} was abandoned", self._outcome)
            if self._error is not None:
                raise self._error
            return self._value  # type: ignore[return-value]  # a coroutine that ended without error has returned a T
        finally:
            del self  # an error that is raised here holds this frame


def call_back(
    engine: Engine | None, context: Context, callback: Callable[[Any], object], request: Request[Any]
) -> None:
    """Call *callback* with *request*; what it raises goes where the engine reports such things."""
    try:
        context.run(callback, request)
    except Exception as error:
        report(engine, error, request)


def report(engine: Engine | None, error: Exception, request: Request[Any]) -> None:
    """Tell of *error* where the engine reports such things."""
    on_error = None if engine is None else engine.on_error
    if on_error is None:
        report_unraisable(error, request)
        return
    try:
        on_error(error, request)
    except Exception as another:
        report_unraisable(another, request)


def report_unraisable(error: Exception, culprit: object) -> None:
    """Tell `sys.unraisablehook` of the exception of a callback."""
    # The type of the hook's argument has no public name.
    arguments = next(kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs")
    message = f"Exception ignored in the callback of {culprit!r}"
    sys.unraisablehook(arguments((type(error), error, error.__traceback__, message, culprit)))  # type: ignore[arg-type]


def cancel_strands(strands: list[tuple[Strand, object]]) -> None:
    """Cancel each strand for its canceller, and what runs for it: the children of its scopes, composites it awaits.

    Who already unwinds is left alone, with the scopes and steps of its cleanup.
    """
    while strands:
        strand, canceller = strands.pop()
        if canceller in strand.cancellers or canceller is strand.cancelling:
            continue
        strand.cancellers.append(canceller)
        if strand.cancelling is not None:
            continue
        inner = next((place for place, scope in enumerate(strand.scopes, 1) if scope is canceller), 0)
        for scope in strand.scopes[inner:]:
            strands += scope.cancel_children()
        step = strand.step
        if isinstance(step, Composite):
            strands += step._cancel_root()
        elif step is not None and step.cancel():
            strand._interrupt()
            strand.composite._prepare(strand)


def drive(
    engine: Engine,
    submitter: Submitter,
    function: Callable[..., Coroutine[Any, Any, T]],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> T | Composite[T]:
    """Run *function* with its steps, *arguments* and *options*: return its result, or a Composite if it was suspended.

    It runs in a copy of the caller's context, and its steps have the *submitter*'s priority and patience.
    """
    composite = Composite(engine, submitter, function, arguments, options)
    try:
        composite._work()
        composite._held = False
        if not composite._ended:
            return composite
        composite._state = "done"
        return composite.result()
    finally:
        del composite


def drive_queued(
    engine: Engine,
    submitter: Submitter,
    callback: Callable[[Request[T]], object] | None,
    function: Callable[..., Coroutine[Any, Any, T]],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Composite[T]:
    """Run *function* as `drive` does, but return a Composite always; *callback* gets it in a later poll."""
    composite = Composite(engine, submitter, function, arguments, options)
    composite._callback = callback
    composite._work()
    composite._held = False
    if composite._ended:
        composite._deliver_later()
    return composite

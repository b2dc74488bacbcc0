"""The await colour of a loop with checkpoints, where a task is cancelled until it has left the cancelled scope.

1. Each call is a checkpoint: it raises the cancellation that is there, and gives other tasks their turn. In a cancelled
   scope only what must run is submitted, and the cancellation raised behind it.
2. The loop asks before it cancels a wait. One whose request cannot be taken back returns the result or raises the
   error, and the next checkpoint raises the cancellation; unless the scope was cancelled before, the request had to
   run, or it was cancelled all the same.
3. What is there at once is followed by a turn of the loop. In a view with ``checkpoint="budget"`` it is not: an engine
   gives as many such answers as its budget allows, and then has its callers wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NoReturn

from ._drive import drive
from ._each import AwaitEach, Item, Result, start
from ._front import AwaitFront
from ._group import was_cancelled
from ._ops import OPERATIONS
from ._request import Request, T
from ._unmade import MAY_HAVE_TO_RUN, Answered, Refused, run_in_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from ._flow import Flow
    from ._front import Engine
    from ._options import Options


class CheckpointAdapter:
    """What the adapter of such a loop has; the methods that raise NotImplementedError are the loop's own."""

    on_error = None  # such a loop has no handler for it
    over = False
    """Whether nothing polls in this loop any more."""
    begun = ended = 0
    """How many waits there were, and how many of them have ended."""
    on_waitless: Callable[[], object] | None = None
    """Called when the last wait has ended."""

    # ---- the loop's own ----

    task: Callable[[], Any]
    """Returns the running task, which is what `wake` gets."""
    checkpoint: Callable[[], Awaitable[object]]
    """Raises a cancellation that is there, and gives other tasks their turn."""
    cancel_point: Callable[[], Awaitable[object]]
    """Raises a cancellation that is there; without one it does not suspend."""
    turn: Callable[[], Awaitable[object]]
    """Gives other tasks their turn, and raises nothing."""
    suspend: Callable[[Callable[[Callable[[], NoReturn]], Any]], Awaitable[object]]
    """Suspends the task until it is woken.

    To cancel it, it asks what it is given, at most once, with what raises the cancellation; the answer is *yes* or
    *no*.
    """
    yes: Any
    no: Any
    interrupt: Callable[[BaseException], object]
    """Has an exception of a callback end the loop's run, as an interruption by the user does."""

    def is_cancelled(self) -> bool:
        """Whether the next checkpoint of the running task raises a cancellation."""
        raise NotImplementedError

    # ---- what it has from here ----

    def guard(self, function: Callable[[], object]) -> None:
        """Call *function*, whose exceptions would do harm where it is called."""
        try:
            function()
        except BaseException as error:
            self.interrupt(error)

    async def wait(self, request: Request[T], cancelled_before: bool = False) -> T:
        if type(request) is Answered:
            answer: T = await self.pass_on(request)
            return answer
        wait = Wait(self, request)
        done = request.state == "done"
        if not done:
            request.attach(self.task())
        self.begun += 1
        try:
            if done:
                await self.cancel_point()
                await self.turn()
            else:
                await self.suspend(wait.may_cancel)
            if wait.late is not None and (cancelled_before or wait.must_raise()):
                wait.late()
        except BaseException as error:  # a cancellation; GeneratorExit, on whatever thread collects the task:
            with suppress(RuntimeError):  # there, what nobody takes goes with its request
                request.settle(error)
            raise
        finally:
            self.ended += 1
            if self.on_waitless is not None and self.begun == self.ended:
                self.on_waitless()
        try:
            return request.result()
        finally:
            del request, wait  # an error's traceback must not lead back to the request that holds it

    async def pass_on(self, answered: Answered) -> Any:
        """Return what was there at once, behind a checkpoint."""
        self.begun += 1
        self.ended += 1
        try:
            await self.cancel_point()
        except BaseException as error:
            answered.settle(error)
            raise
        await self.turn()
        return answered.result()


class Wait:
    """What a wait and the loop know of its cancellation."""

    __slots__ = ("adapter", "late", "request")

    def __init__(self, adapter: CheckpointAdapter, request: Request[Any]) -> None:
        self.adapter = adapter
        self.request = request
        self.late: Callable[[], NoReturn] | None = None  # raises the one that the request was not taken back for

    def may_cancel(self, raise_cancel: Callable[[], NoReturn]) -> Any:
        """Answer whether the task may be cancelled now."""
        try:
            if self.request.withdraw():
                return self.adapter.yes
        except BaseException as error:  # of a callback of something else that has ended by that
            self.adapter.interrupt(error)
            self.adapter.guard(partial(self.request.settle, error))
            return self.adapter.yes
        self.late = raise_cancel
        return self.adapter.no

    def must_raise(self) -> bool:
        """Whether the cancellation is raised though the request has ended."""
        return self.request.operation in MAY_HAVE_TO_RUN or was_cancelled(self.request)


def enter(
    is_cancelled: Callable[[], bool], submit: Callable[..., Any], strict: bool, number: int, /, *arguments: Any
) -> Any:
    """Submit, if the caller may; return what is to be waited for, or the result."""
    if is_cancelled():
        if not OPERATIONS[number].must_run(arguments):
            return Refused()
        strict = True
    result = submit(number, *arguments)
    return Answered(result) if strict and not isinstance(result, Request) else result


class CheckpointFront(AwaitFront):
    """A loop's front end in the await colour, each of whose calls is a checkpoint."""

    _adapter: CheckpointAdapter  # type: ignore[assignment]  # the one that `start` was given

    def __init__(self, adapter: Any, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        super().__init__(adapter, engine, options, home)
        self._submitter = self._submit
        self._strict = options.checkpoint == "strict"
        if adapter.over:
            engine.shutdown()
        submit = run_in_place if adapter.over else self._submitter
        # No method of this object, which would refer to itself.
        self._submit = partial(enter, adapter.is_cancelled, submit, self._strict)  # type: ignore[assignment]

    def _drive(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if self._adapter.is_cancelled():
            return Refused()
        result = drive(self.engine, self._submitter, function, arguments, options)
        return Answered(result) if self._strict and not isinstance(result, Request) else result

    async def wait(self, request: Request[T]) -> T:
        """Wait for a request that this engine returned, also one that is done already; return its result."""
        self._check_own(request)
        return await self._adapter.wait(request, self._adapter.is_cancelled())

    if not TYPE_CHECKING:  # its type is that of the method that it replaces

        @wraps(AwaitFront.each)
        def each(self, function, items, *, limit=64, ordered=False, errors="raise"):
            if self.engine.closed:  # what takes asynchronous items could not be started either
                raise RuntimeError("each: this engine was shut down")
            flow = start(self, function, limit, ordered, errors, StopAsyncIteration)
            return CheckpointEach(self._adapter, flow, items, self._strict)


class CheckpointEach(AwaitEach[Item, Result]):
    """An asynchronous iterator, each of whose steps is a checkpoint."""

    _adapter: CheckpointAdapter  # type: ignore[assignment]  # as above

    def __init__(self, adapter: Any, flow: Flow, items: Iterable[Item] | AsyncIterable[Item], strict: bool) -> None:
        super().__init__(adapter, flow, items)
        self._strict = strict

    async def __anext__(self) -> tuple[Item, Result]:
        if self._adapter.is_cancelled():
            await self._adapter.wait(self._flow)  # which raises it
        await self._adapter.cancel_point()
        begun = self._adapter.begun
        try:
            return await super().__anext__()
        finally:
            if self._strict and self._adapter.begun == begun:
                await self._adapter.turn()

    async def aclose(self) -> None:
        """Close it, and wait for changes that run. Again: no effect."""
        begun = self._adapter.begun
        await super().aclose()
        if self._strict and self._adapter.begun == begun:
            await self._adapter.checkpoint()

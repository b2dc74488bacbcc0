"""asyncio's and uvloop's way to wait, and the table of running loops' front ends.

A loop that is dropped takes its engine with it, and nothing has to be closed: the loop refers to the engine, through
add_reader, and nothing of ours to the loop, but weakly. Detaching from a closed loop is neither needed nor allowed.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from operator import methodcaller
from typing import Any, ClassVar

from anyaio._backend import backend
from anyaio._front import AwaitFront, Engine
from anyaio._fronts import Fronts, get_ident, guarded
from anyaio._future import Cancellable
from anyaio._request import Request, T


class LoopAdapter:
    """One loop of asyncio's kind, whatever waits in it."""

    fronts: ClassVar[Fronts[Any]]  # by loop, of this class of adapters

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = weakref.ref(loop)

    def living(self) -> asyncio.AbstractEventLoop:
        if (loop := self.loop()) is None or loop.is_closed():
            raise RuntimeError("the event loop of this front end is closed")
        return loop

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        loop = self.living()
        try:
            contextvars.Context().run(loop.add_reader, fd, guarded(poll, partial(self.detach, fd)))
        except NotImplementedError:
            raise RuntimeError(f"{type(loop).__name__} has no add_reader, which anyaio needs") from None

    def detach(self, fd: int) -> None:
        if (loop := self.loop()) is not None:
            self.fronts.discard(loop)
            if not loop.is_closed():
                loop.remove_reader(fd)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        return self.living().create_task(coroutine).cancel

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        if (loop := self.loop()) is not None:
            loop.call_exception_handler({"message": f"the callback of {request!r} failed", "exception": exception})


class Waiter(Cancellable, asyncio.Future[None]):
    """What a task awaits; cancelling it cancels the request by the rules of its class."""

    __slots__ = ("cancelled_before", "request")

    def cancel(self, msg: Any = None) -> bool:
        # False has the task go on waiting and raise CancelledError as soon as it is woken.
        return not self.done() and self.take_back() and super().cancel(msg)


class TaskAdapter(LoopAdapter):
    """One running loop, whose tasks wait."""

    fronts = Fronts[AwaitFront]()

    async def wait(self, request: Request[T]) -> T:
        waiter = Waiter()  # of the running loop
        if waiter.get_loop() is not self.loop():
            request.cancel()
            raise RuntimeError("this front end belongs to another event loop: call current() in this one")
        waiter.request, waiter.cancelled_before = request, False
        request.attach(waiter)
        try:
            await waiter
        except BaseException as error:  # CancelledError; GeneratorExit, on whatever thread collects the task:
            with suppress(RuntimeError):  # there, what nobody takes goes with its request
                request.settle(error)
            raise
        del waiter.request  # the loop has the waiter as long as the task runs, and with it the result
        try:
            return request.result()
        finally:
            del request, waiter  # an error's traceback must not lead back to the request that holds it

    # A waiter is never done before: one that was cancelled has withdrawn its request. This is done in C throughout.
    wake = staticmethod(methodcaller("set_result", None))


_fronts = TaskAdapter.fronts


def current() -> AwaitFront:
    """Return the running loop's front end, made at its first use. RuntimeError outside a running loop."""
    loop = asyncio.get_running_loop()
    entry = _fronts.get(id(loop))  # as `Fronts.of`, here in place: every request begins with this
    return entry[1] if entry is not None and entry[2] == get_ident() else start(loop)


def start(loop: asyncio.AbstractEventLoop) -> AwaitFront:
    _fronts.discard_closed()
    return _fronts.put(loop, AwaitFront.start(TaskAdapter(loop), Engine()))


submit = backend.Route(asyncio.get_running_loop, _fronts, start)

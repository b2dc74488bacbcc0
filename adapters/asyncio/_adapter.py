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
from operator import methodcaller
from typing import Any

from anyaio._front import AwaitFront, Engine
from anyaio._fronts import Fronts
from anyaio._request import Request, T


class Waiter(asyncio.Future[None]):
    """What a task awaits; cancelling it cancels the request by the rules of its class."""

    __slots__ = ("cancelled_before", "request")

    request: Request[Any]
    cancelled_before: bool

    def cancel(self, msg: Any = None) -> bool:
        # False has the task go on waiting and raise CancelledError as soon as it is woken.
        if self.done():
            return False
        if self.request.withdraw():
            return super().cancel(msg)
        if self.cancelled_before:
            self.request.abandon()  # wakes
        self.cancelled_before = True
        return False


class LoopAdapter:
    """One running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = weakref.ref(loop)

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        loop = asyncio.get_running_loop()
        try:
            contextvars.Context().run(loop.add_reader, fd, poll)
        except NotImplementedError:
            raise RuntimeError(f"{type(loop).__name__} has no add_reader, which anyaio.asyncio needs") from None

    def detach(self, fd: int) -> None:
        if (loop := self.loop()) is not None:
            _fronts.discard(loop)
            if not loop.is_closed():
                loop.remove_reader(fd)

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
        try:
            return request.result()
        finally:
            del request, waiter  # an error's traceback must not lead back to the request that holds it

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        return asyncio.get_running_loop().create_task(coroutine).cancel

    # A waiter is never done before: one that was cancelled has withdrawn its request. This is done in C throughout.
    wake = staticmethod(methodcaller("set_result", None))

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        if (loop := self.loop()) is not None:
            loop.call_exception_handler({"message": f"the callback of {request!r} failed", "exception": exception})


_fronts: Fronts[AwaitFront] = Fronts()


def current() -> AwaitFront:
    """Return the running loop's front end, made at its first use. RuntimeError outside a running loop."""
    loop = asyncio.get_running_loop()
    entry = _fronts.get(id(loop))
    return start(loop) if entry is None else entry[1]


def start(loop: asyncio.AbstractEventLoop) -> AwaitFront:
    _fronts.discard_closed()
    return _fronts.put(loop, AwaitFront.start(LoopAdapter(loop), Engine()))

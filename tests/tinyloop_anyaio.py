"""An adapter that lives outside of anyaio: that of `tinyloop`. It registers itself when it is imported."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import tinyloop

import anyaio
from anyaio import Engine, Request
from anyaio.adapters import AwaitFront, Fronts

T = TypeVar("T")


class LoopAdapter:
    on_error = None

    def __init__(self, loop: tinyloop.Loop) -> None:
        self._loop = weakref.ref(loop)

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        if (loop := self._loop()) is not None:
            loop.watch(fd, poll)

    def detach(self, fd: int) -> None:
        if (loop := self._loop()) is not None:
            loop.unwatch(fd)
            _fronts.discard(loop)

    async def wait(self, request: Request[T]) -> T:
        loop = self._loop()
        assert loop is not None
        assert loop.task is not None
        try:
            if request.state != "done":
                request.attach(loop.task)
                await tinyloop.suspend(request.withdraw)
        except BaseException as error:
            request.settle(error)
            raise
        try:
            return request.result()
        finally:
            del request

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        loop = self._loop()
        assert loop is not None
        return loop.start(coroutine).cancel

    @staticmethod
    def wake(waiter: tinyloop.Task) -> None:
        waiter.wake()


_fronts: Fronts[AwaitFront] = Fronts()


def current() -> AwaitFront:
    loop = tinyloop.running()
    if loop is None:
        raise RuntimeError("no tinyloop runs in this thread")
    entry: Any = _fronts.get(id(loop))
    return _fronts.put(loop, AwaitFront.start(LoopAdapter(loop), Engine())) if entry is None else entry[1]


anyaio.register("tinyloop", colour="await", module=__name__, running=tinyloop.running)

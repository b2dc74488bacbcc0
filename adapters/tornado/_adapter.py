"""tornado's Futures, on the asyncio loop that is under every IOLoop: `anyaio.asyncio` has how to watch it.

asyncio reads a Future's state behind the back of its methods. It finds nothing there: the result is with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, ClassVar

from tornado import gen
from tornado.ioloop import IOLoop

from anyaio._front import Engine, FutureFront
from anyaio._fronts import Fronts
from anyaio._future import FutureMaker, Yielded
from anyaio._request import T
from anyaio.asyncio._adapter import LoopAdapter

RETURNED = IOLoop._discard_future_result.__code__  # by a callback
LATE = next((code for code in gen.with_timeout.__code__.co_consts if "error_callback" in str(code)), None)


class Future(Yielded[T], asyncio.Future[T]):
    """The result of a request. Cancelling it cancels the request by the rules of its class."""

    __slots__ = ("cancelled_before", "error", "request", "resuming", "taken", "value")
    nobody: ClassVar[tuple[Any, ...]] = (LATE, RETURNED)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel it; a change that a worker has begun is waited for, until patience or a second cancel ends that."""
        if self.done():
            return False
        if self.take_back():
            super().cancel(msg)
        return True

    def exception(self) -> BaseException | None:
        """Return the error, if any; a result is not taken."""
        try:
            super().exception()
        except asyncio.CancelledError as error:
            self.request.settle(error)
            raise
        return self.look()

    def __await__(self) -> Generator[Any, None, T]:
        self._asyncio_future_blocking = not self.done()
        return self.wait()

    def __iter__(self) -> Generator[Any, None, T]:
        return self.__await__()

    def __del__(self) -> None:
        if self.done() and not (self.taken or self.cancelled_before) and self.exception() is not None:
            message = f"nobody looked for the error of {self!r}"
            self.get_loop().call_exception_handler({"message": message, "exception": self.error, "future": self})


class FutureAdapter(FutureMaker[Future[Any]], LoopAdapter):
    """One IOLoop's loop."""

    fronts = Fronts[FutureFront]()

    def make(self) -> Future[Any]:
        return Future(loop=self.living())

    def answer(self, result: Any) -> asyncio.Future[Any]:
        future = asyncio.Future[Any](loop=self.living())
        future.set_result(result)
        return future

    def wake(self, future: Future[Any]) -> None:
        if future.cancelled_before:
            asyncio.Future.cancel(future)
        else:
            future.set_result(None)


def current() -> FutureFront:
    """Return the front end of ``IOLoop.current()``, made at its first use."""
    loop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]  # every IOLoop that there is has it
    if (front := FutureAdapter.fronts.of(id(loop))) is not None:
        return front
    FutureAdapter.fronts.discard_closed()
    engine = Engine()
    return FutureAdapter.fronts.put(loop, FutureFront.start(FutureAdapter(engine, loop), engine))

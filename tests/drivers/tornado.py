"""tornado: IOLoops of their own, and what asyncio.run runs, also in uvloop."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from typing import Any

from tornado import gen
from tornado.ioloop import IOLoop

import anyaio.tornado
from anyaio.testing import FutureLoop

from .asyncio import Asyncio


class Tornado(Asyncio):
    """Within ``asyncio.run``, as tornado advises."""

    colour = FutureLoop.colour
    engines = "anyaio.tornado._adapter"

    @property
    def aio(self) -> Any:
        return anyaio.tornado

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:  # what main returns may be a Future, of the loop that runs then
            return await main()

        try:
            return super().run(whole)
        finally:  # tornado keeps a loop that asyncio has closed until it makes the next
            for loop in IOLoop._ioloop_for_asyncio.copy():
                if loop.is_closed():
                    IOLoop._ioloop_for_asyncio.pop(loop, None)

    def styles(self) -> dict[str, Any]:
        aio = anyaio.tornado

        @gen.coroutine
        def yielded(name: str, *arguments: Any) -> Any:
            return (yield getattr(aio, name)(*arguments))

        async def added(name: str, *arguments: Any) -> Any:
            told: asyncio.Future[Any] = asyncio.Future()
            IOLoop.current().add_future(getattr(aio, name)(*arguments), told.set_result)
            return (await told).result()

        async def called_back(name: str, *arguments: Any) -> Any:
            told: asyncio.Future[Any] = asyncio.Future()
            getattr(aio, name)(*arguments).add_done_callback(told.set_result)
            return (await told).result()

        async def multi(name: str, *arguments: Any) -> Any:
            return (await gen.multi({"one": getattr(aio, name)(*arguments), "other": aio.nop()}))["one"]

        async def gathered(name: str, *arguments: Any) -> Any:
            return (await asyncio.gather(getattr(aio, name)(*arguments), aio.nop()))[0]

        async def limited(name: str, *arguments: Any) -> Any:
            return await gen.with_timeout(datetime.timedelta(seconds=10), getattr(aio, name)(*arguments))

        async def waited_for(name: str, *arguments: Any) -> Any:
            return await asyncio.wait_for(getattr(aio, name)(*arguments), 10)

        return {
            "yield in gen.coroutine": yielded,
            "IOLoop.add_future": added,
            "Future.add_done_callback": called_back,
            "gen.multi": multi,
            "asyncio.gather": gathered,
            "gen.with_timeout": limited,
            "asyncio.wait_for": waited_for,
            "await front.stat(path)": lambda name, *arguments: getattr(aio.current(), name)(*arguments),
        }


class OwnLoop(Tornado):
    """An IOLoop that is made, run and closed by hand."""

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        loop = IOLoop(make_current=False)
        loop.asyncio_loop.set_exception_handler(self._hear)  # type: ignore[attr-defined]  # every IOLoop has it
        try:
            return loop.run_sync(main)
        finally:
            loop.run_sync(_cancel_the_others)
            loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


DRIVERS = [OwnLoop("tornado", asyncio.new_event_loop), Tornado("tornado-asyncio.run", asyncio.new_event_loop)]

try:
    import uvloop
except ImportError:
    pass
else:
    DRIVERS.append(Tornado("tornado-uvloop", uvloop.new_event_loop))

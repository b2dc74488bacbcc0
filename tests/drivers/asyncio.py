"""asyncio, as it is and in debug mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyaio.asyncio
from anyaio.testing import AwaitLoop


class Asyncio(AwaitLoop):
    engines = "anyaio.asyncio._adapter"
    cancellations = (asyncio.CancelledError,)
    hasty = True

    def __init__(self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop], debug: bool = False) -> None:
        super().__init__()
        self.name = name
        self._new_loop = new_loop
        self._debug = debug

    @property
    def aio(self) -> Any:
        return anyaio.asyncio

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        with asyncio.Runner(loop_factory=self._new_loop, debug=self._debug) as runner:
            runner.get_loop().set_exception_handler(self._hear)
            return runner.run(main())

    def _hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.heard.append(context.get("exception") or RuntimeError(context["message"]))

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        return asyncio.get_running_loop().create_task(coroutine).cancel

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def timeout(self, seconds: float, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with asyncio.timeout(seconds):
            return await main()

    def styles(self) -> dict[str, Any]:
        return {
            "await aio.stat(path)": lambda name, *arguments: getattr(anyaio.asyncio, name)(*arguments),
            "await front.stat(path)": lambda name, *arguments: getattr(self.current(), name)(*arguments),
            "asyncio.wait_for": lambda name, *arguments: asyncio.wait_for(
                getattr(anyaio.asyncio, name)(*arguments), 10
            ),
        }


DRIVERS = [Asyncio("asyncio", asyncio.new_event_loop)]

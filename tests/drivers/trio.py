"""trio, by itself and as a guest of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import trio

import anyaio.trio
from anyaio.testing import AwaitLoop

Main = Callable[[], Coroutine[Any, Any, Any]]

_nursery: trio.lowlevel.RunVar[trio.Nursery] = trio.lowlevel.RunVar("nursery")


class Trio(AwaitLoop):
    name = "trio"
    engines = "anyaio.trio._adapter"
    cancellations = (trio.Cancelled,)
    late = True

    @property
    def aio(self) -> Any:
        return anyaio.trio

    def run(self, main: Main) -> Any:
        return trio.run(self._main, main)

    async def _main(self, main: Main) -> Any:
        try:
            async with trio.open_nursery() as nursery:
                _nursery.set(nursery)
                try:
                    return await main()
                finally:
                    nursery.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the group of one that a nursery makes of it

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await coroutine

        _nursery.get().start_soon(run)
        return scope.cancel

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def timeout(self, seconds: float, main: Main) -> Any:
        try:
            with trio.fail_after(seconds):
                return await main()
        except trio.TooSlowError:
            raise TimeoutError from None

    def styles(self) -> dict[str, Any]:
        return {
            "await aio.stat(path)": lambda name, *arguments: getattr(anyaio.trio, name)(*arguments),
            "await front.stat(path)": lambda name, *arguments: getattr(self.current(), name)(*arguments),
            "in a child task": self._in_a_child,
            "without a turn for every answer": self._in_a_budget,
        }

    async def _in_a_child(self, name: str, *arguments: Any) -> Any:
        results = []

        async def call() -> None:
            results.append(await getattr(anyaio.trio, name)(*arguments))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
        except* OSError as errors:
            raise errors.exceptions[0] from None
        return results[0]

    async def _in_a_budget(self, name: str, *arguments: Any) -> Any:
        return await getattr(self.current().with_options(checkpoint="budget"), name)(*arguments)


class Guest(Trio):
    name = "trio in asyncio"

    def run(self, main: Main) -> Any:
        return asyncio.run(self._host(main))

    async def _host(self, main: Main) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            self._main, main, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        return (await done).unwrap()


DRIVERS = [Trio(), Guest()]

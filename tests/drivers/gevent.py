"""gevent, on libev and on libuv. Each run has a thread with a hub of its own, whose tasks are greenlets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import gevent
import gevent.event
import gevent.pool
from hubs import LOOPS, in_hub

import anyaio.gevent
from anyaio.testing import BlockingLoop


class Gevent(BlockingLoop):
    engines = "anyaio.gevent._adapter"
    cancellations = (gevent.GreenletExit,)
    does_not_apply = {  # noqa: RUF012  # as the base class has it
        "nothing_grows_from_loop_to_loop": "gevent itself keeps each hub that was destroyed: test_gevent.py compares"
    }

    def __init__(self, name: str, loop: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        self._loop = loop

    @property
    def aio(self) -> Any:
        return anyaio.gevent

    def run_blocking(self, main: Callable[[], Any]) -> Any:
        return in_hub(self._loop, lambda: gevent.spawn(main).get(), self.heard)

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        def main() -> None:
            begin()
            gevent.get_hub().join()

        in_hub(self._loop, main, self.heard)

    def start_blocking(self, function: Callable[[], None]) -> Callable[[], object]:
        return partial(gevent.spawn(function).kill, block=False)

    def pause(self, seconds: float) -> None:
        gevent.sleep(seconds)

    async def timeout(self, seconds: float, main: Any) -> Any:
        with gevent.Timeout(seconds, TimeoutError):
            return await main()

    def styles(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "Greenlet.get": self._spawn,
            "gevent.pool.Pool.imap": self._imap,
            "gevent.iwait": self._iwait,
            "AsyncResult": self._async_result,
        }

    async def _spawn(self, name: str, *arguments: Any) -> Any:
        return gevent.spawn(getattr(self.aio, name), *arguments).get()

    async def _imap(self, name: str, *arguments: Any) -> Any:
        (result,) = gevent.pool.Pool(2).imap(lambda _: getattr(self.aio, name)(*arguments), [None])
        return result

    async def _iwait(self, name: str, *arguments: Any) -> Any:
        (greenlet,) = gevent.iwait([gevent.spawn(getattr(self.aio, name), *arguments)])
        return greenlet.get()

    async def _async_result(self, name: str, *arguments: Any) -> Any:
        result = gevent.event.AsyncResult()
        getattr(self.engine, name)(*arguments, callback=lambda request: gevent.spawn(request.result).link(result))
        return result.get()


DRIVERS = [Gevent(f"gevent on {name}", loop) for name, loop in LOOPS.items()]

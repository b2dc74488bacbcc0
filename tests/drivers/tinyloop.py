"""A loop that anyaio knows nothing of, through the adapter that it brings itself, and anyaio.any."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import tinyloop
import tinyloop_anyaio

import anyaio.any
from anyaio.testing import AwaitLoop


class Tinyloop(AwaitLoop):
    name = "tinyloop"
    engines = tinyloop_anyaio.__name__
    cancellations = (tinyloop.Cancelled,)

    @property
    def aio(self) -> Any:
        return anyaio.any

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return tinyloop.run(main())

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        loop = tinyloop.running()
        assert loop is not None
        return loop.start(coroutine).cancel

    async def sleep(self, seconds: float) -> None:
        await tinyloop.sleep(seconds)


DRIVERS = [Tinyloop()]

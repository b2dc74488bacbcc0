"""An engine as it is, in a loop of a few lines."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections.abc import Callable
from typing import Any

from anyaio import Engine
from anyaio.testing import CallbackLoop, ThreadLocal


class Loop:
    """Serves an engine, and calls back at given times."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.timers: list[tuple[float, int, Callable[[], object]]] = []
        self.count = itertools.count()
        self.running = True

    def stop(self) -> None:
        self.running = False

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.count), callback))

    def run(self, *, until_idle: bool = False) -> None:
        with selectors.DefaultSelector() as selector, self.engine:
            selector.register(self.engine, selectors.EVENT_READ)
            while self.running and (self.engine.nreqs or not until_idle):
                timeout = max(0, self.timers[0][0] - time.monotonic()) if self.timers else None
                if selector.select(timeout):
                    self.engine.poll()
                now = time.monotonic()
                while self.timers and self.timers[0][0] <= now:
                    heapq.heappop(self.timers)[2]()


class Selectors(CallbackLoop):
    name = "selectors"
    engines = __name__
    restarts = False

    def __init__(self) -> None:
        super().__init__()
        self._here = ThreadLocal()

    @property
    def aio(self) -> Any:
        return self._here.loop.engine

    def current(self) -> Any:
        return self._here.loop.engine

    @property
    def engine(self) -> Any:
        return self._here.loop.engine

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        loop = self._here.loop = Loop()
        try:
            begin(loop.stop)
            loop.run()
        finally:
            self._here.loop = None

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        self._here.loop.call_later(seconds, callback)

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        loop = self._here.loop = Loop()
        begin()
        loop.run(until_idle=True)


DRIVERS = [Selectors()]

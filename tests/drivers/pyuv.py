"""pyuv. A loop is collected when it has no handle left, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyuv

import anyaio.pyuv
from anyaio.testing import CallbackLoop, ThreadLocal


class Pyuv(CallbackLoop):
    name = "pyuv"
    engines = "anyaio.pyuv._adapter"

    def __init__(self) -> None:
        super().__init__()
        self._here = ThreadLocal()

    @property
    def aio(self) -> Any:
        return anyaio.pyuv

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        def main() -> None:
            begin(self._here.loop.stop)

        self.run_until_idle(main)

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        loop = self._here.loop = pyuv.Loop()
        loop.excepthook = lambda kind, error, traceback: self.heard.append(error)
        front = anyaio.pyuv.use(loop)
        try:
            begin()
            loop.run()
        finally:
            front.shutdown()
            for handle in loop.handles:
                if not handle.closed:
                    handle.close()
            loop.run()
            self._here.loop = None

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        def call(handle: pyuv.Handle) -> None:
            handle.close()
            callback()

        loop = self._here.loop
        loop.update_time()
        if seconds > 0:
            pyuv.Timer(loop).start(call, seconds, 0)
        else:  # a timer of no time that starts the next would be called again and again, and nothing else
            pyuv.Idle(loop).start(call)


DRIVERS = [Pyuv()]

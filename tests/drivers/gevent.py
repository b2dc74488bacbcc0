"""gevent, on libev and on libuv. Each run has a thread with a hub of its own, whose tasks are greenlets."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import gevent
import gevent.event
import gevent.hub
import gevent.pool
from gevent.libev.corecext import loop as libev
from gevent.libuv.loop import loop as libuv

import anyaio.gevent
from anyaio.testing import BlockingLoop


class Gevent(BlockingLoop):
    engines = "anyaio.gevent._adapter"
    cancellations = (gevent.GreenletExit,)

    def __init__(self, name: str, loop: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        self._loop = loop

    @property
    def aio(self) -> Any:
        return anyaio.gevent

    def run_blocking(self, main: Callable[[], Any]) -> Any:
        return self._in_thread(lambda: gevent.spawn(main).get())

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        def main() -> None:
            begin()
            gevent.get_hub().join()

        self._in_thread(main)

    def _in_thread(self, main: Callable[[], Any]) -> Any:
        endings: list[tuple[Any, BaseException | None]] = []

        def serve() -> None:
            hub = gevent.hub.Hub(loop=self._loop(default=False))
            hub.handle_error = partial(self._hear, hub)
            gevent.hub.set_hub(hub)
            try:
                endings.append((main(), None))
            except BaseException as error:
                endings.append((None, error))
            finally:
                hub.destroy(destroy_loop=True)

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        value, error = endings.pop()
        if error is not None:
            raise error
        return value

    def _hear(self, hub: Any, context: Any, kind: Any, error: Any, traceback: Any) -> None:
        if issubclass(kind, Exception):
            self.heard.append(error)
        else:
            gevent.hub.Hub.handle_error(hub, context, kind, error, traceback)

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


DRIVERS = [Gevent("gevent-libev", libev), Gevent("gevent-libuv", libuv)]

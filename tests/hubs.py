"""Hubs for tests of gevent: each in a thread of its own, on libev or libuv, and destroyed at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import gevent.hub
from gevent.libev.corecext import loop as libev
from gevent.libuv.loop import loop as libuv

import anyaio.gevent

LOOPS: dict[str, Callable[..., Any]] = {"libev": libev, "libuv": libuv}


def in_hub(loop: Callable[..., Any], main: Callable[[], Any], heard: list[BaseException] | None = None) -> Any:
    """Call *main* in the main greenlet of a new thread with such a hub; what callbacks raise is appended to *heard*.

    On libuv, gevent destroys no hub while anything is outstanding: the front end is shut down before.
    """
    endings: list[tuple[Any, BaseException | None]] = []

    def serve() -> None:
        hub = gevent.hub.Hub(loop=loop(default=False))
        if heard is not None:
            hub.handle_error = partial(_hear, hub, heard)
        gevent.hub.set_hub(hub)
        try:
            endings.append((main(), None))
        except BaseException as error:
            endings.append((None, error))
        finally:
            if loop is libuv and hub.loop is not None:
                anyaio.gevent.current().shutdown()
            gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    value, error = endings.pop()
    try:
        if error is not None:
            raise error
        return value
    finally:
        del error


def _hear(hub: Any, heard: list[BaseException], context: Any, kind: Any, error: Any, traceback: Any) -> None:
    if isinstance(context, gevent.Greenlet):  # it has failed: who waits for it is told as well
        return
    if issubclass(kind, Exception):
        heard.append(error)
    else:
        gevent.hub.Hub.handle_error(hub, context, kind, error, traceback)

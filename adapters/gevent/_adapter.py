"""gevent's way to wait. The loop watches an engine while requests are outstanding: only then must it not end.

Nothing of ours hangs on a hub: gevent never frees one that was destroyed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from gevent import Timeout, get_hub, getcurrent
from gevent.exceptions import InvalidSwitchError, LoopExit
from gevent.hub import Hub, Waiter

from anyaio._front import Engine
from anyaio._green import GreenFront, Seats, end_wait
from anyaio._request import Request, T

CLOSED = Timeout(None).timer  # what every Timeout has whose block was left


class HubAdapter:
    """One hub."""

    def __init__(self, hub: Hub, engine: Engine) -> None:
        self.hub, self._engine = hub, weakref.ref(engine)
        self._loop: Any = hub.loop
        self.reinit = self._loop.reinit
        engine.on_busy = self.watch

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        self._watcher: Any = self._loop.io(fd, 1)  # readable

    def detach(self, fd: int) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None and self._loop.ptr:  # it was not destroyed
            watcher.close()
        _seats.leave(self.hub)

    def watch(self, busy: bool) -> None:
        if self._watcher is not None and self._loop.ptr:
            self._watcher.start(self._poll) if busy else self._watcher.stop()

    def _poll(self) -> None:
        try:
            if (engine := self._engine()) is not None:
                engine.poll()
        except BaseException as error:  # out of here it would stop the watcher
            self.hub.handle_error("a callback", type(error), error, error.__traceback__)

    def check(self) -> None:
        if getcurrent() is self.hub:
            raise RuntimeError("gevent's hub cannot wait: use a greenlet there, or callbacks of current().engine")
        if self.hub.loop is None:
            raise RuntimeError("the hub of this front end was destroyed: call current() again")

    def wait(self, request: Request[T]) -> T:
        self.check()
        waiter = Waiter(self.hub)
        request.attach(waiter)
        try:
            if waiter.get() is not waiter:
                raise InvalidSwitchError(f"{getcurrent()!r} waits for {request!r}, and was switched to by another")
        except BaseException as first:
            for error in end_wait(request, first, waiter, LoopExit):
                self._loop.run_callback(throw, getcurrent(), error)
            raise
        try:
            return request.result()
        finally:
            del request, waiter  # an error's traceback must not lead back to the request that holds it

    def wake(self, waiter: Waiter) -> None:
        if getcurrent() is self.hub:
            waiter.switch(waiter)
        elif self.hub.loop is not None:
            self.hub.loop.run_callback(waiter.switch, waiter)

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        self.hub.handle_error(request, type(exception), exception, exception.__traceback__)


def running() -> Hub:
    """Return this thread's hub; RuntimeError in the hub itself."""
    if getcurrent() is (hub := get_hub()):
        current()._check()
    return hub


def throw(greenlet: Any, error: BaseException) -> None:
    """Raise in the greenlet what came while it could not be interrupted, if that still concerns it."""
    if not greenlet.dead and getattr(error, "timer", None) is not CLOSED:
        greenlet.throw(error)


def start(hub: Hub) -> GreenFront:
    return GreenFront.start(HubAdapter(hub, engine := Engine()), engine)


_seats: Seats[Hub, GreenFront] = Seats(start)
submit = _seats.route(running)


def current() -> GreenFront:
    """Return the front end of this thread's hub, made at its first use."""
    return _seats.get(get_hub())

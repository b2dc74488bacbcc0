"""The adapter of a thread that runs no loop: it polls while it waits. One engine a thread, gone with its thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ._front import BlockingFront, Engine
from ._request import Request
from ._running import running

T = TypeVar("T")


class Endless(RuntimeError):
    """The wait would never end: for a group that is paused. It can be resumed."""


class ThreadAdapter:
    """Needs no waiters: whoever waits polls until his own request is done."""

    on_error = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        pass

    def detach(self, fd: int) -> None:
        forget()

    @staticmethod  # bound to the adapter, it would close a circle from the engine to itself
    def wake(waiter: Any) -> None:
        pass

    def wait(self, request: Request[T]) -> T:
        try:
            self._poll_until_done(request)
        except Endless:
            raise
        except BaseException as error:  # KeyboardInterrupt, or what a callback let out
            self._take_back(request)
            request.settle(error)
            raise
        try:
            return request.result()
        finally:
            del request  # an error's traceback must not lead back to the request that holds it

    def _poll_until_done(self, request: Request[Any]) -> None:
        while request.state != "done":
            if not self._engine.nreqs:
                raise Endless(f"nothing that could end the request goes on: {request!r}")
            self._engine.wait()
            self._engine.poll()

    def _take_back(self, request: Request[Any]) -> None:
        """Cancel; wait for the end of a change that runs, until patience runs out or somebody interrupts again."""
        if request.state == "done" or request.withdraw():
            return
        try:
            self._poll_until_done(request)
        except BaseException:  # the first interruption is raised
            request.abandon()


_thread = threading.local()


def current() -> BlockingFront:
    """Return this thread's front end, made at its first use. RuntimeError inside a running event loop."""
    loop = running()
    if loop is not None:
        raise RuntimeError(
            f"anyaio.blocking would block the {loop.name} loop of this thread: import {loop.module} instead"
        )
    front: BlockingFront | None = getattr(_thread, "front", None)
    if front is None:
        engine = Engine()
        front = _thread.front = BlockingFront.start(ThreadAdapter(engine), engine)
    return front


def forget() -> None:
    """Let this thread's next request start anew: after shutdown, and in the child of a fork."""
    _thread.__dict__.clear()


os.register_at_fork(after_in_child=forget)

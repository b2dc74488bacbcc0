"""pyuv's way to watch a descriptor, and the loop that each thread was told to use.

pyuv keeps every active handle, and a handle its loop: so a loop has one of ours only while requests are outstanding.
Idle, it ends as if we were not there, and is collected with its engine. A handle's close takes a last turn of the loop.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from anyaio._front import CallbackFront, Engine
from anyaio._fronts import CallbackAdapter, Chosen
from anyaio._request import Request

if TYPE_CHECKING:
    pyuv: Any  # it has no types
else:
    import pyuv


class Loop(Protocol):
    """A `pyuv.Loop`."""

    def run(self, mode: int = ...) -> bool: ...
    def stop(self) -> None: ...


class LoopAdapter(CallbackAdapter):
    """One loop, which it refers to weakly."""

    def __init__(self, loop: Loop, engine: Engine) -> None:
        self._loop = weakref.ref(loop)
        self._engine = weakref.ref(engine)
        self._handle: Any = None  # while requests are outstanding
        engine.on_busy = self.watch

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        """`watch` does it, when there is something to wait for."""

    def detach(self, fd: int) -> None:
        self.watch(False)
        if (loop := self._loop()) is not None:
            _loops.discard(loop)

    def watch(self, busy: bool) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()
        loop, engine = self._loop(), self._engine()
        if busy and loop is not None and engine is not None:
            poll = engine.poll
            self._handle = pyuv.Poll(loop, engine.fileno())
            self._handle.start(pyuv.UV_READABLE, lambda handle, events, error: poll())

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        hook = getattr(self._loop(), "excepthook", None) or sys.excepthook
        hook(type(exception), exception, exception.__traceback__)


def start(loop: Loop) -> CallbackFront:
    engine = Engine()
    return CallbackFront.start(LoopAdapter(loop, engine), engine)


_loops: Chosen[Loop, CallbackFront] = Chosen(start, "call anyaio.pyuv.use(loop), and keep the loop")
current: Callable[[], CallbackFront] = _loops.current


def use(loop: Loop) -> CallbackFront:
    """Have this thread's requests served by *loop*, which it runs; return the loop's front end."""
    if not isinstance(loop, pyuv.Loop):
        raise TypeError(f"loop must be a pyuv.Loop, not {type(loop).__name__!r}")
    return _loops.use(loop)

"""The front ends of loops, for adapters: by the loop's id, and gone with the loop."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._front import Front
from ._request import Request

F = TypeVar("F", bound=Front[Any])
L = TypeVar("L")


class Fronts(dict[int, tuple["weakref.ref[Any]", F]]):
    """Its loops are referred to weakly. An adapter must do that too, or no loop ever goes."""

    def put(self, loop: Any, front: F, key: int | None = None) -> F:
        """Keep *front* as long as *loop* lives, or whatever it is that goes with the loop of another *key*."""
        place = id(loop) if key is None else key
        self[place] = weakref.ref(loop, lambda gone: self._forget(place, gone)), front
        return front

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        if key in self and self[key][0] is gone:  # the next loop may have the key already
            del self[key]

    def discard(self, loop: Any) -> None:
        self.pop(id(loop), None)

    def discard_closed(self) -> None:
        """Forget the loops that somebody keeps, but that will not run again: the next may have one's id."""
        for key, (reference, _) in list(self.items()):
            if (loop := reference()) is None or loop.is_closed():
                self.pop(key, None)


class Chosen(Generic[L, F]):
    """For frameworks that cannot tell which of their loops runs: each thread says which it uses."""

    def __init__(self, start: Callable[[L], F], advice: str) -> None:
        self._start = start
        self._advice = advice
        self._fronts: Fronts[F] = Fronts()
        self._thread = threading.local()

    def use(self, loop: L) -> F:
        """Have this thread use *loop*, which is referred to weakly; return its front end."""
        self._thread.loop = weakref.ref(loop)
        return self.current()

    def loop(self) -> L | None:
        """Return the loop that this thread uses, if it is still there."""
        loop: L | None = getattr(self._thread, "loop", _no_loop)()
        return loop

    def current(self) -> F:
        """Return the front end of this thread's loop, made at its first use. RuntimeError without a loop."""
        loop = self.loop()
        if loop is None:
            raise RuntimeError(f"this thread has no loop, or it is gone: {self._advice}")
        entry = self._fronts.get(id(loop))
        return self._fronts.put(loop, self._start(loop)) if entry is None else entry[1]

    def discard(self, loop: L) -> None:
        self._fronts.discard(loop)


def _no_loop() -> None:
    return None


class CallbackAdapter:
    """What adapters of the callback colour share: nobody waits, and errors go to `sys.excepthook`."""

    @staticmethod
    def wake(waiter: object) -> None:
        pass

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        sys.excepthook(type(exception), exception, exception.__traceback__)

"""The front ends of loops, for adapters: by the loop's id, and gone with the loop."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._front import Front
from ._python.original import thread as real_thread
from ._request import Request

get_ident = real_thread.get_ident  # never a green thread's
F = TypeVar("F", bound=Front[Any])
L = TypeVar("L")


class Fronts(dict[int, tuple["weakref.ref[Any]", F, int, Callable[..., Any]]]):
    """By loop: a weak reference to it, its front end, the thread that this belongs to, as `get_ident` tells it, and its
    submitter, for a `Route`.

    An adapter must refer to its loop weakly too, or no loop ever goes. An engine stays with its thread: a loop that has
    moved to another one gets another front end there.
    """

    def put(self, loop: Any, front: F, key: int | None = None) -> F:
        """Keep *front* as long as *loop* lives, or whatever it is that goes with the loop of another *key*."""
        place = id(loop) if key is None else key
        if (entry := self.get(place)) is not None and not entry[1].engine.closed:  # of another thread
            entry[1]._adapter.detach(entry[1].engine.fileno())
        self[place] = weakref.ref(loop, lambda gone: self._forget(place, gone)), front, get_ident(), front._submit
        return front

    def of(self, key: int) -> F | None:
        """Return this thread's front end of the loop with the *key*, if there is one."""
        entry = self.get(key)
        return entry[1] if entry is not None and entry[2] == get_ident() else None

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        if key in self and self[key][0] is gone:  # the next loop may have the key already
            del self[key]

    def discard(self, loop: Any) -> None:
        self.pop(id(loop), None)

    def discard_closed(self) -> None:
        """Forget the loops that somebody keeps, but that will not run again: the next may have one's id."""
        for key, (reference, *_) in list(self.items()):
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
        return self._fronts.of(id(loop)) or self._fronts.put(loop, self._start(loop))

    def discard(self, loop: L) -> None:
        self._fronts.discard(loop)


def _no_loop() -> None:
    return None


def guarded(poll: Callable[[], int], leave: Callable[[], object]) -> Callable[[], int]:
    """Return *poll*; in another thread, to which the loop has moved, it calls *leave* and raises that it cannot serve.

    Else the loop would call it again and again.
    """
    process, thread = os.getpid(), get_ident()

    def guarded_poll() -> int:
        try:
            return poll()
        except RuntimeError:
            if get_ident() != thread and os.getpid() == process:
                leave()
            raise

    return guarded_poll


class CallbackAdapter:
    """What adapters of the callback colour share: nobody waits, and errors go to `sys.excepthook`."""

    @staticmethod
    def wake(waiter: object) -> None:
        pass

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        sys.excepthook(type(exception), exception, exception.__traceback__)

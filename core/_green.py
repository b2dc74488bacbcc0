"""What loops of green threads share: one front end a real thread, and waits that nothing ends too early.

1. A request is only made where it can be waited for: else it might do its work, and who made it be told of an error.
2. What interrupts a wait is raised in the green thread that waits. A change cannot be taken back: it is waited for all
   the same, the first interruption is raised then, and those that came meanwhile are raised behind it.
3. A thread has its front end in its seat. It is shut down when the thread ends or has got another loop.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._backend import backend
from ._front import BlockingAdapter, BlockingFront, Engine
from ._options import Options
from ._python.original import thread
from ._request import Request

if TYPE_CHECKING:
    from ._engine import Submitter

L = TypeVar("L")
F = TypeVar("F", bound="GreenFront")


class GreenAdapter(BlockingAdapter, Protocol):
    def check(self) -> None:
        """RuntimeError where nothing can be waited for."""

    def reinit(self) -> None:
        """In the child of a fork: have the loop share nothing any more with the parent's."""


class GreenWaiter(Protocol):
    def get(self) -> object:
        """Wait; return what it was switched to with."""


class GreenFront(BlockingFront):
    """A front end in the blocking colour, which blocks green threads."""

    def __init__(self, adapter: GreenAdapter, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        super().__init__(adapter, engine, options, home)
        self._check = adapter.check

    @property
    def _submit(self) -> Submitter:
        self._check()
        return self._submitter

    @_submit.setter
    def _submit(self, submitter: Submitter) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # both
        self._submitter = submitter


def end_wait(
    request: Request[Any], first: BaseException, waiter: GreenWaiter, hopeless: type[BaseException]
) -> list[BaseException]:
    """Take back a request whose wait *first* has ended, or go on to wait while it cannot be.

    *waiter* gets itself when the request is done. Return what was raised meanwhile; *hopeless* is raised when nothing
    will come any more.
    """
    later: list[BaseException] = []
    with suppress(RuntimeError):  # it was made before fork: nothing can be done about it here
        waiting = not request.withdraw()
        while waiting and request.state != "done":
            try:
                waiting = waiter.get() is not waiter
            except hopeless:
                waiting = False
            except BaseException as error:
                later.append(error.with_traceback(None))
        request.settle(first)
    return later


class Seat(Generic[L, F]):
    """Where a thread has the front end of its loop."""

    def __init__(self, loop: L, front: F) -> None:
        self.loop = loop
        self.front = front
        weakref.finalize(self, front.shutdown).atexit = False


class Seats(Generic[L, F]):
    """Those of all threads."""

    def __init__(self, start: Callable[[L], F]) -> None:
        self._start = start
        self._local = thread._local()  # never patched: each real thread has its own
        self._kept: list[F] = []  # the parent's: who waits in it must not be ended in the child
        self._watching = False

    def get(self, loop: L) -> F:
        """Return the front end of the loop that this thread has, made at its first use."""
        seat: Seat[L, F] | None = getattr(self._local, "seat", None)
        if seat is None or seat.loop is not loop:
            seat = self._local.seat = Seat(loop, self._start(loop))
            self._watch_process()
        return seat.front

    def route(self, running: Callable[[], L]) -> Any:
        """Return the submitter of whichever loop is *running*, which raises where nobody can wait."""
        return backend.Route(running, {}, self.get, checks=True)

    def leave(self, loop: L) -> None:
        """Have the thread's next use of the loop make another."""
        seat: Seat[L, F] | None = getattr(self._local, "seat", None)
        if seat is not None and seat.loop is loop:
            self._local.seat = None

    def _watch_process(self) -> None:
        if not self._watching:  # behind what makes engines: they know that it is the child when `_forget` is called
            self._watching = True
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        seat: Seat[L, F] | None = getattr(self._local, "seat", None)
        if seat is None:
            return
        self._kept.append(seat.front)
        adapter: Any = seat.front._adapter
        adapter.reinit()
        adapter.detach(-1)

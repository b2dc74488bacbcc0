"""An event loop of somebody else, in a hundred lines: tasks that await, a clock, descriptors to watch, cancelling.

anyaio knows nothing of it; `tinyloop_anyaio` is its adapter.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any

_thread = threading.local()


class Cancelled(BaseException):
    """What a cancelled task ends with."""


class Task:
    """A coroutine that runs; it is done when *running* is None."""

    def __init__(self, loop: Loop, running: Coroutine[Any, Any, Any]) -> None:
        self.loop = loop
        self.running: Coroutine[Any, Any, Any] | None = running
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_cancelled = False
        self.may_stop: Callable[[], bool] | None = None  # while it is suspended
        self.context = copy_context()

    def cancel(self) -> None:
        """Raise Cancelled in it: at once if what it waits for allows that, else when it is woken."""
        self.is_cancelled = True
        if self.may_stop is not None and self.may_stop():
            self.wake()

    def wake(self) -> None:
        """Have it go on; once for each time that it suspends."""
        self.may_stop = None
        self.loop.ready.append(self)

    def step(self) -> None:
        assert self.running is not None
        self.loop.task = self
        try:
            if self.is_cancelled:
                self.is_cancelled = False
                self.may_stop = self.context.run(self.running.throw, Cancelled())
            else:
                self.may_stop = self.context.run(self.running.send, None)
        except BaseException as end:  # the task's, whatever it is: StopIteration brings the result
            self.running = None
            self.loop.tasks.remove(self)
            if isinstance(end, StopIteration):
                self.result = end.value
            else:
                self.error = end
        finally:
            self.loop.task = None


class Loop:
    def __init__(self) -> None:
        self.tasks: set[Task] = set()  # that are not done
        self.ready: deque[Task] = deque()
        self.task: Task | None = None  # the one whose code runs
        self.readers: dict[int, Callable[[], object]] = {}
        self.selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Task, list[bool]]] = []
        self._number = itertools.count()

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        self.readers[fd] = callback
        self.selector.register(fd, selectors.EVENT_READ)

    def unwatch(self, fd: int) -> None:
        del self.readers[fd]
        self.selector.unregister(fd)

    def start(self, running: Coroutine[Any, Any, Any]) -> Task:
        task = Task(self, running)
        self.tasks.add(task)
        self.ready.append(task)
        return task

    def at(self, when: float, task: Task) -> Callable[[], bool]:
        """Wake *task* at that time; return what calls it off."""
        is_off = [False]
        heapq.heappush(self._timers, (when, next(self._number), task, is_off))

        def call_off() -> bool:
            is_off[0] = True
            return True

        return call_off

    def turn(self) -> None:
        """Go around once."""
        pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _ in self.selector.select(0 if self.ready else pause):
            self.readers[key.fd]()
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, task, is_off = heapq.heappop(self._timers)
            if not is_off[0]:
                task.wake()
        for _ in range(len(self.ready)):
            self.ready.popleft().step()


def running() -> Loop | None:
    """Return the loop that runs in this thread."""
    return getattr(_thread, "loop", None)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run *main* in a new loop, cancel what is left of other tasks, and return its result."""
    loop = _thread.loop = Loop()
    try:
        task = loop.start(main)
        while task.running is not None:
            loop.turn()
        for other in loop.tasks:
            other.cancel()
        while loop.tasks:
            loop.turn()
    finally:
        loop.selector.close()
        del _thread.loop
    if task.error is not None:
        raise task.error
    return task.result


@coroutine
def suspend(may_stop: Callable[[], bool]) -> Generator[Callable[[], bool], None, None]:
    """Suspend the task until somebody wakes it. *may_stop* is asked whether a cancellation may do that."""
    yield may_stop


async def sleep(seconds: float) -> None:
    loop = running()
    assert loop is not None
    assert loop.task is not None
    await suspend(loop.at(time.monotonic() + seconds, loop.task))

"""What keeps suspended composites, and sees to them when an engine, the process, or its fork needs it.

`_drive.py` tells the rules.
"""

from __future__ import annotations

import os
import weakref
from _thread import get_native_id
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._drive import Composite
    from ._engine import Engine


class Home:
    """Where something belongs that no backend made: an engine, which that does not keep, its thread and process."""

    __slots__ = ("_engine", "_process", "_thread")

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self._thread = get_native_id()
        self._process = os.getpid()

    @property
    def engine(self) -> Engine | None:
        """The engine, while there is one that was not shut down."""
        engine = self._engine()
        return None if engine is None or engine.closed else engine

    def wake(self, waiter: Any) -> None:
        """Wake who waits, as the engine does for its own requests, also while it shuts down."""
        engine = self._engine()
        if waiter is not None and engine is not None and engine.wake is not None:
            engine.wake(waiter)

    @property
    def inherited(self) -> bool:
        """Whether it is the parent's, and this a forked child."""
        return self._process != os.getpid()

    def check(self, what: str) -> None:
        """RuntimeError if this is not the engine's thread, or a forked child."""
        if self._thread == get_native_id():
            return
        if self.inherited:
            raise RuntimeError(f"the {what} was made before fork; it only lives in the parent")
        raise RuntimeError(f"the {what} belongs to another thread")


class Runner:
    """The composites of one engine: those that have not ended, and those with strands to resume."""

    __slots__ = ("active", "composites", "engine", "queue", "thread")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.composites: set[Composite[Any]] = set()
        self.queue: deque[Composite[Any]] = deque()
        self.active = False
        self.thread: int | None = get_native_id()  # None: it was made before fork, nothing runs any more

    @staticmethod
    def of(engine: Engine) -> Runner:
        """Return the engine's runner: there is one while it has composites."""
        runner = _runners.get(engine)
        if runner is None:
            watch_process()
            runner = _runners[engine] = Runner(engine)
        return runner

    def check(self) -> None:
        """RuntimeError if this is not the engine's thread, or a forked child."""
        if self.thread is None:
            raise RuntimeError("the composite was started before fork; it only runs in the parent")
        if self.thread != get_native_id():
            raise RuntimeError("the composite belongs to another thread")

    def remove(self, composite: Composite[Any]) -> None:
        self.composites.discard(composite)
        if not self.composites and _runners.get(self.engine) is self:
            del _runners[self.engine]

    def run(self) -> None:
        """Resume what is queued. Where that is under way already, further down the stack, it is left to it."""
        if self.active:
            return
        failure = None
        self.active = True
        try:
            while self.queue:
                composite = self.queue.popleft()
                if composite._working:  # it runs further down the stack, and sees to its strands there
                    continue
                try:
                    composite._work()
                except BaseException as error:  # a callback's; the others are run before it leaves the poll
                    failure = failure or error
        finally:
            self.active = False
        if failure is not None:
            raise failure


_runners: dict[Engine, Runner] = {}
_kept: list[Runner] = []  # of the parent, in a forked child
_watching = False


def watch_process() -> None:
    """Have fork and exit look after suspended coroutines."""
    global _watching
    if _watching:
        return
    _watching = True
    import atexit

    atexit.register(_at_exit)
    os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for runner in _runners.values():
        runner.thread = None
        runner.queue.clear()
        for composite in runner.composites:
            composite._ready.clear()
        _kept.append(runner)
    _runners.clear()


def _at_exit() -> None:
    for runner in list(_runners.values()):
        if runner.thread == get_native_id() and not runner.engine.closed:
            finish_all(runner.engine)
    left = [*_runners.values(), *_kept]
    if left:  # the interpreter's end would close what is suspended: that must never be
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(left))


def finish_all(engine: Engine) -> None:
    """Cancel the engine's composites and drive them to their end, before its shutdown.

    It polls. It waits as long as completions keep arriving, and for the pool's *exit_timeout* after the last; whose
    coroutine is still stuck then is abandoned.
    """
    runner = _runners.get(engine)
    if runner is None:
        return
    active, runner.active = runner.active, False  # a callback may shut down: what waits behind it is run here
    try:
        for composite in list(runner.composites):
            composite.cancel()
        while runner.composites and engine.wait(engine.pool.exit_timeout):
            engine.poll()
        for composite in list(runner.composites):
            composite.abandon()
    finally:
        runner.active = active

"""What a behaviour gets, `t`: the functions, tasks, and the means to bring a request into any state.

A behaviour that is an ``async def`` runs in a loop. One that is a plain function runs loops, by `Trial.run`.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .. import Outcome, outcome
from .._front import engine_class
from ._driver import Driver, Main

Condition = Callable[[], object]

LIMIT = 10.0  # seconds that nothing here should ever take


class Ending(NamedTuple):
    """How a task or a call ended."""

    value: Any
    error: BaseException | None
    cancelled: bool

    @property
    def outcome(self) -> Outcome | None:
        """What the cancellation tells."""
        return outcome(self.error)


class Task:
    """A coroutine that runs beside the behaviour."""

    def __init__(self, driver: Driver, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._driver = driver
        self.ending: Ending | None = None
        self.cancel = driver.start(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.ending = Ending(await coroutine, None, False)
        except BaseException as error:
            cancelled = isinstance(error, self._driver.cancellations)
            self.ending = Ending(None, error, cancelled)
            if cancelled or not isinstance(error, Exception):
                raise


class Trial:
    """One run of one behaviour."""

    def __init__(self, driver: Driver, backend: ModuleType, folder: Path, limit: float = LIMIT) -> None:
        self.driver = driver
        self.folder = folder
        self.limit = limit
        self.pool = backend.Pool()
        self.make_engine: Callable[[], Any] = functools.partial(engine_class(backend), self.pool)
        self._stuck: list[Stuck] = []

    # ---- loops ----

    def run(self, main: Main) -> Any:
        """Run ``main()`` in a fresh loop of the driver's."""
        return self.driver.run(main)

    # ---- in a loop ----

    @property
    def aio(self) -> Any:
        """The functions, to be awaited."""
        return self.driver.neutral(self.driver.aio)

    @property
    def front(self) -> Any:
        """The running loop's front end, as it is."""
        return self.driver.current()

    @property
    def engine(self) -> Any:
        """Its engine: the same functions in the callback colour."""
        return self.driver.engine

    def view(self, **options: Any) -> Any:
        """The functions with other options, to be awaited."""
        return self.driver.neutral(self.front.with_options(**options))

    def wait(self, request: Any) -> Awaitable[Any]:
        """Wait for a request of the engine or a group, in the loop's colour."""
        waiting: Awaitable[Any] = self.driver.neutral(self.front).wait(request)
        return waiting

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        return Task(self.driver, coroutine)

    async def join(self, task: Task) -> Ending:
        """Wait until a task has ended."""
        await self.until(lambda: task.ending is not None)
        assert task.ending is not None
        return task.ending

    async def until(self, condition: Condition) -> None:
        """Let the loop run until the condition holds."""
        deadline = time.monotonic() + self.limit
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            await self.driver.sleep(0.001)

    def spin(self, condition: Condition) -> None:
        """Hold this thread, and so the loop, until other threads have made the condition true."""
        deadline = time.monotonic() + self.limit
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.001)

    async def cancelled(self, main: Main, *conditions: Condition) -> Ending:
        """Call ``main()``; cancel it as soon as the first condition holds, again with the next, and tell how it ended."""
        return await self.driver.interrupted(self, main, conditions)

    # ---- states that requests are in ----

    @contextmanager
    def held(self) -> Iterator[None]:
        """No request runs: all stay queued."""
        most, self.pool.max_parallel = self.pool.max_parallel, 0
        self.spin(lambda: self.pool.nthreads == 0)
        try:
            yield
        finally:
            self.pool.max_parallel = most

    def queued(self, count: int = 1) -> Condition:
        """Whether so many requests of the behaviour are queued."""
        return lambda: self.pool.stats()["queued"] >= count

    def running(self, count: int = 1) -> Condition:
        """Whether so many requests of the behaviour are in a worker, and none waits."""

        def is_so() -> bool:
            stats = self.pool.stats()
            return bool(stats["running"] >= count and not stats["queued"])

        return is_so

    def stuck(self) -> Stuck:
        """Return a path whose opening keeps a worker until it is released, at the behaviour's end at the latest."""
        stuck = Stuck(self.folder / f"stuck{len(self._stuck)}")
        self._stuck.append(stuck)
        return stuck

    def release_all(self) -> None:
        """Let go of all that is held back."""
        self.pool.max_parallel = max(self.pool.max_parallel, 4)
        for stuck in self._stuck:
            stuck.release()

    def end(self) -> None:
        """Nothing may be left: no thread, no descriptor in a FIFO."""
        self.release_all()
        self.spin(lambda: self.pool.nthreads == 0)
        for stuck in self._stuck:
            stuck.close()


class Stuck:
    """A FIFO that nobody reads: opening it for writing takes until `release`."""

    MAKE = os.O_WRONLY
    CHANGE = os.O_WRONLY | os.O_CREAT

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = -1
        os.mkfifo(path)

    def release(self) -> None:
        if self._reader < 0:
            self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._reader)


def descriptors() -> set[str]:
    """The open descriptors and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:  # that of the listing itself
            pass
    return found

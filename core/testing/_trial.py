"""What a behaviour gets, `t`: the functions, tasks, and the means to bring a request into any state.

A behaviour that is an ``async def`` runs in a loop. One that is a plain function runs loops, by `Trial.run`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from .. import Outcome, outcome
from .._front import engine_class
from ._driver import Driver, Main

E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])
Condition = Callable[[], object]

LIMIT = 10.0  # seconds that nothing here should ever take


def not_for(**reasons: str) -> Callable[[F], F]:
    """Say why a behaviour can not be asked of a colour."""

    def mark(behaviour: F) -> F:
        behaviour.reasons = reasons  # type: ignore[attr-defined]
        return behaviour

    return mark


def demands(*conditions: Callable[[Driver], str | None]) -> Callable[[F], F]:
    """Say what a behaviour needs of a loop: each of *conditions* returns what is missing, or None."""

    def mark(behaviour: F) -> F:
        behaviour.demands = conditions  # type: ignore[attr-defined]
        return behaviour

    return mark


def threads(driver: Driver) -> str | None:
    return driver.main_thread or None


def a_second_cancel_counts(driver: Driver) -> str | None:
    return None if driver.hasty else "a second cancellation does not reach what waits already"


def restarts(driver: Driver) -> str | None:
    return None if driver.restarts else "its engine is made by hand, and not again"


def importable(driver: Driver) -> str | None:
    return None if home(driver) else "its driver is in no list of DRIVERS of a module"


def home(driver: Driver) -> str | None:
    """Return the module that has a driver in its list DRIVERS; None if there is none."""
    modules = [(name, vars(module)) for name, module in list(sys.modules.items()) if isinstance(module, ModuleType)]
    return next((name for name, names in modules if driver in names.get("DRIVERS", ())), None)


def ends_by_itself(driver: Driver) -> str | None:
    own = type(driver).run_until_idle is not Driver.run_until_idle
    return None if own else "the loop ends when it is told to, not when nothing is left"


def has_timeouts(driver: Driver) -> str | None:
    return None if type(driver).timeout is not Driver.timeout else "the loop has no limits of time of its own"


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

    def __init__(self, driver: Driver, coroutine: Awaitable[Any]) -> None:
        self._driver = driver
        self.begun: bool = False
        self.ending: Ending | None = None
        self.cancel: Callable[[], object] = driver.start(self._run(coroutine))

    async def _run(self, coroutine: Awaitable[Any]) -> None:
        self.begun = True
        try:
            self.ending = Ending(await coroutine, None, False)
        except BaseException as error:
            cancelled = isinstance(error, self._driver.cancellations)
            self.ending = Ending(None, error, cancelled)
            if cancelled or isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit):
                raise


class Trial:
    """One run of one behaviour."""

    def __init__(self, driver: Driver, backend: ModuleType, folder: Path, limit: float = LIMIT) -> None:
        self.driver = driver
        self.folder = folder
        self.limit = limit
        self.backend = backend
        self.renew()
        self._stuck: list[Stuck] = []

    def renew(self) -> None:
        """Take another pool: in a forked child the old one is of no use."""
        self.pool: Any = self.backend.Pool()

    def make_engine(self) -> Any:
        return engine_class(self.backend)(self.pool)

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

    async def wait(self, request: Any) -> Any:
        """Wait for a request of the engine or a group, in the loop's colour."""
        return await self.driver.neutral(self.front).wait(request)

    def start(self, coroutine: Awaitable[Any]) -> Task:
        """Start a task: of a coroutine, or of what a function in the loop's colour returns."""
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

    async def cancelled(self, main: Main, *conditions: Condition, then: Callable[[], object] = lambda: None) -> Ending:
        """Call ``main()``; cancel it as soon as the first condition holds, again with the next, then call *then*.

        Return how it ended; what the call returned is the value, also when the cancellation came behind it.
        """
        returned: list[Any] = []

        async def call() -> Any:
            returned.append(await main())
            await self.driver.sleep(0)  # some loops cancel here
            return returned[0]

        ending = await self.driver.interrupted(self, call, conditions, then)
        return ending._replace(value=returned[0]) if returned else ending

    def told(self, ending: Ending, *statuses: str) -> None:
        """A call was cancelled and told that it did one of these; a loop that is late may have the result instead."""
        if self.driver.late and "done" in statuses and ending.value is not None:
            assert ending.cancelled or self.driver.colour == "callback", "the cancellation never came"
            return
        if self.driver.late and "failed" in statuses and isinstance(ending.error, OSError):
            return
        assert ending.cancelled, ending
        assert ending.outcome is not None, "the cancellation does not tell what the call did"
        assert ending.outcome.status in statuses, ending.outcome

    async def raised(self, error: type[E], waiting: Awaitable[Any]) -> E:
        """Wait for a call that must raise such an error; return it."""
        try:
            await waiting
        except error as caught:
            return caught.with_traceback(None)
        raise AssertionError(f"it did not raise {error.__name__}")

    async def all(self, waitings: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Run coroutines as tasks; return their results."""
        endings = await self.join_all([self.start(waiting) for waiting in waitings])
        for ending in endings:
            if ending.error is not None:
                raise ending.error
        return [ending.value for ending in endings]

    async def join_all(self, tasks: Sequence[Task]) -> list[Ending]:
        return [await self.join(task) for task in tasks]

    async def drained(self) -> None:
        """Let the loop run until nothing is outstanding."""
        engine = self.engine
        await self.until(lambda: not engine.nreqs)

    # ---- states that requests are in ----

    @contextmanager
    def held(self) -> Iterator[None]:
        """No request runs: all stay queued."""
        most, self.pool.max_parallel = self.pool.max_parallel, 0
        self.spin(lambda: not self.pool.stats()["running"])
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

    def finished(self) -> Condition:
        """Within `held`: let the queued request run, and hold the loop until nothing but the poll is left of it."""
        engine = self.engine

        def is_so() -> bool:
            if not engine.nready:
                return False
            self.pool.max_parallel = 4
            self.spin(lambda: engine.npending)
            return True

        return is_so

    def stuck(self) -> Stuck:
        """Return a path whose opening keeps a worker until it is released, at the behaviour's end at the latest."""
        stuck = Stuck(self.folder / f"stuck{len(self._stuck)}")
        self._stuck.append(stuck)
        return stuck

    async def look(self) -> None:
        """Make a call that only looks, and takes until the behaviour's end."""
        await self.aio.read_bytes(self.stuck().path)

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
    """A FIFO that nobody else has open: opening it takes until `release`."""

    MAKE = os.O_WRONLY
    CHANGE = os.O_WRONLY | os.O_CREAT

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        os.mkfifo(path)

    @property
    def released(self) -> bool:
        return self._fd >= 0

    def release(self) -> None:
        if not self.released:
            self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def is_open(self) -> bool:
        """Whether somebody else has it open."""
        return any(entry.endswith(f" {self.path}") for entry in descriptors() - {f"{self._fd} {self.path}"})

    def close(self) -> None:
        os.close(self._fd)


def descriptors() -> set[str]:
    """The open descriptors and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:  # that of the listing itself
            pass
    return found

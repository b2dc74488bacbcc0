"""What tests of anyaio.trio need: its functions on each backend, runs with a limit of time, calls to be cancelled."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
import trio

import anyaio.trio
from anyaio._front import engine_class

LIMIT = 10.0  # seconds that nothing here should ever take


@pytest.fixture
def aio(backend: ModuleType, pool: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`anyaio.trio`, whose engines are of this backend and use *pool*; 0 in its *max_parallel* holds everything."""
    monkeypatch.setattr("anyaio.trio._adapter.Engine", functools.partial(engine_class(backend), pool))
    return anyaio.trio


def run(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """trio.run that does not last for ever."""

    async def limited() -> Any:
        with trio.fail_after(LIMIT):
            return await main()

    return trio.run(limited, **options)


def in_trio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Have pytest run a coroutine function by trio.run."""

    @functools.wraps(test)
    def run_test(**fixtures: Any) -> None:
        run(functools.partial(test, **fixtures))

    run_test.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run_test


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await trio.sleep(0.001)


def start(nursery: trio.Nursery, call: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Started:
    """Start a call in a task and a cancel scope of its own."""
    started = Started()
    nursery.start_soon(started.run, call, arguments)
    return started


class Started:
    """A call in a task, and how it ended."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.value: Any = None
        self.error: Any = None
        self.cancelled_later = False  # at a checkpoint behind the call

    async def run(self, call: Callable[..., Coroutine[Any, Any, Any]], arguments: tuple[Any, ...]) -> None:
        with self.scope:
            try:
                self.value = await call(*arguments)
            except (Exception, trio.Cancelled) as error:
                self.error = error
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled:
                self.cancelled_later = True
        self.done.set()

    async def cancelled(self) -> Any:
        """Cancel it, wait for its end, return its error."""
        self.scope.cancel()
        await self.done.wait()
        return self.error

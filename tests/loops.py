"""Fixtures for what runs in a loop: each test runs in asyncio and in uvloop, on each backend.

`backend` and `pool` are conftest's. A test module takes the fixtures it needs: ``aio = loops.aio``.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import pytest

import anyaio._running
import anyaio.asyncio
from anyaio._front import engine_class

LIMIT = 10.0  # seconds that nothing here should ever take


@pytest.fixture
def aio(backend: ModuleType, pool: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`anyaio.asyncio`, whose engines are of this backend and use *pool*; 0 in its *max_parallel* holds everything."""
    monkeypatch.setattr("anyaio.asyncio._adapter.Engine", functools.partial(engine_class(backend), pool))
    return anyaio.asyncio


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        return asyncio.new_event_loop
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, Any], loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Any:
    """asyncio.run in a loop of this factory."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def on_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Have pytest run a coroutine function in each loop; what the loop's exception handler hears fails the test."""

    @functools.wraps(test)
    def run_test(loop_factory: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: complaints.append(context))
            await test(**fixtures)

        run(main(), loop_factory)
        assert complaints == []

    parameters = list(inspect.signature(test).parameters.values())
    factory = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run_test.__signature__ = inspect.Signature([*parameters, factory])  # type: ignore[attr-defined]
    return run_test


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.001)


def spin(condition: Callable[[], object]) -> None:
    """Hold the thread until other threads have made the condition true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.001)


def descriptors() -> set[str]:
    """The open descriptors and what they are."""
    if not anyaio._running.running():  # a collection may take too long in a loop
        gc.collect()
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:  # that of the listing itself
            pass
    return found


class Stuck:
    """A FIFO whose opening with O_CREAT is a change that a worker cannot leave before somebody reads."""

    FLAGS = os.O_WRONLY | os.O_CREAT

    def __init__(self, path: str) -> None:
        self.path = path
        self.reader = -1
        self._lock = threading.Lock()  # whom one thread has let go may come here before it has a reader
        os.mkfifo(path)

    def release(self) -> None:
        with self._lock:
            if self.reader < 0:
                self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def is_open_for_writing(self) -> bool:
        return any(name.endswith(self.path) for name in descriptors() if not name.startswith(f"{self.reader} "))


@pytest.fixture
def stuck(tmp_path: Any) -> Iterator[Stuck]:
    fifo = Stuck(str(tmp_path / "stuck"))
    yield fifo
    fifo.release()
    spin(lambda: not fifo.is_open_for_writing())
    os.close(fifo.reader)


def running(engine: Any) -> Callable[[], bool]:
    """Whether every outstanding request of an engine is in a worker."""
    return lambda: engine.nreqs > 0 and engine.nready == 0


def thread_count() -> int:
    """Threads of the process, not only those that Python knows."""
    return len(os.listdir("/proc/self/task"))

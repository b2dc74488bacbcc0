"""What tests of an engine by hand need: waiting for it with a time limit, and calls that last until they are let go."""

from __future__ import annotations

import gc
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 10.0  # seconds that nothing here should ever take


def spin(condition: Callable[[], object]) -> None:
    """Hold the thread until other threads have made the condition true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.001)


def is_readable(engine: Any) -> bool:
    """Whether the engine's descriptor is readable now."""
    poller = select.poll()
    poller.register(engine, select.POLLIN)
    return bool(poller.poll(0))


def run(engine: Any, request: Any) -> Any:
    """Poll until the request is done, and return its result."""
    deadline = time.monotonic() + LIMIT
    while request.state != "done":
        assert time.monotonic() < deadline, f"{request!r} did not end"
        engine.wait(0.1)
        engine.poll()
    return request.result()


def until(request: Any, state: str) -> None:
    """Wait, without polling, until the request is in that state."""
    spin(lambda: request.state == state)


def until_waiting(engine: Any, request: Any) -> None:
    """Wait until a worker sits in poll(2) for the request; nothing tells but a kernel stack that sleeps."""
    until(request, "running")
    spin(lambda: any("poll" in name for name in _sleeping_in()))


def _sleeping_in() -> Iterator[str]:
    own = str(os.getpid())
    for thread in os.listdir("/proc/self/task"):
        if thread == own:
            continue
        try:
            yield Path(f"/proc/self/task/{thread}/syscall").read_text().replace("7 ", "poll ", 1)
        except OSError:
            continue


def descriptors() -> int:
    """How many descriptors are open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


class Fifo:
    """A FIFO that nobody has open: opening it blocks until `let_go`. *change* flags make that a change."""

    MAKE = os.O_WRONLY
    CHANGE = os.O_WRONLY | os.O_CREAT

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = -1
        os.mkfifo(path)

    def let_go(self) -> None:
        if self._reader < 0:
            self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        self.let_go()
        os.close(self._reader)


@contextmanager
def held(pool: Any) -> Iterator[None]:
    """Keep requests queued inside of the block. Before it, the pool must have no thread."""
    limit, pool.max_parallel = pool.max_parallel, 0
    spin(lambda: pool.nthreads == 0)
    try:
        yield
    finally:
        pool.max_parallel = limit

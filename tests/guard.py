"""A pytest plugin: a test in which an asyncio or uvloop loop is blocked for 100 ms fails; beside others, for 300 ms.

While a loop runs, a timer ticks in it every 20 ms and measures the time since its last tick. Whatever holds the thread
up shows there, in Python or in C, with the GIL or without. The time for which a thread of ours could have run but the
machine had no processor for it is the kernel's to tell (/proc/PID/task/TID/schedstat) and does not count: it may be the
loop's own, or one that had the GIL when its processor was taken away.

A test that blocks its loop on purpose says so: ``@pytest.mark.blocks_loop("why")``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from typing import Any

import pytest

LIMIT = 0.1 if "PYTEST_XDIST_WORKER" not in os.environ else 0.3  # seconds; beside other tests everything takes longer
TICK = 0.02

blocked: list[str] = []  # what was seen since the current phase of the current test began


class Ticker:
    """Measures one run of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.last, self.waited = time.monotonic(), waits_for_processor()
        self.timer = loop.call_later(TICK, self.tick)

    def tick(self) -> None:
        self.look()
        self.timer = self.loop.call_later(TICK, self.tick)

    def look(self) -> None:
        now = time.monotonic()
        elapsed = now - self.last
        if elapsed >= LIMIT:
            waited = waits_for_processor()
            elapsed -= max((wait - self.waited.get(thread, wait) for thread, wait in waited.items()), default=0.0)
        if elapsed >= LIMIT:
            blocked.append(f"the thread of {self.loop!r} was blocked for {elapsed * 1000:.0f} ms")
        self.waited = waits_for_processor()
        self.last = time.monotonic()

    def stop(self) -> None:
        """Look a last time: what blocked may also have ended the loop's run."""
        self.timer.cancel()
        self.look()


def waits_for_processor() -> dict[str, float]:
    """For how many seconds each thread of the process has waited for a processor so far."""
    waits: dict[str, float] = {}
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:  # not Linux, or out of descriptors on purpose
        return waits
    for thread in threads:
        try:
            with open(f"/proc/self/task/{thread}/schedstat", "rb", buffering=0) as file:
                waits[thread] = int(file.read().split()[1]) / 1e9
        except OSError:  # it has ended meanwhile
            pass
    return waits


def watch(loop_class: type[Any], patch: pytest.MonkeyPatch) -> None:
    run_forever = loop_class.run_forever

    def watched(self: asyncio.AbstractEventLoop) -> None:
        if self.is_closed() or self.is_running():
            return run_forever(self)
        ticker = Ticker(self)
        try:
            run_forever(self)
        finally:
            ticker.stop()

    patch.setattr(loop_class, "run_forever", watched)


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    watch(asyncio.BaseEventLoop, patch)
    try:
        import uvloop
    except ImportError:
        pass
    else:
        watch(uvloop.Loop, patch)
    config.add_cleanup(patch.undo)


def judge(item: pytest.Item) -> Generator[None, object, object]:
    blocked.clear()
    result = yield
    if blocked and item.get_closest_marker("blocks_loop") is None:
        pytest.fail("\n".join(blocked), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from judge(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from judge(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from judge(item))

"""Fairness: the loop goes on, whatever is under way, and sleeps when nothing is."""

from __future__ import annotations

import time
from typing import Any

from ._trial import Task, Trial


class _Ticker:
    """A task that counts its turns."""

    def __init__(self, t: Trial) -> None:
        self.ticks = 0
        self._t = t
        self._on = True
        self._task: Task = t.start(self._tick())

    async def _tick(self) -> None:
        while self._on:
            self.ticks += 1
            await self._t.driver.sleep(0)

    async def stop(self) -> None:
        self._on = False
        await self._t.join(self._task)


async def other_tasks_go_on_while_a_request_waits(t: Trial) -> None:
    ticker = _Ticker(t)
    with t.held():
        task = t.start(t.aio.listdir(t.folder))
        await t.until(t.queued())
        before = ticker.ticks
        await t.until(lambda: ticker.ticks > before + 10)
        assert task.ending is None
    await t.join(task)
    await ticker.stop()


async def other_tasks_go_on_while_a_change_is_stuck(t: Trial) -> None:
    stuck = t.stuck()
    ticker = _Ticker(t)
    t.engine.open(stuck.path, stuck.CHANGE)
    await t.until(t.running())
    before = ticker.ticks
    await t.until(lambda: ticker.ticks > before + 10)
    stuck.release()
    await t.drained()
    await ticker.stop()


async def other_tasks_have_their_turns_while_results_pour_in(t: Trial) -> None:
    t.engine.max_poll_reqs = 100
    with t.held():
        for _ in range(5000):
            t.engine.nop()
    ticker = _Ticker(t)
    await t.drained()
    assert ticker.ticks >= 5
    await ticker.stop()


async def tasks_that_only_read_let_others_go_on(t: Trial) -> None:
    ticker = _Ticker(t)
    on = True

    async def read() -> None:
        while on:
            await t.aio.stat(t.folder)

    reader = t.start(read())
    await t.until(lambda: ticker.ticks > 10)
    on = False
    await t.join(reader)
    await ticker.stop()


async def a_loop_that_waits_uses_no_processor(t: Trial) -> None:
    with t.held():
        request = t.engine.nop()
        began, used = time.monotonic(), time.thread_time()
        while time.monotonic() < began + 0.3:
            await t.driver.sleep(0.05)
        # A third of what a busy loop would use, if others leave it that.
        assert time.thread_time() - used < 0.1, "it uses the processor"
        assert request.state == "queued"
    await t.drained()


async def results_are_told_in_a_loop_that_has_nothing_else_to_do(t: Trial) -> None:
    for _ in range(20):
        assert await t.aio.listdir(t.folder) == []


async def a_request_submitted_while_others_finish_is_told(t: Trial) -> None:
    told: list[Any] = []
    for _ in range(200):
        t.engine.nop(told.append)
        await t.aio.nop()
    await t.until(lambda: len(told) == 200)

"""Views with other options, and the limit on what is outstanding."""

from __future__ import annotations

import os
from typing import Any

from ._trial import Trial, not_for

UNDER_WAY = "what a call has returned is under way: the engine's limit holds back who can wait"


async def a_view_is_of_the_same_engine(t: Trial) -> None:
    view = t.front.with_options(priority=2)
    request = view.engine.nop()
    assert request.engine is t.engine
    await t.drained()


async def a_view_orders_the_queue_by_priority(t: Trial) -> None:
    order: list[str] = []

    async def nop(view: Any, name: str) -> None:
        await view.nop()
        order.append(name)

    low, high = t.view(priority=-1), t.view(priority=4)
    t.engine.max_poll_reqs = 1  # a loop may run those that one poll has woken in any order
    with t.held():
        tasks = [t.start(nop(view, name)) for view, name in ((low, "low"), (t.aio, "plain"), (high, "high"))]
        await t.until(t.queued(3))
        t.pool.max_parallel = 1
        await t.join_all(tasks)
    assert order == ["high", "plain", "low"]


async def a_wrong_option_is_refused(t: Trial) -> None:
    for options, error in (({"priority": 5}, ValueError), ({"hurry": 1}, TypeError), ({"patience": -1}, ValueError)):
        try:
            t.front.with_options(**options)
        except error:
            pass
        else:
            raise AssertionError(f"{options} were taken")


@not_for(callback=UNDER_WAY, future=UNDER_WAY)
async def a_full_engine_holds_back_who_calls(t: Trial) -> None:
    t.engine.max_outstanding = 4
    count = min(50, t.driver.tasks)
    with t.held():
        tasks = [t.start(_mkdir(t, number)) for number in range(count)]
        await t.until(t.queued(4))
        await t.driver.sleep(0.005)
        assert t.engine.nreqs <= 4
    endings = await t.join_all(tasks)
    assert [ending.error for ending in endings] == [None] * count
    assert len(os.listdir(t.folder)) == count


async def _mkdir(t: Trial, number: int) -> None:
    await t.aio.mkdir(t.folder / str(number))


@not_for(callback=UNDER_WAY, future=UNDER_WAY)
async def a_call_that_is_held_back_can_be_cancelled(t: Trial) -> None:
    t.engine.max_outstanding = 1
    with t.held():
        t.engine.nop()
        task = t.start(_mkdir(t, 1))
        for _ in range(5):
            await t.driver.sleep(0)
        task.cancel()
        ending = await t.join(task)
    t.told(ending, "never ran")
    await t.aio.nop()
    assert os.listdir(t.folder) == []


async def one_result_a_poll_is_enough(t: Trial) -> None:
    t.engine.max_poll_reqs = 1
    told: list[Any] = []
    with t.held():
        for _ in range(100):
            t.engine.nop(told.append)
    await t.aio.listdir(t.folder)
    await t.until(lambda: len(told) == 100)


async def stats_tell_what_is_outstanding(t: Trial) -> None:
    with t.held():
        t.engine.nop()
        assert t.front.stats()["queued"] == 1
    await t.drained()
    assert t.front.stats()["queued"] == 0

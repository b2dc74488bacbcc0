"""Groups: requests that are waited for and cancelled together."""

from __future__ import annotations

import os
from typing import Any

from .. import Group
from ._trial import Trial


async def a_group_ends_when_its_members_have_ended(t: Trial) -> None:
    group = t.front.group()
    requests = group.add(*(t.engine.nop() for _ in range(10)))
    await t.wait(group)
    assert all(request.state == "done" for request in requests)
    assert group.state == "done"


async def a_group_has_the_result_that_was_set(t: Trial) -> None:
    group = t.front.group()
    group.add(t.engine.nop(lambda request: group.set_result("all")))
    assert await t.wait(group) == "all"
    assert await t.wait(group) == "all"


async def a_groups_callback_comes_behind_those_of_its_members(t: Trial) -> None:
    told: list[str] = []
    group = t.front.group(lambda group: told.append("group"))
    group.add(*(t.engine.nop(lambda request: told.append("member")) for _ in range(3)))
    await t.until(lambda: len(told) == 4)
    assert told == ["member", "member", "member", "group"]


async def an_empty_group_ends_in_a_later_poll(t: Trial) -> None:
    told: list[Any] = []
    group = t.front.group(told.append)
    assert told == []
    await t.until(lambda: told)
    assert group.state == "done"


async def a_cancelled_wait_for_a_group_cancels_its_members(t: Trial) -> None:
    with t.held():
        group = t.front.group()
        group.add(*(t.engine.mkdir(t.folder / str(number)) for number in range(10)))
        ending = await t.cancelled(lambda: t.wait(group), t.queued(10))
        assert ending.cancelled
        assert t.engine.nreqs == 0
    await t.aio.nop()
    assert os.listdir(t.folder) == []


async def a_group_in_a_group_is_waited_for(t: Trial) -> None:
    outer, inner = t.front.group(), t.front.group()
    outer.add(inner)
    inner.add(t.engine.mkdir(t.folder / "d"))
    await t.wait(outer)
    assert os.listdir(t.folder) == ["d"]


async def a_feeder_keeps_a_group_as_full_as_it_may_be(t: Trial) -> None:
    left = list(range(20))
    most = 0

    def feed(group: Group) -> None:
        nonlocal most
        if left:
            group.add(t.engine.mkdir(t.folder / str(left.pop())))
            most = max(most, t.engine.nreqs)

    group = t.front.group()
    group.feed(feed, limit=4)
    await t.wait(group)
    assert len(os.listdir(t.folder)) == 20
    assert most <= 5  # the group's own turn is one

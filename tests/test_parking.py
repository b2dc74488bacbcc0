"""The inline lane's budget: what comes over it is parked until the next poll, so that a loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
from typing import Any

import lanes
import pytest
from engines import is_readable, run, spin

import anyaio
import anyaio.asyncio as aio
from anyaio import Cancelled
from anyaio._front import engine_class
from anyaio._opcodes import CLOSE, PREAD, STAT

backend, lane, file, fd = lanes.backend, lanes.lane, lanes.file, lanes.fd


def spend(engine: Any, fd: int) -> list[Any]:
    """Leave nothing of the budget; return the requests that did it, which the next poll tells."""
    engine.poll()
    spent = []
    while engine.stats()["parked"] == 0:
        spent.append(engine.pread(fd, 1, 0))
    spent.pop().cancel()  # the one that was parked
    return spent


# ---- one request ----


def test_what_comes_over_the_budget_is_parked_until_the_next_poll(lane, fd):
    lane.max_inline_reqs = 3
    requests = [lane.pread(fd, 1, number) for number in range(5)]
    assert [request.state for request in requests] == ["finished"] * 3 + ["parked"] * 2
    assert "parked" in repr(requests[3])
    stats = lane.stats()
    assert (stats["parked"], stats["parkings"]) == (2, 2)
    assert is_readable(lane)
    lane.poll()
    assert [request.result() for request in requests] == [b"0", b"1", b"2", b"3", b"4"]
    stats = lane.stats()
    assert (stats["parked"], stats["parkings"]) == (0, 2)
    assert not is_readable(lane)


def test_every_poll_runs_a_budget_of_those_that_are_parked(lane, fd):
    lane.max_inline_reqs = 2
    requests = [lane.pread(fd, 1, number) for number in range(7)]
    done = []
    while len(done) < 7:
        lane.poll()
        done = [request for request in requests if request.state == "done"]
        assert done == requests[: len(done)]
        assert len(done) in (2, 4, 6, 7)
        assert is_readable(lane) == (len(done) < 7)


def test_what_is_parked_when_everything_is_held_is_held_too(lane, fd):
    spent = spend(lane, fd)
    request = lane.pread(fd, 5, 0)
    limit, lane.pool.max_parallel = lane.pool.max_parallel, 0
    lane.poll()
    assert {request.state for request in spent} == {"done"}
    assert request.state == "queued"
    lane.pool.max_parallel = limit
    assert run(lane, request) == b"01234"


@pytest.mark.parametrize("limit", ["max_inline_reqs", "max_inline_bytes", "max_inline_time"])
def test_each_limit_ends_the_budget(lane, fd, limit):
    for name, enough in (("max_inline_reqs", 1 << 20), ("max_inline_bytes", 1 << 30), ("max_inline_time", 1000.0)):
        setattr(lane, name, enough)
    setattr(lane, limit, {"max_inline_reqs": 10, "max_inline_bytes": 1 << 14, "max_inline_time": 0.0001}[limit])
    requests = []
    while not requests or requests[-1].state != "parked":
        requests.append(lane.pread(fd, 4096, 0))
        assert len(requests) < 100_000
    for request in requests:
        assert run(lane, request) == os.pread(fd, 4096, 0)


def test_the_budget_is_shared_by_all_views(lane, file, fd):
    lane.max_inline_reqs = 4
    view = lane.with_options(priority=2)
    states = [each.pread(fd, 1, 0).state for each in (lane, view, lane, view, view, lane)]
    assert states == ["finished"] * 4 + ["parked"] * 2
    lane.flush()
    slow = lane.with_options(lane="pool")
    spend(lane, fd)
    assert slow.stat(file).state in ("queued", "running", "finished")
    lane.flush()


def test_a_submitter_returns_the_result_or_what_is_parked(lane, file, fd):
    submit = lane.submitter()
    lane.max_inline_reqs = 2
    lane.poll()
    assert submit(PREAD, fd, 5, 0) == b"01234"
    assert submit(STAT, file, None, True) == os.stat(file)
    parked = submit(PREAD, fd, 5, 5)
    assert parked.state == "parked"
    assert run(lane, parked) == b"56789"


def test_what_the_lane_cannot_answer_goes_on_to_a_worker(lane, tmp_path, fd):
    spend(lane, fd)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keeper = os.open(fifo, os.O_RDWR)
    request = lane.open(fifo, os.O_RDONLY)
    assert request.state == "parked"
    before = lane.stats()["lanes"]["pool"]
    os.close(run(lane, request))
    assert lane.stats()["lanes"]["pool"] == before + 1
    os.close(keeper)


def test_an_error_of_what_was_parked_is_the_callers(lane, tmp_path, fd):
    path = tmp_path / "missing"
    spend(lane, fd)
    request = lane.stat(path)
    assert request.state == "parked"
    with pytest.raises(FileNotFoundError) as caught:
        run(lane, request)
    assert caught.value.filename is path


def test_callbacks_come_in_the_order_of_submission(lane, fd):
    lane.max_inline_reqs = 3
    order: list[int] = []
    for number in range(10):
        lane.pread(fd, 1, number, lambda request, number=number: order.append(number))
    lane.flush()
    assert order == list(range(10))


def test_a_callback_may_submit_what_is_parked_in_turn(lane, fd):
    lane.max_inline_reqs = 1
    left = 100

    def again(request: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            lane.pread(fd, 1, 0, again)

    lane.pread(fd, 1, 0, again)
    polls = 0
    while left:
        lane.poll()
        polls += 1
    assert 50 <= polls <= 101  # a poll does not go on for ever with what its own callbacks ask for


# ---- cancelling, and the end ----


def test_what_is_parked_and_cancelled_never_ran(lane, fd):
    told: list[Any] = []
    spend(lane, fd)
    request = lane.pread(fd, 1, 0, told.append)
    assert request.state == "parked"
    assert request.cancel() is True
    assert (request.state, request.outcome.status) == ("done", "never ran")
    assert lane.stats()["parked"] == 0
    lane.flush()
    assert told == []
    with pytest.raises(Cancelled):
        request.result()


def test_an_open_that_is_parked_and_cancelled_leaves_no_descriptor(lane, file, fd):
    before = len(os.listdir("/proc/self/fd"))
    for end in ("cancel", "withdraw", "abandon"):
        spend(lane, fd)
        request = lane.open(file, os.O_RDONLY)
        assert request.state == "parked"
        getattr(request, end)()
        lane.flush()
        assert request.state == "done"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_close_that_is_parked_is_made_whatever_happens(lane, file, fd):
    for end in ("cancel", "abandon", "flush"):
        opened = os.open(file, os.O_RDONLY)
        spend(lane, fd)
        request = lane.close(opened)
        assert request.state == "parked"
        assert getattr(lane if end == "flush" else request, end)() in (False, None, 0, 1) or end == "flush"
        lane.flush()
        spin(lambda opened=opened: not os.path.lexists(f"/proc/self/fd/{opened}"))


def test_shutdown_takes_back_what_is_parked_and_closes_what_must_be(backend, lane, file, fd):
    engine = engine_class(backend)(lane.pool)
    assert any(run(engine, engine.stat(file)) and engine.stats()["lanes"]["inline"] for _ in range(10))
    opened = os.open(file, os.O_RDONLY)
    spend(engine, fd)
    told: list[Any] = []
    look, close = engine.pread(fd, 1, 0, told.append), engine.close(opened)
    assert (look.state, close.state) == ("parked", "parked")
    engine.shutdown()
    assert look.state == "done"
    spin(lambda: not os.path.lexists(f"/proc/self/fd/{opened}"))


def test_an_engine_that_is_dropped_closes_what_must_be(backend, lane, file, fd):
    engine = engine_class(backend)(lane.pool)
    opened = os.open(file, os.O_RDONLY)
    run(engine, engine.stat(file))
    spend(engine, fd)
    engine.close(opened)
    del engine
    spin(lambda: not os.path.lexists(f"/proc/self/fd/{opened}"))


def test_a_close_under_way_lets_who_waits_for_all_see_its_end(lane, file, fd):
    opened = os.open(file, os.O_RDONLY)
    spend(lane, fd)
    request = lane.close(opened)
    lane.flush()
    assert request.state == "done"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_a_parked_request_counts_as_outstanding(lane, fd):
    spend(lane, fd)
    lane.poll()
    before = lane.nreqs
    spent = spend(lane, fd)
    request = lane.pread(fd, 1, 0)
    assert request.state == "parked"
    assert lane.nreqs == before + len(spent) + 1
    lane.flush()
    assert lane.nreqs == 0


# ---- fairness ----


@pytest.fixture
def loop_engine(backend: Any, pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loops' engines have this pool."""
    monkeypatch.setattr("anyaio.asyncio._adapter.Engine", functools.partial(engine_class(backend), pool))


@pytest.mark.usefixtures("lane", "loop_engine")
@pytest.mark.parametrize("tasks", [1, 512])
def test_beside_tasks_that_only_read_what_is_cached_a_loop_goes_on(file, tasks):
    """What else the loop has to do gets its turn after every budget, whatever the clock says."""
    reads = max(8192 // tasks, 16)
    rounds = 0
    reading = tasks

    def tick() -> None:
        nonlocal rounds
        rounds += 1
        if reading:
            asyncio.get_running_loop().call_soon(tick)

    async def read(fd: int) -> None:
        nonlocal reading
        for _ in range(reads):
            assert await aio.pread(fd, 10, 0) == b"0123456789"
        reading -= 1

    async def main() -> tuple[int, dict[str, Any]]:
        engine = aio.current().engine
        engine.max_inline_time = 1000.0  # so that only requests count
        fd = await aio.open(file, os.O_RDONLY)
        asyncio.get_running_loop().call_soon(tick)
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(read(fd))
        await aio.close(fd)
        return engine.max_inline_reqs, engine.stats()

    budget, stats = asyncio.run(main())
    assert stats["lanes"]["inline"] >= tasks * reads
    assert stats["parkings"] >= tasks * reads // budget - 1
    assert rounds >= tasks * reads // budget - 1


@pytest.mark.usefixtures("lane", "loop_engine")
def test_a_task_that_is_cancelled_while_its_request_is_parked_goes_on_at_once(file):
    async def main() -> None:
        engine = aio.current().engine
        engine.max_inline_reqs = 1
        fd = await aio.open(file, os.O_RDONLY)
        parked = engine.stats()["parked"]
        while not parked:
            task = asyncio.create_task(aio.pread(fd, 10, 0))
            engine.pread(fd, 1, 0)
            await asyncio.sleep(0)
            parked = engine.stats()["parked"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert anyaio.outcome(caught.value).status in ("never ran", "done")
        await aio.close(fd)

    asyncio.run(main())
    gc.collect()  # the error has frames that have the engine


def test_a_must_in_a_submitter_is_parked_and_waited_for(lane, file, fd):
    submit = lane.submitter()
    opened = os.open(file, os.O_RDONLY)
    spend(lane, fd)
    request = submit(CLOSE, opened)
    assert request.state == "parked"
    assert run(lane, request) is None

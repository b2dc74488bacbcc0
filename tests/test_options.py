"""The options of views, and what a front end does when *max_outstanding* requests are under way."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import threading
import weakref

import loops
import pytest
from engines import held, spin
from loops import on_loops

import anyaio.blocking
from anyaio import Cancelled
from anyaio._drive import Composite, drive
from anyaio._front import FutureFront, engine_class
from anyaio._hold import Held, hold
from anyaio._opcodes import BUSY, CLOSE, NOP, STAT
from anyaio._scope import batch, scope

aio = loops.aio
loop_factory = loops.loop_factory
stuck = loops.stuck


@pytest.fixture
def blocking(backend, pool, monkeypatch):
    """`anyaio.blocking`, whose engines are of this backend."""
    monkeypatch.setattr("anyaio._blocking.Engine", functools.partial(engine_class(backend), pool))
    yield anyaio.blocking
    anyaio.blocking.current().shutdown()


def finish(engine, request):
    while request.state != "done":
        assert engine.wait(10), f"{request!r} did not end"
        engine.poll()
    return request.result()


# ---- what composites keep of them ----


@on_loops
async def test_the_steps_of_a_composite_have_the_options_of_its_view(aio):
    seen = []

    async def look(steps):
        inner = steps._drive(deeper)
        seen.append((steps._submit.priority, steps._submit.patience, steps._submit.lane))
        await steps._wait(inner)

    async def deeper(steps):
        await steps.nop()
        seen.append((steps._submit.priority, steps._submit.patience, steps._submit.lane))

    view = aio.current().with_options(priority=-3, patience=1.5, lane="pool")
    composite = view._drive(look)
    assert composite.priority == -3
    await view.wait(composite)
    assert seen == [(-3, 1.5, "pool")] * 2


def test_the_steps_of_a_composite_in_callback_colour_have_them_too(engine, pool, tmp_path):
    with held(pool):
        composite = engine.with_options(priority=4).split_dir(tmp_path)
        (step,) = [strand.step for strand in [composite._root]]
        assert (composite.priority, step.priority) == (4, 4)
    finish(engine, composite)


@on_loops
async def test_a_view_of_a_view_keeps_what_is_not_given(aio):
    view = aio.current().with_options(priority=2).with_options(patience=None)
    assert (view._submit.priority, view._submit.patience) == (2, None)
    assert view.engine is aio.current().engine


# ---- a full engine ----


def start(aio, *calls):
    """Tasks for *calls*, each of which has begun."""
    return [asyncio.ensure_future(call) for call in calls]


@on_loops
async def test_over_max_outstanding_the_await_colour_waits_before_it_submits(aio, pool):
    engine = aio.current().engine
    engine.max_outstanding = 2
    pool.max_parallel = 0
    tasks = start(aio, *(aio.stat("/") for _ in range(5)))
    await asyncio.sleep(0)
    assert (engine.nreqs, engine.full) == (2, True)
    pool.max_parallel = 4
    results = await asyncio.gather(*tasks)
    assert len(results) == 5


@on_loops
async def test_never_are_more_under_way(aio, tmp_path):
    engine = aio.current().engine
    engine.max_outstanding = 3
    most = []

    async def work():
        await aio.stat(tmp_path)
        most.append(engine.nreqs)

    await asyncio.gather(*(work() for _ in range(50)))
    assert len(most) == 50
    assert max(most) <= 3


@on_loops
async def test_first_come_first_served(aio, pool):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    done = []

    async def work(number):
        await aio.nop()
        done.append(number)

    tasks = start(aio, *(work(number) for number in range(6)))
    await asyncio.sleep(0)
    pool.max_parallel = 1
    await asyncio.gather(*tasks)
    assert done == [0, 1, 2, 3, 4, 5]


@on_loops
async def test_a_close_never_waits(aio, pool, tmp_path):
    engine = aio.current().engine
    fd = await aio.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    engine.max_outstanding = 1
    pool.max_parallel = 0
    tasks = start(aio, aio.stat("/"), aio.close(fd), aio.stat("/"))
    await asyncio.sleep(0)
    assert engine.nreqs == 2
    pool.max_parallel = 4
    await asyncio.gather(*tasks)


@on_loops
async def test_one_that_waits_for_room_and_is_cancelled_never_ran(aio, pool, tmp_path):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    first, second, third = start(aio, aio.nop(), aio.mkdir(tmp_path / "d"), aio.nop())
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await second
    assert anyaio.outcome(caught.value).status == "never ran"
    pool.max_parallel = 1
    await first
    await third
    assert not (tmp_path / "d").exists()


@on_loops
async def test_one_that_was_held_and_runs_is_cancelled_by_its_class(aio, stuck):
    engine = aio.current().engine
    engine.max_outstanding = 1
    first, task = start(aio, aio.busy(0.01), aio.open(stuck.path, stuck.FLAGS))
    await first
    await loops.until(loops.running(engine))
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    stuck.release()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert anyaio.outcome(caught.value).status == "done"


@on_loops
async def test_wrong_arguments_are_raised_at_the_await_also_when_held(aio, pool):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    first, second, third = start(aio, aio.nop(), aio.stat(1.5), aio.stat("\0"))
    await asyncio.sleep(0)
    pool.max_parallel = 1
    await first
    with pytest.raises(TypeError):
        await second
    with pytest.raises(ValueError, match="null"):
        await third


@on_loops
async def test_its_failure_is_raised(aio, tmp_path):
    aio.current().engine.max_outstanding = 1
    tasks = start(aio, aio.nop(), aio.stat(tmp_path / "missing"))
    await tasks[0]
    with pytest.raises(FileNotFoundError):
        await tasks[1]


@pytest.mark.parametrize("most", [0, 10])
@on_loops
async def test_room_that_a_higher_limit_makes_is_used_at_once(aio, pool, most):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    tasks = start(aio, *(aio.nop() for _ in range(5)))
    await asyncio.sleep(0)
    assert engine.nreqs == 1
    engine.max_outstanding = most
    assert engine.nreqs == 5
    pool.max_parallel = 1
    await asyncio.gather(*tasks)


@on_loops
async def test_room_that_a_cancel_makes_is_used_at_once(aio, pool):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    first, second = start(aio, aio.nop(), aio.nop())
    await asyncio.sleep(0)
    first.cancel()
    assert engine.nreqs == 1
    pool.max_parallel = 1
    await second
    with pytest.raises(asyncio.CancelledError):
        await first


@on_loops
async def test_shutdown_takes_back_what_waits_for_room(aio, pool):
    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    tasks = start(aio, aio.nop(), aio.nop())
    await asyncio.sleep(0)
    aio.current().shutdown()
    for task in tasks:
        with pytest.raises(Cancelled) as caught:
            await task
        assert caught.value.outcome.status in ("never ran", "abandoned")


@on_loops
async def test_composites_do_not_deadlock_with_room_for_one(aio, tmp_path):
    for name in "abcdef":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    engine = aio.current().engine
    engine.max_outstanding = 1

    async def child(steps, name):
        names = await steps.listdir(tmp_path / name)
        async with batch(4) as requests:
            for _ in range(4):
                requests.add(
                    name,
                    steps.submit(STAT, str(tmp_path / name / names[0]), None, True),
                )
            while requests:
                for _, request in await requests.some():
                    found.append(request.result().st_size)

    async def several(steps):
        async with scope() as s:
            for name in "abcdef":
                await s.start(child(steps, name))

    found = []
    view = aio.current()
    await asyncio.wait_for(asyncio.gather(*(view.wait(view._drive(several)) for _ in range(3))), 10)
    assert found == [0] * 72
    assert engine.nreqs == 0


@on_loops
async def test_a_composite_is_cancelled_while_its_step_waits_for_room(aio, pool):
    told = []

    async def steady(steps):
        try:
            await steps.nop()
        finally:
            told.append("cleaning")
            await steps.nop()
            told.append("clean")

    engine = aio.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0
    other = engine.nop()
    front = aio.current()
    composite = front._drive(steady)
    task = asyncio.ensure_future(front.wait(composite))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert told == ["cleaning"]
    pool.max_parallel = 1
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cleaning", "clean"]
    assert other.state == "done"


def test_the_blocking_colour_waits_as_well(blocking, pool, tmp_path):
    front = blocking.current()
    engine = front.engine
    engine.max_outstanding = 2
    told = []
    for number in range(4):  # callback colour: they are queued
        engine.busy(0.01, lambda request, number=number: told.append(number))
    assert engine.nreqs == 4
    blocking.mkdir(tmp_path / "d")
    assert len(told) >= 3
    assert (tmp_path / "d").is_dir()


def test_an_interrupt_takes_back_what_waits_for_room_in_the_blocking_colour(blocking, pool, tmp_path):
    engine = blocking.current().engine
    engine.max_outstanding = 1
    pool.max_parallel = 0

    def interrupt(request):
        raise KeyboardInterrupt

    engine.nop()
    engine.submitter().post(interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        blocking.mkdir(tmp_path / "d")
    assert anyaio.outcome(caught.value).status == "never ran"


def test_the_callback_colour_queues_over_max_outstanding(engine, pool):
    engine.max_outstanding = 2
    with held(pool):
        for _ in range(5):
            engine.nop()
        assert (engine.nreqs, engine.full) == (5, True)
        engine.with_options(priority=1).nop()
        assert engine.nreqs == 6
    engine.flush()
    assert not engine.full


def test_the_future_colour_queues_over_max_outstanding(backend, pool):
    class Adapter:
        on_error = None

        def attach(self, fd, poll):
            pass

        def detach(self, fd):
            pass

        def wake(self, waiter):
            pass

        def future(self, request):
            return request

    front = FutureFront.start(Adapter(), engine_class(backend)(pool))
    front.engine.max_outstanding = 1
    with held(pool):
        requests = [front.nop() for _ in range(3)]
        assert front.engine.nreqs == 3
    front.engine.flush()
    assert {request.state for request in requests} == {"done"}
    front.shutdown()


# ---- what is held ----


@pytest.fixture
def full(engine, pool):
    """A submitter that holds, of an engine with room for one, which a nop in the queue takes."""
    engine.max_outstanding = 1
    with held(pool):
        engine.nop()
        yield engine.submitter(priority=2, hold=hold)


def test_what_is_held_has_the_face_of_its_request(engine, pool, full):
    request = full(BUSY, 0.0)
    assert isinstance(request, Held)
    assert (request.operation, request.priority, request.state, request.outcome) == (
        "busy",
        2,
        "queued",
        None,
    )
    assert request.engine is engine
    assert repr(request) == "<anyaio request busy queued>"
    with pytest.raises(RuntimeError, match="no result yet"):
        request.result()
    pool.max_parallel = 1
    assert finish(engine, request) is None
    assert request.outcome == ("done", None, None)
    assert request.cancel() is False


def test_a_must_is_not_held(engine, full):
    r, w = os.pipe()
    assert not isinstance(full(CLOSE, r), Held)
    assert not isinstance(full.queue(NOP, None), Held)
    os.close(w)


def test_a_callback_of_what_is_held_gets_it(engine, pool, full):
    told = []
    request = full(NOP)
    request.callback = told.append
    pool.max_parallel = 1
    finish(engine, request)
    assert told == [request]
    with pytest.raises(RuntimeError, match="done"):
        request.callback = print


def test_what_is_held_can_be_in_a_group(engine, pool, full):
    group = engine.group()
    one, other = group.add(full(NOP), full(NOP))
    assert one.cancel() is True
    pool.max_parallel = 1
    finish(engine, group)
    assert (one.outcome.status, other.outcome.status) == ("never ran", "done")


def test_cancelled_it_wakes_who_waits_and_calls_nobody_back(engine, full):
    woken, told = [], []
    engine.wake = woken.append
    request = full(NOP)
    request.callback = told.append
    request.attach("waiter")
    with pytest.raises(RuntimeError, match="waited for already"):
        request.attach("another")
    assert request.cancel() is True
    assert (woken, told) == (["waiter"], [])
    with pytest.raises(Cancelled) as caught:
        request.result()
    assert caught.value.outcome.status == "never ran"


def test_withdrawn_it_wakes_nobody(engine, full):
    woken = []
    engine.wake = woken.append
    request = full(NOP)
    request.attach("waiter")
    assert request.withdraw() is True
    assert woken == []


def test_abandoned_it_never_ran(engine, full):
    request = full(NOP)
    request.abandon()
    assert request.outcome.status == "never ran"


def test_what_is_held_belongs_to_its_thread(engine, full):
    request = full(NOP)
    errors = []

    def use():
        try:
            request.cancel()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors == ["the request belongs to another thread"]


def test_a_composite_in_a_full_engine_is_held_step_by_step(engine, pool, full):
    async def two(steps):
        await steps.nop()
        await steps.nop()
        return engine.nreqs

    composite = drive(engine, full, two, (), {})
    assert isinstance(composite, Composite)
    assert engine.nreqs == 1
    pool.max_parallel = 1
    assert finish(engine, composite) == 0


def test_a_front_end_that_has_held_requests_leaves_no_cycle(backend, pool, tmp_path):
    class Adapter:
        on_error = None

        def attach(self, fd, poll):
            pass

        def detach(self, fd):
            pass

        def wake(self, waiter):
            pass

        def wait(self, request):
            raise NotImplementedError

    gc.collect()
    gc.disable()
    try:
        front = anyaio._front.BlockingFront.start(Adapter(), engine_class(backend)(pool))
        engine = front.engine
        engine.max_outstanding = 1
        first, second = front._submit(NOP), front._submit(NOP)
        assert isinstance(second, Held)
        while second.state != "done":
            engine.wait()
            engine.poll()
        gone = weakref.ref(engine)
        del engine, front, first, second
        assert gone() is None
    finally:
        gc.enable()
    spin(lambda: pool.nthreads == 0)


def poll_until(engine, request):
    while request.state != "done":
        assert engine.wait(10), f"{request!r} did not end"
        engine.poll()


@pytest.mark.blocks_loop("it polls by hand")
@on_loops
async def test_an_interruption_while_one_is_submitted_strands_no_other(aio):
    class Interrupts:
        def __fspath__(self):
            raise KeyboardInterrupt

    engine = aio.current().engine
    engine.max_outstanding = 1
    first = asyncio.ensure_future(aio.busy(0.02))
    await asyncio.sleep(0)
    held = [hold(engine.submitter(), STAT, path, None, True) for path in (Interrupts(), ".")]
    with pytest.raises(KeyboardInterrupt):
        poll_until(engine, held[0])
    await first
    poll_until(engine, held[1])
    assert held[1].result().st_ino == os.stat(".").st_ino
    with pytest.raises(KeyboardInterrupt):
        held[0].result()


def test_thousands_that_are_held_are_cancelled_in_no_time(engine):
    engine.max_outstanding = 1
    engine.busy(0.01)
    requests = [hold(engine.submitter(), NOP) for _ in range(20_000)]
    assert all(request.cancel() for request in reversed(requests))
    engine.flush()

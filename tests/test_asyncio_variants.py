"""anyaio.asyncio with what asyncio may have beside its plain loop: eager tasks, debug mode, uvloop, other threads."""

from __future__ import annotations

import asyncio
import sys
import threading

import loops
import pytest
from loops import LIMIT, descriptors, running, spin, until

aio, loop_factory, stuck = loops.aio, loops.loop_factory, loops.stuck


def eagerly(loop):
    if type(loop).__module__.startswith("uvloop") and sys.version_info[:2] == (3, 13):
        pytest.skip("uvloop 0.23 gives the factory of 3.13.0 an argument that it does not know")
    loop.set_task_factory(asyncio.eager_task_factory)


def debugging(loop):
    loop.set_debug(True)
    loop.slow_callback_duration = LIMIT


KINDS = {"plain": lambda loop: None, "debug": debugging}
if sys.version_info >= (3, 12):
    KINDS["eager"] = eagerly


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def run(request, loop_factory):
    """Run a coroutine function in a loop of each kind; what the loop's handler hears fails the test."""
    complaints = []

    def run(main):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            request.param(runner.get_loop())
            runner.get_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            return runner.run(main())

    yield run
    assert complaints == []


def test_a_task_group_runs_many_calls(aio, run, tmp_path):
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(aio.mkdir(tmp_path / str(number))) for number in range(50)]
        assert [task.result() for task in tasks] == [None] * 50
        assert len(await aio.listdir(tmp_path)) == 50

    run(main)


def test_a_task_that_fails_cancels_the_others_of_its_group(aio, pool, run, tmp_path):
    async def fail():
        await until(lambda: aio.current().engine.nready)
        raise ValueError

    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(aio.mkdir(tmp_path / "d"))
            group.create_task(fail())

    async def main():
        pool.max_parallel = 0
        with pytest.raises(ExceptionGroup) as caught:
            await work()
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        assert aio.current().engine.nreqs == 0

    run(main)
    assert not (tmp_path / "d").exists()


def test_timeouts_of_each_kind_take_a_queued_request_back(aio, pool, run, tmp_path):
    async def main():
        pool.max_parallel = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await aio.mkdir(tmp_path / "d")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.mkdir(tmp_path / "d"), 0.01)
        assert aio.current().engine.nreqs == 0

    run(main)


def test_a_timeout_is_not_held_by_what_is_stuck(aio, run, stuck):
    async def main():
        view = aio.current().with_options(patience=0.02)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await view.open(stuck.path, stuck.FLAGS)

    run(main)


def test_a_cancelled_change_is_waited_for_and_tells_its_outcome(aio, run, stuck):
    async def main():
        task = asyncio.create_task(aio.open(stuck.path, stuck.FLAGS))
        await until(running(aio.current().engine))
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        stuck.release()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.outcome.status == "done"

    run(main)


def test_a_coroutine_of_another_thread_runs_in_the_loop(aio, run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        told = []

        def call():
            told.append(asyncio.run_coroutine_threadsafe(aio.listdir(tmp_path), loop).result(LIMIT))
            stopped = asyncio.run_coroutine_threadsafe(asyncio.sleep(LIMIT), loop)
            told.append(stopped.cancel())

        thread = threading.Thread(target=call)
        thread.start()
        await until(lambda: not thread.is_alive())
        assert told == [[], True]

    run(main)


def test_a_loop_that_is_stopped_with_a_request_under_way_goes_on_later(aio, pool, loop_factory, tmp_path):
    loop = loop_factory()

    async def work():
        pool.max_parallel = 0
        loop.call_soon(loop.stop)
        await aio.mkdir(tmp_path / "d")
        return await aio.listdir(tmp_path)

    task = loop.create_task(work())
    loop.run_forever()
    assert not task.done()
    pool.max_parallel = 1
    assert loop.run_until_complete(task) == ["d"]
    loop.close()


def test_loops_that_are_stopped_for_good_leave_no_descriptor(aio, pool, loop_factory):
    before = descriptors()
    for _ in range(10):
        loop = loop_factory()
        task = loop.create_task(aio.nop())
        loop.call_soon(loop.stop)
        loop.run_forever()
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()
    del loop, task
    spin(lambda: descriptors() <= before)

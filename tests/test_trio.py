"""anyaio.trio in tasks and nurseries: checkpoints, and cancellation in every state."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from functools import partial

import loops
import pytest
import trio
import trio_runs
from loops import descriptors, running, spin
from trio.testing import MockClock, assert_checkpoints, assert_no_checkpoints
from trio_runs import in_trio, start, until

import anyaio
from anyaio import Cancelled, Outcome
from anyaio._front import engine_class
from anyaio._opcodes import CLOSE, FSTAT

aio, stuck = trio_runs.aio, loops.stuck


def is_open(fd):
    return os.path.lexists(f"/proc/self/fd/{fd}")


# ---- results ----


@in_trio
async def test_tasks_of_a_nursery_have_each_its_own_result(aio, tmp_path):
    sizes = {}

    async def look(number):
        sizes[number] = (await aio.stat(tmp_path / str(number))).st_size

    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"x" * number)
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(look, number)
    assert sizes == {number: number for number in range(100)}


@in_trio
async def test_a_call_in_a_thread_can_come_back_to_the_loop(aio, tmp_path):
    assert await trio.to_thread.run_sync(trio.from_thread.run, aio.listdir, tmp_path) == []


def test_outside_of_a_run_it_is_a_runtime_error(aio):
    with pytest.raises(RuntimeError):
        aio.current()
    with pytest.raises(RuntimeError):
        aio.nop().send(None)


# ---- checkpoints ----


@in_trio
async def test_every_call_is_a_checkpoint(aio, tmp_path):
    with assert_checkpoints():
        await aio.mkdir(tmp_path / "d")
    with assert_checkpoints():
        await aio.copy("/dev/null", tmp_path / "f")
    with assert_checkpoints():
        await aio.split_dir(tmp_path)


@in_trio
async def test_waiting_for_what_is_done_is_a_checkpoint(aio):
    request = aio.current().engine.nop()
    await until(lambda: request.state == "done")
    with assert_checkpoints():
        await aio.current().wait(request)


@in_trio
async def test_each_step_of_each_is_a_checkpoint_and_so_is_its_end(aio, tmp_path):
    pairs = aio.each(aio.stat, [tmp_path] * 3)
    for _ in range(3):
        with assert_checkpoints():
            await anext(pairs)
    for _ in range(2):
        with assert_checkpoints(), pytest.raises(StopAsyncIteration):
            await anext(pairs)
    with assert_checkpoints(), pytest.raises(StopAsyncIteration):
        await anext(aio.each(aio.stat, []))


@in_trio
async def test_closing_an_each_is_a_checkpoint(aio, tmp_path):
    pairs = aio.each(aio.stat, [tmp_path] * 3)
    await anext(pairs)
    for _ in range(2):
        with assert_checkpoints():
            await pairs.aclose()


@pytest.fixture
def at_once(aio, backend, pool, monkeypatch):
    """`anyaio.trio` with an engine that has the results of fstat and close at once."""

    class Submitter:
        def __init__(self, submitter):
            self._submitter = submitter

        def __call__(self, number, *arguments):
            calls = {FSTAT: os.fstat, CLOSE: os.close}
            return calls.get(number, partial(self._submitter, number))(*arguments)

        def __getattr__(self, name):
            return getattr(self._submitter, name)

    class Engine(engine_class(backend)):
        def submitter(self, **options):
            return Submitter(super().submitter(**options))

    monkeypatch.setattr("anyaio.trio._adapter.Engine", partial(Engine, pool))
    return aio


@in_trio
async def test_a_result_that_is_there_at_once_is_a_checkpoint_too(at_once):
    with assert_checkpoints():
        assert (await at_once.fstat(0)).st_mode


@in_trio
async def test_in_a_budget_a_result_that_is_there_at_once_is_returned_at_once(at_once):
    view = at_once.current().with_options(checkpoint="budget")
    with assert_no_checkpoints():
        assert (await view.fstat(0)).st_mode
    with assert_checkpoints():
        await view.nop()


@pytest.mark.parametrize("checkpoint", ["strict", "budget"])
@in_trio
async def test_a_cancelled_scope_has_no_result_at_once(at_once, checkpoint):
    view = at_once.current().with_options(checkpoint=checkpoint)
    with trio.CancelScope() as scope:
        scope.cancel()
        await view.fstat(0)
    assert scope.cancelled_caught


@pytest.mark.parametrize("checkpoint", ["strict", "budget"])
@in_trio
async def test_a_close_that_is_done_at_once_raises_the_cancellation_behind_it(at_once, pipe, checkpoint):
    view = at_once.current().with_options(checkpoint=checkpoint)
    fd = os.dup(pipe[0])
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await view.close(fd)
        assert anyaio.outcome(caught.value) == Outcome("done", None)
    assert not is_open(fd)


# ---- scopes that are cancelled before the call ----


@in_trio
async def test_in_a_cancelled_scope_nothing_is_begun(aio, tmp_path):
    with trio.CancelScope() as scope:
        scope.cancel()
        for call in (aio.mkdir, aio.listdir, aio.split_dir, aio.rmtree):
            with pytest.raises(trio.Cancelled) as caught:
                await call(tmp_path / "d")
            assert anyaio.outcome(caught.value) == Outcome("never ran")
    assert aio.current().stats()["requests"] == {}


@in_trio
async def test_a_deadline_that_has_passed_counts(aio, tmp_path):
    with trio.move_on_after(0) as scope:
        await aio.mkdir(tmp_path / "d")
    assert scope.cancelled_caught
    with trio.CancelScope() as scope:
        scope.deadline = float("-inf")
        await aio.mkdir(tmp_path / "d")
    assert scope.cancelled_caught
    assert os.listdir(tmp_path) == []


@in_trio
async def test_a_shield_lets_calls_work_in_a_cancelled_scope(aio, tmp_path):
    with trio.CancelScope() as scope:
        scope.cancel()
        with trio.CancelScope(shield=True):
            await aio.mkdir(tmp_path / "d")
            assert [name async for name, _ in aio.each(aio.stat, [tmp_path / "d"])] == [tmp_path / "d"]
        with pytest.raises(trio.Cancelled):
            await aio.rmdir(tmp_path / "d")
    assert os.listdir(tmp_path) == ["d"]


@in_trio
async def test_in_a_cancelled_scope_a_close_closes_and_then_raises(aio, pipe):
    fd = os.dup(pipe[0])
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await aio.close(fd)
        assert anyaio.outcome(caught.value) == Outcome("done", None)
    assert not is_open(fd)


@in_trio
async def test_in_a_cancelled_scope_a_close_that_fails_is_told_by_the_cancellation(aio):
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await aio.close(-1)
        assert isinstance(caught.value.__cause__, OSError)
        assert anyaio.outcome(caught.value).status == "failed"


@in_trio
async def test_in_a_cancelled_scope_a_lock_is_given_back(aio, tmp_path):
    with open(tmp_path / "f", "w") as file, open(tmp_path / "f") as other:
        await aio.flock(file.fileno(), fcntl.LOCK_EX)
        with trio.CancelScope() as scope:
            scope.cancel()
            await aio.flock(file.fileno(), fcntl.LOCK_UN)
        assert scope.cancelled_caught
        fcntl.flock(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@in_trio
async def test_in_a_cancelled_scope_waiting_for_ones_own_request_raises(aio, pool, tmp_path):
    front = aio.current()
    pool.max_parallel = 0
    request = front.engine.mkdir(tmp_path / "d")
    with trio.CancelScope() as scope:
        scope.cancel()
        await front.wait(request)
    assert scope.cancelled_caught
    assert request.outcome == Outcome("never ran")


@in_trio
async def test_in_a_cancelled_scope_waiting_for_ones_own_change_waits_and_raises(aio, stuck):
    front = aio.current()
    request = front.engine.open(stuck.path, stuck.FLAGS)
    await until(running(front.engine))

    async def wait():
        with trio.CancelScope() as scope:
            scope.cancel()
            await front.wait(request)

    async with trio.open_nursery() as nursery:
        call = start(nursery, wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not call.done.is_set()
        stuck.release()
    assert call.error is None
    assert request.outcome.status == "done"
    await until(lambda: not stuck.is_open_for_writing())


@in_trio
async def test_in_a_cancelled_scope_each_takes_no_item(aio):
    def items():
        raise AssertionError("an item was taken")
        yield

    pairs = aio.each(aio.stat, items())
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(pairs)
    assert scope.cancelled_caught
    with pytest.raises(StopAsyncIteration):
        await anext(pairs)


# ---- cancelled while it waits ----


@in_trio
async def test_cancelled_while_queued_it_never_runs(aio, pool, tmp_path):
    pool.max_parallel = 0
    async with trio.open_nursery() as nursery:
        call = start(nursery, aio.mkdir, tmp_path / "d")
        await until(lambda: aio.current().engine.nready)
        error = await call.cancelled()
        pool.max_parallel = 1
    await aio.nop()
    assert isinstance(error, trio.Cancelled)
    assert error.outcome == Outcome("never ran")
    assert os.listdir(tmp_path) == []


@in_trio
async def test_cancelled_while_it_only_looks_it_is_abandoned_at_once(aio):
    async with trio.open_nursery() as nursery:
        call = start(nursery, aio.busy, 0.3)
        await until(running(aio.current().engine))
        error = await call.cancelled()
    assert error.outcome == Outcome("abandoned")
    assert aio.current().engine.nreqs == 0


@in_trio
async def test_a_running_change_returns_its_result_and_the_cancellation_comes_next(aio, stuck):
    async with trio.open_nursery() as nursery:
        call = start(nursery, aio.open, stuck.path, stuck.FLAGS)
        await until(running(aio.current().engine))
        call.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not call.done.is_set()
        stuck.release()
    assert call.error is None
    assert call.cancelled_later
    os.close(call.value)


@in_trio
async def test_a_change_that_fails_raises_its_error_and_the_cancellation_comes_next(aio, tmp_path):
    async with trio.open_nursery() as nursery:
        call, _ = await finished_unpolled(aio, nursery, aio.mkdir, tmp_path)
        error = await call.cancelled()
    assert isinstance(error, FileExistsError)
    assert call.cancelled_later


async def finished_unpolled(aio, nursery, call, *arguments):
    """Start a call whose request is finished when this returns, and not polled."""
    engine = aio.current().engine
    limit, engine.pool.max_parallel = engine.pool.max_parallel, 0
    started = start(nursery, call, *arguments)
    await until(lambda: engine.nready)
    engine.pool.max_parallel = limit
    spin(lambda: engine.npending)
    return started, engine


@in_trio
async def test_an_open_that_was_handed_over_belongs_to_its_caller(aio, tmp_path):
    async with trio.open_nursery() as nursery:
        call, engine = await finished_unpolled(aio, nursery, aio.open, tmp_path, os.O_RDONLY)
        engine.poll()
        assert await call.cancelled() is None
    assert call.cancelled_later
    os.close(call.value)


@in_trio
async def test_a_cancelled_open_never_loses_its_descriptor(aio, pool, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    before = descriptors()
    async with trio.open_nursery() as nursery:
        pool.max_parallel = 0
        call = start(nursery, aio.open, tmp_path, os.O_RDONLY)
        await until(lambda: aio.current().engine.nready)
        assert (await call.cancelled()).outcome == Outcome("never ran")
        pool.max_parallel = 4
        call, _ = await finished_unpolled(aio, nursery, aio.open, tmp_path, os.O_RDONLY)
        assert (await call.cancelled()).outcome.status in ("abandoned", "done")
        call = start(nursery, aio.open, tmp_path / "fifo", os.O_WRONLY)
        await until(running(aio.current().engine))
        assert (await call.cancelled()).outcome == Outcome("abandoned")
        with trio.CancelScope() as scope:
            scope.cancel()
            await aio.open(tmp_path, os.O_RDONLY)
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)  # lets the worker's open succeed
    await until(lambda: {name for name in descriptors() if str(tmp_path) in name} <= {f"{reader} {tmp_path}/fifo"})
    os.close(reader)
    assert descriptors() - before == {name for name in descriptors() - before if "eventfd" in name}


@in_trio
async def test_a_cancelled_close_closes_all_the_same(aio, pool, pipe):
    fd = os.dup(pipe[0])
    await aio.nop()
    pool.max_parallel = 0
    async with trio.open_nursery() as nursery:
        call = start(nursery, aio.close, fd)
        await until(lambda: aio.current().engine.nready)
        call.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not call.done.is_set()
        pool.max_parallel = 1
    assert isinstance(call.error, trio.Cancelled)
    assert call.error.outcome == Outcome("done", None)
    assert not is_open(fd)


@in_trio
async def test_a_cancelled_task_can_close_in_its_finally(aio, tmp_path):
    opened = []

    async def work():
        opened.append(await aio.open(tmp_path, os.O_RDONLY))
        try:
            await trio.sleep_forever()
        finally:
            await aio.close(opened[0])

    async with trio.open_nursery() as nursery:
        call = start(nursery, work)
        await until(lambda: opened)
        await call.cancelled()
    assert not is_open(opened[0])


@in_trio
async def test_a_cancelled_read_of_a_quiet_pipe_consumes_nothing(aio, pipe):
    reader, writer = pipe
    async with trio.open_nursery() as nursery:
        call = start(nursery, aio.read, reader, 10)
        await until(running(aio.current().engine))
        await call.cancelled()
    os.write(writer, b"hello")
    assert await aio.read(reader, 10) == b"hello"


@in_trio
async def test_patience_ends_the_wait_for_a_stuck_change(aio, stuck):
    view = aio.current().with_options(patience=0.05)
    async with trio.open_nursery() as nursery:
        call = start(nursery, view.open, stuck.path, stuck.FLAGS)
        await until(running(view.engine))
        error = await call.cancelled()
    assert isinstance(error, trio.Cancelled)
    assert error.outcome == Outcome("unknown")


@in_trio
async def test_fail_after_is_not_held_by_a_stuck_change_beyond_its_patience(aio, stuck):
    view = aio.current().with_options(patience=0.02)
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(0.01):
            await view.open(stuck.path, stuck.FLAGS)


@in_trio
async def test_a_shielded_call_is_not_cancelled(aio, pool, tmp_path):
    async def work():
        with trio.CancelScope(shield=True):
            await aio.mkdir(tmp_path / "d")

    pool.max_parallel = 0
    async with trio.open_nursery() as nursery:
        call = start(nursery, work)
        await until(lambda: aio.current().engine.nready)
        call.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        pool.max_parallel = 1
    assert (tmp_path / "d").is_dir()
    assert call.cancelled_later


@in_trio
async def test_the_scope_that_was_cancelled_catches_it(aio, pool):
    pool.max_parallel = 0
    with trio.move_on_after(30) as outer:
        with trio.move_on_after(0.01) as inner:
            await aio.nop()
    assert (outer.cancelled_caught, inner.cancelled_caught) == (False, True)
    with trio.move_on_after(0.01) as outer:
        with trio.move_on_after(30) as inner:
            await aio.nop()
    assert (outer.cancelled_caught, inner.cancelled_caught) == (True, False)


@in_trio
async def test_a_failing_task_takes_back_the_requests_of_its_siblings(aio, pool, tmp_path):
    async def fail():
        await until(lambda: aio.current().engine.nready == 10)
        raise ValueError

    async def work():
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(aio.mkdir, tmp_path / str(number))
            nursery.start_soon(fail)

    pool.max_parallel = 0
    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert aio.current().engine.nreqs == 0


@in_trio
async def test_a_cancelled_group_raises_trios_cancellation(aio, pool, tmp_path):
    front = aio.current()
    pool.max_parallel = 0
    group = front.group()
    group.add(front.engine.mkdir(tmp_path / "d"), front.engine.nop())
    async with trio.open_nursery() as nursery:
        call = start(nursery, front.wait, group)
        await until(lambda: front.engine.nready == 2)
        error = await call.cancelled()
    assert isinstance(error, trio.Cancelled)
    assert error.outcome.status == "failed"


@in_trio
async def test_a_cancelled_composite_cleans_up_and_raises_trios_cancellation(aio, tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 1_000_000)
    scope = trio.CancelScope()
    with scope:
        with pytest.raises(trio.Cancelled) as caught:
            await aio.copy(tmp_path / "source", tmp_path / "target", progress=lambda done, total: scope.cancel())
        assert caught.value.outcome.status == "failed"
    assert os.listdir(tmp_path) == ["source"]


@in_trio
async def test_a_cancelled_each_waits_for_changes_that_run(aio, stuck):
    opened = []

    async def consume():
        async for _, fd in aio.each(partial(aio.open, flags=stuck.FLAGS), [stuck.path]):
            opened.append(fd)

    async with trio.open_nursery() as nursery:
        call = start(nursery, consume)
        await until(running(aio.current().engine))
        call.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not call.done.is_set()
        stuck.release()
    assert isinstance(call.error, trio.Cancelled)
    assert opened == []
    await until(lambda: not stuck.is_open_for_writing())


@in_trio
async def test_a_request_that_somebody_else_cancelled_raises_anyaios_cancellation(aio, pool):
    front = aio.current()
    pool.max_parallel = 0
    request = front.engine.nop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until, request.cancel)
        with pytest.raises(Cancelled) as caught:
            await front.wait(request)
    assert caught.value.outcome == Outcome("never ran")


def test_ctrl_c_takes_the_request_back(aio, pool, tmp_path):
    async def main():
        pool.max_parallel = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt)
            try:
                await aio.mkdir(tmp_path / "d")
            except KeyboardInterrupt as error:
                assert error.outcome == Outcome("never ran")
                raise

    async def interrupt():
        await until(lambda: aio.current().engine.nready)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)
    assert [type(error) for error in caught.value.exceptions] == [KeyboardInterrupt]


# ---- clocks ----


def test_a_mock_clock_brings_the_timeout_of_a_call(aio, pool, tmp_path):
    clock = MockClock()

    async def main():
        pool.max_parallel = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(jump)
            with pytest.raises(trio.TooSlowError):
                with trio.fail_after(3600):
                    await aio.mkdir(tmp_path / "d")
        pool.max_parallel = 1
        await aio.nop()

    async def jump():
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(3601)

    trio.run(main, clock=clock)
    assert os.listdir(tmp_path) == []


def test_a_clock_that_jumps_by_itself_gives_a_call_its_threshold(aio, tmp_path):
    async def main():
        with trio.fail_after(3600):
            await aio.mkdir(tmp_path / "d")
        await trio.sleep(3600)
        with trio.move_on_after(3600) as scope:
            await aio.flock(other.fileno(), fcntl.LOCK_EX)
        assert scope.cancelled_caught

    with open(tmp_path / "f", "w") as file, open(tmp_path / "f", "w") as other:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        trio.run(main, clock=MockClock(autojump_threshold=0.2))
    assert (tmp_path / "d").is_dir()


# ---- asynchronous items ----


async def numbers(count):
    for number in range(count):
        await trio.lowlevel.checkpoint()
        yield number


@in_trio
async def test_each_takes_items_from_an_asynchronous_source(aio, tmp_path):
    async def paths():
        async for number in numbers(50):
            (tmp_path / str(number)).write_bytes(b"x" * number)
            yield tmp_path / str(number)

    sizes = {int(path.name): status.st_size async for path, status in aio.each(aio.stat, paths(), limit=4)}
    assert sizes == {number: number for number in range(50)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@in_trio
async def test_an_error_of_the_source_is_raised_to_who_consumes(aio, tmp_path, error):
    async def paths():
        yield tmp_path
        raise error

    pairs = aio.each(aio.stat, paths())
    assert (await anext(pairs))[0] == tmp_path
    with pytest.raises(error):
        await anext(pairs)
    await aio.nop()


@in_trio
async def test_the_source_runs_until_it_is_cancelled_with_the_each(aio, tmp_path):
    ended = []

    async def paths():
        try:
            yield tmp_path
            await trio.sleep_forever()
        finally:
            ended.append(sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1])

    async with aio.each(aio.stat, paths()) as pairs:
        await anext(pairs)
    assert [type(error) for error in ended] == [trio.Cancelled]


@in_trio
async def test_an_each_that_is_dropped_cancels_its_source(aio, tmp_path):
    ended = trio.Event()

    async def paths():
        try:
            yield tmp_path
            await trio.sleep_forever()
        finally:
            ended.set()

    pairs = aio.each(aio.stat, paths())
    await anext(pairs)
    del pairs
    await ended.wait()


@in_trio
async def test_a_consumer_that_is_cancelled_cancels_its_source(aio, tmp_path):
    ended = trio.Event()

    async def paths():
        try:
            await trio.sleep_forever()
            yield tmp_path
        finally:
            ended.set()

    with trio.move_on_after(0.01):
        async for _ in aio.each(aio.stat, paths()):
            pass
    assert ended.is_set()

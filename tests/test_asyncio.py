"""anyaio.asyncio in asyncio and in uvloop: results, cancellation in every state, and the life of a loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import sys
import threading
import warnings
import weakref
from types import SimpleNamespace

import loops
import pytest
from loops import LIMIT, descriptors, on_loops, run, running, spin, thread_count, until

from anyaio import Cancelled

aio, loop_factory, stuck = loops.aio, loops.loop_factory, loops.stuck

# ---- results ----


@on_loops
async def test_a_file_is_written_and_read_back(aio, tmp_path):
    fd = await aio.open(tmp_path / "f", os.O_CREAT | os.O_RDWR, 0o600)
    assert await aio.pwrite(fd, b"hello", 3) == 5
    assert await aio.pread(fd, 10, 0) == b"\0\0\0hello"
    assert (await aio.fstat(fd)).st_size == 8
    await aio.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@on_loops
async def test_an_error_has_the_callers_own_path(aio, tmp_path):
    path = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        await aio.stat(path)
    assert caught.value.filename is path


@on_loops
async def test_a_wrong_argument_is_raised_at_the_await(aio):
    coroutine = aio.pread("f", 1, 0)
    with pytest.raises(TypeError):
        await coroutine


@on_loops
async def test_many_requests_at_once_have_each_its_own_result(aio, tmp_path):
    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"x" * number)
    results = await asyncio.gather(*(aio.stat(tmp_path / str(number)) for number in range(100)))
    assert [result.st_size for result in results] == list(range(100))


def test_outside_of_a_running_loop_it_is_a_runtime_error(aio):
    with pytest.raises(RuntimeError):
        aio.current()
    with pytest.raises(RuntimeError):
        aio.nop().send(None)


def test_a_loop_without_add_reader_gets_a_clear_error(aio):
    class Proactor(asyncio.SelectorEventLoop):
        started = False

        def add_reader(self, *arguments):
            raise NotImplementedError

    loop = Proactor()
    with pytest.raises(RuntimeError, match="Proactor has no add_reader"):
        loop.run_until_complete(aio.nop())
    loop.close()


@on_loops
async def test_debug_mode_makes_no_difference(aio, tmp_path):
    asyncio.get_running_loop().set_debug(True)
    assert await aio.listdir(tmp_path) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@on_loops
async def test_eager_tasks_work_and_can_be_cancelled(aio, pool, tmp_path):
    loop = asyncio.get_running_loop()
    if type(loop).__module__.startswith("uvloop") and sys.version_info[:2] == (3, 13):
        pytest.skip("uvloop 0.23 gives the factory of 3.13.0 an argument that it does not know")
    loop.set_task_factory(asyncio.eager_task_factory)
    assert await loop.create_task(aio.listdir(tmp_path)) == []
    pool.max_parallel = 0
    task = loop.create_task(aio.mkdir(tmp_path / "d"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.outcome.status == "never ran"


def test_a_failed_call_leaves_no_garbage_behind(aio, loop_factory, tmp_path):
    class Thing:
        pass

    async def fail():
        thing = Thing()
        try:
            await aio.stat(tmp_path / "missing")
        except FileNotFoundError:
            return weakref.ref(thing)

    async def main():
        await aio.nop()
        reference = await fail()
        await asyncio.sleep(0)  # the loop's own reference goes with its next turn
        return reference()

    gc.disable()
    try:
        assert run(main(), loop_factory) is None
    finally:
        gc.enable()


# ---- the front end ----


@on_loops
async def test_current_is_one_object_in_a_loop(aio):
    front = aio.current()
    await aio.nop()
    assert aio.current() is front


@on_loops
async def test_the_front_end_has_the_functions_too(aio, tmp_path):
    front = aio.current()
    await front.mkdir(tmp_path / "d")
    assert await front.listdir(tmp_path) == ["d"]
    assert front.pool is front.engine.pool
    assert isinstance(front.stats(), dict)


@on_loops
async def test_a_request_of_the_engine_can_be_awaited(aio, tmp_path):
    front = aio.current()
    seen = []
    request = front.engine.listdir(tmp_path, seen.append)
    assert await front.wait(request) == []
    assert request.state == "done"
    assert await front.wait(request) == []
    await until(lambda: seen)
    assert seen == [request]


@on_loops
async def test_waiting_for_a_cancelled_request_raises_cancelled(aio, pool):
    front = aio.current()
    pool.max_parallel = 0
    request = front.engine.nop()
    assert request.cancel()
    with pytest.raises(Cancelled) as caught:
        await front.wait(request)
    assert caught.value.outcome.status == "never ran"


@on_loops
async def test_a_view_orders_the_queue_by_its_priority(aio, pool):
    front = aio.current()
    order = []

    async def nop(view, name):
        await view.nop()
        order.append(name)

    pool.max_parallel = 0
    low, high = front.with_options(priority=-1), front.with_options(priority=4)
    tasks = [asyncio.ensure_future(nop(view, name)) for view, name in ((low, "low"), (front, "plain"), (high, "high"))]
    await until(lambda: front.engine.nready == 3)
    pool.max_parallel = 1
    await asyncio.gather(*tasks)
    assert order == ["high", "plain", "low"]


@on_loops
async def test_after_shutdown_the_next_request_starts_anew(aio):
    front = aio.current()
    await front.nop()
    front.shutdown()
    front.shutdown()
    with pytest.raises(RuntimeError):
        await front.nop()
    await aio.nop()
    assert aio.current() is not front


@on_loops
async def test_shutdown_wakes_who_waits(aio, pool):
    pool.max_parallel = 0
    task = asyncio.ensure_future(aio.nop())
    await until(lambda: aio.current().engine.nready)
    aio.current().shutdown()
    with pytest.raises(Cancelled):
        await task


@on_loops
async def test_a_callback_runs_in_the_context_of_its_submit(aio):
    variable = contextvars.ContextVar("variable", default="the notifier's")
    variable.set("first")
    await aio.nop()
    seen = []
    variable.set("second")
    aio.current().engine.nop(lambda request: seen.append(variable.get()))
    variable.set("third")
    await until(lambda: seen)
    assert seen == ["second"]


@pytest.mark.blocks_loop("the collection of all that the tests have loaded takes its time")
def test_the_notifier_keeps_no_callers_context(aio, loop_factory):
    variable = contextvars.ContextVar("variable")

    class Thing:
        pass

    async def start():
        thing = Thing()
        variable.set(thing)
        await aio.nop()
        return weakref.ref(thing)

    async def main():
        reference = await asyncio.create_task(start())
        await asyncio.sleep(0)  # the loop's own reference goes with its next turn
        gc.collect()
        assert reference() is None
        await aio.nop()

    run(main(), loop_factory)


def test_an_exception_in_a_callback_goes_to_the_loops_handler(aio, loop_factory):
    async def main():
        loop = asyncio.get_running_loop()
        heard = []
        loop.set_exception_handler(lambda loop, context: heard.append(context))
        engine = aio.current().engine
        after = []
        engine.nop(lambda request: 1 / 0)
        engine.nop(after.append)
        await until(lambda: after)
        assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]
        assert "nop" in heard[0]["message"]

    run(main(), loop_factory)


# ---- cancellation ----


async def cancel(task):
    """Cancel a task, return what it raised."""
    task.cancel("stop")
    with pytest.raises(asyncio.CancelledError) as caught:
        async with asyncio.timeout(LIMIT):
            await task
    return caught.value


@on_loops
async def test_cancelled_while_queued_it_never_runs(aio, pool, tmp_path):
    pool.max_parallel = 0
    task = asyncio.create_task(aio.mkdir(tmp_path / "d"))
    await until(lambda: aio.current().engine.nready)
    error = await cancel(task)
    pool.max_parallel = 1
    await aio.nop()
    assert error.outcome.status == "never ran"
    assert not (tmp_path / "d").exists()


@on_loops
async def test_cancelled_while_it_only_looks_it_is_abandoned_at_once(aio):
    task = asyncio.create_task(aio.busy(0.3))
    engine = aio.current().engine
    await until(running(engine))
    error = await cancel(task)
    assert error.outcome.status == "abandoned"
    assert engine.nreqs == 0


@on_loops
async def test_the_descriptor_of_an_abandoned_open_is_closed(aio, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    task = asyncio.create_task(aio.open(tmp_path / "fifo", os.O_WRONLY))
    await until(running(aio.current().engine))
    before = descriptors()
    error = await cancel(task)
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)  # lets the worker's open succeed
    try:
        own = f"{reader} {tmp_path}/fifo"
        await until(lambda: not any(name.endswith(f"{tmp_path}/fifo") for name in descriptors() if name != own))
    finally:
        os.close(reader)
    assert error.outcome.status == "abandoned"
    assert descriptors() == before


@on_loops
async def test_a_running_change_is_waited_for_and_its_outcome_told(aio, stuck):
    task = asyncio.create_task(aio.open(stuck.path, stuck.FLAGS))
    await until(running(aio.current().engine))
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    stuck.release()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.outcome.status == "done"
    assert caught.value.outcome.result is None
    await until(lambda: not stuck.is_open_for_writing())  # a worker closes it


async def finished_unpolled(aio, coroutine):
    """Start a task whose request is finished when this returns, and not polled."""
    engine = aio.current().engine
    limit, engine.pool.max_parallel = engine.pool.max_parallel, 0
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)  # the loop may poll here
    engine.pool.max_parallel = limit
    spin(lambda: engine.npending)
    return task, engine


@on_loops
async def test_the_result_of_a_cancelled_change_is_in_its_outcome(aio, tmp_path):
    with open(tmp_path / "f", "wb") as file:
        task, _ = await finished_unpolled(aio, aio.pwrite(file.fileno(), b"hello", 0))
        error = await cancel(task)
    assert (error.outcome.status, error.outcome.result) == ("done", 5)
    assert (tmp_path / "f").read_bytes() == b"hello"


@on_loops
async def test_a_cancelled_change_that_failed_is_raised_from_its_error(aio, tmp_path):
    task, _ = await finished_unpolled(aio, aio.mkdir(tmp_path))
    error = await cancel(task)
    assert error.outcome.status == "failed"
    assert isinstance(error.__cause__, FileExistsError)
    assert error.outcome.error is error.__cause__


@on_loops
async def test_cancelled_between_its_completion_and_the_tasks_resumption_the_descriptor_is_closed(aio, tmp_path):
    before = descriptors()
    task, engine = await finished_unpolled(aio, aio.open(tmp_path, os.O_RDONLY))
    assert engine.poll() == 1
    error = await cancel(task)
    assert error.outcome.status == "done"
    spin(lambda: not any(name.endswith(str(tmp_path)) for name in descriptors() - before))  # a worker closes it


@on_loops
async def test_a_second_cancel_waits_no_longer(aio, stuck):
    task = asyncio.create_task(aio.open(stuck.path, stuck.FLAGS))
    engine = aio.current().engine
    await until(running(engine))
    task.cancel()
    await asyncio.sleep(0)
    assert engine.nreqs == 1
    error = await cancel(task)
    assert error.outcome.status == "unknown"
    assert engine.nreqs == 0


@on_loops
async def test_patience_ends_the_wait_for_a_stuck_change(aio, stuck):
    view = aio.current().with_options(patience=0.05)
    task = asyncio.create_task(view.open(stuck.path, stuck.FLAGS))
    await until(running(view.engine))
    error = await cancel(task)
    assert error.outcome.status == "unknown"


@on_loops
async def test_a_cancelled_read_of_a_quiet_pipe_consumes_nothing(aio):
    reader, writer = os.pipe()
    task = asyncio.create_task(aio.read(reader, 10))
    await until(running(aio.current().engine))
    await cancel(task)
    os.write(writer, b"hello")
    async with asyncio.timeout(LIMIT):
        assert await aio.read(reader, 10) == b"hello"
    os.close(reader)
    os.close(writer)


@on_loops
async def test_a_cancelled_close_closes_all_the_same(aio, pool):
    reader, writer = os.pipe()
    os.close(writer)
    await aio.nop()
    pool.max_parallel = 0
    task = asyncio.create_task(aio.close(reader))
    await until(lambda: aio.current().engine.nready)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    pool.max_parallel = 1
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.outcome.status == "done"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


@on_loops
async def test_a_cancelled_task_can_close_in_its_finally(aio, pool, tmp_path):
    opened = asyncio.get_running_loop().create_future()

    async def work():
        fd = await aio.open(tmp_path, os.O_RDONLY)
        opened.set_result(fd)
        try:
            await asyncio.sleep(LIMIT)
        finally:
            await aio.close(fd)

    task = asyncio.create_task(work())
    fd = await opened
    await cancel(task)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@on_loops
async def test_asyncio_timeout_takes_a_queued_request_back(aio, pool, tmp_path):
    pool.max_parallel = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aio.mkdir(tmp_path / "d")
    assert aio.current().engine.nreqs == 0


@on_loops
async def test_wait_for_takes_a_queued_request_back(aio, pool, tmp_path):
    pool.max_parallel = 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(aio.mkdir(tmp_path / "d"), 0.01)
    assert aio.current().engine.nreqs == 0


@on_loops
async def test_a_timeout_is_not_held_by_a_stuck_change_beyond_its_patience(aio, stuck):
    view = aio.current().with_options(patience=0.02)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await view.open(stuck.path, stuck.FLAGS)
    assert caught.value.__context__.outcome.status in ("unknown", "never ran")


@on_loops
async def test_a_task_group_cancels_its_other_requests(aio, pool, tmp_path):
    async def fail():
        await until(lambda: aio.current().engine.nready)
        raise ValueError

    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(aio.mkdir(tmp_path / "d"))
            group.create_task(fail())

    pool.max_parallel = 0
    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert aio.current().engine.nreqs == 0


@on_loops
async def test_a_shielded_request_goes_on(aio, pool, tmp_path):
    pool.max_parallel = 0
    inner = asyncio.ensure_future(aio.mkdir(tmp_path / "d"))
    outer = asyncio.shield(inner)
    await until(lambda: aio.current().engine.nready)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    pool.max_parallel = 1
    await inner
    assert (tmp_path / "d").is_dir()


@on_loops
async def test_gather_cancels_all_its_requests(aio, pool):
    pool.max_parallel = 0
    future = asyncio.gather(*(aio.nop() for _ in range(10)))
    engine = aio.current().engine
    await until(lambda: engine.nready == 10)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future
    assert engine.nreqs == 0


@on_loops
async def test_a_coroutine_that_is_closed_takes_its_request_back(aio, pool):
    pool.max_parallel = 0
    coroutine = aio.nop()
    coroutine.send(None)
    assert aio.current().engine.nreqs == 1
    coroutine.close()
    assert aio.current().engine.nreqs == 0


# ---- the life of a loop ----


def test_a_thousand_loops_in_a_row_leave_nothing_behind(aio, loop_factory):
    async def main():
        await aio.nop()

    run(main(), loop_factory)
    threads = thread_count()
    before = descriptors()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(1000):
                run(main(), loop_factory)
            count = len(os.listdir("/proc/self/fd")) - 1
    finally:
        gc.enable()
    assert count - len(before) < 50  # a loop itself may need the garbage collector, and no more
    assert descriptors() == before
    assert thread_count() <= threads + 2  # of the pool: one more that helps, one more that watches


def test_a_loop_that_is_closed_but_kept_gives_its_descriptor_back_when_the_next_one_starts(aio, loop_factory):
    before = descriptors()
    kept = []

    async def main():
        kept.append(asyncio.get_running_loop())
        await aio.nop()
        return aio.current().engine.fileno()

    for _ in range(10):
        run(main(), loop_factory)
    assert len([name for name in descriptors() - before if "eventfd" in name]) <= 2


def test_a_loop_that_ends_with_requests_under_way_leaves_nothing_behind(aio, pool, loop_factory):
    async def main():
        await aio.nop()
        pool.max_parallel = 0
        task = asyncio.create_task(aio.nop())
        await until(lambda: aio.current().engine.nready)
        return task  # asyncio.run cancels it

    before = descriptors()
    assert run(main(), loop_factory).cancelled()
    assert descriptors() == before


def test_the_end_of_a_loop_is_not_held_by_a_stuck_change_beyond_its_patience(aio, loop_factory, stuck):
    async def main():
        view = aio.current().with_options(patience=0.05)
        task = asyncio.create_task(view.open(stuck.path, stuck.FLAGS))
        await until(running(view.engine))
        return task

    before = descriptors()
    assert run(main(), loop_factory).cancelled()
    stuck.release()
    spin(lambda: not stuck.is_open_for_writing())
    assert {name for name in descriptors() if stuck.path not in name} == before


def test_two_loops_in_two_threads_work_at_once(aio, loop_factory, tmp_path):
    meeting = threading.Barrier(2, timeout=LIMIT)
    engines = []
    errors = []

    async def main(name):
        await aio.mkdir(tmp_path / name)
        engines.append(aio.current().engine)
        meeting.wait()
        for _ in range(50):
            assert (await aio.stat(tmp_path / name)).st_nlink == 2

    def work(name):
        try:
            run(main(name), loop_factory)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert errors == []
    assert engines[0] is not engines[1]


def test_a_front_end_refuses_another_thread(aio, loop_factory):
    seen = []

    async def main():
        front = aio.current()

        def shut_down():
            try:
                front.shutdown()
            except RuntimeError as error:
                seen.append(error)

        thread = threading.Thread(target=shut_down)
        thread.start()
        thread.join(LIMIT)
        await aio.nop()

    run(main(), loop_factory)
    assert len(seen) == 1


def test_a_keyboard_interrupt_takes_the_request_back(aio, pool, loop_factory, tmp_path):
    seen = SimpleNamespace(engine=None, status=None)

    async def main():
        await aio.nop()
        pool.max_parallel = 0
        seen.engine = aio.current().engine
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await aio.mkdir(tmp_path / "d")
        except asyncio.CancelledError as error:
            seen.status = error.outcome.status
            raise

    with pytest.raises(KeyboardInterrupt):
        run(main(), loop_factory)
    assert seen.status == "never ran"
    assert seen.engine.nreqs == 0


def test_a_keyboard_interrupt_in_a_callback_loses_no_other_result(aio, loop_factory):
    loop = loop_factory()
    order = []

    def interrupt(request):
        order.append("interrupt")
        raise KeyboardInterrupt

    async def main():
        engine = aio.current().engine
        engine.nop(interrupt)
        engine.nop(lambda request: order.append("after"))
        await until(lambda: "after" in order)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(task)
    loop.close()
    assert order == ["interrupt", "after"]


@on_loops
async def test_a_front_end_that_was_kept_says_so_in_another_loop(aio, tmp_path):
    front = aio.current()

    async def use_it():
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.wait_for(front.listdir(tmp_path), LIMIT)

    loop = asyncio.get_running_loop()
    other = type(loop)()
    asyncio._set_running_loop(None)
    try:
        other.run_until_complete(use_it())
    finally:
        asyncio._set_running_loop(loop)
        other.close()

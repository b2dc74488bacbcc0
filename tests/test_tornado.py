"""anyaio.tornado: its Futures in all that tornado and asyncio do with them, and who has the descriptor in the end."""

from __future__ import annotations

import asyncio
import datetime
import functools
import gc
import inspect
import os
import threading

import loops
import pytest
from loops import LIMIT, descriptors, running, spin, until

from anyaio._front import engine_class

gen = pytest.importorskip("tornado.gen", reason="tornado is not installed")
IOLoop = pytest.importorskip("tornado.ioloop").IOLoop
tornado = pytest.importorskip("anyaio.tornado")

stuck = loops.stuck
SOON = datetime.timedelta(seconds=0.01)


@pytest.fixture
def aio(backend, pool, monkeypatch):
    """`anyaio.tornado`, whose engines are of this backend and use *pool*."""
    monkeypatch.setattr("anyaio.tornado._adapter.Engine", functools.partial(engine_class(backend), pool))
    return tornado


@pytest.fixture
def complaints(caplog):
    """What the loop's exception handler and tornado's log are told; nothing, unless the test clears it."""
    heard = []
    yield heard
    assert heard == []
    assert [record for record in caplog.records if record.name.startswith(("tornado", "asyncio"))] == []


def in_ioloop(test):
    """Have pytest run a coroutine function by IOLoop.run_sync, in an IOLoop of its own."""

    @functools.wraps(test)
    def run_test(complaints, **fixtures):
        loop = IOLoop(make_current=False)
        loop.asyncio_loop.set_exception_handler(lambda loop, context: complaints.append(context))
        if "complaints" in inspect.signature(test).parameters:
            fixtures["complaints"] = complaints
        try:
            loop.run_sync(functools.partial(test, **fixtures))
            gc.collect()
        finally:
            loop.close()

    parameters = [item for item in inspect.signature(test).parameters.values() if item.name != "complaints"]
    extra = inspect.Parameter("complaints", inspect.Parameter.KEYWORD_ONLY)
    run_test.__signature__ = inspect.Signature([*parameters, extra])
    return run_test


def is_open(path):
    return any(name.endswith(str(path)) for name in descriptors())


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    return tmp_path / "file"


# ---- what takes a Future ----


@in_ioloop
async def test_a_future_of_a_worker_is_not_done_before_the_next_poll(aio, file):
    future = aio.listdir(file.parent)
    assert not future.done()
    assert await future == [file.name]


@in_ioloop
async def test_a_future_calls_nobody_before_the_next_turn(aio, file):
    called = []
    for future in (aio.stat(file), aio.listdir(file.parent)):
        future.add_done_callback(called.append)
        assert called == []
        await future
        await asyncio.sleep(0)
        assert called.pop() is future


@in_ioloop
async def test_a_request_that_is_done_has_a_future_that_is_done_later(aio):
    front = aio.current()
    request = front.engine.nop()
    await front.wait(request)
    future = front.wait(request)
    assert not future.done()
    assert await future is None


@in_ioloop
async def test_gen_coroutine_gets_results_and_errors_from_yield(aio, file):
    @gen.coroutine
    def read():
        fd = yield aio.open(file, os.O_RDONLY)
        try:
            with pytest.raises(FileNotFoundError):
                yield aio.stat(file / ".." / "missing" / "x")
            return (yield aio.pread(fd, 10, 0))
        except NotADirectoryError:
            return (yield aio.pread(fd, 10, 0))
        finally:
            yield aio.close(fd)

    assert await read() == b"hello"
    assert not is_open(file)


@in_ioloop
async def test_the_result_can_be_asked_for_again(aio, file):
    future = aio.open(file, os.O_RDONLY)
    fd = await future
    assert (future.result(), await future, future.exception()) == (fd, fd, None)
    del future
    assert os.fstat(fd).st_size == 5
    os.close(fd)


@in_ioloop
async def test_two_who_await_one_future_both_get_the_result(aio, file):
    future = aio.open(file, os.O_RDONLY)
    first, second = await asyncio.gather(*(asyncio.wait_for(wait(future), LIMIT) for _ in range(2)))
    assert first == second
    assert os.fstat(first).st_size == 5
    os.close(first)


async def wait(future):
    return await future


@in_ioloop
async def test_a_future_can_be_shared_by_a_callback_and_a_task(aio, file):
    future = aio.stat(file)
    told = []
    IOLoop.current().add_future(future, lambda future: told.append(future.result().st_size))
    assert (await future).st_size == 5
    await until(lambda: told)
    assert told == [5]


@in_ioloop
async def test_before_it_is_done_asking_for_the_result_is_an_error(aio):
    future = aio.nop()
    for ask in (future.result, future.exception):
        with pytest.raises(asyncio.InvalidStateError):
            ask()
    await future


@in_ioloop
async def test_with_timeout_passes_the_end_of_an_each_on(aio):
    pairs = aio.each(aio.stat, ["/"])
    path, _ = await gen.with_timeout(datetime.timedelta(seconds=LIMIT), pairs.__anext__())
    assert path == "/"
    with pytest.raises(StopAsyncIteration):
        await gen.with_timeout(datetime.timedelta(seconds=LIMIT), pairs.__anext__())


@in_ioloop
async def test_each_takes_items_from_an_asynchronous_source(aio, tmp_path):
    async def paths():
        for number in range(20):
            await gen.sleep(0)
            yield tmp_path / str(number)

    async with aio.each(aio.mkdir, paths(), limit=3) as pairs:
        assert sorted(int(path.name) for path, _ in [pair async for pair in pairs]) == list(range(20))


# ---- who has the descriptor ----


@pytest.mark.blocks_loop("it looks through all garbage")
@in_ioloop
async def test_a_descriptor_that_nobody_asked_for_is_closed_with_its_future(aio, file):
    future = aio.open(file, os.O_RDONLY)
    await asyncio.wait([future])
    assert is_open(file)
    assert future.exception() is None
    del future
    gc.collect()
    await until(lambda: not is_open(file))


@pytest.mark.blocks_loop("it looks through all garbage")
@in_ioloop
async def test_what_comes_after_with_timeout_is_closed_and_not_logged(aio, stuck, complaints):
    for late in (aio.open(stuck.path, stuck.FLAGS), aio.open(stuck.path + "/x", os.O_RDONLY | os.O_CREAT)):
        with pytest.raises(gen.TimeoutError):
            await gen.with_timeout(datetime.timedelta(0), late)
    await until(running(aio.current().engine))
    stuck.release()
    await until(lambda: not aio.current().engine.nreqs)
    del late
    gc.collect()
    await until(lambda: not stuck.is_open_for_writing())


@in_ioloop
async def test_a_future_is_still_good_after_with_timeout(aio, stuck):
    future = aio.open(stuck.path, stuck.FLAGS)
    with pytest.raises(gen.TimeoutError):
        await gen.with_timeout(SOON, future)
    stuck.release()
    os.close(await future)


@in_ioloop
async def test_what_a_callback_returns_is_closed(aio, file):
    IOLoop.current().add_callback(aio.open, file, os.O_RDONLY)
    await gen.sleep(0)
    await until(lambda: not aio.current().engine.nreqs)
    await until(lambda: not is_open(file))


@in_ioloop
async def test_the_error_of_what_a_callback_returns_is_logged(aio, tmp_path, caplog):
    IOLoop.current().add_callback(aio.stat, tmp_path / "missing")
    await until(lambda: caplog.records)
    assert caplog.records[0].name == "tornado.application"
    caplog.clear()


@in_ioloop
async def test_an_error_that_nobody_looked_for_is_told_to_the_loop(aio, tmp_path, complaints):
    aio.stat(tmp_path / "missing")
    await until(lambda: complaints)
    assert isinstance(complaints.pop()["exception"], FileNotFoundError)


@in_ioloop
async def test_an_error_that_was_looked_at_is_not_told(aio, tmp_path):
    results = await asyncio.gather(aio.stat(tmp_path / "missing"), aio.nop(), return_exceptions=True)
    assert isinstance(results[0], FileNotFoundError)


# ---- cancelling ----


@in_ioloop
async def test_a_queued_request_that_is_cancelled_never_runs(aio, pool, tmp_path):
    pool.max_parallel = 0
    future = aio.mkdir(tmp_path / "d")
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(asyncio.CancelledError) as caught:
        future.result()
    assert caught.value.outcome.status == "never ran"
    pool.max_parallel = 1
    await aio.nop()
    assert not (tmp_path / "d").exists()


@pytest.mark.blocks_loop("it looks through all garbage")
@in_ioloop
async def test_a_running_change_that_is_cancelled_is_done_when_the_call_has_ended(aio, stuck):
    future = aio.open(stuck.path, stuck.FLAGS)
    await until(running(aio.current().engine))
    assert future.cancel()
    await gen.sleep(0)
    assert not future.done()
    stuck.release()
    with pytest.raises(asyncio.CancelledError) as caught:
        await future
    assert caught.value.outcome.status == "done"
    del future, caught
    gc.collect()
    await until(lambda: not stuck.is_open_for_writing())


@pytest.mark.parametrize("patience", [0.01, 100])
@in_ioloop
async def test_patience_or_a_second_cancel_ends_a_future_that_is_stuck(aio, stuck, patience):
    future = aio.current().with_options(patience=patience).open(stuck.path, stuck.FLAGS)
    await until(running(aio.current().engine))
    future.cancel()
    if patience == 100:
        assert not future.done()
        future.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await future
    assert caught.value.outcome.status == "unknown"
    assert future.cancelled()


@in_ioloop
async def test_a_task_that_is_cancelled_when_its_descriptor_is_there_does_not_have_it(aio, pool, file):
    engine = aio.current().engine
    pool.max_parallel = 0
    task = asyncio.create_task(wait(aio.open(file, os.O_RDONLY)))
    await gen.sleep(0)
    pool.max_parallel = 1
    spin(lambda: engine.npending)
    assert engine.poll() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.outcome.status == "done"
    del task
    await until(lambda: not is_open(file))


@in_ioloop
async def test_wait_for_and_asyncio_timeout_cancel(aio, pool, tmp_path):
    pool.max_parallel = 0
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(aio.mkdir(tmp_path / "d"), 0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aio.mkdir(tmp_path / "d")
    assert aio.current().engine.nreqs == 0


@pytest.mark.blocks_loop("it looks through all garbage")
@in_ioloop
async def test_gather_that_is_cancelled_closes_what_was_opened(aio, stuck, file):
    opened = asyncio.gather(aio.open(stuck.path, stuck.FLAGS), aio.open(file, os.O_RDONLY))
    await until(lambda: aio.current().engine.nreqs == 1)
    opened.cancel()
    stuck.release()
    with pytest.raises(asyncio.CancelledError):
        await opened
    del opened
    gc.collect()
    await until(lambda: not stuck.is_open_for_writing())


@in_ioloop
async def test_shutdown_ends_who_waits(aio, pool):
    pool.max_parallel = 0
    results = asyncio.gather(aio.nop(), aio.nop(), return_exceptions=True)
    aio.current().shutdown()
    assert [type(error).__name__ for error in await results] == ["Cancelled", "Cancelled"]


# ---- loops ----


def test_a_future_can_be_made_before_its_loop_runs(aio, tmp_path, recwarn):
    asyncio_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(asyncio_loop)
    try:
        loop = IOLoop.current()
        told = []
        loop.add_future(aio.listdir(tmp_path), lambda future: (told.append(future.result()), loop.stop()))
        loop.start()
        assert told == [[]]
        loop.close()
    finally:
        asyncio.set_event_loop(None)


def test_loops_in_threads_have_each_their_own_engine(aio, tmp_path):
    meeting = threading.Barrier(3, timeout=LIMIT)
    engines = []

    async def main():
        engines.append(aio.current().engine)
        meeting.wait()
        assert await aio.listdir(tmp_path) == []

    threads = [threading.Thread(target=lambda: IOLoop(make_current=False).run_sync(main)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(set(map(id, engines))) == 3


@pytest.mark.blocks_loop("it looks through all garbage")
def test_a_front_end_that_was_kept_says_that_its_loop_is_closed(aio, tmp_path):
    async def main():
        return aio.current()

    loop = IOLoop(make_current=False)
    front = loop.run_sync(main)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        front.mkdir(tmp_path / "d")
    del front
    gc.collect()


def test_run_sync_with_a_timeout_takes_its_request_back(aio, pool, tmp_path):
    pool.max_parallel = 0
    loop = IOLoop(make_current=False)
    with pytest.raises(gen.TimeoutError):
        loop.run_sync(lambda: aio.mkdir(tmp_path / "d"), timeout=0.01)
    loop.close()
    assert not (tmp_path / "d").exists()


def test_a_thousand_loops_leave_no_descriptor(aio):
    async def main():
        await aio.nop()

    asyncio.run(main())
    before = len(descriptors())
    for _ in range(1000):
        asyncio.run(main())
    assert len(descriptors()) <= before


def test_a_callback_that_raises_is_told_to_the_loops_handler(aio):
    heard = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
        aio.current().engine.nop(lambda request: 1 / 0)
        await until(lambda: heard)

    asyncio.run(main())
    assert isinstance(heard[0]["exception"], ZeroDivisionError)

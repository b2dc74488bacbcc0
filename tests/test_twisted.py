"""anyaio.twisted on several reactors: its Deferreds in all that Twisted does with them, and who has the descriptor."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import threading

import pytest
from loops import LIMIT, descriptors

from anyaio._front import engine_class

pytest.importorskip("twisted", reason="Twisted is not installed")
defer = pytest.importorskip("twisted.internet.defer")
task = pytest.importorskip("twisted.internet.task")
twisted = pytest.importorskip("anyaio.twisted")
drivers = pytest.importorskip("drivers.twisted")


@pytest.fixture
def aio(backend, pool, monkeypatch):
    """`anyaio.twisted`, whose engines are of this backend and use *pool*."""
    monkeypatch.setattr("anyaio.twisted._adapter.Engine", functools.partial(engine_class(backend), pool))
    return twisted


@pytest.fixture(params=drivers.DRIVERS, ids=lambda driver: driver.name)
def driver(request):
    request.param.heard.clear()
    return request.param


def on_reactors(test):
    """Have pytest run a coroutine function in each reactor; an error that is logged fails it, unless it is cleared."""

    @functools.wraps(test)
    def run_test(driver, **fixtures):
        if "heard" in names:
            fixtures["heard"] = driver.heard
        driver.run(functools.partial(test, **fixtures))
        gc.collect()
        assert driver.heard == []

    names = inspect.signature(test).parameters
    parameters = [parameter for name, parameter in names.items() if name != "heard"]
    extra = inspect.Parameter("driver", inspect.Parameter.KEYWORD_ONLY)
    run_test.__signature__ = inspect.Signature([*parameters, extra])
    return run_test


def reactor():
    from twisted.internet import reactor

    return reactor


async def until(condition):
    """Let the reactor run until the condition holds."""
    deadline = reactor().seconds() + LIMIT
    while not condition():
        assert reactor().seconds() < deadline, "it did not come about"
        await task.deferLater(reactor(), 0.001)


async def until_running(aio):
    engine = aio.current().engine
    await until(lambda: engine.nreqs and not engine.nready)


def is_open(path):
    return any(name.endswith(str(path)) for name in descriptors())


class Stuck:
    """A FIFO; opening it with these flags is a change that lasts until it is released."""

    FLAGS = os.O_WRONLY | os.O_CREAT

    def __init__(self, path):
        self.path = path
        self.reader = None
        os.mkfifo(path)

    def release(self):
        self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self):
        os.close(self.reader)


@pytest.fixture
def stuck(tmp_path):
    fifo = Stuck(tmp_path / "stuck")
    yield fifo
    if fifo.reader is None:
        fifo.release()
    fifo.close()


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    return tmp_path / "file"


# ---- what takes a Deferred ----


@on_reactors
async def test_a_deferred_does_not_fire_before_the_next_poll(aio, file):
    deferred = aio.stat(file)
    assert not deferred.called
    assert (await deferred).st_size == 5
    front = aio.current()
    request = front.engine.nop()
    await front.wait(request)
    again = front.wait(request)
    assert not again.called
    assert await again is None


@on_reactors
async def test_inline_callbacks_get_results_and_errors(aio, file):
    @defer.inlineCallbacks
    def read():
        fd = yield aio.open(file, os.O_RDONLY)
        try:
            yield aio.stat(file / "x")
        except NotADirectoryError:
            return (yield aio.pread(fd, 10, 0))
        finally:
            yield aio.close(fd)

    assert await read() == b"hello"
    assert not is_open(file)


@on_reactors
async def test_callbacks_that_are_added_late_get_the_result(aio, file):
    deferred = aio.open(file, os.O_RDONLY)
    await until(lambda: deferred.called)
    fd = await defer.Deferred.fromCoroutine(through(deferred))
    assert os.fstat(fd).st_size == 5
    await aio.close(fd)


async def through(deferred):
    told = []
    deferred.addCallback(told.append)
    return told[0]


@pytest.mark.blocks_loop("it looks through all garbage")
@on_reactors
async def test_a_deferred_that_has_fired_can_be_returned_from_a_callback(aio, file):
    opened = [aio.open(file, os.O_RDONLY)]
    await until(lambda: opened[0].called)
    fd = await aio.nop().addCallback(lambda _: opened.pop())
    gc.collect()
    assert os.fstat(fd).st_size == 5
    await aio.close(fd)


@on_reactors
async def test_deferred_list_and_gather_results(aio, file):
    (one, _), (two, failure) = await defer.DeferredList([aio.nop(), aio.stat(file / "x")], consumeErrors=True)
    assert (one, two) == (True, False)
    assert failure.check(NotADirectoryError)
    assert [status.st_size for status in await defer.gatherResults([aio.stat(file), aio.stat(file)])] == [5, 5]


@on_reactors
async def test_each_takes_items_from_an_asynchronous_source(aio, tmp_path):
    async def paths():
        for number in range(20):
            await task.deferLater(reactor(), 0)
            yield tmp_path / str(number)

    async with aio.each(aio.mkdir, paths(), limit=3) as pairs:
        assert sorted([int(path.name) async for path, _ in pairs]) == list(range(20))


# ---- who has the descriptor, who hears of errors ----


@pytest.mark.blocks_loop("it looks through all garbage")
@on_reactors
async def test_a_descriptor_that_nobody_listened_for_is_closed_with_its_deferred(aio, file):
    opened = [aio.open(file, os.O_RDONLY)]
    await until(lambda: opened[0].called)
    assert is_open(file)
    assert "open" in repr(opened)
    opened[0].cancel()
    opened.clear()
    gc.collect()
    await until(lambda: not is_open(file))


@on_reactors
async def test_an_error_that_nobody_handles_is_logged(aio, file, heard):
    aio.stat(file / "x")
    await until(lambda: heard)
    assert isinstance(heard.pop(), NotADirectoryError)


@on_reactors
async def test_a_callback_that_raises_is_logged(aio, heard):
    aio.current().engine.nop(lambda request: 1 / 0)
    await aio.nop()
    assert isinstance(heard.pop(), ZeroDivisionError)


@on_reactors
async def test_an_interruption_in_a_callback_does_not_end_the_service(aio, heard):
    def interrupt(request):
        raise SystemExit

    if "Asyncio" not in type(reactor()).__name__:  # asyncio itself ends then
        aio.current().engine.nop(interrupt)
        await until(lambda: heard)
        assert isinstance(heard.pop(), SystemExit)
        await aio.nop()


# ---- cancelling ----


@on_reactors
async def test_a_queued_request_that_is_cancelled_never_runs(aio, pool, tmp_path):
    pool.max_parallel = 0
    deferred = aio.mkdir(tmp_path / "d")
    deferred.cancel()
    with pytest.raises(defer.CancelledError) as caught:
        await deferred
    assert caught.value.outcome.status == "never ran"
    pool.max_parallel = 1
    await aio.nop()
    assert not (tmp_path / "d").exists()


@on_reactors
async def test_a_running_look_that_is_cancelled_fires_at_once(aio):
    deferred = aio.busy(0.2)
    await until_running(aio)
    deferred.cancel()
    assert deferred.called
    with pytest.raises(defer.CancelledError) as caught:
        await deferred
    assert caught.value.outcome.status == "abandoned"


@on_reactors
async def test_a_running_change_that_is_cancelled_fires_when_the_call_has_ended(aio, stuck):
    deferred = aio.open(stuck.path, stuck.FLAGS)
    await until_running(aio)
    deferred.cancel()
    assert not deferred.called
    stuck.release()
    with pytest.raises(defer.CancelledError) as caught:
        await deferred
    assert caught.value.outcome.status == "done"


@pytest.mark.parametrize("patience", [0.01, 100])
@on_reactors
async def test_patience_or_a_second_cancel_ends_what_is_stuck(aio, stuck, patience):
    deferred = aio.current().with_options(patience=patience).open(stuck.path, stuck.FLAGS)
    await until_running(aio)
    deferred.cancel()
    assert not deferred.called
    if patience == 100:
        deferred.cancel()
    with pytest.raises(defer.CancelledError) as caught:
        await deferred
    assert caught.value.outcome.status == "unknown"


@on_reactors
async def test_inline_callbacks_that_are_cancelled_cancel_their_request(aio, pool, tmp_path):
    @defer.inlineCallbacks
    def work():
        yield aio.mkdir(tmp_path / "d")

    pool.max_parallel = 0
    deferred = work()
    deferred.cancel()
    with pytest.raises(defer.CancelledError):
        await deferred
    assert aio.current().engine.nreqs == 0


@on_reactors
async def test_a_timeout_takes_a_queued_request_back(aio, pool, tmp_path):
    pool.max_parallel = 0
    with pytest.raises(defer.TimeoutError):
        await aio.mkdir(tmp_path / "d").addTimeout(0.01, reactor())
    assert aio.current().engine.nreqs == 0


# ---- the reactor ----


@on_reactors
async def test_the_reactor_has_nothing_of_ours_while_nothing_is_outstanding(aio):
    before = set(reactor().getReaders())
    waiting = aio.nop()
    assert len(set(reactor().getReaders()) - before) == 1
    await waiting
    await until(lambda: set(reactor().getReaders()) == before)


@on_reactors
async def test_in_another_thread_it_is_an_error_that_says_what_to_do(aio):
    told = []

    def call():
        with pytest.raises(RuntimeError, match="callFromThread") as caught:
            aio.nop()
        told.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(LIMIT)
    assert told
    await aio.nop()


@on_reactors
async def test_after_shutdown_the_next_request_starts_anew(aio, pool):
    pool.max_parallel = 0
    waiting = aio.nop()
    front = aio.current()
    front.shutdown()
    with pytest.raises(BaseException, match="cancelled"):
        await waiting
    pool.max_parallel = 1
    await aio.nop()
    assert aio.current() is not front

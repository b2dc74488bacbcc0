"""anyaio.pyuv: what the conformance suite does not ask, on each backend."""

from __future__ import annotations

import contextvars
import functools
import gc
import os
import weakref

import pytest

from anyaio._front import engine_class

pyuv = pytest.importorskip("pyuv", reason="pyuv is missing; it can be built with tests/pyuv_compat.h")
aio = pytest.importorskip("anyaio.pyuv")


@pytest.fixture(autouse=True)
def _engines(backend, pool, monkeypatch):
    monkeypatch.setattr("anyaio.pyuv._adapter.Engine", functools.partial(engine_class(backend), pool))


@pytest.fixture
def loop():
    loop = pyuv.Loop()
    aio.use(loop)
    yield loop
    aio.current().shutdown()
    loop.run()


def descriptors():
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


def test_a_loop_runs_until_the_last_callback(loop):
    results = []

    def first(request):
        results.append(request.result().st_ino)
        aio.listdir("/", lambda request: results.append(request.result()))

    aio.stat("/", first)
    loop.run()
    assert results == [os.stat("/").st_ino, os.listdir("/")]


def test_an_idle_loop_has_no_handle_of_ours(loop):
    aio.nop(lambda request: None)
    assert [type(handle) for handle in loop.handles] == [pyuv.Poll]
    loop.run()
    assert loop.handles == []
    assert loop.run() is False


def test_a_request_that_is_cancelled_outside_of_a_run_lets_the_loop_end(loop, pool):
    pool.max_parallel = 0
    request = aio.stat("/", pytest.fail)
    assert request.cancel()
    loop.run()
    assert loop.handles == []


def test_a_loop_that_was_stopped_goes_on_where_it_was(loop, pool):
    told = []

    def stop(request):
        pool.max_parallel = 0
        aio.listdir("/", told.append)
        loop.stop()

    aio.nop(stop)
    loop.run()
    assert told == []
    pool.max_parallel = 1
    loop.run()
    assert [request.operation for request in told] == ["listdir"]


def test_callbacks_that_raise_go_to_the_loops_excepthook(loop):
    heard, told = [], []
    loop.excepthook = lambda kind, error, traceback: heard.append((kind, str(error), traceback is not None))

    def fail(request):
        raise ValueError(request.operation)

    aio.stat("/", fail)
    aio.nop(fail)
    aio.busy(0.01, told.append)
    loop.run()
    assert sorted(heard, key=str) == [(ValueError, "nop", True), (ValueError, "stat", True)]
    assert len(told) == 1


def test_without_an_excepthook_errors_go_to_that_of_sys(loop, monkeypatch):
    heard = []
    monkeypatch.setattr("sys.excepthook", lambda kind, error, traceback: heard.append(kind))
    loop.excepthook = None
    aio.nop(lambda request: 1 / 0)
    loop.run()
    assert heard == [ZeroDivisionError]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_goes_to_the_excepthook_as_those_of_pyuvs_own_callbacks(loop, interruption):
    heard, told = [], []
    loop.excepthook = lambda kind, error, traceback: heard.append(kind)

    def interrupt(request):
        raise interruption

    aio.nop(interrupt)
    for _ in range(3):
        aio.nop(told.append)
    loop.run()
    assert heard == [interruption]
    assert len(told) == 3


def test_a_loop_that_is_dropped_takes_its_engine_along(backend):
    before = descriptors()
    for _ in range(3):
        loop = pyuv.Loop()
        front = aio.use(loop)
        aio.stat("/", lambda request: None)
        loop.run()
        engine = weakref.ref(front.engine)
        gone = weakref.ref(loop)
        del loop, front
        assert gone() is None  # at once, without a collection
        assert engine() is None
    assert descriptors() <= before
    with pytest.raises(RuntimeError, match=r"call anyaio\.pyuv\.use\(loop\)"):
        aio.nop()


def test_a_thread_can_use_several_loops_by_turns():
    loops = [pyuv.Loop(), pyuv.Loop()]
    told = []
    for number in (0, 1, 0, 1):
        aio.use(loops[number])
        aio.nop(lambda request, number=number: told.append(number))
    fronts = {id(aio.use(loop)) for loop in loops for _ in range(2)}
    assert len(fronts) == 2
    for loop in loops:
        loop.run()
    assert told == [0, 0, 1, 1]


def test_a_shutdown_ends_the_handle_and_the_next_call_starts_anew(loop):
    aio.busy(60, pytest.fail)
    front = aio.current()
    front.shutdown()
    loop.run()
    assert loop.handles == []
    told = []
    aio.nop(told.append)
    loop.run()
    assert len(told) == 1
    assert aio.current() is not front


def test_a_view_has_other_options(loop):
    told = []
    aio.current().with_options(priority=3).nop(lambda request: told.append(request.priority))
    loop.run()
    assert told == [3]


def test_a_callback_runs_in_the_context_of_its_call(loop):
    name = contextvars.ContextVar("name", default="none")
    told = []
    name.set("caller")
    aio.nop(lambda request: told.append(name.get()))
    contextvars.Context().run(loop.run)
    assert told == ["caller"]


def test_what_is_no_loop_cannot_be_used():
    with pytest.raises(TypeError, match=r"loop must be a pyuv\.Loop, not 'object'"):
        aio.use(object())

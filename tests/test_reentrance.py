"""Code of the caller's that runs in the middle of things: finalizers of callbacks and buffers, forks, exceptions."""

from __future__ import annotations

import gc
import os

import pytest
from engines import held, is_readable, spin, until

from anyaio._front import engine_class


class Finalizing:
    """A callback that does something when it is let go of."""

    def __init__(self, action):
        self.action = action

    def __call__(self, request):
        pass

    def __del__(self):
        self.action()


class FinalizingBuffer(bytearray):
    action = None

    def __del__(self):
        if self.action is not None:
            self.action()


def test_an_engine_that_is_collected_leaves_a_propagating_exception_alone(backend):
    def make():
        engine = engine_class(backend)()
        engine.busy(0.001)
        return engine

    with pytest.raises(ZeroDivisionError):
        [make(), 1 / 0]
    gc.collect()


@pytest.mark.parametrize(
    "action",
    [
        lambda engine, request: request.cancel(),
        lambda engine, request: request.abandon(),
        lambda engine, request: (request.state, repr(request), request.outcome),
        lambda engine, request: (engine.stats(), engine.nready, engine.npending),
        lambda engine, request: engine.shutdown(),
    ],
)
def test_a_callback_may_do_anything_when_it_is_let_go_of(engine, pool, action):
    with held(pool):
        request = engine.nop()
        request.callback = Finalizing(lambda: action(engine, request))
        assert request.cancel()
    assert request.outcome.status == "never ran"
    assert engine.nreqs == 0


@pytest.mark.parametrize("end", ["poll", "cancel", "abandon"])
@pytest.mark.parametrize("action", ["shutdown", "flush"])
def test_a_buffer_may_do_anything_when_it_is_let_go_of(engine, pool, tmp_path, end, action, backend):
    if (backend.NAME, action) == ("python", "flush"):
        pytest.skip("the Python backend lets go of buffers before the request is done, for signal handlers' sake")
    with open(tmp_path / "f", "wb") as file:
        data = FinalizingBuffer(b"data")
        data.action = getattr(engine, action)
        with held(pool):
            request = engine.pwrite(file.fileno(), data, 0)
            del data
            if end != "poll":
                getattr(request, end)()
        if not engine.closed:
            engine.flush()
    gc.collect()
    assert request.state == "done"
    assert engine.nreqs == 0


def test_an_earlier_patience_is_kept_although_a_later_one_comes(engine, fifo):
    short = engine.with_options(patience=0.05).open(fifo.path, fifo.CHANGE)
    long = engine.with_options(patience=60).open(fifo.path, fifo.CHANGE)
    until(short, "running")
    until(long, "running")
    assert not short.cancel()
    assert not long.cancel()
    spin(lambda: engine.poll() or short.state == "done")
    assert (short.outcome.status, long.state) == ("unknown", "running")
    fifo.let_go()
    engine.flush()


def test_what_had_finished_keeps_its_result_at_shutdown(engine, tmp_path):
    with open(tmp_path / "f", "wb") as file:
        request = engine.pwrite(file.fileno(), b"data", 0)
        until(request, "finished")
        engine.shutdown()
    assert request.result() == 4
    assert request.outcome.status == "done"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # 3.12 warns of every fork beside threads
def test_the_child_of_a_fork_in_a_callback_polls_no_further(engine):
    told = []
    engine.max_poll_time = 0  # a fork may take its time
    requests = [engine.nop() for _ in range(3)]
    requests[0].callback = lambda request: told.append(os.fork())
    for request in requests[1:]:
        request.callback = lambda request: told.append("further")
    for request in requests:
        until(request, "finished")
    try:
        engine.poll()
    finally:
        if told and told[0] == 0:
            os._exit(len(told))  # in the child
    assert os.waitstatus_to_exitcode(os.waitpid(told[0], 0)[1]) == 1
    assert told[1:] == ["further", "further"]
    assert not is_readable(engine)

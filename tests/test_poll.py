"""Polling: the descriptor's exactness, order, limits, callbacks that poll or raise, and waiting."""

from __future__ import annotations

import contextvars
import os
import signal
import sys
import threading
import time

import pytest
from engines import held, is_readable, run, spin, until

# ---- the descriptor ----


def test_the_descriptor_is_not_readable_before_anything_finished(engine):
    assert not is_readable(engine)


def test_the_descriptor_is_readable_while_a_result_waits(engine):
    request = engine.nop()
    until(request, "finished")
    assert is_readable(engine)
    assert engine.poll() == 1
    assert not is_readable(engine)


def test_the_last_callback_finds_the_descriptor_not_readable(engine):
    seen = []
    requests = [engine.nop(lambda _: seen.append(is_readable(engine))) for _ in range(3)]
    for request in requests:
        until(request, "finished")
    engine.poll()
    assert seen == [True, True, False]


def test_the_descriptor_survives_a_thousand_rounds(engine):
    for _ in range(1000):
        request = engine.nop()
        assert engine.wait(10)
        engine.poll()
        assert request.state == "done"
        assert not is_readable(engine)


def test_the_descriptor_is_not_inherited(engine):
    assert not os.get_inheritable(engine.fileno())


# ---- order ----


def test_requests_run_by_priority_and_in_order_within_one(engine, pool, tmp_path):
    pool.max_parallel = 0
    fd = os.open(tmp_path / "log", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    for letter in "ab":
        for priority in (0, -4, 4, 1):
            engine.with_options(priority=priority).write(fd, f"{letter}{priority} ".encode())
    pool.max_parallel = 1
    engine.flush()
    assert os.pread(fd, 100, 0) == b"a4 b4 a1 b1 a0 b0 a-4 b-4 "
    os.close(fd)


def test_results_are_handed_over_by_priority_and_in_order_within_one(engine):
    seen = []
    for letter in "ab":
        for priority in (0, -4, 4):
            view = engine.with_options(priority=priority)
            until(view.nop(lambda _, label=f"{letter}{priority}": seen.append(label)), "finished")
    engine.poll()
    assert seen == ["a4", "b4", "a0", "b0", "a-4", "b-4"]


@pytest.mark.parametrize("priority", [-5, 5, 1000])
def test_a_priority_out_of_range_is_an_error(engine, priority):
    with pytest.raises(ValueError, match="priority"):
        engine.submitter(priority=priority)


def test_a_request_tells_its_priority(engine):
    assert engine.with_options(priority=-3).nop().priority == -3


# ---- limits ----


def finish(engine, count, callback=None):
    requests = [engine.nop(callback) for _ in range(count)]
    for request in requests:
        until(request, "finished")


def test_one_poll_hands_over_max_poll_reqs_at_most(engine):
    finish(engine, 5)
    engine.max_poll_reqs = 2
    assert [engine.poll() for _ in range(4)] == [2, 2, 1, 0]


def test_what_a_limited_poll_leaves_keeps_the_descriptor_readable(engine):
    finish(engine, 3)
    engine.max_poll_reqs = 2
    engine.poll()
    assert is_readable(engine)
    assert engine.npending == 1


def test_one_poll_stops_after_max_poll_time(engine):
    finish(engine, 3, lambda _: time.sleep(0.002))
    engine.max_poll_time = 0.001
    assert [engine.poll() for _ in range(3)] == [1, 1, 1]


def test_a_max_poll_time_of_0_is_no_limit(engine):
    finish(engine, 3, lambda _: time.sleep(0.006))
    engine.max_poll_time = 0
    assert engine.poll() == 3


# ---- callbacks ----


def test_a_callback_may_poll(engine):
    depth = []

    def callback(request):
        depth.append(engine.poll())

    finish(engine, 3, callback)
    engine.max_poll_time = 0
    assert engine.poll() == 1
    assert depth == [0, 1, 1]


def test_a_callback_may_submit_and_flush(engine, tmp_path):
    engine.mkdir(tmp_path / "a", callback=lambda _: (engine.mkdir(tmp_path / "b"), engine.flush()))
    engine.flush()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_callback_may_cancel_another_finished_request(engine):
    seen = []
    first = engine.nop(lambda _: seen.append(second.cancel()))
    until(first, "finished")
    second = engine.nop(seen.append)
    until(second, "finished")
    assert engine.poll() == 1
    assert seen == [True]
    assert not is_readable(engine)


def test_a_callback_that_raises_goes_to_on_error_and_the_others_still_run(engine):
    seen, errors = [], []
    engine.on_error = lambda error, request: errors.append((str(error), request))

    def fail(request):
        raise ValueError("wrong")

    failing = engine.nop(fail)
    until(failing, "finished")
    finish(engine, 1, seen.append)
    assert engine.poll() == 2
    assert errors == [("wrong", failing)]
    assert len(seen) == 1


def test_without_on_error_a_callback_that_raises_is_unraisable(engine, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: seen.append(str(arguments.exc_value)))

    def fail(request):
        raise ValueError("wrong")

    engine.nop(fail)
    engine.flush()
    assert seen == ["wrong"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_poll_and_the_rest_stays(engine, kind):
    def interrupt(request):
        raise kind

    seen = []
    until(engine.nop(interrupt), "finished")
    finish(engine, 1, seen.append)
    with pytest.raises(kind):
        engine.poll()
    assert is_readable(engine)
    assert (engine.nreqs, engine.poll(), len(seen)) == (1, 1, 1)


def test_a_callback_runs_in_the_context_of_its_submit(engine):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []
    for value in ("a", "b"):
        variable.set(value)
        engine.nop(lambda _: seen.append(variable.get()))
    variable.set("c")
    engine.flush()
    assert sorted(seen) == ["a", "b"]


def test_a_callback_can_be_replaced_until_it_ran(engine, pool):
    seen = []
    with held(pool):
        request = engine.nop(lambda _: seen.append("old"))
        request.callback = lambda _: seen.append("new")
    engine.flush()
    assert seen == ["new"]


def test_a_callback_must_be_callable(engine):
    with pytest.raises(TypeError):
        engine.nop("callback")
    assert engine.nreqs == 0


def test_the_waiter_is_woken_before_the_callback(engine, pool):
    seen = []
    engine.wake = seen.append
    with held(pool):
        engine.nop(lambda _: seen.append("callback")).attach("waiter")
    engine.flush()
    assert seen == ["waiter", "callback"]


# ---- wait and flush ----


def test_waiting_with_nothing_outstanding_returns_at_once(engine):
    assert engine.wait() is False


def test_waiting_ends_after_its_timeout(engine, pool):
    with held(pool):
        engine.nop()
        assert engine.wait(0.01) is False
    engine.flush()


def test_waiting_ends_when_something_finished(engine):
    engine.nop()
    assert engine.wait(10) is True
    assert engine.poll() == 1


def test_a_signal_interrupts_waiting(engine, pool):
    with held(pool):
        engine.nop()
        timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.wait(10)
        timer.join()
    engine.flush()


def test_a_signals_handler_that_returns_does_not_end_the_wait(engine, pool):
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append("handled"))
    try:
        with held(pool):
            engine.nop()
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert engine.wait(0.1) is False
    finally:
        signal.signal(signal.SIGALRM, old)
    assert seen == ["handled"]
    engine.flush()


def test_flush_ends_when_nothing_is_outstanding(engine):
    requests = [engine.nop() for _ in range(100)]
    engine.flush()
    assert engine.nreqs == 0
    assert {request.state for request in requests} == {"done"}


# ---- counts ----


def test_counts_follow_a_request_through_its_states(engine, pool):
    with held(pool):
        request = engine.nop()
        assert (engine.nreqs, engine.nready, engine.npending) == (1, 1, 0)
    until(request, "finished")
    spin(lambda: engine.npending == 1)
    assert (engine.nreqs, engine.nready) == (1, 0)
    run(engine, request)
    assert (engine.nreqs, engine.nready, engine.npending) == (0, 0, 0)

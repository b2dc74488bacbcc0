"""An engine's life: made, used in its thread, shut down or dropped, inherited by a child, drained at exit."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest
from engines import descriptors, held, is_readable, run, spin, until

from anyaio import Cancelled
from anyaio._front import engine_class

# ---- what it tells ----


def test_an_engine_a_pool_and_a_request_tell_what_they_are(engine, pool):
    with held(pool):
        request = engine.pread(0, 1, 0)
        assert repr(engine) == f"<anyaio engine fd={engine.fileno()} nreqs=1>"
        assert repr(request) == "<anyaio request pread queued>"
        assert repr(pool) == "<anyaio pool threads=0/0>"
        request.cancel()
    assert repr(request) == "<anyaio request pread done>"


def test_an_engine_counts_its_requests_by_operation(engine):
    engine.nop()
    engine.nop()
    engine.busy(0)
    engine.flush()
    stats = engine.stats()
    assert stats["requests"] == {"nop": 2, "busy": 1}
    assert stats["lanes"] == {"pool": 3, "inline": 0}
    assert (stats["queued"], stats["running"], stats["finished"]) == (0, 0, 0)
    assert 0 <= stats["longest_wait"] < 10


def test_an_engine_knows_its_pool(engine, pool):
    assert engine.pool is pool


def test_engines_without_a_pool_of_their_own_share_one(backend):
    first, second = backend.Engine(), backend.Engine()
    assert first.pool is second.pool is backend.default_pool()
    first.shutdown()
    second.shutdown()


def test_a_request_has_no_result_before_it_is_done(engine, pool):
    with held(pool):
        request = engine.nop()
        with pytest.raises(RuntimeError):
            request.result()
    assert run(engine, request) is None


def test_a_submitter_is_a_view_with_its_options(engine):
    submitter = engine.submitter(priority=2, patience=None, lane="pool")
    assert (submitter.priority, submitter.patience, submitter.lane) == (2, None, "pool")


@pytest.mark.parametrize("options", [{"patience": -1.0}, {"patience": float("nan")}, {"lane": "fast"}])
def test_a_wrong_option_is_an_error(engine, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        engine.submitter(**options)


# ---- threads ----


def test_another_thread_may_not_use_an_engine(engine, pool):
    with held(pool):
        request = engine.nop()
        calls = {
            "submit": engine.nop,
            "poll": engine.poll,
            "wait": engine.wait,
            "flush": engine.flush,
            "shutdown": engine.shutdown,
            "cancel": request.cancel,
            "withdraw": request.withdraw,
            "abandon": request.abandon,
            "attach": lambda: request.attach(1),
            "settle": lambda: request.settle(Cancelled()),
        }
        refused = []

        def try_all():
            for name, call in calls.items():
                try:
                    call()
                except RuntimeError:
                    refused.append(name)

        thread = threading.Thread(target=try_all)
        thread.start()
        thread.join()
    assert refused == list(calls)
    assert run(engine, request) is None


def test_engines_of_several_threads_share_a_pool(backend, pool):
    results = []

    def work():
        engine = engine_class(backend)(pool)
        requests = [engine.nop() for _ in range(200)]
        engine.flush()
        results.append({request.state for request in requests})
        engine.shutdown()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [{"done"}] * 4


def test_an_engine_may_be_collected_on_another_thread(backend, pool):
    before = descriptors()
    engines = [engine_class(backend)(pool)]
    engines[0].nop()
    thread = threading.Thread(target=engines.clear)
    thread.start()
    thread.join()
    spin(lambda: descriptors() == before)


# ---- shutdown ----


def test_shutdown_drops_looks_and_closes_the_descriptor(engine, pool):
    before = descriptors()
    seen = []
    with held(pool):
        request = engine.nop(seen.append)
        engine.shutdown()
    assert descriptors() == before - 1
    assert (engine.closed, engine.nreqs, request.state, seen) == (True, 0, "done", [])


def test_shutdown_leaves_changes_to_the_pool(engine, pool, tmp_path, pipe):
    fd = os.dup(pipe[0])
    with held(pool):
        change = engine.mkdir(tmp_path / "d")
        close = engine.close(fd)
        engine.shutdown()
    spin(lambda: (tmp_path / "d").is_dir())
    spin(lambda: not os.path.exists(f"/proc/self/fd/{fd}"))
    assert (change.outcome.status, close.outcome.status) == ("unknown", "unknown")


def test_shutdown_takes_back_what_waits_for_a_pipe(engine, pool, pipe):
    request = engine.read(pipe[0], 10)
    until(request, "running")
    engine.shutdown()
    spin(lambda: pool.nthreads == 0)
    os.write(pipe[1], b"x")
    assert os.read(pipe[0], 10) == b"x"


def test_shutdown_wakes_waiters_with_a_cancellation(engine, fifo):
    woken = []
    engine.wake = woken.append
    request = engine.open(fifo.path, fifo.CHANGE)
    request.attach("waiter")
    until(request, "running")
    engine.shutdown()
    assert woken == ["waiter"]
    with pytest.raises(Cancelled):
        request.result()


def test_a_second_shutdown_has_no_effect(engine):
    engine.shutdown()
    engine.shutdown()
    assert repr(engine) == "<anyaio engine shut down>"


def test_nothing_can_be_submitted_after_shutdown(engine):
    engine.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        engine.nop()


def test_a_callback_may_shut_the_engine_down(engine):
    seen = []
    until(engine.nop(lambda _: engine.shutdown()), "finished")
    until(engine.nop(seen.append), "finished")
    assert engine.poll() == 1
    assert (engine.closed, seen) == (True, [])


# ---- dropped ----


def test_an_engine_that_is_dropped_goes_at_once(backend, pool):
    before = descriptors()
    engine = engine_class(backend)(pool)
    engine.nop()
    engine.flush()
    reference = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert reference() is None
    finally:
        gc.enable()
    assert descriptors() == before


def test_dropping_an_engine_leaves_changes_to_the_pool(backend, pool, tmp_path):
    engine = engine_class(backend)(pool)
    with held(pool):
        engine.mkdir(tmp_path / "d")
        engine.rmdir(tmp_path / "missing")
        engine.nop()
        del engine
        gc.collect()
    spin(lambda: (tmp_path / "d").is_dir())
    spin(lambda: pool.nthreads == 0)


def test_a_dropped_engine_closes_what_its_late_open_returns(backend, pool, fifo):
    before = descriptors()
    engine = engine_class(backend)(pool)
    until(engine.open(fifo.path, fifo.CHANGE), "running")
    del engine
    gc.collect()
    fifo.let_go()
    spin(lambda: pool.nthreads == 0)
    assert descriptors() == before + 1  # the test's own


def test_a_dropped_engine_takes_back_what_waits_for_a_pipe(backend, pool, pipe):
    engine = engine_class(backend)(pool)
    until(engine.read(pipe[0], 10), "running")
    del engine
    gc.collect()
    spin(lambda: pool.nthreads == 0)


def test_a_request_outlives_its_engine(backend, pool):
    engine = engine_class(backend)(pool)
    with held(pool):
        request = engine.nop()
        del engine
        gc.collect()
    request.cancel()
    assert repr(request) == "<anyaio request nop done>"
    with pytest.raises(Cancelled):
        request.result()


# ---- fork and exit ----


def script(backend, text, **options):
    """Run a program that has the backend, and return what it prints."""
    preamble = f"""
        import os, sys, time, threading
        import {backend.__name__} as backend
        from anyaio._front import engine_class
        Engine = engine_class(backend)
    """
    program = textwrap.dedent(preamble) + textwrap.dedent(text)
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME, "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_forked_child_refuses_the_parents_engine_and_makes_its_own(backend):
    assert script(
        backend,
        """
        engine = Engine()
        engine.busy(0.2)
        parent_pool = backend.default_pool()
        child = os.fork()
        if child == 0:
            for call in (engine.nop, engine.poll, engine.wait):
                try:
                    call()
                except RuntimeError as error:
                    print("fork" in str(error))
            own = Engine()
            print(own.pool is not parent_pool)
            request = own.nop()
            own.flush()
            print(request.state, flush=True)
            engine.shutdown()
            del engine
            own.shutdown()
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        engine.flush()
        print("parent", engine.nreqs)
        """,
    ).split("\n") == ["True", "True", "True", "True", "done", "parent 0", ""]


def test_exit_waits_for_changes_and_drops_looks(backend, tmp_path):
    script(
        backend,
        f"""
        engine = Engine(backend.Pool(max_parallel=1))
        for number in range(100):
            engine.mkdir({str(tmp_path)!r} + f"/{{number}}")
        for number in range(100):
            engine.busy(10)
        """,
    )
    assert len(os.listdir(tmp_path)) == 100


def test_exit_does_not_wait_for_a_fifo_that_nobody_opens(backend, fifo):
    script(
        backend,
        f"""
        engine = Engine()
        request = engine.open({str(fifo.path)!r}, os.O_WRONLY)
        while request.state != "running":
            time.sleep(0.001)
        import atexit
        started = time.monotonic()
        atexit.register(lambda: print("late" if time.monotonic() - started > 3 else "", end=""))
        """,
    )


def test_exit_gives_up_on_a_change_that_is_stuck(backend, fifo):
    script(
        backend,
        f"""
        engine = Engine()
        engine.pool.exit_timeout = 0.1
        request = engine.open({str(fifo.path)!r}, os.O_WRONLY | os.O_CREAT)
        while request.state != "running":
            time.sleep(0.001)
        """,
    )


def test_exit_takes_back_a_read_of_a_quiet_pipe(backend):
    output = script(
        backend,
        """
        import atexit
        engine = Engine()
        request = engine.read(os.pipe()[0], 10)
        while request.state != "running":
            time.sleep(0.001)
        started = time.monotonic()
        backend.drain()
        print(time.monotonic() - started < 3)
        """,
    )
    assert output == "True\n"


def test_signals_reach_the_main_thread_only(engine):
    run(engine, engine.nop())
    blocked = {}
    for status in [path.read_text() for path in Path("/proc/self/task").glob("*/status")]:
        name = status.split("\n")[0].split("\t")[1]
        blocked.setdefault(name, set()).add(int(status.split("SigBlk:\t")[1].split("\n")[0], 16) & 0x4002)
    assert blocked["anyaio"] == {0x4002}  # SIGINT and SIGTERM


def test_nothing_is_readable_after_an_engine_was_used(engine):
    run(engine, engine.nop())
    assert not is_readable(engine)

"""The pool: how many threads there are, when they start and when they end."""

from __future__ import annotations

import os
import resource

import pytest
from engines import held, run, spin, until

from anyaio._front import engine_class

CALLS = 6


@pytest.fixture
def slow(engine, tmp_path):
    """Starts calls that last until the test ends: opens of FIFOs."""
    paths = []

    def start(count=CALLS):
        for _ in range(count):
            paths.append(tmp_path / f"fifo{len(paths)}")
            os.mkfifo(paths[-1])
        return [engine.open(path, os.O_WRONLY) for path in paths[-count:]]

    yield start
    readers = [os.open(path, os.O_RDONLY | os.O_NONBLOCK) for path in paths]
    engine.flush()
    for reader in readers:
        os.close(reader)


def running(requests):
    return [request.state for request in requests].count("running")


def test_a_pool_has_no_thread_before_the_first_request(pool, engine):
    assert pool.nthreads == 0
    run(engine, engine.nop())
    assert pool.nthreads >= 1


def test_slow_calls_get_threads_up_to_the_ceiling(pool, slow):
    pool.max_parallel = CALLS - 2
    requests = slow()
    spin(lambda: running(requests) == CALLS - 2)
    assert pool.nthreads in (CALLS - 2, CALLS - 1)  # one may stand by
    assert pool.stats()["queued"] == 2


def test_one_stuck_call_does_not_hold_up_the_others(engine, slow):
    slow(1)
    for _ in range(10):
        run(engine, engine.nop())


def test_a_ceiling_of_0_holds_everything_until_it_is_raised(engine, pool):
    pool.max_parallel = 0
    request = engine.nop()
    assert not engine.wait(0.02)
    assert request.state == "queued"
    pool.max_parallel = 1
    assert run(engine, request) is None


def test_a_raised_ceiling_lets_more_run(pool, slow):
    pool.max_parallel = 1
    requests = slow(3)
    spin(lambda: running(requests) == 1)
    pool.max_parallel = 3
    spin(lambda: running(requests) == 3)


def test_a_lowered_ceiling_lets_fewer_run(engine, pool, slow):
    for request in [engine.busy(0.02) for _ in range(8)]:
        run(engine, request)
    pool.max_parallel = 1
    requests = slow(3)
    spin(lambda: running(requests) == 1)
    assert not engine.wait(0.05)
    assert running(requests) == 1


def test_idle_threads_beyond_max_idle_end_after_their_time(engine, pool):
    pool.max_idle, pool.idle_timeout = 1, 0.01
    for request in [engine.busy(0.02) for _ in range(6)]:
        run(engine, request)
    spin(lambda: pool.nthreads == 1)
    assert run(engine, engine.nop()) is None


def test_a_shorter_time_takes_effect_at_once(engine, pool):
    pool.max_idle, pool.idle_timeout = 0, 60.0
    for request in [engine.busy(0.02) for _ in range(4)]:
        run(engine, request)
    assert pool.nthreads > 0
    pool.idle_timeout = 0.01
    spin(lambda: pool.nthreads == 0)
    assert run(engine, engine.nop()) is None


def test_all_idle_threads_end_with_the_last_engine(backend, pool):
    first, second = (engine_class(backend)(pool) for _ in range(2))
    run(first, first.nop())
    first.shutdown()
    assert pool.nthreads > 0
    del second
    spin(lambda: pool.nthreads == 0)


def test_a_pool_serves_again_after_its_last_engine_went(backend, pool):
    for _ in range(3):
        engine = engine_class(backend)(pool)
        assert run(engine, engine.nop()) is None
        engine.shutdown()
        spin(lambda: pool.nthreads == 0)


def test_a_private_pool_is_not_held_up_by_another(backend, engine, slow):
    engine.pool.max_parallel = 1
    until(slow(1)[0], "running")
    other = engine_class(backend)(backend.Pool())
    assert run(other, other.nop()) is None
    other.shutdown()


@pytest.mark.parametrize("name", ["max_parallel", "max_stuck", "max_idle", "idle_timeout"])
def test_a_limit_must_not_be_negative(backend, pool, name):
    with pytest.raises(ValueError, match=name):
        backend.Pool(**{name: -1})
    with pytest.raises(ValueError, match=name):
        setattr(pool, name, -1)


def test_a_pool_tells_its_limits(backend):
    pool = backend.Pool(max_parallel=3, max_idle=2, idle_timeout=1.5)
    assert (pool.max_parallel, pool.max_idle, pool.idle_timeout, pool.exit_timeout) == (3, 2, 1.5, 5.0)
    stats = pool.stats()
    assert {name: stats[name] for name in ("max_parallel", "max_idle", "idle_timeout", "threads", "stuck")} == {
        "max_parallel": 3,
        "max_idle": 2,
        "idle_timeout": 1.5,
        "threads": 0,
        "stuck": [],
    }


def test_an_abandoned_call_shows_as_stuck(pool, slow):
    (request,) = slow(1)
    until(request, "running")
    request.cancel()
    (row,) = pool.stats()["stuck"]
    assert (row["operation"], row["abandoned"]) == ("open", True)
    assert 0 <= row["seconds"] < 10


def test_a_pool_tells_how_long_requests_waited(engine, pool):
    with held(pool):
        request = engine.nop()
        engine.wait(0.02)
    run(engine, request)
    assert 0.02 <= pool.stats()["longest_wait"] < 10


@pytest.mark.skipif(os.geteuid() == 0, reason="the limit of processes does not bind root")
def test_submitting_without_a_single_thread_is_an_error(engine, pool):
    limits = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, limits[1]))
    try:
        with pytest.raises(RuntimeError):
            engine.nop()
        assert (engine.nreqs, pool.stats()["start_failures"] > 0) == (0, True)
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, limits)
    assert run(engine, engine.nop()) is None

"""Calls that do not end: others get a thread in their place, up to a bound, and it is told what is stuck."""

from __future__ import annotations

import logging
import os

import pytest
from engines import LIMIT, run, spin, until

PARALLEL = 3


@pytest.fixture
def pool(pool):
    pool.max_parallel, pool.max_stuck = PARALLEL, None
    return pool


class Fifos:
    """FIFOs whose opening lasts until `let_go`."""

    def __init__(self, engine, folder):
        self._engine, self._folder = engine, folder
        self._others = []
        self.requests = []

    def open(self, count):
        for _ in range(count):
            path = self._folder / f"fifo{len(self.requests)}"
            os.mkfifo(path)
            self.requests.append(self._engine.open(path, os.O_RDONLY))

    def are_open(self):
        return all(state(request) == "running" for request in self.requests)

    def let_go(self):
        for number in range(len(self._others), len(self.requests)):
            self._others.append(os.open(self._folder / f"fifo{number}", os.O_RDWR))

    def close(self):
        self.let_go()
        self._engine.flush()
        self.requests.clear()  # closes what they have opened
        for fd in self._others:
            os.close(fd)


def state(request):
    return request.state


@pytest.fixture
def fifos(engine, tmp_path):
    fifos = Fifos(engine, tmp_path)
    yield fifos
    fifos.close()


def held_up(pool):
    return pool.stats()["queued"]


@pytest.mark.parametrize("times", [1, 2])
def test_others_run_beside_as_many_stuck_calls_as_max_parallel_and_twice_as_many(engine, pool, fifos, times):
    fifos.open(times * PARALLEL)
    for _ in range(20):
        run(engine, engine.nop())
    assert fifos.are_open()


def test_others_run_beside_stuck_calls_at_full_parallelism(pool, fifos):
    fifos.open(3 * PARALLEL + 1)  # of which twice PARALLEL leave their place
    spin(lambda: [request.state for request in fifos.requests] == ["running"] * 3 * PARALLEL + ["queued"])
    assert pool.stats()["running"] == 3 * PARALLEL


def test_no_more_than_max_stuck_leave_their_place(engine, pool, fifos):
    pool.max_stuck = 1
    fifos.open(PARALLEL + 3)
    spin(lambda: pool.stats()["running"] == PARALLEL + 1)
    request = engine.nop()
    assert not engine.wait(0.3)
    assert (request.state, held_up(pool), pool.stats()["running"]) == ("queued", 3, PARALLEL + 1)
    pool.max_stuck = 4
    assert run(engine, request) is None


def test_a_ceiling_of_0_holds_everything_beside_stuck_calls_too(engine, pool, fifos):
    pool.max_parallel = 1
    fifos.open(2)
    spin(fifos.are_open)
    pool.max_parallel = 0
    request = engine.nop()
    assert not engine.wait(0.3)
    assert request.state == "queued"
    pool.max_parallel = 1
    assert run(engine, request) is None


def test_reads_of_quiet_pipes_are_stuck_calls_as_well(engine, pool):
    reader, writer = os.pipe()
    reads = [engine.read(reader, 1) for _ in range(2 * PARALLEL)]
    assert run(engine, engine.nop()) is None
    os.write(writer, bytes(len(reads)))
    assert [run(engine, read) for read in reads] == [b"\0"] * len(reads)
    os.close(reader)
    os.close(writer)


def test_all_complete_when_they_can_and_the_threads_go(engine, pool, fifos):
    pool.max_idle, pool.idle_timeout = 0, 0.01
    fifos.open(2 * PARALLEL)
    run(engine, engine.nop())
    assert pool.nthreads > PARALLEL
    fifos.let_go()
    for request in fifos.requests:
        os.close(run(engine, request))
    spin(lambda: pool.nthreads <= 1)
    assert pool.stats()["stuck"] == []


def test_no_more_than_max_parallel_run_once_the_stuck_ones_have_ended(engine, pool, fifos):
    fifos.open(2 * PARALLEL)
    run(engine, engine.nop())
    fifos.let_go()
    for request in fifos.requests:
        os.close(run(engine, request))
    pool.max_stuck = 0
    fifos.open(2 * PARALLEL)
    spin(lambda: pool.stats()["running"] == PARALLEL)
    assert not engine.wait(0.05)
    assert (pool.stats()["running"], held_up(pool)) == (PARALLEL, PARALLEL)


def test_what_is_stuck_can_be_cancelled(engine, pool, fifos):
    fifos.open(2 * PARALLEL)
    run(engine, engine.nop())
    assert all(request.cancel() for request in fifos.requests)
    assert engine.nreqs == 0
    assert {row["abandoned"] for row in pool.stats()["stuck"]} == {True}
    run(engine, engine.nop())


def test_the_statistics_tell_what_runs_for_over_a_second(engine, pool, fifos):
    fifos.open(1)
    until(fifos.requests[0], "running")
    assert pool.stats()["stuck"] == []
    spin(lambda: pool.stats()["stuck"])
    (row,) = pool.stats()["stuck"]
    assert row["operation"] == "open"
    assert 1 <= row["seconds"] < LIMIT


def test_the_logger_tells_once_of_stuck_calls_that_fill_the_pool(backend, engine, pool, fifos, caplog, monkeypatch):
    if backend.NAME == "python":
        monkeypatch.setattr("anyaio._python.workers.WORTH_TELLING", 0.5)
    caplog.set_level(logging.WARNING, "anyaio")
    pool.max_stuck = 1
    fifos.open(PARALLEL + 1)
    request = engine.nop()
    assert engine.wait(LIMIT)  # 5 s by the native backend
    assert engine.poll() == 0
    assert not engine.wait(0)
    (record,) = caplog.records
    assert "calls are stuck, the longest of them, open, for" in record.getMessage()
    assert f"up to max_stuck=1 do not count against max_parallel={PARALLEL}; 1 requests wait" in record.getMessage()
    assert not engine.wait(0.3)
    assert (len(caplog.records), state(request)) == (1, "queued")
    fifos.let_go()
    assert run(engine, request) is None


def test_one_stuck_call_that_is_in_nobodys_way_is_not_told(backend, engine, pool, fifos, caplog, monkeypatch):
    if backend.NAME == "native":
        pytest.skip("5 s are too long a test")
    monkeypatch.setattr("anyaio._python.workers.WORTH_TELLING", 0.1)
    fifos.open(1)
    spin(lambda: pool.stats()["stuck"])
    for _ in range(20):
        run(engine, engine.nop())
    assert caplog.records == []


def test_max_stuck_is_twice_max_parallel_unless_it_is_set(backend):
    pool = backend.Pool(max_parallel=5)
    assert (pool.max_stuck, pool.stats()["max_stuck"]) == (None, 10)
    pool.max_stuck = 3
    assert (pool.max_stuck, pool.stats()["max_stuck"]) == (3, 3)
    pool.max_stuck = None
    assert (pool.max_stuck, pool.stats()["max_stuck"]) == (None, 10)
    assert backend.Pool(max_stuck=7).max_stuck == 7


def test_max_stuck_must_be_a_count_or_none(backend, pool):
    for wrong in ("1", 1.5):
        with pytest.raises(TypeError, match="max_stuck"):
            backend.Pool(max_stuck=wrong)
        with pytest.raises(TypeError, match="max_stuck"):
            pool.max_stuck = wrong

"""Locks of files: who waits for one holds no worker, and nobody keeps one that he does not know of."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN
from pathlib import Path
from typing import Any

import loops
import pytest
from engines import LIMIT, held, run, spin, until

import anyaio
from anyaio import Cancelled
from anyaio._front import engine_class

aio = loops.aio
loop_factory = loops.loop_factory

NAMES = ("flock", "lockf", "ofd_lock")
OF_FILES = ("flock", "ofd_lock")  # those that exclude another open file of the same process

LOCK = """
import fcntl, os, sys

path, name, operation = sys.argv[1:]
file = os.open(path, os.O_RDWR)
try:
    getattr(fcntl, name)(file, int(operation))
except BlockingIOError:
    print("taken", flush=True)
else:
    print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(bytes(100))
    return tmp_path / "file"


@pytest.fixture
def opened(engine: Any, path: Path) -> Iterator[Callable[[], int]]:
    """Opens the file once more: each descriptor is an open file of its own."""
    fds = []

    def open_once_more() -> int:
        fds.append(os.open(path, os.O_RDWR))
        return fds[-1]

    yield open_once_more
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass  # the test has closed it


@contextmanager
def another_process(path: Path, name: str, operation: int) -> Iterator[str]:
    """Have another process ask for the lock, and keep it inside of the block: "locked" or "taken".

    Locks of `ofd_lock` and of `fcntl.lockf` exclude each other.
    """
    name = "flock" if name == "flock" else "lockf"
    command = [sys.executable, "-S", "-c", LOCK, path, name, str(int(operation))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        assert process.wait(LIMIT) == 0


def until_set_aside(pool: Any, count: int = 1) -> None:
    spin(lambda: pool.stats()["waiting_locks"] == count)


def is_free(fd: int) -> bool:
    """Whether another open file than *fd*, which must have no lock, can have an exclusive one."""
    try:
        fcntl.flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, LOCK_UN)
    return True


# ---- whom they exclude ----


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_excludes_another_process(engine, path, opened, name):
    assert run(engine, getattr(engine, name)(opened(), LOCK_EX)) is None
    with another_process(path, name, LOCK_SH | LOCK_NB) as answer:
        assert answer == "taken"


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_that_was_given_back_can_be_had_by_another_process(engine, path, opened, name):
    fd = opened()
    for operation in (LOCK_EX, LOCK_UN):
        assert run(engine, getattr(engine, name)(fd, operation)) is None
    with another_process(path, name, LOCK_EX | LOCK_NB) as answer:
        assert answer == "locked"


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_of_another_process_is_waited_for(engine, pool, path, opened, name):
    with another_process(path, name, LOCK_EX) as answer:
        assert answer == "locked"
        request = getattr(engine, name)(opened(), LOCK_EX)
        until_set_aside(pool)
        assert request.state in ("queued", "running")  # it may just be tried again
    assert run(engine, request) is None


@pytest.mark.parametrize("name", NAMES)
def test_shared_locks_coexist(engine, path, opened, name):
    with another_process(path, name, LOCK_SH) as answer:
        assert answer == "locked"
        assert run(engine, getattr(engine, name)(opened(), LOCK_SH)) is None


@pytest.mark.parametrize("name", NAMES)
def test_who_shall_not_wait_fails_at_once(engine, path, opened, name):
    with another_process(path, name, LOCK_EX):
        with pytest.raises(BlockingIOError):
            run(engine, getattr(engine, name)(opened(), LOCK_EX | LOCK_NB))


@pytest.mark.parametrize("name", OF_FILES)
def test_a_lock_excludes_another_open_file(engine, opened, name):
    lock = getattr(engine, name)
    run(engine, lock(opened(), LOCK_EX))
    with pytest.raises(BlockingIOError):
        run(engine, lock(opened(), LOCK_EX | LOCK_NB))


@pytest.mark.parametrize("name", ["lockf", "ofd_lock"])
def test_different_parts_of_a_file_are_locked_apart(engine, path, opened, name):
    fd = opened()
    run(engine, getattr(engine, name)(fd, LOCK_EX, 10, 0))
    with pytest.raises(BlockingIOError):
        run(engine, engine.ofd_lock(opened(), LOCK_EX | LOCK_NB, 10, 9))
    assert run(engine, engine.ofd_lock(opened(), LOCK_EX | LOCK_NB, 10, 10)) is None


# ---- what is wrong ----


@pytest.mark.parametrize("name", ["lockf", "ofd_lock"])
@pytest.mark.parametrize("operation", [0, 32, LOCK_SH | LOCK_EX, LOCK_NB])
def test_a_wrong_command_is_a_value_error(engine, opened, name, operation):
    with pytest.raises(ValueError, match=rf"{name}: \w+ must be LOCK_SH, LOCK_EX or LOCK_UN.*not {operation}"):
        getattr(engine, name)(opened(), operation)
    assert engine.nreqs == 0


def test_a_wrong_command_of_flock_is_the_kernels_error(engine, opened):
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        run(engine, engine.flock(opened(), LOCK_SH | LOCK_EX | LOCK_NB))


@pytest.mark.parametrize("name", ["lockf", "ofd_lock"])
@pytest.mark.parametrize(("mode", "operation"), [(os.O_RDONLY, LOCK_EX), (os.O_WRONLY, LOCK_SH)])
def test_a_file_that_is_open_the_wrong_way_cannot_be_locked(engine, path, name, mode, operation):
    fd = os.open(path, mode)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            run(engine, getattr(engine, name)(fd, operation))
    finally:
        os.close(fd)


@pytest.mark.parametrize("name", OF_FILES)
def test_a_descriptor_that_is_closed_meanwhile_ends_the_wait(engine, pool, opened, name):
    lock = getattr(engine, name)
    run(engine, lock(opened(), LOCK_EX))
    fd = opened()
    request = lock(fd, LOCK_EX)
    until_set_aside(pool)
    os.close(fd)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        run(engine, request)


# ---- waiting ----


@pytest.mark.parametrize("name", OF_FILES)
def test_who_waits_for_a_lock_holds_no_worker(engine, pool, opened, name):
    pool.max_parallel = 1
    first, second = opened(), opened()
    lock = getattr(engine, name)
    run(engine, lock(first, LOCK_EX))
    request = lock(second, LOCK_EX)
    until_set_aside(pool)
    for _ in range(10):
        assert run(engine, engine.nop()) is None
    assert request.state in ("queued", "running")  # it may just be tried again
    run(engine, lock(first, LOCK_UN))
    assert run(engine, request) is None


def test_many_who_wait_need_no_threads(engine, pool, opened):
    pool.max_parallel = 2
    first = opened()
    run(engine, engine.flock(first, LOCK_EX))
    requests = [engine.flock(opened(), LOCK_SH) for _ in range(100)]
    until_set_aside(pool, 100)
    assert pool.nthreads <= 3  # with one that watches the time
    assert run(engine, engine.nop()) is None
    assert (engine.nreqs, engine.npending) == (100, 0)
    assert engine.nready >= 98  # some may just be tried again
    run(engine, engine.flock(first, LOCK_UN))
    for request in requests:
        assert run(engine, request) is None


def test_a_lock_is_granted_in_the_order_of_arrival(engine, pool, opened):
    pool.max_parallel = 1
    granted = []

    def pass_on(fd):
        granted.append(fd)
        engine.flock(fd, LOCK_UN)

    first, others = opened(), [opened() for _ in range(20)]
    run(engine, engine.flock(first, LOCK_EX))
    for fd in others:
        engine.flock(fd, LOCK_EX, lambda request, fd=fd: pass_on(fd))
    until_set_aside(pool, len(others))
    engine.flock(first, LOCK_UN)
    engine.flush()
    assert granted == others


def test_two_who_lock_again_and_again_do_not_starve_a_third(engine, pool, opened):
    granted = []
    fds = [opened() for _ in range(3)]

    def lock_again(name):
        fd = fds[name]

        def unlock(request):
            request.result()
            granted.append(name)
            engine.flock(fd, LOCK_UN, lambda request: lock_again(name) if 2 not in granted else None)

        engine.flock(fd, LOCK_EX, unlock)

    for name in range(3):
        lock_again(name)
    engine.flush()
    assert granted.index(2) <= 10


def test_the_higher_priority_is_granted_first(engine, pool, opened):
    pool.max_parallel = 1
    granted = []
    first, low, high = (opened() for _ in range(3))
    run(engine, engine.flock(first, LOCK_EX))

    def wait_as(priority, fd):
        def unlock(request):
            granted.append(priority)
            engine.flock(fd, LOCK_UN)

        engine.with_options(priority=priority).flock(fd, LOCK_EX, unlock)

    wait_as(-1, low)
    wait_as(1, high)
    until_set_aside(pool, 2)
    engine.flock(first, LOCK_UN)
    engine.flush()
    assert granted == [1, -1]


@pytest.mark.parametrize("release", ["flock", "close"])
def test_a_lock_is_handed_over_before_anything_that_comes_later(engine, pool, opened, release):
    pool.max_parallel = 1
    first, second = opened(), opened()
    run(engine, engine.flock(first, LOCK_EX))
    request = engine.flock(second, LOCK_EX)
    until_set_aside(pool)
    engine.wait(0.05)  # ticks are rare by now
    run(engine, engine.close(first) if release == "close" else engine.flock(first, LOCK_UN))
    later = engine.nop()
    until(later, "finished")
    assert request.state in ("finished", "done")
    assert run(engine, request) is None


# ---- cancelling ----


def test_a_waiting_lock_that_is_cancelled_never_ran(engine, pool, opened):
    first, second, seen = opened(), opened(), []
    run(engine, engine.flock(first, LOCK_EX))
    request = engine.flock(second, LOCK_EX, seen.append)
    until_set_aside(pool)
    spin(lambda: request.state == "queued" and request.cancel())
    assert (request.state, request.outcome.status, engine.nreqs) == ("done", "never ran", 0)
    run(engine, engine.flock(first, LOCK_UN))
    assert is_free(first)
    assert seen == []


def test_who_was_cancelled_leaves_the_others_their_order(engine, pool, opened):
    pool.max_parallel = 1
    first, fds = opened(), [opened() for _ in range(5)]
    run(engine, engine.flock(first, LOCK_EX))
    requests = [engine.flock(fd, LOCK_EX) for fd in fds]
    until_set_aside(pool, len(fds))
    for request in (requests[0], requests[2]):
        spin(lambda request=request: request.state == "queued" and request.cancel())
    run(engine, engine.flock(first, LOCK_UN))
    for place in (1, 3, 4):
        run(engine, requests[place])
        assert not any(request.state == "done" for request in requests[max(3, place + 1) :])
        run(engine, engine.flock(fds[place], LOCK_UN))


@pytest.mark.parametrize("name", OF_FILES)
@pytest.mark.parametrize("operation", [LOCK_EX, LOCK_EX | LOCK_NB])
@pytest.mark.parametrize("polled", [False, True])
def test_a_lock_that_nobody_took_is_given_back_when_it_is_settled(engine, opened, name, operation, polled):
    lock, error = getattr(engine, name), Cancelled()
    request = lock(opened(), operation)
    until(request, "finished")
    if polled:
        engine.poll()
    request.settle(error)
    assert (error.outcome.status, request.outcome.status) == ("never ran", "never ran")
    assert run(engine, lock(opened(), LOCK_EX | LOCK_NB)) is None


def test_a_lock_that_is_cancelled_before_it_is_polled_is_given_back(engine, opened):
    seen = []
    request = engine.flock(opened(), LOCK_EX, seen.append)
    until(request, "finished")
    assert request.cancel()
    assert (request.outcome.status, engine.nreqs, engine.npending) == ("never ran", 0, 0)
    assert is_free(opened())
    assert engine.poll() == 0
    assert seen == []


def test_a_lock_that_was_taken_stays_locked(engine, opened):
    request = engine.flock(opened(), LOCK_EX)
    run(engine, request)
    assert not request.cancel()
    error = Cancelled()
    request.settle(error)
    assert error.outcome.status == "done"
    assert not is_free(opened())


def test_a_lock_stays_locked_when_its_request_goes(engine, opened):
    engine.flock(opened(), LOCK_EX)
    engine.flush()
    assert not is_free(opened())


def test_a_lock_that_is_given_back_is_handed_on(engine, pool, opened):
    pool.max_parallel = 1
    first, second = opened(), opened()
    request = engine.flock(first, LOCK_EX)
    until(request, "finished")
    waiting = engine.flock(second, LOCK_EX)
    until_set_aside(pool)
    assert request.cancel()
    assert run(engine, waiting) is None


def test_the_part_that_was_locked_is_given_back_though_the_position_has_moved(engine, opened):
    fd, error = opened(), Cancelled()
    os.lseek(fd, 10, os.SEEK_SET)
    request = engine.ofd_lock(fd, LOCK_EX, 5, 0, os.SEEK_CUR)
    until(request, "finished")
    os.lseek(fd, 50, os.SEEK_SET)
    request.settle(error)
    assert run(engine, engine.ofd_lock(opened(), LOCK_EX | LOCK_NB, 5, 10)) is None


def test_a_waiting_lock_is_of_the_part_where_the_position_was(engine, pool, opened):
    first, second = opened(), opened()
    run(engine, engine.ofd_lock(first, LOCK_EX, 5, 10))
    os.lseek(second, 10, os.SEEK_SET)
    request = engine.ofd_lock(second, LOCK_EX, 5, 0, os.SEEK_CUR)
    until_set_aside(pool)
    os.lseek(second, 50, os.SEEK_SET)
    assert not engine.wait(0.05)
    run(engine, engine.ofd_lock(first, LOCK_UN, 5, 10))
    run(engine, request)
    with pytest.raises(BlockingIOError):
        run(engine, engine.ofd_lock(opened(), LOCK_EX | LOCK_NB, 5, 10))


def test_unlocking_runs_although_it_is_cancelled(engine, pool, opened):
    fd = opened()
    fcntl.flock(fd, LOCK_EX)
    with held(pool):
        request = engine.flock(fd, LOCK_UN)
        assert not request.cancel()
        assert request.state == "queued"
    run(engine, request)
    assert is_free(opened())


PARTS = 3000  # that are locked already: the kernel looks at all of them, so that an attempt takes its time


def lock_parts(fd):
    for number in range(PARTS):
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 2 * number, 1, 0))


@pytest.mark.parametrize("taken", [False, True])
def test_who_is_cancelled_during_an_attempt_gets_no_lock(engine, opened, taken):
    mine, other, seen = opened(), opened(), []
    lock_parts(opened())
    part = (1, 2 * PARTS)
    if taken:
        run(engine, engine.ofd_lock(other, LOCK_EX, *part))

    def is_refused():
        request = engine.ofd_lock(mine, LOCK_EX, *part, callback=seen.append)
        while request.state == "queued" and not engine.pool.stats()["waiting_locks"]:
            pass  # a moment later it could be too late
        if request.cancel():
            return False
        engine.flush()
        assert (request.outcome.status, seen) == ("never ran", [request])
        return True

    deadline = time.monotonic() + LIMIT
    while not is_refused():
        assert time.monotonic() < deadline, "no cancel has met an attempt"
    assert engine.pool.stats()["waiting_locks"] == 0
    if not taken:
        assert run(engine, engine.ofd_lock(other, LOCK_EX | LOCK_NB, *part)) is None


def test_abandoning_a_waiting_lock_takes_it_back(engine, pool, opened):
    first, second = opened(), opened()
    run(engine, engine.flock(first, LOCK_EX))
    request = engine.flock(second, LOCK_EX)
    until_set_aside(pool)
    request.abandon()
    assert (request.state, engine.nreqs) == ("done", 0)
    run(engine, engine.flock(first, LOCK_UN))
    spin(lambda: is_free(first))


# ---- in tasks ----


@loops.on_loops
async def test_a_task_that_is_cancelled_at_any_moment_leaves_the_lock_free(aio, pool, path):
    mine, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        for steps in range(40):
            task = asyncio.create_task(aio.flock(mine, LOCK_EX))
            for _ in range(steps % 8):
                await asyncio.sleep(0)
            if steps % 3 == 0 and steps % 8:
                loops.spin(lambda: aio.current().engine.npending == aio.current().engine.nreqs)  # granted, not polled
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            if result is None:
                await aio.flock(mine, LOCK_UN)
            else:
                assert isinstance(result, asyncio.CancelledError)
            assert is_free(other)
    finally:
        os.close(mine)
        os.close(other)


@loops.on_loops
async def test_a_task_that_waits_is_cancelled_at_once(aio, pool, path):
    mine, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        await aio.flock(other, LOCK_EX)
        task = asyncio.create_task(aio.flock(mine, LOCK_EX))
        await loops.until(lambda: pool.stats()["waiting_locks"] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert anyaio.outcome(caught.value).status == "never ran"
        await aio.flock(other, LOCK_UN)
        assert is_free(other)
    finally:
        os.close(mine)
        os.close(other)


@loops.on_loops
async def test_a_task_that_is_cancelled_unlocks_all_the_same(aio, path):
    mine, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        await aio.flock(mine, LOCK_EX)
        task = asyncio.create_task(aio.flock(mine, LOCK_UN))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert is_free(other)
    finally:
        os.close(mine)
        os.close(other)


# ---- the end ----


def test_a_waiting_lock_is_dropped_by_the_shutdown(backend, pool, engine, opened):
    first, second, woken = opened(), opened(), []
    run(engine, engine.flock(first, LOCK_EX))
    other = engine_class(backend)(pool)
    other.wake = woken.append
    request = other.flock(second, LOCK_EX)
    request.attach("waiter")
    until_set_aside(pool)
    other.shutdown()
    assert woken == ["waiter"]
    with pytest.raises(Cancelled):
        request.result()
    run(engine, engine.flock(first, LOCK_UN))
    spin(lambda: is_free(first))
    assert pool.stats()["waiting_locks"] == 0


def test_a_waiting_lock_is_dropped_with_its_engine(backend, pool, engine, opened):
    first, second = opened(), opened()
    run(engine, engine.flock(first, LOCK_EX))
    other = engine_class(backend)(pool)
    other.flock(second, LOCK_EX)
    until_set_aside(pool)
    del other
    spin(lambda: pool.stats()["waiting_locks"] == 0)
    run(engine, engine.flock(first, LOCK_UN))
    spin(lambda: is_free(first))


def test_a_lock_that_is_granted_keeps_its_result_at_the_shutdown(backend, pool, engine, opened):
    other = engine_class(backend)(pool)
    request = other.flock(opened(), LOCK_EX)
    until(request, "finished")
    other.shutdown()
    assert request.result() is None
    assert not is_free(opened())


@pytest.mark.parametrize("set_aside", [False, True])
def test_the_exit_does_not_wait_for_a_waiting_lock(backend, path, set_aside):
    program = f"""
        import fcntl, os, sys, time
        import anyaio
        engine = anyaio.Engine()
        engine.pool.exit_timeout = 1000.0
        first, second = os.open(sys.argv[1], os.O_RDWR), os.open(sys.argv[1], os.O_RDWR)
        fcntl.flock(first, fcntl.LOCK_EX)
        engine.pool.max_parallel = 1
        engine.flock(second, fcntl.LOCK_EX)
        while {set_aside} and engine.pool.stats()["waiting_locks"] == 0:
            time.sleep(0.001)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), path],
        env=dict(os.environ, ANYAIO_BACKEND=backend.NAME),
        timeout=30,
        check=True,
    )


def test_who_waits_does_not_lock_another_file_that_got_the_descriptor(engine, opened, path, tmp_path):
    holder, waiter = opened(), opened()
    run(engine, engine.flock(holder, LOCK_EX))
    request = engine.flock(waiter, LOCK_EX)
    until_set_aside(engine.pool)
    (tmp_path / "other").write_bytes(b"")
    other = os.open(tmp_path / "other", os.O_RDWR)
    os.dup2(other, waiter)  # as a close and an open in other threads would
    with pytest.raises(OSError, match="Bad file") as caught:
        run(engine, request)
    assert caught.value.errno == errno.EBADF
    again = os.open(tmp_path / "other", os.O_RDWR)
    fcntl.flock(again, LOCK_EX | LOCK_NB)
    os.close(again)
    os.close(other)


@loops.on_loops
async def test_a_lock_is_given_back_though_the_engine_is_full(aio, path):
    engine = aio.current().engine
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    engine.max_outstanding = 1
    await aio.flock(first, LOCK_EX)
    waiting = asyncio.ensure_future(aio.flock(second, LOCK_EX))
    await asyncio.sleep(0)
    async with asyncio.timeout(LIMIT):
        await aio.flock(first, LOCK_UN)
        await waiting
    engine.max_outstanding = 0
    await aio.close(first)
    await aio.close(second)

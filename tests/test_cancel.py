"""Cancelling: each class of operation in each state, patience, and whose a result is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import sys
import termios

import pytest
from engines import descriptors, held, is_readable, run, spin, until, until_waiting

from anyaio import Cancelled

# ---- queued ----


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT])
def test_a_queued_open_that_is_cancelled_never_runs(engine, pool, tmp_path, flags):
    with held(pool):
        request = engine.open(tmp_path / "f", flags)
        assert request.cancel()
    assert (request.state, request.outcome.status) == ("done", "never ran")
    engine.flush()
    assert not (tmp_path / "f").exists()


def test_a_queued_look_that_is_cancelled_never_runs(engine, pool):
    with held(pool):
        request = engine.nop()
        assert request.cancel()
    assert request.outcome.status == "never ran"
    assert engine.nreqs == 0


def test_a_queued_change_that_is_cancelled_never_runs(engine, pool, tmp_path):
    with held(pool):
        request = engine.mkdir(tmp_path / "d")
        assert request.cancel()
    assert run(engine, engine.listdir(tmp_path)) == []
    assert request.outcome.status == "never ran"


def test_a_queued_close_runs_although_it_is_cancelled(engine, pool, pipe):
    fd, seen = os.dup(pipe[0]), []
    with held(pool):
        request = engine.close(fd, seen.append)
        assert not request.cancel()
        assert request.state == "queued"
    run(engine, request)
    assert seen == [request]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_cancelling_many_queued_requests_leaves_the_others(engine, pool):
    seen = []
    with held(pool):
        requests = [engine.nop(seen.append) for _ in range(1000)]
        for request in requests[1:]:
            assert request.cancel()
        assert (engine.nreqs, engine.nready) == (1, 1)
    engine.flush()
    assert seen == requests[:1]


# ---- running ----


def test_a_running_look_that_is_cancelled_is_abandoned(engine):
    seen = []
    request = engine.busy(0.2, seen.append)
    until(request, "running")
    assert request.cancel()
    assert (request.state, request.outcome.status, engine.nreqs) == ("done", "abandoned", 0)
    engine.flush()
    assert seen == []


def test_a_running_open_that_is_cancelled_has_its_late_descriptor_closed(engine, pool, fifo):
    before = descriptors()
    request = engine.open(fifo.path, fifo.MAKE)
    until(request, "running")
    assert request.cancel()
    assert (request.outcome.status, engine.nreqs) == ("abandoned", 0)
    fifo.let_go()
    spin(lambda: pool.stats()["running"] == 0)
    assert descriptors() == before + 1  # the test's own


def test_a_running_change_that_is_cancelled_is_waited_for(engine, fifo):
    seen = []
    request = engine.open(fifo.path, fifo.CHANGE, callback=seen.append)
    until(request, "running")
    assert not request.cancel()
    assert request.state == "running"
    fifo.let_go()
    os.close(run(engine, request))
    assert seen == [request]


def test_a_running_close_that_is_cancelled_is_waited_for(engine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer = server.accept()[0]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(bytes(1 << 16))  # what the peer does not read makes the close linger
    client.setblocking(True)
    request = engine.close(client.detach())
    until(request, "running")
    assert not request.cancel()
    with peer:
        peer.settimeout(10)
        while peer.recv(1 << 20):
            pass
        assert run(engine, request) is None


def test_a_read_of_a_quiet_pipe_is_taken_back_and_consumes_nothing(engine, pipe):
    request = engine.read(pipe[0], 100)
    until_waiting(engine, request)
    assert request.cancel()
    assert (request.outcome.status, engine.nreqs) == ("never ran", 0)
    os.write(pipe[1], b"data")
    assert run(engine, engine.read(pipe[0], 100)) == b"data"


def test_a_readv_of_a_quiet_pipe_is_taken_back_and_lets_go_of_its_buffer(engine, pipe):
    buffer = bytearray(4)
    request = engine.readv(pipe[0], [buffer])
    until_waiting(engine, request)
    assert request.cancel()
    spin(lambda: engine.poll() or can_grow(buffer))  # nobody but the engine's thread may let go


@pytest.mark.parametrize("call", [lambda e, fd: e.write(fd, b"x"), lambda e, fd: e.writev(fd, [b"x"])])
def test_a_write_to_a_full_pipe_is_taken_back(engine, pipe, call):
    os.set_blocking(pipe[1], False)
    filled = os.write(pipe[1], bytes(1 << 20))
    os.set_blocking(pipe[1], True)
    request = call(engine, pipe[1])
    until_waiting(engine, request)
    assert request.cancel()
    assert len(os.read(pipe[0], 1 << 21)) == filled
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


# ---- finished ----


@pytest.mark.parametrize("call", ["write", "writev"])
def test_a_write_that_waits_for_more_room_ends_with_what_went(engine, pipe, call):
    reader, writer = pipe
    data = b"x" * (1 << 20)
    request = getattr(engine, call)(writer, data if call == "write" else [data[:100], data[100:]])
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    until_written(reader, room)
    assert not request.cancel()
    engine.flush()
    assert request.outcome.status == "done"
    assert request.result() == room
    assert os.read(reader, 1 << 20) == data[:room]


def until_written(reader, size):
    """Hold the thread until the pipe holds so much."""
    count = bytearray(4)

    def is_full():
        fcntl.ioctl(reader, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder) == size

    spin(is_full)


def test_a_finished_look_that_is_cancelled_is_dropped(engine):
    seen = []
    request = engine.nop(seen.append)
    until(request, "finished")
    assert request.cancel()
    assert not is_readable(engine)
    assert (engine.nreqs, engine.npending, engine.poll(), seen) == (0, 0, 0, [])


def test_a_finished_open_that_is_cancelled_is_closed(engine, tmp_path):
    before = descriptors()
    request = engine.open(tmp_path, os.O_RDONLY)
    until(request, "finished")
    assert request.cancel()
    spin(lambda: descriptors() == before)  # a worker closes it


def test_a_finished_change_can_no_longer_be_cancelled(engine, tmp_path):
    request = engine.mkdir(tmp_path / "d")
    until(request, "finished")
    assert not request.cancel()
    assert run(engine, request) is None


def test_a_finished_close_can_no_longer_be_cancelled(engine, pipe):
    request = engine.close(os.dup(pipe[0]))
    until(request, "finished")
    assert not request.cancel()
    assert run(engine, request) is None


def test_a_request_that_is_done_cannot_be_cancelled(engine):
    request = engine.nop()
    run(engine, request)
    assert not request.cancel()
    assert request.outcome.status == "done"


def test_cancelling_twice_has_no_further_effect(engine, pool):
    with held(pool):
        request = engine.nop()
        assert request.cancel()
        assert not request.cancel()


# ---- what the caller is told ----


def test_the_result_of_a_cancelled_request_is_cancelled(engine, pool):
    with held(pool):
        request = engine.nop()
        request.cancel()
    with pytest.raises(Cancelled) as caught:
        request.result()
    assert caught.value.outcome.status == "never ran"


def test_there_is_no_outcome_before_the_end(engine, pool):
    with held(pool):
        request = engine.nop()
        assert request.outcome is None
    run(engine, request)
    assert (request.outcome.status, request.outcome.result) == ("done", None)


def test_cancelling_wakes_the_waiter(engine, pool):
    woken = []
    engine.wake = woken.append
    with held(pool):
        request = engine.nop()
        request.attach("waiter")
        assert request.cancel()
    assert woken == ["waiter"]


def test_withdrawing_forgets_the_waiter(engine, pool):
    woken = []
    engine.wake = woken.append
    with held(pool):
        request = engine.nop()
        request.attach("waiter")
        assert request.withdraw()
    assert woken == []
    assert request.outcome.status == "never ran"


def test_withdrawing_a_running_change_keeps_the_waiter(engine, fifo):
    woken = []
    engine.wake = woken.append
    request = engine.open(fifo.path, fifo.CHANGE)
    request.attach("waiter")
    until(request, "running")
    assert not request.withdraw()
    fifo.let_go()
    os.close(run(engine, request))
    assert woken == ["waiter"]


def test_a_waiter_that_comes_late_is_woken_at_once(engine):
    woken = []
    engine.wake = woken.append
    request = engine.nop()
    run(engine, request)
    request.attach("waiter")
    assert woken == ["waiter"]


# ---- patience ----


def test_patience_with_a_stuck_change_ends(engine, pool, fifo):
    seen, woken = [], []
    engine.wake = woken.append
    request = engine.with_options(patience=0.05).open(fifo.path, fifo.CHANGE, callback=seen.append)
    request.attach("waiter")
    until(request, "running")
    assert not request.cancel()
    engine.wait(10)
    engine.poll()
    assert (request.outcome.status, woken, seen, engine.nreqs) == ("unknown", ["waiter"], [request], 0)
    with pytest.raises(Cancelled):
        request.result()
    assert [(row["operation"], row["abandoned"]) for row in pool.stats()["stuck"]] == [("open", True)]


def test_a_change_that_ends_in_time_needs_no_patience(engine, fifo):
    request = engine.with_options(patience=60).open(fifo.path, fifo.CHANGE)
    until(request, "running")
    assert not request.cancel()
    fifo.let_go()
    os.close(run(engine, request))
    assert request.outcome.status == "done"


def test_without_a_limit_patience_never_ends(engine, fifo):
    request = engine.with_options(patience=None).open(fifo.path, fifo.CHANGE)
    until(request, "running")
    assert not request.cancel()
    assert not engine.wait(0.05)
    fifo.let_go()
    os.close(run(engine, request))


def test_the_first_cancel_starts_the_clock(engine, fifo):
    request = engine.with_options(patience=0.2).open(fifo.path, fifo.CHANGE)
    until(request, "running")
    for _ in range(3):
        assert not request.cancel()
        engine.wait(0.1)
    engine.poll()
    assert request.outcome.status == "unknown"


def test_patience_with_a_close_that_no_worker_has_begun_ends_and_it_is_closed_all_the_same(engine, pool):
    reader, writer = os.pipe()
    with held(pool):
        request = engine.with_options(patience=0.05).close(writer)
        assert not request.cancel()
        assert engine.wait(10)
        engine.poll()
        assert (request.outcome.status, engine.nreqs) == ("unknown", 0)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_what_patience_gave_up_is_cleaned_up_when_it_ends(engine, pool, fifo):
    before = descriptors()
    request = engine.with_options(patience=0).open(fifo.path, fifo.CHANGE)
    until(request, "running")
    request.cancel()
    with pytest.raises(Cancelled):
        run(engine, request)
    fifo.let_go()
    spin(lambda: pool.stats()["running"] == 0)
    assert descriptors() == before + 1  # the test's own


def test_abandoning_a_running_change_ends_the_wait_at_once(engine, fifo):
    seen, woken = [], []
    engine.wake = woken.append
    request = engine.open(fifo.path, fifo.CHANGE, callback=seen.append)
    request.attach("waiter")
    until(request, "running")
    request.abandon()
    assert (request.outcome.status, woken, seen, engine.nreqs) == ("unknown", ["waiter"], [request], 0)


def test_abandoning_a_queued_change_takes_it_back(engine, pool, tmp_path):
    with held(pool):
        request = engine.mkdir(tmp_path / "d")
        request.abandon()
    assert request.outcome.status == "never ran"
    assert run(engine, engine.listdir(tmp_path)) == []


# ---- whose a result is ----


def test_a_descriptor_that_nobody_took_is_closed_with_its_request(engine, tmp_path):
    before = descriptors()
    request = engine.open(tmp_path, os.O_RDONLY)
    until(request, "finished")
    engine.poll()
    assert descriptors() == before + 1
    del request
    spin(lambda: descriptors() == before)  # a worker closes it


def test_a_descriptor_that_nobody_took_is_closed_by_a_worker(engine, pool, tmp_path, fifo):
    before = descriptors()
    pool.max_parallel = 1
    request = engine.open(tmp_path, os.O_RDONLY)
    until(request, "finished")
    stuck = engine.open(fifo.path, fifo.MAKE)  # the only worker
    until(stuck, "running")
    assert request.cancel()
    assert descriptors() == before + 1
    stuck.cancel()
    fifo.let_go()
    spin(lambda: descriptors() == before + 1)  # the test's own


def test_a_descriptor_that_was_taken_stays_open(engine, tmp_path):
    request = engine.open(tmp_path, os.O_RDONLY)
    fd = run(engine, request)
    assert request.result() == fd
    assert request.outcome.result == fd
    del request
    os.close(fd)


def test_settling_closes_a_descriptor_and_tells_the_outcome(engine, tmp_path):
    before = descriptors()
    request = engine.open(tmp_path / "new", os.O_CREAT | os.O_RDWR)
    until(request, "finished")
    engine.poll()
    error = Cancelled()
    request.settle(error)
    spin(lambda: descriptors() == before)  # a worker closes it
    assert (error.outcome.status, error.outcome.result) == ("done", None)


def test_settling_names_the_error_of_a_failed_call(engine, tmp_path):
    request = engine.rmdir(tmp_path / "missing")
    until(request, "finished")
    engine.poll()
    error = Cancelled()
    request.settle(error)
    assert error.outcome.status == "failed"
    assert isinstance(error.__cause__, FileNotFoundError)


def test_settling_takes_back_what_is_still_queued(engine, pool, tmp_path):
    error = Cancelled()
    with held(pool):
        request = engine.mkdir(tmp_path / "d")
        request.settle(error)
    assert (error.outcome.status, engine.nreqs) == ("never ran", 0)
    assert run(engine, engine.listdir(tmp_path)) == []


def test_an_open_without_a_callback_leaks_nothing(engine, tmp_path):
    before = descriptors()
    for _ in range(10):
        engine.open(tmp_path, os.O_RDONLY)
    engine.flush()
    spin(lambda: descriptors() == before)  # workers close them


# ---- buffers ----


def can_grow(buffer: bytearray) -> bool:
    try:
        buffer.append(0)
    except BufferError:
        return False
    return True


def test_a_buffer_cannot_be_resized_in_flight(engine, pool, tmp_path):
    fd = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    buffer = bytearray(b"data")
    with held(pool):
        request = engine.pwrite(fd, buffer, 0)
        assert not can_grow(buffer)
    run(engine, request)
    assert can_grow(buffer)
    os.close(fd)


def test_a_cancelled_request_lets_go_of_its_buffer(engine, pool, pipe):
    buffer = bytearray(b"data")
    with held(pool):
        request = engine.write(pipe[1], buffer)
        assert request.cancel()
        assert can_grow(buffer)


def test_a_failed_call_lets_go_of_its_buffer(engine):
    buffer = bytearray(b"data")
    request = engine.pwrite(-1, buffer, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, request)
    assert can_grow(buffer)

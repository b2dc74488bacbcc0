"""Operations that may wait for somebody: on pipes, FIFOs and sockets."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterator

import pytest
from engines import run, spin, until_waiting

DATA = bytes(range(256)) * 1024  # more than a pipe holds


def test_a_read_of_a_pipe_waits_for_data(engine, pipe):
    request = engine.read(pipe[0], 10)
    assert not engine.wait(0.02)
    os.write(pipe[1], b"data")
    assert run(engine, request) == b"data"


def test_a_readv_of_a_pipe_waits_for_data(engine, pipe):
    buffers = [bytearray(2), bytearray(4)]
    request = engine.readv(pipe[0], buffers)
    os.write(pipe[1], b"data")
    assert run(engine, request) == 4
    assert buffers == [b"da", b"ta\0\0"]


def test_a_read_of_a_closed_pipe_is_empty(engine):
    reader, writer = os.pipe()
    os.close(writer)
    assert run(engine, engine.read(reader, 10)) == b""
    os.close(reader)


def test_a_write_to_a_broken_pipe_is_an_error(engine):
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        run(engine, engine.write(writer, b"x"))
    os.close(writer)


def test_a_nonblocking_pipe_does_not_wait(engine, pipe):
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        run(engine, engine.read(pipe[0], 10))


def test_a_write_to_a_pipe_writes_everything(engine, pipe):
    request = engine.write(pipe[1], DATA)
    assert drained(engine, pipe[0], len(DATA)) == DATA
    assert run(engine, request) == len(DATA)


def test_several_readers_of_one_pipe_share_what_comes(engine, pipe):
    requests = [engine.read(pipe[0], 1) for _ in range(4)]
    os.write(pipe[1], b"abcd")
    assert sorted(run(engine, request) for request in requests) == [b"a", b"b", b"c", b"d"]


# ---- sendfile, splice and tee ----


@pytest.fixture
def source(tmp_path) -> Iterator[int]:
    """A file with DATA, read to 6."""
    path = tmp_path / "source"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDONLY)
    os.lseek(fd, 6, os.SEEK_SET)
    yield fd
    os.close(fd)


@pytest.fixture
def target(tmp_path) -> Iterator[int]:
    """A file to append to, which sendfile(2) and splice(2) refuse."""
    fd = os.open(tmp_path / "target", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.write(fd, b"head ")
    yield fd
    os.close(fd)


@pytest.fixture
def second_pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that block."""
    pair = socket.socketpair()
    yield pair
    for each in pair:
        each.close()


def drained(engine, fd, count):
    """What comes out of a pipe or socket, up to *count* bytes."""
    received = b""
    while len(received) < count:
        received += run(engine, engine.read(fd, 1 << 16))
    return received


@pytest.mark.parametrize(("offset", "begin", "position"), [(None, 6, len(DATA)), (3, 3, 6), (0, 0, 6)])
def test_sendfile_does_by_hand_what_the_kernel_does_not(engine, source, target, offset, begin, position):
    sent = run(engine, engine.sendfile(target, source, offset, 1 << 40))
    assert sent == len(DATA) - begin
    assert os.pread(target, len(DATA), 0)[:20] == b"head " + DATA[begin : begin + 15]
    assert os.fstat(target).st_size == 5 + sent
    assert os.lseek(source, 0, os.SEEK_CUR) == position


def test_sendfile_goes_on_until_the_file_ends(engine, source, tmp_path):
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_RDWR)
    assert run(engine, engine.sendfile(out, source, None, (1 << 63) - 1)) == len(DATA) - 6
    assert os.pread(out, len(DATA), 0) == DATA[6:]
    os.close(out)


def test_sendfile_past_the_end_sends_nothing(engine, source, pipe):
    assert run(engine, engine.sendfile(pipe[1], source, 1 << 40, 10)) == 0


def test_sendfile_to_a_pipe_sends_everything(engine, source, pipe):
    request = engine.sendfile(pipe[1], source, 0, len(DATA))
    assert drained(engine, pipe[0], len(DATA)) == DATA
    assert run(engine, request) == len(DATA)


def test_sendfile_to_a_socket_sends_everything(engine, source, sockets):
    request = engine.sendfile(sockets[0].fileno(), source, 0, len(DATA))
    assert drained(engine, sockets[1].fileno(), len(DATA)) == DATA
    assert run(engine, request) == len(DATA)


def test_sendfile_from_a_pipe_sends_what_is_there(engine, pipe, sockets):
    os.write(pipe[1], b"from a pipe")
    assert run(engine, engine.sendfile(sockets[0].fileno(), pipe[0], None, 1 << 20)) == 11
    assert sockets[1].recv(99) == b"from a pipe"


def test_sendfile_to_a_nonblocking_socket_does_not_wait(engine, source, sockets):
    sockets[0].setblocking(False)
    sent = run(engine, engine.sendfile(sockets[0].fileno(), source, 0, len(DATA)))
    while sent < len(DATA):  # until it is full
        try:
            sent += run(engine, engine.sendfile(sockets[0].fileno(), source, 0, len(DATA)))
        except BlockingIOError:
            break
    assert sockets[1].recv(10) == DATA[:10]


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_cancelled_sendfile_ends_with_what_went(engine, source, pipe, sockets, kind):
    reader, writer = pipe if kind == "pipe" else (sockets[1].fileno(), sockets[0].fileno())
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    request = engine.sendfile(writer, source, 0, len(DATA))
    until_waiting(engine, request)
    spin(lambda: not is_writable(writer))
    request.cancel()
    sent = run(engine, request)
    assert 0 < sent < len(DATA)
    assert drained(engine, reader, sent) == DATA[:sent]
    assert request.outcome.status == "done"


def test_a_sendfile_from_a_quiet_pipe_is_taken_back(engine, pipe, target):
    request = engine.sendfile(target, pipe[0], None, 10)
    until_waiting(engine, request)
    assert request.cancel()
    os.write(pipe[1], b"kept")
    assert os.read(pipe[0], 9) == b"kept"


def is_writable(fd):
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return bool(poller.poll(0))


def test_splice_moves_between_a_file_and_a_pipe(engine, source, pipe, tmp_path):
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_RDWR)
    assert run(engine, engine.splice(source, pipe[1], 10, offset_src=1)) == 10
    assert run(engine, engine.splice(pipe[0], out, 1 << 40, offset_dst=2)) == 10
    assert os.pread(out, 99, 0) == b"\0\0" + DATA[1:11]
    assert (os.lseek(source, 0, os.SEEK_CUR), os.lseek(out, 0, os.SEEK_CUR)) == (6, 0)
    os.close(out)


def test_splice_of_a_closed_pipe_is_0(engine, second_pipe):
    reader, writer = os.pipe()
    os.close(writer)
    assert run(engine, engine.splice(reader, second_pipe[1], 10)) == 0
    os.close(reader)


def test_an_offset_in_a_pipe_is_an_error_and_not_a_wait(engine, pipe, second_pipe):
    with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
        run(engine, engine.splice(pipe[0], second_pipe[1], 10, offset_src=0))


def test_tee_duplicates_and_consumes_nothing(engine, pipe, second_pipe):
    os.write(pipe[1], b"twice")
    assert run(engine, engine.tee(pipe[0], second_pipe[1], 99)) == 5
    assert (os.read(pipe[0], 9), os.read(second_pipe[0], 9)) == (b"twice", b"twice")


@pytest.mark.parametrize("name", ["splice", "tee"])
def test_a_transfer_from_a_pipe_waits_for_data(engine, pipe, second_pipe, name):
    request = getattr(engine, name)(pipe[0], second_pipe[1], 99)
    until_waiting(engine, request)
    os.write(pipe[1], b"data")
    assert run(engine, request) == 4
    assert os.read(second_pipe[0], 9) == b"data"


@pytest.mark.parametrize("name", ["splice", "tee"])
def test_a_transfer_from_a_quiet_pipe_is_taken_back_and_moves_nothing(engine, pipe, second_pipe, name):
    request = getattr(engine, name)(pipe[0], second_pipe[1], 99)
    until_waiting(engine, request)
    assert request.cancel()
    os.write(pipe[1], b"kept")
    assert os.read(pipe[0], 9) == b"kept"
    assert request.outcome.status == "never ran"


@pytest.mark.parametrize("name", ["splice", "tee"])
def test_a_transfer_to_a_full_pipe_waits_for_room(engine, pipe, second_pipe, name):
    room = fill(second_pipe[1])
    os.write(pipe[1], b"data")
    request = getattr(engine, name)(pipe[0], second_pipe[1], 99)
    until_waiting(engine, request)
    drained(engine, second_pipe[0], room)
    assert run(engine, request) == 4
    assert os.read(second_pipe[0], 9) == b"data"


@pytest.mark.parametrize("name", ["splice", "tee"])
def test_a_transfer_that_must_not_wait_does_not(engine, pipe, second_pipe, name):
    with pytest.raises(BlockingIOError):
        run(engine, getattr(engine, name)(pipe[0], second_pipe[1], 99, flags=os.SPLICE_F_NONBLOCK))
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        run(engine, getattr(engine, name)(pipe[0], second_pipe[1], 99))


def fill(fd):
    """Fill a pipe; return how much it holds."""
    os.set_blocking(fd, False)
    count = 0
    while True:
        try:
            count += os.write(fd, DATA)
        except BlockingIOError:
            os.set_blocking(fd, True)
            return count

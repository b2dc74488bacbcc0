"""What is special about whole files: read_bytes and write_bytes."""

from __future__ import annotations

import errno
import os

import pytest
from engines import run, until, until_waiting

CONTENT = b"0123456789"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (3, 1 << 62, b"3456789"),
        (10, None, b""),
        (99, 5, b""),
        (0, 0, b""),
        (-3, None, b"789"),
        (-3, 2, b"78"),
        (-10, 1, b"0"),
    ],
)
def test_read_bytes_returns_the_part_asked_for(engine, file, offset, length, expected):
    assert run(engine, engine.read_bytes(file, offset, length)) == expected


@pytest.mark.parametrize(("offset", "length"), [(-11, None), (-(1 << 63), 1), (0, -1)])
def test_read_bytes_of_no_part_is_an_error(engine, file, offset, length):
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)) as caught:
        run(engine, engine.read_bytes(file, offset, length))
    assert caught.value.filename is file


def test_read_bytes_reads_all_whatever_the_size_is_said_to_be(engine):
    """In /proc files are said to be empty, in /sys to have a page."""
    whole = run(engine, engine.read_bytes("/proc/self/mountinfo"))
    with open("/proc/self/mountinfo", "rb") as file:
        assert whole == file.read()
    assert run(engine, engine.read_bytes("/proc/self/mountinfo", 7, 9)) == whole[7:16]
    assert run(engine, engine.read_bytes("/proc/self/mountinfo", -9, 4)) == whole[-9:-5]
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        run(engine, engine.read_bytes("/proc/self/mountinfo", -len(whole) - 1))


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage/enabled"), reason="no such file here")
def test_read_bytes_finds_the_end_of_a_file_that_says_more_than_it_has(engine):
    with open("/sys/kernel/mm/transparent_hugepage/enabled", "rb") as file:
        whole = file.read()
    assert run(engine, engine.read_bytes(file.name)) == whole
    assert run(engine, engine.read_bytes(file.name, -3)) == whole[-3:]


@pytest.mark.parametrize("size", [(16 << 20) - 1, 16 << 20, (16 << 20) + 1, (33 << 20) + 5])
def test_read_bytes_reads_large_files(engine, tmp_path, size):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    data = run(engine, engine.read_bytes(tmp_path / "large"))
    assert (len(data), data[:3], data[-3:]) == (size, bytes(3), b"end")
    assert run(engine, engine.read_bytes(tmp_path / "large", 1, size - 3))[-2:] == b"\0e"


def test_read_bytes_of_a_fifo_reads_until_it_is_closed(engine, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    request = engine.read_bytes(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_WRONLY)
    os.write(writer, b"one ")
    until_waiting(engine, request)
    os.write(writer, b"two")
    os.close(writer)
    assert run(engine, request) == b"one two"


@pytest.mark.parametrize("offset", [1, -1])
def test_read_bytes_from_the_middle_of_a_fifo_is_an_error(engine, tmp_path, offset):
    os.mkfifo(tmp_path / "fifo")
    request = engine.read_bytes(tmp_path / "fifo", offset)
    os.close(os.open(tmp_path / "fifo", os.O_WRONLY))
    with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
        run(engine, request)


def test_a_cancelled_read_bytes_of_a_quiet_fifo_holds_no_worker(engine, pool, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    request = engine.read_bytes(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_WRONLY)
    until_waiting(engine, request)
    assert request.cancel()
    pool.max_parallel = 1
    assert run(engine, engine.nop()) is None
    os.close(writer)


def test_write_bytes_makes_the_file_or_empties_it(engine, tmp_path):
    old = os.umask(0o027)
    try:
        assert run(engine, engine.write_bytes(tmp_path / "new", bytearray(b"long content"))) == 12
        assert run(engine, engine.write_bytes(tmp_path / "new", memoryview(b"abcd")[1:3])) == 2
    finally:
        os.umask(old)
    assert (tmp_path / "new").read_bytes() == b"bc"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_write_bytes_tells_that_the_disk_is_full(engine):
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        run(engine, engine.write_bytes("/dev/full", b"x"))
    assert caught.value.filename == "/dev/full"


def test_write_bytes_to_a_fifo_writes_everything(engine, tmp_path):
    data = os.urandom(300_000)  # more than a pipe holds
    os.mkfifo(tmp_path / "fifo")
    request = engine.write_bytes(tmp_path / "fifo", data)
    reader = engine.read_bytes(tmp_path / "fifo")
    assert run(engine, reader) == data
    assert run(engine, request) == len(data)


def test_a_cancelled_write_bytes_to_a_full_fifo_ends_with_what_went(engine, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    request = engine.write_bytes(tmp_path / "fifo", bytes(1 << 20))
    until_waiting(engine, request)
    until(request, "running")
    while not request.cancel() and request.state == "running":
        pass
    written = run(engine, request)
    assert len(os.read(reader, 1 << 21)) == written
    os.close(reader)

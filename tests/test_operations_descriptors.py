"""What is special about some operations on descriptors: fcntl, ioctl, fiemap, copy_file_range, locks."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterator

import pytest
from engines import run

from anyaio._results import Extent

FIEMAP_FLAG_SYNC, FIEMAP_EXTENT_LAST = 1, 1  # <linux/fiemap.h>
BLOCK = 64 << 10


@pytest.fixture
def fd(tmp_path) -> Iterator[int]:
    """A file of ten bytes."""
    fd = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"0123456789")
    os.lseek(fd, 0, os.SEEK_SET)
    yield fd
    os.close(fd)


def ten() -> bytes:
    return (10).to_bytes(4, sys.byteorder)


# ---- fcntl and ioctl ----


def owner(kind: int, pid: int) -> bytes:
    return struct.pack("ii", kind, pid)  # struct f_owner_ex


F_SETOWN_EX, F_GETOWN_EX, F_OWNER_PID = 15, 16, 1


def test_fcntl_returns_what_the_kernel_made_of_bytes(engine, fd):
    run(engine, engine.fcntl(fd, F_SETOWN_EX, owner(F_OWNER_PID, os.getpid())))
    assert run(engine, engine.fcntl(fd, F_GETOWN_EX, bytes(8))) == owner(F_OWNER_PID, os.getpid())


def test_fcntl_changes_a_writable_buffer_in_place(engine, fd):
    run(engine, engine.fcntl(fd, F_SETOWN_EX, owner(F_OWNER_PID, os.getpid())))
    buffer = bytearray(8)
    assert run(engine, engine.fcntl(fd, F_GETOWN_EX, buffer)) == 0
    assert buffer == owner(F_OWNER_PID, os.getpid())


@pytest.mark.skipif(os.getpgrp() == 1, reason="no telling -1, the group of the first process, from an error")
def test_fcntl_takes_a_negative_number_and_returns_one(engine, fd):
    run(engine, engine.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp()))
    assert run(engine, engine.fcntl(fd, fcntl.F_GETOWN)) == -os.getpgrp()


def test_ioctl_returns_bytes_of_the_length_given(engine, fd):
    assert run(engine, engine.ioctl(fd, termios.FIONREAD, b"\xff" * 6)) == ten() + b"\xff\xff"


def test_ioctl_takes_a_long_buffer(engine, fd):
    assert run(engine, engine.ioctl(fd, termios.FIONREAD, bytes(100_000))) == ten() + bytes(99_996)


@pytest.mark.parametrize("make", [bytearray, lambda n: array.array("B", bytes(n)), lambda n: (ctypes.c_char * n)()])
def test_ioctl_changes_a_writable_buffer_in_place(engine, fd, make):
    buffer = make(5)
    assert run(engine, engine.ioctl(fd, termios.FIONREAD, buffer)) == 0
    assert bytes(buffer) == ten() + b"\0"


def test_what_has_no_room_for_the_answer_is_not_written_past_its_end(engine, fd):
    buffer = bytearray(b"....after")
    with memoryview(buffer) as whole, whole[:2] as small:
        assert run(engine, engine.ioctl(fd, termios.FIONREAD, small)) == 0
    assert buffer == ten()[:2] + b"..after"
    assert run(engine, engine.ioctl(fd, termios.FIONREAD, b"")) == b""


def test_a_buffer_stays_as_it_is_when_the_call_fails(engine, fd):
    buffer = bytearray(b"kept")
    with pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
        run(engine, engine.ioctl(fd, termios.TIOCGWINSZ, buffer))
    assert buffer == b"kept"


def test_a_request_with_the_highest_bit_may_be_given_as_a_negative_number(engine, fd):
    read = 0x80086601  # FS_IOC_GETFLAGS
    assert outcome(engine, fd, read) == outcome(engine, fd, read - (1 << 32))


def outcome(engine, fd, number):
    try:
        return run(engine, engine.ioctl(fd, number, bytes(8)))
    except OSError as error:
        return error.errno


# ---- fiemap ----


@pytest.fixture
def sparse(tmp_path) -> Iterator[int]:
    """A file with three blocks, and holes between them."""
    fd = os.open(tmp_path / "sparse", os.O_CREAT | os.O_RDWR)
    for place in (1, 4, 9):
        os.pwrite(fd, b"x" * BLOCK, place * BLOCK)
    os.fsync(fd)
    yield fd
    os.close(fd)


def extents(engine, *arguments, **options):
    try:
        return run(engine, engine.fiemap(*arguments, **options))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS):
            raise
        pytest.skip(f"no fiemap on this file system: {error}")


def test_fiemap_tells_what_is_on_the_disk_and_no_holes(engine, sparse):
    found = extents(engine, sparse)
    assert all(type(extent) is Extent for extent in found)
    blocks = {extent.logical // BLOCK for extent in found}
    assert blocks >= {1, 4, 9}
    assert sum(extent.length for extent in found) < 10 * BLOCK
    assert [bool(extent.flags & FIEMAP_EXTENT_LAST) for extent in found] == [False] * (len(found) - 1) + [True]


def test_fiemap_of_a_range_tells_what_is_in_it(engine, sparse):
    found = extents(engine, sparse, 3 * BLOCK, 3 * BLOCK)
    assert {extent.logical // BLOCK for extent in found} == {4}


def test_fiemap_returns_no_more_than_asked_for(engine, sparse):
    assert extents(engine, sparse, count=2) == extents(engine, sparse)[:2]
    assert extents(engine, sparse, count=0) == []


def test_fiemap_asks_as_often_as_it_takes(engine, tmp_path):
    fd = os.open(tmp_path / "many", os.O_CREAT | os.O_RDWR)
    for place in range(0, 1000, 2):
        os.pwrite(fd, b"x", place * 4096)
    os.fsync(fd)
    found = extents(engine, fd, flags=FIEMAP_FLAG_SYNC)
    assert len(found) > 256
    assert [extent.logical for extent in found] == sorted({extent.logical for extent in found})
    assert len(extents(engine, fd, count=300)) == 300
    os.close(fd)


def test_fiemap_of_an_empty_file_is_empty(engine, tmp_path):
    fd = os.open(tmp_path / "empty", os.O_CREAT | os.O_RDWR)
    assert extents(engine, fd) == []
    os.close(fd)


@pytest.mark.parametrize(("start", "length", "count"), [(-1, None, None), (0, -1, None), (0, None, -1)])
def test_fiemap_takes_no_negative_number(engine, fd, start, length, count):
    with pytest.raises(ValueError, match="must not be negative: -1"):
        engine.fiemap(fd, start, length, count=count)


# ---- copy_file_range ----


def test_copy_file_range_moves_the_positions_that_it_is_not_given(engine, fd, tmp_path):
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_RDWR)
    assert run(engine, engine.copy_file_range(fd, out, 4)) == 4
    assert run(engine, engine.copy_file_range(fd, out, 1 << 62, offset_dst=0)) == 6
    assert os.pread(out, 99, 0) == b"456789"
    assert (os.lseek(fd, 0, os.SEEK_CUR), os.lseek(out, 0, os.SEEK_CUR)) == (10, 4)
    os.close(out)


# ---- locks: those that wait have tests of their own ----


@pytest.mark.parametrize("name", ["flock", "lockf", "ofd_lock"])
def test_a_lock_is_had_until_it_is_given_back(engine, fd, tmp_path, name):
    take = getattr(engine, name)
    other = os.open(tmp_path / "file", os.O_RDWR)
    run(engine, take(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
    if name != "lockf":  # one process has all those of its own
        with pytest.raises(BlockingIOError):
            run(engine, take(other, fcntl.LOCK_SH | fcntl.LOCK_NB))
    run(engine, take(fd, fcntl.LOCK_UN | fcntl.LOCK_NB))
    run(engine, take(other, fcntl.LOCK_SH | fcntl.LOCK_NB))
    os.close(other)


def test_a_lock_of_a_range_leaves_the_rest(engine, fd, tmp_path):
    other = os.open(tmp_path / "file", os.O_RDWR)
    run(engine, engine.ofd_lock(fd, fcntl.LOCK_EX, 2, -4, os.SEEK_END))  # 6 and 7
    run(engine, engine.ofd_lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 6))
    run(engine, engine.ofd_lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, 8))
    with pytest.raises(BlockingIOError):
        run(engine, engine.ofd_lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 7))
    os.close(other)


@pytest.mark.parametrize(("name", "parameter"), [("lockf", "cmd"), ("ofd_lock", "operation")])
def test_a_lock_that_there_is_not_is_a_wrong_argument(engine, fd, name, parameter):
    for cmd in (0, fcntl.LOCK_NB, fcntl.LOCK_SH | fcntl.LOCK_EX, 32, -1):
        with pytest.raises(ValueError, match=f"{name}: {parameter} must be LOCK_SH, LOCK_EX or LOCK_UN.*not {cmd}"):
            getattr(engine, name)(fd, cmd)

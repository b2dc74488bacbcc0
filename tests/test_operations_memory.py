"""What is special about operations on memory: msync, mtouch, mlock, mlockall."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from engines import held, run

from anyaio._constants import MT_MODIFY
from anyaio._extras import munlock, munlockall
from anyaio._python import listing as python_listing
from anyaio._python import memory as python_memory

PAGE = mmap.PAGESIZE
PAGES = 600  # more than are touched at a time


@pytest.fixture
def memory(tmp_path) -> Iterator[mmap.mmap]:
    """The map of a file."""
    with open(tmp_path / "file", "w+b") as file:
        file.truncate(PAGES * PAGE)
        memory = mmap.mmap(file.fileno(), 0)
    yield memory
    memory.close()


def residents(path: Path) -> int:
    """How many bytes of the file are mapped to memory."""
    total, inside = 0, False
    with open("/proc/self/smaps") as maps:
        for line in maps:
            if "-" in line.split(" ", 1)[0]:
                inside = line.rstrip().endswith(str(path))
            elif inside and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def test_msync_writes_what_was_changed(engine, memory, tmp_path):
    memory[5000:5005] = b"there"
    assert run(engine, engine.msync(memory, 5000, 5)) is None
    assert (tmp_path / "file").read_bytes()[5000:5005] == b"there"


def test_mtouch_has_all_pages_in_memory(engine, memory, tmp_path):
    assert residents(tmp_path / "file") == 0
    assert run(engine, engine.mtouch(memory)) is None
    assert residents(tmp_path / "file") == PAGES * PAGE


def test_mtouch_of_a_range_widens_it_to_pages(engine, memory, tmp_path):
    memory.madvise(mmap.MADV_RANDOM)  # no pages around these
    run(engine, engine.mtouch(memory, PAGE - 1, 2))
    assert residents(tmp_path / "file") == 2 * PAGE


def test_mtouch_makes_pages_dirty_and_changes_nothing(engine, memory):
    memory[0:4] = b"kept"
    try:
        run(engine, engine.mtouch(memory, flags=MT_MODIFY))
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        pytest.skip("the kernel cannot: it is older than Linux 5.14")
    assert memory[:] == b"kept" + bytes(PAGES * PAGE - 4)


@pytest.mark.parametrize("flags", [0, MT_MODIFY])
def test_a_page_beyond_the_end_of_the_file_is_an_error_and_no_signal(engine, memory, tmp_path, flags):
    os.truncate(tmp_path / "file", PAGE)
    run(engine, engine.mtouch(memory, 0, PAGE))
    with pytest.raises(OSError, match=f"{os.strerror(errno.EFAULT)}|{os.strerror(errno.ENOSYS)}"):
        run(engine, engine.mtouch(memory, flags=flags))


def test_mtouch_takes_memory_that_cannot_be_written(engine):
    data = os.urandom(10 * PAGE)
    assert run(engine, engine.mtouch(data)) is None
    assert run(engine, engine.mtouch(b"")) is None


def test_an_older_kernel_reads_the_pages(memory, tmp_path, monkeypatch):
    """The Python backend's; that of C is the same call."""
    monkeypatch.setattr(python_memory, "_is_known", lambda *_: False)
    with memoryview(memory) as view:
        python_memory.mtouch(view, 0, len(view), 0)
        assert residents(tmp_path / "file") == PAGES * PAGE
        with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
            python_memory.mtouch(view, 0, len(view), MT_MODIFY)
        os.truncate(tmp_path / "file", 300 * PAGE)
        with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
            python_memory.mtouch(view, 0, len(view), 0)


def test_a_touch_that_nobody_waits_for_stops(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(python_listing.running, "job", SimpleNamespace(abandoned=True), raising=False)
    with memoryview(memory) as view, pytest.raises(python_listing.Abandoned):
        python_memory.mtouch(view, 0, len(view), 0)
    assert residents(tmp_path / "file") == 0


def test_a_map_can_neither_be_closed_nor_resized_in_flight(engine, pool, memory):
    with held(pool):
        request = engine.msync(memory)
        with pytest.raises(BufferError):
            memory.close()
    run(engine, request)


def test_mlock_keeps_pages_in_memory(engine, memory, tmp_path):
    run(engine, engine.mlock(memory, -4 * PAGE))
    assert locked() >= 4 * PAGE
    munlock(memory)
    assert residents(tmp_path / "file") >= 4 * PAGE


def test_mlockall_locks_what_there_is(engine):
    mcl_current = 1
    try:
        run(engine, engine.mlockall(mcl_current))
    except OSError as error:  # the limit of this user is too low: RLIMIT_MEMLOCK
        assert error.errno in (errno.EPERM, errno.ENOMEM)
        assert os.geteuid() != 0
    else:
        before = locked()
        munlockall()
        assert before > locked()


def locked() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmLck:"))


@pytest.mark.parametrize("name", ["msync", "mtouch", "mlock"])
def test_a_range_that_is_none_is_a_wrong_argument(engine, name):
    call, buffer = getattr(engine, name), bytearray(10)
    for offset in (11, -11, 1 << 62):
        with pytest.raises(ValueError, match=f"{name}: offset is outside of the buffer of 10 bytes: {offset}"):
            call(buffer, offset)
    with pytest.raises(ValueError, match=f"{name}: length must not be negative: -1"):
        call(buffer, 0, -1)
    buffer.append(0)  # it is free


@pytest.mark.parametrize("name", ["msync", "mtouch", "mlock"])
def test_an_empty_range_is_nothing(engine, name):
    for offset, length in ((10, None), (-10, 0), (3, 0)):
        assert run(engine, getattr(engine, name)(bytearray(10), offset, length)) is None

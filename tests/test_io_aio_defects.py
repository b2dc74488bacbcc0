"""The defects of IO::AIO 4.80 that are known, by their numbers there, and that ours has none of them."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from engines import descriptors, held, is_readable, run, until

import anyaio

FIONREAD = 0x541B


@pytest.fixture(autouse=True)
def somewhere_private(tmp_path_factory, monkeypatch):
    """What a defect removes in the current directory is nobody's."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def blocks(path):
    return os.stat(path).st_blocks * 512


def test_1_a_copy_that_fails_leaves_nothing_behind(engine, tmp_path):
    with pytest.raises(OSError, match=r"\[Errno 5\]"):  # nothing is mapped at address 0
        run(engine, engine.copy("/proc/self/mem", tmp_path / "copy"))
    assert os.listdir(tmp_path) == []


def test_2_a_copy_keeps_setuid_nanoseconds_attributes_and_holes(engine, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    with source.open("wb") as file:
        file.write(b"start")
        file.seek(64 << 20)
        file.write(b"end")
    source.chmod(0o4755)
    attributes = {}
    try:
        os.setxattr(source, "user.kept", b"value")
        attributes = {"user.kept": b"value"}
    except OSError:  # the file system has none
        pass
    os.utime(source, ns=(1_500_000_000_123_456_789, 1_600_000_000_987_654_321))
    run(engine, engine.copy(source, copy, preserve="all"))
    status = copy.stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (source.stat().st_size, 0o4755)
    assert status.st_mtime_ns == 1_600_000_000_987_654_321
    assert status.st_atime_ns == 1_500_000_000_123_456_789
    assert blocks(copy) < 1 << 20
    for name, value in attributes.items():
        assert os.getxattr(copy, name) == value


@pytest.mark.parametrize("name", ["file", "link", "other"])
def test_3_a_file_is_not_copied_onto_itself(engine, tmp_path, name):
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    with pytest.raises(shutil.SameFileError):
        run(engine, engine.copy(tmp_path / "file", tmp_path / name))
    assert (tmp_path / name).read_text() == "content"


def test_4_rmtree_does_not_follow_a_symlink_that_it_is_given(engine, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    with pytest.raises(OSError, match="link"):
        run(engine, engine.rmtree(tmp_path / "link"))
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]
    assert os.listdir(tmp_path / "folder") == ["file"]


def test_5_a_symlink_is_made_where_its_directory_descriptor_says(engine, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = os.open("folder", os.O_PATH | os.O_DIRECTORY)
    run(engine, engine.symlink("target", "link", dir_fd=folder))
    assert os.readlink("folder/link") == "target"
    os.close(folder)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, engine.symlink("target", "link", dir_fd=(1 << 31) - 1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, engine.rename("folder", "moved", dst_dir_fd=(1 << 31) - 1))
    assert os.listdir(tmp_path) == ["folder"]


def test_6_no_descriptor_is_lost(engine, tmp_path):
    for number in range(100):
        (tmp_path / f"file {number}").touch()
    before = descriptors()
    engine.open(tmp_path, os.O_RDONLY)  # nobody takes it
    finished = engine.open(tmp_path, os.O_RDONLY)
    until(finished, "finished")
    assert finished.cancel()
    for cancelled in [engine.listdir(tmp_path) for _ in range(5)] + [engine.scandir(tmp_path) for _ in range(5)]:
        cancelled.cancel()
    failing = [engine.listdir(tmp_path / "file 1"), engine.read_bytes(tmp_path), engine.read_bytes("/proc/self/mem")]
    engine.flush()
    for request in failing:
        with pytest.raises(OSError, match="Errno"):
            request.result()
    del finished
    deadline = time.monotonic() + 10
    while descriptors() > before:  # workers close what nobody waits for
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_7_files_without_a_size_and_offsets_beyond_the_end_are_read(engine, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    assert run(engine, engine.read_bytes("/proc/version")) == Path("/proc/version").read_bytes()
    assert run(engine, engine.read_bytes("/proc/version", 6)) == Path("/proc/version").read_bytes()[6:]
    assert run(engine, engine.read_bytes(tmp_path / "file", 100)) == b""
    assert run(engine, engine.read_bytes(tmp_path / "file", 100, 10)) == b""
    assert run(engine, engine.read_bytes(tmp_path / "file", -3)) == b"789"


@pytest.mark.parametrize("path", ["file\0", "file\0rest", b"\0"])
def test_8_a_path_with_a_nul_is_refused(engine, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for call in (engine.stat, engine.unlink, engine.read_bytes, engine.listdir, engine.listxattr, engine.realpath):
        with pytest.raises(ValueError, match="null"):
            call(path)
    assert engine.nreqs == 0
    assert os.listdir() == ["file"]


def test_9_one_of_the_times_can_be_left_alone_or_set_to_now(engine, tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.utime(path, ns=(1, 2))
    run(engine, engine.utime(path, ns=(anyaio.UTIME_OMIT, 5)))
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (1, 5)
    run(engine, engine.utime(path, ns=(3, anyaio.UTIME_NOW)))
    assert path.stat().st_atime_ns == 3
    assert abs(path.stat().st_mtime - time.time()) < 60


def test_10_closing_what_is_not_open_is_an_error_and_takes_no_number(engine):
    number = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 800)
    os.close(number)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        run(engine, engine.close(number))
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_11_every_exception_is_told_once_and_the_poll_goes_on(engine):
    told = []
    engine.on_error = lambda error, request: told.append((str(error), request.operation))

    def fail(request):
        raise RuntimeError(f"of the {request.operation}")

    answered = []
    group = engine.group(fail)
    group.add(engine.nop(fail))
    engine.nop(answered.append)
    engine.flush()
    assert sorted(told) == [("of the group", "group"), ("of the nop", "nop")]
    assert len(answered) == 1
    assert engine.nreqs == 0


def test_12_poll_counts_and_limits_are_exact(engine, pool):
    engine.max_outstanding = 2
    with held(pool):  # setting it to 0 has returned
        one = engine.nop()
        assert not engine.full
        other = engine.nop()
        assert engine.full
        assert other.cancel()
        assert not engine.full
    assert run(engine, one) is None
    engine.max_outstanding = 0
    requests = [engine.nop() for _ in range(7)]
    for request in requests:
        until(request, "finished")
    assert engine.poll() == 7
    assert engine.poll() == 0
    assert not is_readable(engine)


def test_13_a_request_is_in_one_group_and_a_cancelled_group_cancels_what_comes(engine, pool):
    called = []
    with held(pool):
        group, other = engine.group(), engine.group()
        (request,) = group.add(engine.nop(called.append))
        with pytest.raises(ValueError, match="in another group already"):
            other.add(request)
        other.add(engine.nop())
        other.cancel()
        (late,) = other.add(engine.nop(called.append))
        assert late.outcome.status == "never ran"
    engine.flush()
    assert called == [request]
    assert (group.state, other.state) == ("done", "done")


def test_14_munlockall_returns_nothing_and_an_ioctl_has_room_for_what_the_driver_writes(engine, pipe):
    assert anyaio.munlockall() is None
    os.write(pipe[1], b"12345")
    around = bytearray(b"........")
    assert run(engine, engine.ioctl(pipe[0], FIONREAD, memoryview(around)[2:3])) == 0
    assert around == b"..\5....."
    assert run(engine, engine.ioctl(pipe[0], FIONREAD, b"12345678")) == b"\5\0\0\x005678"


def test_15_nothing_is_not_mistaken_for_a_failure(engine, tmp_path):
    assert run(engine, engine.listdir(tmp_path)) == []
    assert run(engine, engine.split_dir(tmp_path)) == ([], [])
    assert run(engine, engine.nop()) is None
    for request in (engine.listdir(tmp_path / "missing"), engine.readlink(tmp_path), engine.split_dir("missing")):
        with pytest.raises(OSError, match="Errno"):
            run(engine, request)


def test_16_nobody_starves_and_nothing_recurses(engine):
    """What others feed goes on; of a nest of groups deeper than the stack the outermost ends too."""
    ended = []

    def endless(group):
        if not ended:
            group.add(engine.nop())

    fed = engine.group()
    fed.feed(endless, 64)
    deep = last = engine.group(lambda group: ended.append("deep"))
    for _ in range(5000):
        (last,) = last.add(engine.group())
    last.add(engine.nop())
    run(engine, deep)
    assert ended == ["deep"]
    engine.flush()
    assert fed.state == "done"

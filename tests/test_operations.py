"""Each operation: what it returns, and how it fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from engines import run

from anyaio import _ops


class Place(NamedTuple):
    """A directory with a file, a descriptor of that file, and one buffer to read into."""

    path: Path
    file: Path
    fd: int
    buffer: bytearray


@pytest.fixture
def place(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("file")
    fd = os.open(file, os.O_RDWR)
    yield Place(tmp_path, file, fd, bytearray(4))
    os.close(fd)


Call = Callable[[Any, Place], Any]

# name, the call, what it returns, what must hold then
GOOD: list[tuple[str, Call, Any, Callable[[Place], Any]]] = [
    ("nop", lambda e, p: e.nop(), None, lambda p: True),
    ("busy", lambda e, p: e.busy(0.001), None, lambda p: True),
    ("busy", lambda e, p: e.busy(-1), None, lambda p: True),
    ("close", lambda e, p: e.close(os.dup(p.fd)), None, lambda p: True),
    ("lseek", lambda e, p: e.lseek(p.fd, -3, os.SEEK_END), 7, lambda p: os.read(p.fd, 9) == b"789"),
    ("read", lambda e, p: e.read(p.fd, 4), b"0123", lambda p: os.read(p.fd, 1) == b"4"),
    ("read", lambda e, p: e.read(p.fd, 1 << 60), b"0123456789", lambda p: True),
    ("read", lambda e, p: e.read(p.fd, 0), b"", lambda p: True),
    ("pread", lambda e, p: e.pread(p.fd, 4, 3), b"3456", lambda p: os.read(p.fd, 1) == b"0"),
    ("pread", lambda e, p: e.pread(p.fd, 4, 100), b"", lambda p: True),
    ("pread", lambda e, p: e.pread(p.fd, 1 << 62, 8), b"89", lambda p: True),
    ("readv", lambda e, p: e.readv(p.fd, [p.buffer]), 4, lambda p: p.buffer == b"0123"),
    ("preadv", lambda e, p: e.preadv(p.fd, [p.buffer], 2), 4, lambda p: p.buffer == b"2345"),
    ("preadv", lambda e, p: e.preadv(p.fd, [], 2), 0, lambda p: True),
    ("write", lambda e, p: e.write(p.fd, b"ab"), 2, lambda p: p.file.read_bytes() == b"ab23456789"),
    ("pwrite", lambda e, p: e.pwrite(p.fd, memoryview(b"xabx")[1:3], 8), 2, lambda p: p.file.read_bytes()[8:] == b"ab"),
    ("writev", lambda e, p: e.writev(p.fd, (b"a", bytearray(b"b"))), 2, lambda p: p.file.read_bytes()[:3] == b"ab2"),
    ("pwritev", lambda e, p: e.pwritev(p.fd, [b"a", b"b"], 1), 2, lambda p: p.file.read_bytes()[:4] == b"0ab3"),
    ("fsync", lambda e, p: e.fsync(p.fd), None, lambda p: True),
    ("fdatasync", lambda e, p: e.fdatasync(p.fd), None, lambda p: True),
    ("readlink", lambda e, p: e.readlink(p.path / "link"), "file", lambda p: True),
    ("readlink", lambda e, p: e.readlink(os.fsencode(p.path / "link")), b"file", lambda p: True),
    ("unlink", lambda e, p: e.unlink(p.file), None, lambda p: not p.file.exists()),
    ("mkdir", lambda e, p: e.mkdir(p.path / "new"), None, lambda p: (p.path / "new").is_dir()),
    ("rmdir", lambda e, p: e.rmdir(p.path / "dir"), None, lambda p: not (p.path / "dir").exists()),
    ("rename", lambda e, p: e.rename(p.file, p.path / "new"), None, lambda p: (p.path / "new").exists()),
    (
        "rename",
        lambda e, p: e.rename(p.file, p.path / "dir", flags=2),  # RENAME_EXCHANGE
        None,
        lambda p: p.file.is_dir() and (p.path / "dir").is_file(),
    ),
    ("pathsync", lambda e, p: e.pathsync(p.path), None, lambda p: True),
    ("listdir", lambda e, p: e.listdir(p.path / "dir"), [], lambda p: True),
    ("scandir", lambda e, p: e.scandir(p.path / "dir"), [], lambda p: True),
]


@pytest.mark.parametrize(("name", "call", "expected", "holds"), GOOD)
def test_an_operation_returns_what_it_should(engine, place, name, call, expected, holds):
    request = call(engine, place)
    assert request.operation == name
    assert run(engine, request) == expected
    assert holds(place)


def test_open_returns_a_descriptor_that_is_not_inherited(engine, place):
    fd = run(engine, engine.open(place.file, os.O_RDONLY))
    assert (os.read(fd, 2), os.get_inheritable(fd)) == (b"01", False)
    os.close(fd)


def test_open_obeys_mode_and_umask(engine, place):
    old = os.umask(0o027)
    try:
        os.close(run(engine, engine.open(place.path / "new", os.O_CREAT | os.O_WRONLY, 0o666)))
    finally:
        os.umask(old)
    assert (place.path / "new").stat().st_mode & 0o777 == 0o640


STATS: list[tuple[Call, Callable[[Place], os.stat_result]]] = [
    (lambda e, p: e.stat(p.path / "link"), lambda p: os.stat(p.file)),
    (lambda e, p: e.stat(p.path / "link", follow_symlinks=False), lambda p: os.lstat(p.path / "link")),
    (lambda e, p: e.stat(p.fd), lambda p: os.stat(p.file)),
    (lambda e, p: e.lstat(p.path / "link"), lambda p: os.lstat(p.path / "link")),
    (lambda e, p: e.fstat(p.fd), lambda p: os.fstat(p.fd)),
    (lambda e, p: e.stat("/dev/null"), lambda p: os.stat("/dev/null")),
]


@pytest.mark.parametrize(("call", "twin"), STATS)
def test_a_status_equals_that_of_os_field_by_field(engine, place, call, twin):
    found, expected = run(engine, call(engine, place)), twin(place)
    assert type(found) is os.stat_result
    fields = [name for name in dir(expected) if name.startswith("st_")]
    assert {name: getattr(found, name) for name in fields} == {name: getattr(expected, name) for name in fields}
    assert tuple(found) == tuple(expected)


BELOW: list[tuple[Call, Any]] = [
    (lambda e, fd: e.stat("file", dir_fd=fd), "st_size"),
    (lambda e, fd: e.lstat("link", dir_fd=fd), "st_size"),
    (lambda e, fd: e.listdir("dir", dir_fd=fd), []),
    (lambda e, fd: e.scandir("dir", dir_fd=fd), []),
    (lambda e, fd: e.readlink("link", dir_fd=fd), "file"),
    (lambda e, fd: e.unlink("file", dir_fd=fd), None),
    (lambda e, fd: e.mkdir("new", dir_fd=fd), None),
    (lambda e, fd: e.rmdir("dir", dir_fd=fd), None),
    (lambda e, fd: e.rename("file", "new", src_dir_fd=fd, dst_dir_fd=fd), None),
    (lambda e, fd: e.rename("file", "dir", src_dir_fd=fd, dst_dir_fd=fd, flags=2), None),
    (lambda e, fd: e.pathsync("dir", dir_fd=fd), None),
]


@pytest.mark.parametrize(("call", "expected"), BELOW)
def test_a_path_may_start_at_a_directory_descriptor(engine, place, call, expected):
    fd = os.open(place.path, os.O_RDONLY | os.O_DIRECTORY)
    result = run(engine, call(engine, fd))
    os.close(fd)
    assert hasattr(result, expected) if isinstance(result, os.stat_result) else result == expected


def test_open_may_start_at_a_directory_descriptor(engine, place):
    directory = os.open(place.path, os.O_PATH)
    fd = run(engine, engine.open("file", os.O_RDONLY, dir_fd=directory))
    os.close(directory)
    os.close(fd)


MISSING = "/nowhere/to/be/found"

BAD: list[tuple[str, Call, type[OSError], Any]] = [
    ("open", lambda e, p: e.open(MISSING, os.O_RDONLY), FileNotFoundError, MISSING),
    ("close", lambda e, p: e.close(99999), OSError, None),
    ("lseek", lambda e, p: e.lseek(p.fd, -1, os.SEEK_SET), OSError, None),
    ("read", lambda e, p: e.read(99999, 1), OSError, None),
    ("read", lambda e, p: e.read(p.fd, -1), OSError, None),
    ("pread", lambda e, p: e.pread(p.fd, -1, 0), OSError, None),
    ("pread", lambda e, p: e.pread(p.fd, 1, -1), OSError, None),
    ("readv", lambda e, p: e.readv(99999, [p.buffer]), OSError, None),
    ("preadv", lambda e, p: e.preadv(p.fd, [p.buffer], -2), OSError, None),
    ("write", lambda e, p: e.write(99999, b"x"), OSError, None),
    ("pwrite", lambda e, p: e.pwrite(p.fd, b"x", -1), OSError, None),
    ("writev", lambda e, p: e.writev(99999, [b"x"]), OSError, None),
    ("pwritev", lambda e, p: e.pwritev(p.fd, [b"x"], -2), OSError, None),
    ("fsync", lambda e, p: e.fsync(99999), OSError, None),
    ("fdatasync", lambda e, p: e.fdatasync(99999), OSError, None),
    ("stat", lambda e, p: e.stat(MISSING), FileNotFoundError, MISSING),
    ("stat", lambda e, p: e.stat(99999), OSError, 99999),
    ("lstat", lambda e, p: e.lstat(MISSING), FileNotFoundError, MISSING),
    ("fstat", lambda e, p: e.fstat(99999), OSError, None),
    ("listdir", lambda e, p: e.listdir(MISSING), FileNotFoundError, MISSING),
    ("scandir", lambda e, p: e.scandir(MISSING), FileNotFoundError, MISSING),
    ("readlink", lambda e, p: e.readlink("/"), OSError, "/"),
    ("unlink", lambda e, p: e.unlink(MISSING), FileNotFoundError, MISSING),
    ("mkdir", lambda e, p: e.mkdir("/"), FileExistsError, "/"),
    ("rmdir", lambda e, p: e.rmdir(MISSING), FileNotFoundError, MISSING),
    ("rename", lambda e, p: e.rename(MISSING, "/x"), FileNotFoundError, MISSING),
    ("rename", lambda e, p: e.rename(MISSING, "/x", flags=1), FileNotFoundError, MISSING),
    ("pathsync", lambda e, p: e.pathsync("/proc/self/status"), OSError, "/proc/self/status"),
]


@pytest.mark.parametrize(("name", "call", "kind", "filename"), BAD)
def test_an_operation_fails_as_os_does(engine, place, name, call, kind, filename):
    request = call(engine, place)
    assert request.operation == name
    for _ in range(2):  # a result can be asked for again
        with pytest.raises(kind) as caught:
            run(engine, request)
    assert caught.value.errno > 0
    assert caught.value.strerror == os.strerror(caught.value.errno)
    assert caught.value.filename == filename
    assert request.outcome.status == "failed"
    assert request.outcome.error is caught.value


def test_every_operation_is_tested_both_ways():
    names = {row.name for row in _ops.OPERATIONS}
    assert names - {row[0] for row in GOOD} == {"open", "stat", "lstat", "fstat"}  # these have tests of their own
    assert names - {row[0] for row in BAD} == {"nop", "busy"}  # cannot fail


def test_an_error_carries_the_callers_own_path_objects(engine, tmp_path):
    source, target = tmp_path / "missing", tmp_path / "target"
    with pytest.raises(FileNotFoundError) as caught:
        run(engine, engine.rename(source, target))
    assert caught.value.filename is source
    assert caught.value.filename2 is target


def test_the_message_of_an_error_names_one_path_if_there_is_one(engine):
    with pytest.raises(FileNotFoundError) as caught:
        run(engine, engine.rmdir(MISSING))
    assert str(caught.value) == f"[Errno 2] No such file or directory: {MISSING!r}"


def test_a_rename_that_must_not_replace_does_not(engine, place):
    (place.path / "new").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        run(engine, engine.rename(place.file, place.path / "new", flags=1))  # RENAME_NOREPLACE
    assert (place.path / "new").read_bytes() == b"kept"


# ---- what may wait ----


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
    data = bytes(range(256)) * 1024  # more than a pipe holds
    request = engine.write(pipe[1], data)
    received = b""
    while len(received) < len(data):
        received += run(engine, engine.read(pipe[0], 1 << 16))
    assert run(engine, request) == len(data)
    assert received == data


def test_several_readers_of_one_pipe_share_what_comes(engine, pipe):
    requests = [engine.read(pipe[0], 1) for _ in range(4)]
    os.write(pipe[1], b"abcd")
    assert sorted(run(engine, request) for request in requests) == [b"a", b"b", b"c", b"d"]

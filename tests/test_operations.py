"""Each operation: what it returns, and how it fails. What is special about some of them is in test_operations_*.py."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import termios
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

TEN = (10).to_bytes(4, sys.byteorder)
MISSING = "/nowhere/to/be/found"


def is_locked(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


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
    ("sendfile", lambda e, p: e.sendfile(p.fd, p.fd, 4, 3), 3, lambda p: p.file.read_bytes() == b"4563456789"),
    (
        "copy_file_range",
        lambda e, p: e.copy_file_range(p.fd, p.fd, 2, 8, 0),
        2,
        lambda p: os.pread(p.fd, 3, 0) == b"892",
    ),
    ("readahead", lambda e, p: e.readahead(p.fd, 0, 10), None, lambda p: True),
    ("posix_fadvise", lambda e, p: e.posix_fadvise(p.fd, 0, 0, os.POSIX_FADV_WILLNEED), None, lambda p: True),
    ("fallocate", lambda e, p: e.fallocate(p.fd, 0, 0, 99), None, lambda p: p.file.stat().st_size == 99),
    ("ftruncate", lambda e, p: e.ftruncate(p.fd, 3), None, lambda p: p.file.read_bytes() == b"012"),
    ("fcntl", lambda e, p: e.fcntl(p.fd, fcntl.F_GETFD), fcntl.FD_CLOEXEC, lambda p: True),
    ("ioctl", lambda e, p: e.ioctl(p.fd, termios.FIONREAD, bytes(4)), TEN, lambda p: True),
    ("fchmod", lambda e, p: e.fchmod(p.fd, 0o604), None, lambda p: p.file.stat().st_mode & 0o777 == 0o604),
    ("fchown", lambda e, p: e.fchown(p.fd, os.getuid(), -1), None, lambda p: p.file.stat().st_uid == os.getuid()),
    ("syncfs", lambda e, p: e.syncfs(p.fd), None, lambda p: True),
    ("sync_file_range", lambda e, p: e.sync_file_range(p.fd, 0, 0, 7), None, lambda p: True),
    ("sync", lambda e, p: e.sync(), None, lambda p: True),
    ("flock", lambda e, p: e.flock(p.fd, fcntl.LOCK_EX), None, lambda p: is_locked(p.file)),
    ("lockf", lambda e, p: e.lockf(p.fd, fcntl.LOCK_EX), None, lambda p: True),
    ("ofd_lock", lambda e, p: e.ofd_lock(p.fd, fcntl.LOCK_EX), None, lambda p: True),
    ("access", lambda e, p: e.access(p.file, os.R_OK), True, lambda p: True),
    ("access", lambda e, p: e.access(MISSING, os.F_OK), False, lambda p: True),
    ("chmod", lambda e, p: e.chmod(p.file, 0o604), None, lambda p: p.file.stat().st_mode & 0o777 == 0o604),
    ("chmod", lambda e, p: e.chmod(p.fd, 0o604), None, lambda p: p.file.stat().st_mode & 0o777 == 0o604),
    ("chown", lambda e, p: e.chown(p.file, -1, os.getgid()), None, lambda p: p.file.stat().st_gid == os.getgid()),
    ("lchown", lambda e, p: e.lchown(p.path / "link", -1, -1), None, lambda p: True),
    ("truncate", lambda e, p: e.truncate(p.file, 12), None, lambda p: p.file.read_bytes() == b"0123456789\0\0"),
    ("truncate", lambda e, p: e.truncate(p.fd, 1), None, lambda p: p.file.read_bytes() == b"0"),
    ("utime", lambda e, p: e.utime(p.file, ns=(5, 7)), None, lambda p: p.file.stat().st_mtime_ns == 7),
    ("realpath", lambda e, p: e.realpath("/"), "/", lambda p: True),
    ("remove", lambda e, p: e.remove(p.file), None, lambda p: not p.file.exists()),
    ("makedirs", lambda e, p: e.makedirs(p.path / "a/b"), None, lambda p: (p.path / "a/b").is_dir()),
    ("mknod", lambda e, p: e.mknod(p.path / "new"), None, lambda p: (p.path / "new").read_bytes() == b""),
    ("mkfifo", lambda e, p: e.mkfifo(p.path / "new"), None, lambda p: stat.S_ISFIFO((p.path / "new").stat().st_mode)),
    ("link", lambda e, p: e.link(p.file, p.path / "new"), None, lambda p: p.file.stat().st_nlink == 2),
    ("symlink", lambda e, p: e.symlink("x", p.path / "new"), None, lambda p: os.readlink(p.path / "new") == "x"),
    ("replace", lambda e, p: e.replace(p.file, p.path / "new"), None, lambda p: not p.file.exists()),
    ("read_bytes", lambda e, p: e.read_bytes(p.file), b"0123456789", lambda p: True),
    ("write_bytes", lambda e, p: e.write_bytes(p.file, b"new"), 3, lambda p: p.file.read_bytes() == b"new"),
    ("msync", lambda e, p: e.msync(p.buffer), None, lambda p: True),
    ("mtouch", lambda e, p: e.mtouch(p.buffer), None, lambda p: p.buffer == bytes(4)),
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
    (lambda e, fd: e.access("file", os.F_OK, dir_fd=fd), True),
    (lambda e, fd: e.chmod("file", 0o600, dir_fd=fd), None),
    (lambda e, fd: e.chown("file", -1, -1, dir_fd=fd), None),
    (lambda e, fd: e.lchown("link", -1, -1, dir_fd=fd), None),
    (lambda e, fd: e.truncate("file", 5, dir_fd=fd), None),
    (lambda e, fd: e.utime("file", dir_fd=fd), None),
    (lambda e, fd: e.statvfs("file", dir_fd=fd), "f_bsize"),
    (lambda e, fd: e.statx("file", dir_fd=fd), "stx_size"),
    (lambda e, fd: e.remove("file", dir_fd=fd), None),
    (lambda e, fd: e.makedirs("new/er", dir_fd=fd), None),
    (lambda e, fd: e.mknod("new", dir_fd=fd), None),
    (lambda e, fd: e.mkfifo("new", dir_fd=fd), None),
    (lambda e, fd: e.link("file", "new", src_dir_fd=fd, dst_dir_fd=fd), None),
    (lambda e, fd: e.symlink("file", "new", dir_fd=fd), None),
    (lambda e, fd: e.replace("file", "new", src_dir_fd=fd, dst_dir_fd=fd), None),
    (lambda e, fd: e.read_bytes("file", 8, dir_fd=fd), b"89"),
    (lambda e, fd: e.write_bytes("new", b"new", dir_fd=fd), 3),
]


@pytest.mark.parametrize(("call", "expected"), BELOW)
def test_a_path_may_start_at_a_directory_descriptor(engine, place, call, expected):
    fd = os.open(place.path, os.O_RDONLY | os.O_DIRECTORY)
    result = run(engine, call(engine, fd))
    os.close(fd)
    assert hasattr(result, expected) if isinstance(expected, str) and result != expected else result == expected


def test_open_may_start_at_a_directory_descriptor(engine, place):
    directory = os.open(place.path, os.O_PATH)
    fd = run(engine, engine.open("file", os.O_RDONLY, dir_fd=directory))
    os.close(directory)
    os.close(fd)


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
    ("sendfile", lambda e, p: e.sendfile(99999, p.fd, 0, 1), OSError, None),
    ("sendfile", lambda e, p: e.sendfile(p.fd, p.fd, 0, -1), OSError, None),
    ("copy_file_range", lambda e, p: e.copy_file_range(p.fd, 99999, 1), OSError, None),
    ("copy_file_range", lambda e, p: e.copy_file_range(p.fd, p.fd, -1), OSError, None),
    ("splice", lambda e, p: e.splice(p.fd, p.fd, 1), OSError, None),
    ("splice", lambda e, p: e.splice(99999, p.fd, 1), OSError, None),
    ("tee", lambda e, p: e.tee(p.fd, p.fd, 1), OSError, None),
    ("readahead", lambda e, p: e.readahead(99999, 0, 1), OSError, None),
    ("posix_fadvise", lambda e, p: e.posix_fadvise(p.fd, 0, 0, 99), OSError, None),
    ("fallocate", lambda e, p: e.fallocate(p.fd, 0, 0, 0), OSError, None),
    ("ftruncate", lambda e, p: e.ftruncate(p.fd, -1), OSError, None),
    ("fcntl", lambda e, p: e.fcntl(p.fd, 9999), OSError, None),
    ("ioctl", lambda e, p: e.ioctl(p.fd, 0xFFFFFFFF), OSError, None),
    ("fiemap", lambda e, p: e.fiemap(99999), OSError, None),
    ("fchmod", lambda e, p: e.fchmod(-1, 0), OSError, None),
    ("fchown", lambda e, p: e.fchown(99999, -1, -1), OSError, None),
    ("syncfs", lambda e, p: e.syncfs(99999), OSError, None),
    ("sync_file_range", lambda e, p: e.sync_file_range(p.fd, -1, 0, 0), OSError, None),
    ("flock", lambda e, p: e.flock(p.fd, fcntl.LOCK_SH | fcntl.LOCK_EX), OSError, None),
    ("lockf", lambda e, p: e.lockf(-1, fcntl.LOCK_EX), OSError, None),
    ("ofd_lock", lambda e, p: e.ofd_lock(p.fd, fcntl.LOCK_EX, 0, 0, 9), OSError, None),
    ("statx", lambda e, p: e.statx(MISSING), FileNotFoundError, MISSING),
    ("statvfs", lambda e, p: e.statvfs(MISSING), FileNotFoundError, MISSING),
    ("utime", lambda e, p: e.utime(MISSING), FileNotFoundError, MISSING),
    ("chmod", lambda e, p: e.chmod(MISSING, 0), FileNotFoundError, MISSING),
    ("chown", lambda e, p: e.chown(MISSING, -1, -1), FileNotFoundError, MISSING),
    ("lchown", lambda e, p: e.lchown(MISSING, -1, -1), FileNotFoundError, MISSING),
    ("truncate", lambda e, p: e.truncate(MISSING, 0), FileNotFoundError, MISSING),
    ("getxattr", lambda e, p: e.getxattr(MISSING, "user.x"), FileNotFoundError, MISSING),
    ("listxattr", lambda e, p: e.listxattr(MISSING), FileNotFoundError, MISSING),
    ("setxattr", lambda e, p: e.setxattr(MISSING, "user.x", b""), FileNotFoundError, MISSING),
    ("removexattr", lambda e, p: e.removexattr(MISSING, "user.x"), FileNotFoundError, MISSING),
    ("realpath", lambda e, p: e.realpath(MISSING), FileNotFoundError, MISSING),
    ("remove", lambda e, p: e.remove(MISSING), FileNotFoundError, MISSING),
    ("makedirs", lambda e, p: e.makedirs("/"), FileExistsError, "/"),
    ("mknod", lambda e, p: e.mknod("/"), FileExistsError, "/"),
    ("mkfifo", lambda e, p: e.mkfifo("/"), FileExistsError, "/"),
    ("link", lambda e, p: e.link(MISSING, "/x"), FileNotFoundError, MISSING),
    ("link", lambda e, p: e.link(MISSING, "/x", follow_symlinks=True), FileNotFoundError, MISSING),
    ("symlink", lambda e, p: e.symlink(MISSING, "/"), FileExistsError, MISSING),
    ("replace", lambda e, p: e.replace(MISSING, "/x"), FileNotFoundError, MISSING),
    ("read_bytes", lambda e, p: e.read_bytes("/"), IsADirectoryError, "/"),
    ("write_bytes", lambda e, p: e.write_bytes("/", b""), IsADirectoryError, "/"),
    ("msync", lambda e, p: e.msync(p.buffer, flags=1 << 20), OSError, None),
    ("mtouch", lambda e, p: e.mtouch(p.buffer, flags=2), OSError, None),
    ("mlockall", lambda e, p: e.mlockall(0), OSError, None),
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
    names = {row.name for row in _ops.public_operations()}
    attributes = {"getxattr", "listxattr", "setxattr", "removexattr"}
    apart = {"open", "stat", "lstat", "fstat", "statx", "statvfs", "splice", "tee", "fiemap", "mlock", "mlockall"}
    assert names - {row[0] for row in GOOD} == apart | attributes  # these have tests of their own
    assert names - {row[0] for row in BAD} == {"nop", "busy", "sync", "access", "mlock"}  # cannot be made to fail


@pytest.mark.parametrize("fd", [-1, -100])
@pytest.mark.parametrize(
    "call",
    [
        lambda e, fd: e.statx(fd),
        lambda e, fd: e.statvfs(fd),
        lambda e, fd: e.utime(fd),
        lambda e, fd: e.chmod(fd, 0o700),
        lambda e, fd: e.chown(fd, -1, -1),
        lambda e, fd: e.truncate(fd, 0),
        lambda e, fd: e.getxattr(fd, "user.x"),
        lambda e, fd: e.listxattr(fd),
        lambda e, fd: e.setxattr(fd, "user.x", b""),
        lambda e, fd: e.removexattr(fd, "user.x"),
    ],
)
def test_a_negative_descriptor_is_a_wrong_one_and_not_the_current_directory(engine, call, fd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        run(engine, call(engine, fd))
    assert caught.value.filename == fd


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

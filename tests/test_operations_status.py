"""What is special about operations on a file's status: statx, statvfs, utime, chmod, truncate, extended attributes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

import pytest
from engines import run

from anyaio._constants import UTIME_NOW, UTIME_OMIT
from anyaio._results import Statx

STATX_MTIME, STATX_BTIME, STATX_MNT_ID = 0x40, 0x800, 0x1000  # <linux/stat.h>


@pytest.fixture
def file(tmp_path):
    """A file with a link to it beside."""
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    return tmp_path / "file"


@pytest.fixture
def folder(tmp_path) -> Iterator[int]:
    """A descriptor of the directory that cannot be read by."""
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


# ---- statx and statvfs ----


def test_statx_equals_stat_where_both_tell_the_same(engine, file):
    os.utime(file, ns=(-1, 10**9 + 1))  # before the epoch, too
    found, status = run(engine, engine.statx(file)), os.stat(file)
    assert type(found) is Statx
    for name in ("mode", "ino", "dev", "nlink", "uid", "gid", "size", "atime_ns", "mtime_ns", "ctime_ns", "blocks"):
        assert getattr(found, f"stx_{name}") == getattr(status, f"st_{name}"), name
    assert (found.stx_blksize, found.stx_rdev) == (status.st_blksize, status.st_rdev)
    assert run(engine, engine.statx("/dev/null")).stx_rdev == os.stat("/dev/null").st_rdev


def test_statx_tells_when_a_file_was_made(engine, tmp_path):
    before = time.time_ns() - 10**9  # clocks of file systems are coarse
    (tmp_path / "new").touch()
    os.utime(tmp_path / "new", ns=(0, 0))
    found = run(engine, engine.statx(tmp_path / "new"))
    if not found.stx_mask & STATX_BTIME:
        pytest.skip("this file system keeps no birth times")
    assert before <= found.stx_btime_ns <= time.time_ns() + 10**9
    assert found.stx_btime == found.stx_btime_ns * 1e-9
    assert found.stx_mtime == 0


def test_statx_tells_the_mount_if_asked(engine, file):
    found = run(engine, engine.statx(file, mask=STATX_MNT_ID))
    if not found.stx_mask & STATX_MNT_ID:
        pytest.skip("the kernel tells no mounts: it is older than Linux 5.8")
    with open(f"/proc/self/fdinfo/{(fd := os.open(file, os.O_RDONLY))}") as info:
        assert f"mnt_id:\t{found.stx_mnt_id}\n" in info.readlines()
    os.close(fd)


def test_statx_takes_links_and_descriptors(engine, file, folder):
    target, link = os.stat(file).st_ino, os.lstat(file.parent / "link").st_ino
    fd = os.open(file, os.O_PATH)
    assert run(engine, engine.statx(file.parent / "link")).stx_ino == target
    assert run(engine, engine.statx("link", follow_symlinks=False, dir_fd=folder)).stx_ino == link
    assert run(engine, engine.statx(fd)).stx_ino == target
    os.close(fd)


def test_statvfs_equals_that_of_os(engine, file, folder):
    expected = os.statvfs(file)
    for path, options in ((file, {}), (folder, {}), ("file", {"dir_fd": folder})):
        found = run(engine, engine.statvfs(path, **options))
        assert type(found) is os.statvfs_result
        for name in ("f_bsize", "f_frsize", "f_blocks", "f_fsid", "f_namemax", "f_flag"):
            assert getattr(found, name) == getattr(expected, name), name


# ---- utime ----


def times(path):
    status = os.lstat(path)
    return status.st_atime_ns, status.st_mtime_ns


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ns": (3, 5 * 10**9 + 7)}, (3, 5 * 10**9 + 7)),
        ({"ns": (-1, -(10**9) - 1)}, (-1, -(10**9) - 1)),
        ({"times": (3, 5)}, (3 * 10**9, 5 * 10**9)),
        ({"times": (1.25, -0.25)}, (1_250_000_000, -250_000_000)),
        ({"ns": (UTIME_OMIT, 7)}, (1, 7)),
        ({"ns": (7, UTIME_OMIT)}, (7, 2)),
        ({"ns": (UTIME_OMIT, UTIME_OMIT)}, (1, 2)),
    ],
)
def test_utime_sets_what_it_is_told(engine, file, options, expected):
    os.utime(file, ns=(1, 2))
    run(engine, engine.utime(file, **options))
    assert times(file) == expected


def test_utime_rounds_as_os_does(engine, file):
    for seconds in (1e-10, -1e-10, 1.1, -1.1, 1234567890.123456, 0.9999999999):
        os.utime(file, (seconds, seconds))
        expected = times(file)
        run(engine, engine.utime(file, (seconds, seconds)))
        assert times(file) == expected, seconds


@pytest.mark.parametrize("given", [{}, {"times": None}, {"ns": (UTIME_NOW, UTIME_NOW)}])
def test_utime_without_times_is_now(engine, file, given):
    os.utime(file, ns=(1, 2))
    before = time.time_ns() - 10**9
    run(engine, engine.utime(file, **given))
    assert all(before < each < time.time_ns() + 10**9 for each in times(file))


def test_utime_sets_one_side_to_now_and_leaves_the_other(engine, file, folder):
    os.utime(file, ns=(1, 2))
    run(engine, engine.utime("file", ns=(UTIME_NOW, UTIME_OMIT), dir_fd=folder))
    atime, mtime = times(file)
    assert (atime > 10**18, mtime) == (True, 2)


def test_utime_of_a_descriptor_and_of_a_symlink_itself(engine, file):
    link = file.parent / "link"
    with open(file) as opened:
        run(engine, engine.utime(opened.fileno(), ns=(1, UTIME_OMIT)))
    run(engine, engine.utime(link, ns=(UTIME_OMIT, 4), follow_symlinks=False))
    run(engine, engine.utime(link, ns=(3, 4), follow_symlinks=False))
    assert (times(file)[0], times(link)) == (1, (3, 4))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda e: e.utime("f", (1, 2), ns=(1, 2)), ValueError, "either 'times' or 'ns' but not both"),
        (lambda e: e.utime("f", 5), TypeError, "times"),
        (lambda e: e.utime("f", (1,)), TypeError, "times"),
        (lambda e: e.utime("f", ns=[1, 2]), TypeError, "tuple of two ints"),
        (lambda e: e.utime("f", ns=(1.0, 2)), TypeError, "ints"),
        (lambda e: e.utime("f", (1 << 64, 0)), OverflowError, "utime"),
        (lambda e: e.utime("f", (1e300, 0)), OverflowError, "out of range"),
        (lambda e: e.utime("f", ns=(UTIME_NOW + 1, 0)), OverflowError, "utime"),
        (lambda e: e.utime("f", (float("nan"), 0)), ValueError, "(?i)nan"),
        (lambda e: e.utime(0, follow_symlinks=False), ValueError, "follow_symlinks"),
        (lambda e: e.chown("f", 1 << 32, 0), OverflowError, "chown: uid"),
        (lambda e: e.chown("f", 0, -2), OverflowError, "chown: gid"),
        (lambda e: e.mknod("f", 0, -1), OverflowError, "mknod: device"),
        (lambda e: e.statx("f", mask=1 << 32), OverflowError, "statx: mask"),
        (lambda e: e.getxattr("f", "user.a\0b"), ValueError, "null"),
        (lambda e: e.getxattr("f", 5), TypeError, "getxattr: attribute"),
        (lambda e: e.listxattr(1.5), TypeError, "listxattr: path"),
        (lambda e: e.ioctl(0, 0, "text"), TypeError, "ioctl: arg"),
        (lambda e: e.fcntl(0, 0, 1 << 32), OverflowError, "fcntl: arg"),
    ],
)
def test_a_wrong_argument_is_told_at_once(engine, call, kind, text):
    with pytest.raises(kind, match=text):
        call(engine)
    assert engine.nreqs == 0


# ---- chmod and truncate ----


def test_chmod_of_a_symlink_itself_is_not_supported(engine, file):
    before = os.stat(file).st_mode
    with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
        run(engine, engine.chmod(file.parent / "link", 0o600, follow_symlinks=False))
    assert os.stat(file).st_mode == before
    run(engine, engine.chmod(file, 0o606, follow_symlinks=False))  # what is none has
    assert os.stat(file).st_mode & 0o777 == 0o606


def test_truncate_by_a_directory_descriptor_is_that_of_the_kernel(engine, file, folder):
    os.mkfifo(file.parent / "fifo")
    run(engine, engine.truncate("link", 4, dir_fd=folder))
    assert file.read_bytes() == b"0123"
    for name, number in ((".", errno.EISDIR), ("fifo", errno.EINVAL), ("missing", errno.ENOENT)):
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            run(engine, engine.truncate(name, 0, dir_fd=folder))
        assert caught.value.filename is name


# ---- extended attributes ----


@pytest.fixture
def attributed(file):
    """A file with an attribute."""
    try:
        os.setxattr(file, "user.color", b"blue")
    except OSError as error:
        pytest.skip(f"no extended attributes on this file system: {error}")
    return file


@pytest.mark.parametrize("way", ["path", "link", "bytes", "descriptor", "dir_fd"])
def test_extended_attributes_are_read_and_written(engine, attributed, folder, way):
    fd = os.open(attributed, os.O_RDONLY)
    path, options = {
        "path": (attributed, {}),
        "link": (attributed.parent / "link", {"follow_symlinks": True}),
        "bytes": (os.fsencode(attributed), {"follow_symlinks": False}),
        "descriptor": (fd, {}),
        "dir_fd": ("link", {"dir_fd": folder}),
    }[way]
    assert run(engine, engine.getxattr(path, "user.color", **options)) == b"blue"
    assert run(engine, engine.setxattr(path, b"user.size", bytearray(b"x" * 1000), **options)) is None
    assert sorted(run(engine, engine.listxattr(path, **options))) == ["user.color", "user.size"]
    assert run(engine, engine.getxattr(path, os.fsencode("user.size"), **options)) == b"x" * 1000
    assert run(engine, engine.removexattr(path, "user.color", **options)) is None
    assert os.listxattr(attributed) == ["user.size"]
    os.close(fd)


def test_extended_attributes_of_a_symlink_itself_are_others(engine, attributed, folder):
    for path, options in ((attributed.parent / "link", {}), ("link", {"dir_fd": folder})):
        assert run(engine, engine.listxattr(path, follow_symlinks=False, **options)) == []
        with pytest.raises(PermissionError):  # a symlink may have none of users
            run(engine, engine.setxattr(path, "user.color", b"red", follow_symlinks=False, **options))


def test_the_flags_of_setxattr_are_obeyed(engine, attributed):
    with pytest.raises(FileExistsError):
        run(engine, engine.setxattr(attributed, "user.color", b"red", os.XATTR_CREATE))
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)) as caught:
        run(engine, engine.setxattr(attributed, "user.other", b"red", os.XATTR_REPLACE))
    assert caught.value.filename is attributed


def test_the_attributes_of_none_are_those_of_the_current_directory(engine, attributed, monkeypatch):
    os.setxattr(attributed.parent, "user.here", b"")
    monkeypatch.chdir(attributed.parent)
    assert run(engine, engine.listxattr()) == ["user.here"]
    assert run(engine, engine.listxattr(None, follow_symlinks=False)) == ["user.here"]

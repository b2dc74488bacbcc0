"""What the inline lane answers: results and errors equal those of `os`, and what is not cached goes to the pool."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import mmap
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lanes
import pytest
from engines import run, until
from lanes import lane_of, raised_by, same_error, warm

from anyaio._front import engine_class

backend, lane, file, fd = lanes.backend, lanes.lane, lanes.file, lanes.fd
libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE
HALF_CACHED = 1 << 20
TMPFS = "/dev/shm"

# ---- what is answered at once ----


def test_what_is_cached_is_answered_at_once(lane, file, fd):
    link = file.with_name("link")
    link.symlink_to("file")
    soon = time.time() + 60
    os.utime(link, (soon, soon - 120), follow_symlinks=False)  # who follows it then need not note when
    expected = {
        "stat": (lambda: lane.stat(link), os.stat(link)),
        "stat of a descriptor": (lambda: lane.stat(fd), os.stat(fd)),
        "stat of a link": (lambda: lane.stat(link, follow_symlinks=False), os.lstat(link)),
        "lstat": (lambda: lane.lstat(link), os.lstat(link)),
        "fstat": (lambda: lane.fstat(fd), os.fstat(fd)),
        "pread": (lambda: lane.pread(fd, 4096, 5), os.pread(fd, 4096, 5)),
        "pread of nothing": (lambda: lane.pread(fd, 0, 0), b""),
        "pread up to the end": (lambda: lane.pread(fd, 1 << 20, 9990), b"0123456789"),
        "pread past the end": (lambda: lane.pread(fd, 10, 1 << 40), b""),
        "lseek": (lambda: lane.lseek(fd, -1, os.SEEK_END), 9999),
        "read_bytes": (lambda: lane.read_bytes(file), file.read_bytes()),
        "read_bytes of a part": (lambda: lane.read_bytes(file, 5, 10), b"5678901234"),
        "read_bytes past the end": (lambda: lane.read_bytes(file, 20_000), b""),
    }
    found = {name: lane_of(lane, submit) for name, (submit, _) in expected.items()}
    assert found == {name: ("inline", result) for name, (_, result) in expected.items()}


def test_a_status_has_all_that_os_stat_tells(lane, file):
    os.utime(file, ns=(1_234_567_890_123_456_789, 987_654_321))
    os.chmod(file, 0o4751)
    os.link(file, file.with_name("second"))
    for path in (file, file.parent):
        ours, theirs = warm(lane, lambda path=path: lane.stat(path)), os.stat(path)
        names = [name for name in dir(theirs) if name.startswith("st_")]
        assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
        assert tuple(ours) == tuple(theirs)


def test_a_file_is_opened_read_and_closed_at_once(lane, file):
    way, opened = lane_of(lane, lambda: lane.open(file, os.O_RDONLY))
    assert way == "inline"
    assert lane_of(lane, lambda: lane.pread(opened, 10, 0)) == ("inline", b"0123456789")
    assert lane_of(lane, lambda: lane.close(opened)) == ("inline", None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


FLAGS = [
    os.O_RDONLY,
    os.O_RDONLY | os.O_NONBLOCK,
    os.O_RDONLY | os.O_NOFOLLOW,
    os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY,
    os.O_RDONLY | os.O_NOATIME,
]


@pytest.mark.parametrize("flags", FLAGS)
def test_what_was_opened_at_once_has_the_flags_that_os_open_gives(lane, file, flags):
    theirs = os.open(file, flags)
    way, ours = lane_of(lane, lambda: lane.open(file, flags))
    try:
        assert way == "inline"
        for command in (fcntl.F_GETFL, fcntl.F_GETFD):
            assert fcntl.fcntl(ours, command) == fcntl.fcntl(theirs, command)
    finally:
        os.close(theirs)
        os.close(ours)


def test_a_directory_is_opened_at_once(lane, tmp_path):
    theirs = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    way, ours = lane_of(lane, lambda: lane.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    try:
        assert way == "inline"
        assert fcntl.fcntl(ours, fcntl.F_GETFL) == fcntl.fcntl(theirs, fcntl.F_GETFL)
        assert os.path.sameopenfile(ours, theirs)
    finally:
        os.close(theirs)
        os.close(ours)


def test_every_kind_of_path_is_taken(lane, file, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for path in (str(file), bytes(file), file):
            assert lane_of(lane, lambda path=path: lane.read_bytes(path)) == ("inline", file.read_bytes())
        for path in ("file", b"file", Path("file")):
            assert lane_of(lane, lambda path=path: lane.stat(path, dir_fd=folder)) == ("inline", os.stat(file))
            assert lane_of(lane, lambda path=path: lane.lstat(path, dir_fd=folder)) == ("inline", os.stat(file))
            way, opened = lane_of(lane, lambda path=path: lane.open(path, os.O_RDONLY, dir_fd=folder))
            assert way == "inline"
            assert os.path.samestat(os.fstat(opened), os.stat(file))
            os.close(opened)
    finally:
        os.close(folder)


def test_no_view_of_the_pool_lane_is_answered_at_once(lane, file, fd):
    view = lane.with_options(lane="pool")
    for submit in (lambda: view.stat(file), lambda: view.pread(fd, 10, 0), lambda: view.read_bytes(file)):
        assert lane_of(lane, submit)[0] == "pool"
    assert lane_of(lane, lambda: lane.stat(file))[0] == "inline"


def test_without_a_budget_of_requests_nothing_is_answered_at_once(lane, file):
    lane.max_inline_reqs = 0
    assert lane_of(lane, lambda: lane.stat(file)) == ("pool", os.stat(file))


def test_stats_count_requests_by_lane_and_operation(lane, file):
    before = lane.stats()
    for _ in range(5):
        run(lane, lane.stat(file))
    run(lane, lane.nop())
    after = lane.stats()
    assert after["lanes"]["inline"] - before["lanes"]["inline"] == 5
    assert after["lanes"]["pool"] - before["lanes"]["pool"] == 1
    assert after["requests"]["stat"] - before["requests"]["stat"] == 5
    assert (after["parked"], after["parkings"]) == (0, before["parkings"])
    assert sum(after["requests"].values()) == sum(after["lanes"].values())


# ---- errors ----


def test_the_errors_of_paths_are_those_of_os(lane, file, tmp_path):
    """The kernel tells most of them only to who would wait: they are the pool's then."""
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "missing", str(file / "below"), bytes(tmp_path / "loop"), tmp_path / ("n" * 256)):
        status, opening = (raised_by(lambda path=path: os.stat(path)), raised_by(lambda path=path: os.open(path, 0)))
        for _ in range(3):
            same_error(lane_of(lane, lambda path=path: lane.stat(path))[1], status, path)
            same_error(lane_of(lane, lambda path=path: lane.open(path, os.O_RDONLY))[1], opening, path)
            same_error(lane_of(lane, lambda path=path: lane.read_bytes(path))[1], opening, path)


def test_what_is_known_to_be_missing_is_told_at_once(lane, pool, fifo, tmp_path):
    path = tmp_path / "missing"
    theirs = raised_by(lambda: os.stat(path))
    pool.max_parallel = 1
    run_error(lane, lane.stat(path))  # now the kernel knows
    only_worker = lane.open(fifo.path, os.O_WRONLY)
    until(only_worker, "running")
    requests = [lane.stat(path), lane.lstat(path), lane.open(path, os.O_RDONLY), lane.read_bytes(path)]
    assert [request.state for request in requests] == ["finished"] * 4
    for request in requests:
        same_error(run_error(lane, request), theirs, path)
    fifo.let_go()
    os.close(run(lane, only_worker))


def run_error(engine: Any, request: Any) -> OSError:
    return raised_by(lambda: run(engine, request))


def test_what_is_forbidden_is_told(lane, file):
    file.parent.chmod(0)
    try:
        if os.geteuid() == 0:
            os.seteuid(65534)
        theirs = raised_by(lambda: os.stat(file))
        ours = [lane_of(lane, lambda: lane.stat(file))[1] for _ in range(3)]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        file.parent.chmod(0o700)
    assert theirs.errno == errno.EACCES
    for error in ours:
        same_error(error, theirs, file)


def test_the_errors_of_descriptors_are_those_of_os(lane, file, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    written = os.open(file, os.O_WRONLY)
    named = os.open(file, os.O_PATH)
    out, into = os.pipe()
    closed = os.dup(folder)
    os.close(closed)
    try:
        for ours, theirs in (
            (lambda: lane.pread(folder, 10, 0), lambda: os.pread(folder, 10, 0)),
            (lambda: lane.pread(written, 10, 0), lambda: os.pread(written, 10, 0)),
            (lambda: lane.pread(named, 10, 0), lambda: os.pread(named, 10, 0)),
            (lambda: lane.pread(out, 10, 0), lambda: os.pread(out, 10, 0)),
            (lambda: lane.pread(closed, 10, 0), lambda: os.pread(closed, 10, 0)),
            (lambda: lane.pread(folder, 10, -1), lambda: os.pread(folder, 10, -1)),
            (lambda: lane.lseek(out, 0, os.SEEK_SET), lambda: os.lseek(out, 0, os.SEEK_SET)),
            (lambda: lane.lseek(written, -1, os.SEEK_SET), lambda: os.lseek(written, -1, os.SEEK_SET)),
            (lambda: lane.fstat(closed), lambda: os.fstat(closed)),
            (lambda: lane.close(closed), lambda: os.close(closed)),
        ):
            same_error(lane_of(lane, ours)[1], raised_by(theirs))
    finally:
        for each in (folder, written, named, out, into):
            os.close(each)


def test_without_a_free_descriptor_a_status_is_told_all_the_same(lane, file):
    run(lane, lane.nop())  # its worker is there already
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        results = [lane_of(lane, lambda: lane.stat(file)), lane_of(lane, lambda: lane.open(file, os.O_RDONLY))]
        theirs = raised_by(lambda: os.open(file, os.O_RDONLY))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert results[0] == ("pool", os.stat(file))
    assert theirs.errno == errno.EMFILE
    same_error(results[1][1], theirs, file)


# ---- reading ----


def cached_pages(fd: int) -> list[bool]:
    """Return which pages of a file are in memory."""
    size = os.fstat(fd).st_size
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    told = (ctypes.c_ubyte * (-(-size // PAGE)))()
    try:
        if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), told) != 0:
            raise OSError(ctypes.get_errno(), "mincore")
    finally:
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return [bool(page & 1) for page in told]


@pytest.fixture
def half_cached(tmp_path: Path) -> Iterator[Any]:
    """A file the first two pages of which are in memory. What is smaller a disk may have read meanwhile."""
    path = tmp_path / "half cached"
    content = os.urandom(HALF_CACHED)
    path.write_bytes(content)
    fd = os.open(path, os.O_RDWR)

    def forget() -> None:
        for _ in range(100):  # a page that was only just used may stay once
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead
            os.pread(fd, 2 * PAGE, 0)
            if cached_pages(fd) == [True] * 2 + [False] * (HALF_CACHED // PAGE - 2):
                return
        pytest.skip("this file system always has everything in memory")

    try:
        yield SimpleNamespace(path=path, fd=fd, content=content, forget=forget)
    finally:
        os.close(fd)


@pytest.mark.parametrize("name", ["pread", "read_bytes"])
def test_a_read_that_the_cache_has_half_of_is_whole(lane, half_cached, name):
    """Rarely the kernel has read the rest by then: so look until it has not."""

    def submit() -> Any:
        half_cached.forget()
        return lane.pread(half_cached.fd, HALF_CACHED, 0) if name == "pread" else lane.read_bytes(half_cached.path)

    found = [lane_of(lane, submit)]
    while "pool" not in dict(found) and len(found) < 100:
        found.append(lane_of(lane, submit))
    assert {content for _, content in found} == {half_cached.content}
    assert "pool" in dict(found)
    half_cached.forget()
    assert lane_of(lane, lambda: lane.pread(half_cached.fd, PAGE, 0)) == ("inline", half_cached.content[:PAGE])


def test_a_file_that_grew_is_read_to_its_new_end(lane, file, fd):
    assert lane_of(lane, lambda: lane.pread(fd, 100, 9995)) == ("inline", b"56789")
    with open(file, "ab") as more:
        more.write(b"more")
    assert lane_of(lane, lambda: lane.pread(fd, 100, 9995)) == ("inline", b"56789more")
    assert lane_of(lane, lambda: lane.read_bytes(file))[1] == file.read_bytes()


def test_what_does_not_fit_into_the_budget_of_bytes_is_read_by_a_worker(lane, fd):
    lane.max_inline_bytes = 1000
    assert lane_of(lane, lambda: lane.pread(fd, 1001, 0)) == ("pool", os.pread(fd, 1001, 0))


def test_read_moves_the_position_and_is_never_inline(lane, fd):
    assert lane_of(lane, lambda: lane.read(fd, 10)) == ("pool", b"0123456789")
    assert os.lseek(fd, 0, os.SEEK_CUR) == 10


@pytest.mark.parametrize("whence", ["SEEK_DATA", "SEEK_HOLE"])
def test_a_search_for_holes_is_the_pools(lane, fd, whence):
    number = getattr(os, whence)
    assert lane_of(lane, lambda: lane.lseek(fd, 0, number)) == ("pool", os.lseek(fd, 0, number))


def test_tmpfs_is_memory(lane):
    if not os.access(TMPFS, os.W_OK):
        pytest.skip(f"no {TMPFS} here")
    with tempfile.TemporaryDirectory(dir=TMPFS) as folder:
        path = Path(folder, "file")
        path.write_bytes(b"in memory")
        fd = os.open(path, os.O_RDONLY)
        try:
            assert warm(lane, lambda: lane.stat(path)) == os.stat(path)
            assert warm(lane, lambda: lane.pread(fd, 100, 3)) == b"memory"
            assert warm(lane, lambda: lane.read_bytes(path)) == b"in memory"
        finally:
            os.close(fd)


def test_a_pread_alone_has_the_mount_of_a_tmpfs_known(lane):
    if not os.access(TMPFS, os.W_OK):
        pytest.skip(f"no {TMPFS} here")
    with tempfile.TemporaryFile(dir=TMPFS) as file:
        file.write(b"in memory")
        file.flush()
        assert warm(lane, lambda: lane.pread(file.fileno(), 100, 3)) == b"memory"


def test_files_of_proc_are_complete(lane):
    """They say that they are empty, and what they tell is made when it is asked for."""
    for _ in range(3):
        way, content = lane_of(lane, lambda: lane.read_bytes("/proc/self/limits"))
        assert (way, content) == ("pool", Path("/proc/self/limits").read_bytes())
        fd = os.open("/proc/self/limits", os.O_RDONLY)
        assert lane_of(lane, lambda: lane.pread(fd, 100, 0))[1] == content[:100]  # noqa: B023
        os.close(fd)
        status, theirs = (lane_of(lane, lambda: lane.stat("/proc/self/limits"))[1], os.stat("/proc/self/limits"))
        assert (status.st_mode, status.st_ino, status.st_dev) == (theirs.st_mode, theirs.st_ino, theirs.st_dev)


def test_the_python_backend_has_no_such_lane(tmp_path):
    python = importlib.import_module("anyaio._python.engine")
    engine = engine_class(python)(python.Pool())
    for _ in range(3):
        assert lane_of(engine, lambda: engine.stat(tmp_path)) == ("pool", os.stat(tmp_path))
    assert engine.stats()["parkings"] == 0
    engine.shutdown()

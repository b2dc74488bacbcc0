"""The synchronous extras: memory, pipes, processes, mounts, the limit of descriptors."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anyaio
from anyaio import _extras, _foreign, _timerfd
from anyaio._backend import backend
from anyaio._constants import PROT_NONE

NAMES = """
    fdlimit min_fdlimit mount mprotect munlock munlockall pidfd_getfd pipesize timerfd_create timerfd_gettime
    timerfd_gettime_ns timerfd_settime timerfd_settime_ns umount
""".split()
PAGE = mmap.PAGESIZE


def os_error(call: Callable[..., object], *arguments: Any) -> OSError:
    """Return the OSError that a call raises."""
    with pytest.raises(OSError) as error:  # noqa: PT011  # the callers look at its errno
        call(*arguments)
    return error.value


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with the backend of this one: a missing one is told on stderr."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *map(str, arguments)]
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_function_of_anyaio_with_a_docstring(name: str) -> None:
    assert getattr(anyaio, name) is getattr(_extras, name)
    assert getattr(anyaio, name).__doc__


@pytest.mark.parametrize("name", ["native", "python"])
def test_importing_anyaio_does_not_load_ctypes(name: str) -> None:
    done = run(
        "import os, sys; os.environ['ANYAIO_BACKEND'] = sys.argv[1]\nimport anyaio\nprint('ctypes' in sys.modules)",
        name,
    )
    if name == "native" and "No module named" in done.stderr:
        pytest.skip("the native backend is missing")
    assert (done.stdout, done.stderr) == ("False\n", "")


# ---- what libc lacks ----


@pytest.fixture
def poor_libc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A libc that has none of the functions."""
    monkeypatch.setattr(_foreign, "function", lambda name: None)
    monkeypatch.setattr(_extras, "function", lambda name: None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _extras.munlock(bytearray(10)),
        lambda: _extras.munlockall(),
        lambda: _extras.mprotect(mmap.mmap(-1, PAGE), mmap.PROT_READ),
        lambda: _timerfd.timerfd_create(time.CLOCK_MONOTONIC),
        lambda: _timerfd.timerfd_gettime(0),
        lambda: _timerfd.timerfd_settime(0),
        lambda: _extras.pidfd_getfd(0, 0),
    ],
)
def test_a_function_that_libc_lacks_is_enosys(poor_libc: None, call: Callable[[], object]) -> None:
    error = os_error(call)
    assert (error.errno, error.filename) == (errno.ENOSYS, None)


def test_a_missing_mount_is_enosys_with_both_names(poor_libc: None) -> None:
    error = os_error(_extras.mount, "a", "b", "tmpfs")
    assert (error.errno, error.filename, error.filename2) == (errno.ENOSYS, "a", "b")


def test_without_ctypes_everything_that_needs_it_is_enosys() -> None:
    done = run(
        """
        import sys
        sys.modules["ctypes"] = None
        import errno, mmap
        from anyaio import _extras, _timerfd
        calls = [
            (_extras.munlock, b"a"), (_extras.munlockall,), (_extras.mprotect, mmap.mmap(-1, 1), 0),
            (_extras.pidfd_getfd, 0, 0), (_extras.mount, "a", "b", "c"), (_extras.umount, "a"),
            (_timerfd.timerfd_create, 1), (_timerfd.timerfd_gettime, 0), (_timerfd.timerfd_settime_ns, 0),
        ]
        for function, *arguments in calls:
            try:
                function(*arguments)
            except OSError as error:
                print(error.errno == errno.ENOSYS, error.filename, error.filename2)
        """
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *["True None None"] * 4,
        "True a b",
        "True a None",
        *["True None None"] * 3,
    ]


# ---- memory ----


def locked() -> int:
    """How many KiB the process has locked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmLck:"))


def mlock(mapping: mmap.mmap) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    if ctypes.CDLL(None).mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(mapping))) != 0:
        pytest.skip("no memory may be locked")


@pytest.fixture
def pages() -> Iterator[mmap.mmap]:
    """Four pages of memory."""
    with mmap.mmap(-1, 4 * PAGE) as mapping:
        yield mapping


@pytest.mark.parametrize(
    ("arguments", "still_locked"),
    [((), 0), ((0, 1), 3), ((PAGE - 1, 2), 2), ((-1,), 3), ((PAGE, 10**9), 1), ((4 * PAGE,), 4), ((0, 0), 4)],
)
def test_munlock_unlocks_whole_pages(pages: mmap.mmap, arguments: tuple[int, ...], still_locked: int) -> None:
    before = locked()
    mlock(pages)
    _extras.munlock(pages, *arguments)
    assert locked() - before == still_locked * PAGE // 1024


def test_munlock_takes_what_is_read_only(tmp_path: Path) -> None:
    _extras.munlock(b"abc")
    _extras.munlock(memoryview(bytearray(10))[2:5].toreadonly())
    (tmp_path / "file").write_bytes(bytes(PAGE))
    with open(tmp_path / "file", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        _extras.munlock(mapping)


def test_munlockall_unlocks_everything(pages: mmap.mmap) -> None:
    before = locked()
    mlock(pages)
    assert locked() > before
    _extras.munlockall()
    assert locked() == 0


@pytest.mark.parametrize("call", [_extras.munlock, lambda b, *range: _extras.mprotect(b, mmap.PROT_READ, *range)])
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((4 * PAGE + 1,), ValueError, f"offset is outside of the buffer of {4 * PAGE} bytes: {4 * PAGE + 1}"),
        ((-4 * PAGE - 1,), ValueError, f"offset is outside of the buffer of {4 * PAGE} bytes: {-4 * PAGE - 1}"),
        ((0, -1), ValueError, "length must not be negative: -1"),
        ((2**63,), OverflowError, "offset must be from"),
        ((1.0,), TypeError, "offset must be an int, not 'float'"),
        ((0, "1"), TypeError, "length must be an int, not 'str'"),
    ],
)
def test_a_wrong_range_is_refused(
    pages: mmap.mmap, call: Callable[..., None], arguments: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(pages, *arguments)


@pytest.mark.parametrize("buffer", [None, 1, "text", [b"a"]])
def test_munlock_takes_only_buffers(buffer: Any) -> None:
    with pytest.raises(TypeError):
        _extras.munlock(buffer)


def test_mprotect_of_a_page_is_seen_in_the_map(pages: mmap.mmap) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    _extras.mprotect(pages, mmap.PROT_READ, PAGE + 1, 1)
    assert permissions(address + PAGE) == "r--"
    assert permissions(address) == permissions(address + 2 * PAGE) == "rw-"
    _extras.mprotect(pages, mmap.PROT_READ | mmap.PROT_WRITE)
    pages[PAGE] = 1
    assert permissions(address + PAGE) == "rw-"


def permissions(address: int) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if start <= address < end:
            return line.split()[1][:3]
    raise AssertionError(f"{address:#x} is not mapped")


def test_mprotect_of_a_view_counts_from_the_view(pages: mmap.mmap) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    with memoryview(pages) as whole, whole[2 * PAGE :] as half:
        _extras.mprotect(half, PROT_NONE, -1)
    assert [permissions(address + page * PAGE) for page in range(4)] == ["rw-", "rw-", "rw-", "---"]


@pytest.mark.parametrize("buffer", [bytearray(PAGE), b"a", memoryview(b"a"), None])
def test_mprotect_takes_only_mappings(buffer: Any) -> None:
    with pytest.raises(TypeError, match="buffer must be an mmap or a memoryview of one"):
        _extras.mprotect(buffer, PROT_NONE)


def test_mprotect_of_a_closed_mapping_is_a_value_error() -> None:
    mapping = mmap.mmap(-1, PAGE)
    mapping.close()
    with pytest.raises(ValueError, match="closed"):
        _extras.mprotect(mapping, PROT_NONE)


def test_mprotect_with_an_unknown_protection_is_the_kernels_error(pages: mmap.mmap) -> None:
    error = os_error(_extras.mprotect, pages, 1 << 30)
    assert error.errno == errno.EINVAL


# ---- pipes ----


def test_pipesize_tells_and_sets(pipe: tuple[int, int]) -> None:
    assert _extras.pipesize(pipe[0]) == fcntl.fcntl(pipe[0], fcntl.F_GETPIPE_SZ)
    assert _extras.pipesize(pipe[1], PAGE + 1) == 2 * PAGE
    assert _extras.pipesize(pipe[0]) == 2 * PAGE


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1,), ValueError), (("x",), TypeError), ((0, "x"), TypeError), ((0, 2**32 + 4096), OverflowError)],
)
def test_pipesize_refuses_what_is_wrong(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _extras.pipesize(*arguments)


# ---- processes ----


@pytest.fixture
def own_pidfd() -> Iterator[int]:
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError as error:
        pytest.skip(f"pidfd_open: {error}")
    yield fd
    os.close(fd)


@pytest.mark.parametrize("by", ["libc", "number"])
def test_pidfd_getfd_duplicates_a_descriptor(
    own_pidfd: int, pipe: tuple[int, int], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "number":
        monkeypatch.setattr(_extras, "function", lambda name: None)
    copy = _extras.pidfd_getfd(own_pidfd, pipe[1])
    assert os.path.sameopenfile(copy, pipe[1])
    assert not os.get_inheritable(copy)
    os.close(copy)


def test_pidfd_getfd_of_a_closed_descriptor_is_ebadf(own_pidfd: int) -> None:
    error = os_error(_extras.pidfd_getfd, own_pidfd, 10**6)
    assert error.errno == errno.EBADF


@pytest.mark.parametrize("arguments", [("x", 0), (0, "x"), (0, 0, "x")])
def test_pidfd_getfd_takes_only_ints(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        _extras.pidfd_getfd(*arguments)


# ---- mounts ----

MOUNT = """
    import ctypes, os, sys
    from anyaio import _constants, _extras
    NEWNS, NEWUSER = 0x20000, 0x10000000
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEWNS) != 0 and libc.unshare(NEWUSER | NEWNS) != 0:
        sys.exit("no mount namespace: " + os.strerror(ctypes.get_errno()))
    _extras.mount(None, "/", None, _constants.MS_REC | _constants.MS_PRIVATE)
    folder = sys.argv[1]
    _extras.mount("none", folder, "tmpfs", _constants.MS_NODEV | _constants.MS_NOEXEC, "size=64k")
    status = os.statvfs(folder)
    print(status.f_blocks * status.f_frsize, bool(status.f_flag & os.ST_NODEV), os.path.ismount(folder))
    _extras.umount(os.fsencode(folder), _constants.MNT_DETACH)
    print(os.path.ismount(folder))
    _extras.mount("none", folder, "tmpfs")
    _extras.umount(folder)
    print(os.path.ismount(folder))
"""


def test_mount_and_umount_in_a_namespace_of_their_own(tmp_path: Path) -> None:
    done = run(MOUNT, tmp_path)
    if "no mount namespace" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.stdout, done.stderr) == ("65536 True True\nFalse\nFalse\n", "")


def test_a_mount_that_fails_names_source_and_target(tmp_path: Path) -> None:
    target = tmp_path / "missing"
    error = os_error(_extras.mount, "source", target, "tmpfs")
    assert error.errno in (errno.ENOENT, errno.EPERM)
    assert (error.filename, error.filename2) == ("source", target)


def test_an_umount_that_fails_names_its_target(tmp_path: Path) -> None:
    target = tmp_path / "missing"
    error = os_error(_extras.umount, target)
    assert error.errno in (errno.ENOENT, errno.EPERM)
    assert error.filename == target


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("a", None, "c"), TypeError),
        ((1, "b", "c"), TypeError),
        (("a", "b", 1), TypeError),
        (("a", "b", "c", "d"), TypeError),
        (("a", "b", "c", 0, 1), TypeError),
        (("a", "b\0", "c"), ValueError),
        (("a", "b", "c", 0, "d\0"), ValueError),
        (("a", "b", "c", -1), OverflowError),
    ],
)
def test_mount_refuses_what_is_wrong(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _extras.mount(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((None,), TypeError), (("a\0",), ValueError), (("a", "b"), TypeError), (("a", 2**31), OverflowError)],
)
def test_umount_refuses_what_is_wrong(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _extras.umount(*arguments)


# ---- the limit of descriptors: in a process of its own, since a limit that was raised may not come back ----


def test_fdlimit_is_the_soft_limit() -> None:
    done = run(
        """
        import resource
        from anyaio import _extras
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        print(_extras.fdlimit())
        """
    )
    assert (done.stdout, done.stderr) == ("100\n", "")


def test_min_fdlimit_raises_the_soft_limit_and_lowers_nothing() -> None:
    done = run(
        """
        import resource
        from anyaio import _extras
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        for n in (150, 120):
            print(_extras.min_fdlimit(n), resource.getrlimit(resource.RLIMIT_NOFILE))
        """
    )
    assert (done.stdout, done.stderr) == ("True (150, 200)\nTrue (150, 200)\n", "")


def limited(allowed: int, *calls: int) -> list[str]:
    """What min_fdlimit does where the kernel allows at most *allowed*: a stand-in for it, which depends on no user."""
    done = run(
        """
        import resource, sys
        from anyaio import _extras
        limits = (100, 200)
        def getrlimit(which):
            return limits
        def setrlimit(which, new):
            global limits
            if new[0] > new[1]:
                raise ValueError("current limit exceeds maximum limit")
            if new[1] > max(limits[1], int(sys.argv[1])):
                raise ValueError("not allowed to raise maximum limit")
            assert new >= limits, "lowered"
            limits = new
        resource.getrlimit, resource.setrlimit = getrlimit, setrlimit
        for n in map(int, sys.argv[2:]):
            print(_extras.min_fdlimit(n), *limits)
        """,
        allowed,
        *calls,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_min_fdlimit_raises_the_hard_limit_where_it_may() -> None:
    assert limited(10**6, 300, 250) == ["True 300 300", "True 300 300"]


def test_min_fdlimit_goes_as_high_as_it_may() -> None:
    assert limited(1_048_576, 2**31 - 1) == ["False 1048576 1048576"]
    assert limited(12345, 2**31 - 1, 10**9) == ["False 12345 12345", "False 12345 12345"]


def test_min_fdlimit_without_privileges_uses_up_the_hard_limit() -> None:
    assert limited(0, 10**6) == ["False 200 200"]


def test_min_fdlimit_takes_only_ints() -> None:
    with pytest.raises(TypeError):
        _extras.min_fdlimit("100")  # type: ignore[arg-type]

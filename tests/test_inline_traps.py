"""The traps of the inline lane: what would wait for somebody, or has an effect, is a worker's."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lanes
import pytest
from engines import run, spin, until
from lanes import lane_of

from anyaio import _constants

backend, lane, file, fd = lanes.backend, lanes.lane, lanes.file, lanes.fd
libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE
TMPFS = "/dev/shm"

# ---- opening ----


@pytest.mark.parametrize(
    "flags", ["O_CREAT", "O_TRUNC", "O_WRONLY", "O_RDWR", "O_APPEND", "O_PATH", "O_SYNC", "O_DIRECT"]
)
def test_only_plain_opens_for_reading_are_inline(lane, file, flags):
    if flags == "O_TRUNC":
        file.write_bytes(b"")
    try:
        os.close(os.open(file, getattr(os, flags)))
    except OSError as error:
        pytest.skip(f"{flags}: {error}")
    way, fd = lane_of(lane, lambda: lane.open(file, getattr(os, flags)))
    os.close(fd)
    assert way == "pool"


def test_a_fifo_is_opened_by_a_worker(lane, fifo):
    request = lane.open(fifo.path, os.O_RDONLY)
    until(request, "running")
    writer = os.open(fifo.path, os.O_WRONLY)  # it would not wait if somebody had it open for reading: nobody has
    opened = run(lane, request)
    os.write(writer, b"hello")
    assert os.read(opened, 10) == b"hello"
    assert not fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(writer)
    os.close(opened)


def test_a_fifo_that_comes_in_a_files_place_blocks_nobody(lane, file, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keeper = os.open(fifo, os.O_RDWR)  # so that a worker's open of it ends
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            _exchange(bytes(file), bytes(fifo))

    thread = threading.Thread(target=swap)
    thread.start()
    kinds = set()
    try:
        while kinds != {"file", "fifo"} or lane.stats()["lanes"]["inline"] < 500:
            opened = run(lane, lane.open(file, os.O_RDONLY))
            is_fifo = os.path.samestat(os.fstat(opened), os.fstat(keeper))
            kinds.add("fifo" if is_fifo else "file")
            assert is_fifo or os.pread(opened, 10, 0) == b"0123456789"
            assert fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_NONBLOCK == 0
            os.close(opened)
    finally:
        over.set()
        thread.join()
        os.close(keeper)


def _exchange(one: bytes, other: bytes) -> None:
    if libc.renameat2(-100, one, -100, other, _constants.RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


LESSEE = """
    import fcntl, os, signal, sys
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    fd = os.open(sys.argv[1], os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print("leased", flush=True)
    signal.sigwait([signal.SIGIO])
    print("asked for", flush=True)
    sys.stdin.readline()
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    print("given back", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def lessee(file: Path) -> Iterator[Any]:
    """Another process, with a lease on the file: who opens that waits until it is given back."""
    command = [sys.executable, "-c", textwrap.dedent(LESSEE), str(file)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, bufsize=1) as process:
        try:
            if process.stdout.readline() != "leased\n":
                pytest.skip(f"no leases here: {process.stderr.read().splitlines()[-1]}")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["open", "read_bytes"])
def test_an_open_waits_for_a_lease_in_a_worker(lane, file, lessee, name):
    request = lane.open(file, os.O_RDONLY) if name == "open" else lane.read_bytes(file)
    assert request.state in ("queued", "running")
    assert lessee.stdout.readline() == "asked for\n"
    assert lane_of(lane, lambda: lane.stat(file)) == ("inline", os.stat(file))
    until(request, "running")
    lessee.stdin.write("\n")
    assert lessee.stdout.readline() == "given back\n"
    result = run(lane, request)
    if name == "open":
        assert os.pread(result, 10, 0) == b"0123456789"
        assert fcntl.fcntl(result, fcntl.F_GETFL) & os.O_NONBLOCK == 0
        os.close(result)
    else:
        assert result == file.read_bytes()


# ---- closing ----


def test_what_may_take_time_is_closed_by_a_worker(lane, file, tmp_path):
    unlinked = tmp_path / "unlinked"
    unlinked.write_bytes(b"x")
    gone = os.open(unlinked, os.O_RDONLY)
    unlinked.unlink()
    out, into = os.pipe()
    for fd in (gone, os.open(file, os.O_WRONLY), os.open(file, os.O_RDWR), out, into):
        assert lane_of(lane, lambda fd=fd: lane.close(fd)) == ("pool", None)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_close_that_gives_a_lock_back_wakes_who_waits_for_it(lane, file):
    first, second = os.open(file, os.O_RDONLY), os.open(file, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    waiting = lane.flock(second, fcntl.LOCK_EX)
    spin(lambda: waiting.state == "queued" and not lane.pool.stats()["queued"])  # it was tried once
    run(lane, lane.close(first))
    run(lane, waiting)
    os.close(second)


# ---- mounts ----

REPLACED = """
    import ctypes, os, sys
    from anyaio import _constants, _engine, _extras
    from anyaio._front import engine_class
    from lanes import lane_of, warm
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) != 0:
        sys.exit("no mount namespace: " + os.strerror(ctypes.get_errno()))
    _extras.mount(None, "/", None, _constants.MS_REC | _constants.MS_PRIVATE)
    engine = engine_class(_engine)(_engine.Pool())
    folder = sys.argv[1]
    path = os.path.join(folder, "file")

    def put(kind, content):
        _extras.mount("none", folder, kind)
        with open(path, "wb") as file:
            file.write(content)

    put("tmpfs", b"first")
    assert warm(engine, lambda: engine.read_bytes(path)) == b"first"
    device = os.stat(path).st_dev
    for _ in range(20):
        _extras.umount(folder)
        put("tmpfs", b"second")
        if os.stat(path).st_dev == device:
            break
    else:
        sys.exit("no mount namespace: a device number does not come again")
    assert lane_of(engine, lambda: engine.stat(path))[0] == "pool", "what is not known yet was taken for the old one"
    assert warm(engine, lambda: engine.read_bytes(path)) == b"second"
    assert warm(engine, lambda: engine.stat(path)) == os.stat(path)
    _extras.umount(folder)
    assert lane_of(engine, lambda: engine.stat(path))[1].errno == 2
"""


@pytest.mark.usefixtures("lane")
def test_a_mount_with_the_device_number_of_another_is_not_taken_for_it(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(REPLACED), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if "no mount namespace" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")

"""What the system does not give: descriptors, space, threads, memory. The call fails as it should, the rest goes on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import anyaio
import anyaio.asyncio as aio
import anyaio.blocking
from programs import program
from programs.process import expect, until


@contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


@contextmanager
def _no_descriptor_left() -> Iterator[None]:
    with _limit(resource.RLIMIT_NOFILE, 64):
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        try:
            yield
        finally:
            for fd in taken:
                os.close(fd)


def _error_of(request: Any) -> int | None:
    return _errno(request.result)


def _errno(call: Callable[..., object], *arguments: object) -> int | None:
    error = expect(OSError, call, *arguments)
    assert isinstance(error, OSError)
    return error.errno


async def _failure(coroutine: Coroutine[Any, Any, object]) -> BaseException | None:
    try:
        await coroutine
    except (OSError, RuntimeError) as error:
        return error
    return None


def _works(engine: Any) -> None:
    request = engine.stat("/")
    engine.flush()
    assert request.result().st_ino == os.stat("/").st_ino


# ---- descriptors ----


@program
def without_a_descriptor_left_what_needs_one_fails_and_the_rest_goes_on() -> None:
    engine: Any = anyaio.Engine()
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    spare = os.dup(fd)
    _works(engine)
    with _no_descriptor_left():
        failing = [engine.open("file", os.O_RDONLY), engine.listdir("."), engine.scandir("."), engine.pathsync("file")]
        going = [engine.pwrite(fd, b"hello", 0), engine.stat("file"), engine.mkdir("folder"), engine.fsync(fd)]
        engine.flush()
        assert [_error_of(request) for request in failing] == [errno.EMFILE] * 4
        assert failing[0].outcome.error.filename == "file"
        assert [request.outcome.status for request in going] == ["done"] * 4
        request = engine.pread(fd, 10, 0)
        engine.flush()
        assert request.result() == b"hello"
        request = engine.close(spare)
        engine.flush()
        assert request.outcome.status == "done"
    request = engine.listdir(".")
    engine.flush()
    assert sorted(request.result()) == ["file", "folder"]


@program
def without_a_descriptor_left_an_engine_cannot_be_made() -> None:
    anyaio.default_pool()
    with _no_descriptor_left():
        for make in (anyaio.Engine, anyaio.blocking.nop):
            assert _errno(make) == errno.EMFILE
    _works(anyaio.Engine())
    anyaio.blocking.nop()


@program
def a_loop_whose_engine_could_not_be_made_makes_it_later() -> None:
    async def main() -> None:
        with _no_descriptor_left():
            error = await _failure(aio.nop())
            assert isinstance(error, OSError)
            assert error.errno == errno.EMFILE
        await aio.nop()

    asyncio.run(main())


@program
def without_a_descriptor_left_a_read_of_a_quiet_pipe_can_be_cancelled() -> None:
    engine: Any = anyaio.Engine()
    reader, writer = os.pipe()
    with _no_descriptor_left():
        told: list[object] = []
        request = engine.read(reader, 10, told.append)
        until(lambda: request.state == "running")
        assert engine.wait(0.1) is False
        assert request.cancel() is True
        assert request.outcome.status == "never ran"
        until(lambda: engine.pool.stats()["running"] == 0)
        os.write(writer, b"hello")
        request = engine.read(reader, 10)
        engine.flush()
        assert request.result() == b"hello"
        assert told == []
    _works(engine)


# ---- space ----


@program
def a_full_device_is_told() -> None:
    engine: Any = anyaio.Engine()
    fd = os.open("/dev/full", os.O_WRONLY)
    requests = [engine.write(fd, b"x"), engine.pwrite(fd, b"x", 0), engine.writev(fd, [b"x"])]
    engine.flush()
    assert [_error_of(request) for request in requests] == [errno.ENOSPC] * 3
    _works(engine)


@program
def a_file_that_may_not_grow_is_told() -> None:
    engine: Any = anyaio.Engine()
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    for action in (signal.SIG_IGN, signal.SIG_DFL):  # Python's own setting, and the one that kills
        signal.signal(signal.SIGXFSZ, action)
        with _limit(resource.RLIMIT_FSIZE, 4096):
            requests = [engine.pwrite(fd, bytes(4096), 2048), engine.pwrite(fd, b"x", 4096)]
            engine.flush()
        assert requests[0].result() == 2048
        assert _error_of(requests[1]) == errno.EFBIG
    _works(engine)


def a_full_file_system_is_told() -> None:
    """Its folder is a small file system."""
    engine: Any = anyaio.Engine()
    fd = os.open("small/file", os.O_CREAT | os.O_RDWR)
    request = engine.pwrite(fd, bytes(1 << 20), 0)
    engine.flush()
    written = request.result()
    assert 0 < written < 1 << 20
    requests = [engine.pwrite(fd, bytes(1 << 16), written), engine.mkdir("small/folder")]
    engine.flush()
    assert _error_of(requests[0]) == errno.ENOSPC
    request = engine.unlink("small/file")
    os.ftruncate(fd, 0)
    engine.flush()
    request = engine.pwrite(fd, b"hello", 0)
    engine.flush()
    assert request.result() == 5


# ---- threads ----


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        logging.getLogger("anyaio").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _drop_privileges() -> None:
    """For root there is no limit of threads; nor may others' processes count."""
    if os.getuid() == 0:
        os.chmod(".", 0o777)
        os.setuid(54321)


@program
def without_a_single_thread_a_submit_raises_and_queues_nothing() -> None:
    heard = _Heard()
    _drop_privileges()
    engine: Any = anyaio.Engine()
    told: list[object] = []
    with _limit(resource.RLIMIT_NPROC, 1):
        for _ in range(3):
            expect(RuntimeError, engine.mkdir, "never", 0o777)
            expect(RuntimeError, engine.nop, told.append)
            assert (engine.nreqs, engine.nready, engine.pool.nthreads) == (0, 0, 0)
        expect(RuntimeError, anyaio.blocking.nop)
        assert engine.wait() is False
    _works(engine)
    anyaio.blocking.nop()
    assert told == []
    assert os.listdir(".") == []
    assert len(heard.records) <= 1


@program
def without_a_single_thread_a_loop_goes_on() -> None:
    _Heard()
    _drop_privileges()

    async def main() -> None:
        with _limit(resource.RLIMIT_NPROC, 1):
            assert isinstance(await _failure(aio.nop()), RuntimeError)
        await aio.nop()

    asyncio.run(main())


@program
def without_a_further_thread_it_goes_on_with_those_it_has() -> None:
    heard = _Heard()
    _drop_privileges()
    engine: Any = anyaio.Engine()
    _works(engine)
    until(lambda: engine.pool.stats()["running"] == 0)
    before = engine.pool.nthreads
    told: list[object] = []
    with _limit(resource.RLIMIT_NPROC, 1):
        requests = [engine.busy(0.02, told.append) for _ in range(20)]
        requests.append(engine.mkdir("folder", callback=told.append))
        engine.flush()
        assert len(told) == len(requests)
        assert 1 <= engine.pool.nthreads <= before
        requests = [engine.busy(0.02) for _ in range(20)]
        engine.flush()
    assert [record.levelname for record in heard.records] == ["WARNING"]
    assert engine.pool.stats()["start_failures"] >= 1
    for _ in range(20):
        engine.busy(0.05)
    engine.flush()
    until(lambda: engine.pool.nthreads > before)
    assert len(heard.records) == 1


@program
def without_a_thread_for_it_patience_still_ends() -> None:
    _Heard()
    _drop_privileges()
    os.mkfifo("fifo")
    engine: Any = anyaio.Engine()
    _works(engine)
    engine.pool.exit_timeout = 0
    view = engine.with_options(patience=0.05)
    told: list[object] = []
    with _limit(resource.RLIMIT_NPROC, 1):
        request = view.open("fifo", os.O_WRONLY | os.O_CREAT, callback=told.append)
        until(lambda: request.state == "running")
        request.cancel()
        while engine.nreqs:
            assert engine.wait(5), "patience has no end"
            engine.poll()
    assert request.outcome.status == "unknown"


@program
def patience_lasts_also_when_the_limit_is_lowered_below_what_runs() -> None:
    os.mkfifo("fifo")
    engine: Any = anyaio.Engine()
    engine.pool.exit_timeout = 0
    requests = [engine.open("fifo", os.O_WRONLY | os.O_CREAT) for _ in range(3)]
    until(lambda: engine.nready == 0)
    engine.pool.max_parallel = 1
    assert requests[0].cancel() is False
    assert requests[0].state == "running"  # for 5 seconds
    view = engine.with_options(patience=0.05)
    engine.pool.max_parallel = 4
    last = view.open("fifo", os.O_WRONLY | os.O_CREAT)
    until(lambda: engine.nready == 0)
    engine.pool.max_parallel = 1
    assert last.cancel() is False
    assert last.state == "running"
    assert engine.wait(4)
    engine.poll()
    assert last.outcome.status == "unknown"


# ---- memory ----


@program
def without_memory_a_read_fails_and_the_rest_goes_on() -> None:
    engine: Any = anyaio.Engine()
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 1 << 30)
    _works(engine)
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    with _limit(resource.RLIMIT_AS, used + (64 << 20)):
        requests = [engine.pread(fd, 1 << 30, 0), engine.read(fd, 1 << 30)]
        engine.flush()
        for request in requests:
            error = expect((MemoryError, OSError), request.result)
            assert getattr(error, "errno", errno.ENOMEM) == errno.ENOMEM
        _works(engine)
    request = engine.pread(fd, 1 << 20, 0)
    engine.flush()
    assert request.result() == bytes(1 << 20)


@program
def without_memory_nothing_crashes_and_nothing_is_lost() -> None:
    _Heard()  # a thread may need more than there is
    engine: Any = anyaio.Engine()
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 1 << 24)
    _works(engine)
    told: list[object] = []
    kept: list[bytes] = []
    failures = 0
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    with _limit(resource.RLIMIT_AS, used + (32 << 20)):
        submitted = heard = 0
        for _ in range(100):
            # A request keeps its error; CPython has 16 MemoryErrors for when there is no memory, and dies without one.
            heard += len(told)
            told.clear()
            requests = []
            try:
                requests = [engine.pread(fd, 1 << 20, number << 20, told.append) for number in range(8)]
            except (MemoryError, RuntimeError):
                failures += 1
                engine.flush()
                continue
            submitted += len(requests)
            engine.flush()
            for request in requests:
                try:
                    kept.append(request.result())
                except (MemoryError, OSError):
                    failures += 1
        kept.clear()
        requests.clear()
    assert failures
    assert engine.nreqs == 0
    assert heard + len(told) >= submitted  # and those of a list that was not made whole
    told.clear()
    _works(engine)

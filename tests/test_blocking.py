"""anyaio.blocking: a thread without a loop, its engine's life, and interruptions."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading

import loops
import pytest
from loops import LIMIT, descriptors, running, spin

import anyaio.blocking
from anyaio import Cancelled
from anyaio._front import engine_class

stuck = loops.stuck


@pytest.fixture
def aio(backend, pool, monkeypatch):
    """`anyaio.blocking`, whose engines are of this backend."""
    monkeypatch.setattr("anyaio._blocking.Engine", functools.partial(engine_class(backend), pool))
    yield anyaio.blocking
    anyaio.blocking.current().shutdown()


class Interruption(BaseException):
    pass


@pytest.fixture
def interrupt():
    """Interrupt this thread as Ctrl-C does, as soon as each of some conditions holds, one after the other."""

    def raise_it(number, frame):
        raise Interruption

    def when(*conditions):
        def send():
            for condition in conditions:
                spin(condition)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

        threads.append(threading.Thread(target=send))
        threads[-1].start()

    threads = []
    before = signal.signal(signal.SIGUSR1, raise_it)
    yield when
    for thread in threads:
        thread.join(LIMIT)
    signal.signal(signal.SIGUSR1, before)


def test_a_file_is_written_and_read_back(aio, tmp_path):
    fd = aio.open(tmp_path / "f", os.O_CREAT | os.O_RDWR, 0o600)
    assert aio.pwrite(fd, b"hello", 3) == 5
    assert aio.pread(fd, 10, 0) == b"\0\0\0hello"
    aio.close(fd)
    assert aio.listdir(tmp_path) == ["f"]


def test_an_error_has_the_callers_own_path(aio, tmp_path):
    path = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        aio.stat(path)
    assert caught.value.filename is path


def test_inside_a_running_loop_it_names_what_to_import_instead(aio):
    async def main():
        with pytest.raises(RuntimeError, match=r"import anyaio\.asyncio instead"):
            aio.stat("/")

    asyncio.run(main())


def test_inside_trio_it_is_a_runtime_error_too(aio):
    trio = pytest.importorskip("trio", reason="trio is not installed")

    async def main():
        with pytest.raises(RuntimeError, match="trio"):
            aio.stat("/")

    trio.run(main)


def test_a_thread_beside_a_running_loop_may_block(aio, tmp_path):
    async def main():
        return await asyncio.to_thread(lambda: (aio.listdir(tmp_path), aio.current().shutdown()))

    assert asyncio.run(main())[0] == []


def test_a_threads_engine_goes_with_the_thread(aio, tmp_path):
    aio.nop()
    before = descriptors()
    engines = [aio.current().engine]

    def work():
        aio.nop()
        engines.append(aio.current().engine)

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(LIMIT)
    assert len(set(map(id, engines))) == 11
    del engines[1:]
    assert descriptors() == before


def test_what_the_engine_was_given_goes_on_meanwhile(aio, tmp_path):
    seen = []
    engine = aio.current().engine
    for number in range(10):
        engine.mkdir(tmp_path / str(number), callback=seen.append)
    engine.flush()
    assert len(seen) == 10
    request = engine.mkdir(tmp_path / "last")
    aio.current().wait(request)
    assert (tmp_path / "last").is_dir()


def test_a_request_of_another_engine_is_refused(aio, backend, pool):
    other = engine_class(backend)(pool)
    pool.max_parallel = 0
    request = other.nop()
    with pytest.raises(ValueError, match="is another engine's"):
        aio.current().wait(request)
    other.shutdown()


def test_a_request_can_be_waited_for_when_it_is_done(aio, tmp_path):
    request = aio.current().engine.listdir(tmp_path)
    assert aio.current().wait(request) == []
    assert aio.current().wait(request) == []


def test_after_shutdown_the_next_request_starts_anew(aio):
    front = aio.current()
    front.nop()
    front.shutdown()
    front.shutdown()
    with pytest.raises(RuntimeError):
        front.nop()
    aio.nop()
    assert aio.current() is not front


def test_an_interrupted_read_of_a_quiet_pipe_consumes_nothing(aio, interrupt):
    reader, writer = os.pipe()
    interrupt(running(aio.current().engine))
    with pytest.raises(Interruption) as caught:
        aio.read(reader, 10)
    assert caught.value.outcome.status == "never ran"
    os.write(writer, b"hello")
    assert aio.read(reader, 10) == b"hello"
    os.close(reader)
    os.close(writer)


def test_an_interrupted_change_is_waited_for(aio, interrupt, stuck):
    interrupt(running(aio.current().engine))
    releaser = threading.Timer(0.05, stuck.release)
    releaser.start()
    with pytest.raises(Interruption) as caught:
        aio.open(stuck.path, stuck.FLAGS)
    releaser.join(LIMIT)
    assert caught.value.outcome.status == "done"
    spin(lambda: not stuck.is_open_for_writing())  # a worker closes it


def test_patience_ends_the_wait_for_an_interrupted_change(aio, interrupt, stuck):
    view = aio.current().with_options(patience=0.02)
    interrupt(running(view.engine))
    with pytest.raises(Interruption) as caught:
        view.open(stuck.path, stuck.FLAGS)
    assert caught.value.outcome.status == "unknown"


def test_a_callbacks_exit_ends_the_wait_and_takes_the_request_back(aio, pool):
    def leave(request):
        raise SystemExit(3)

    front = aio.current()
    pool.max_parallel = 1
    front.engine.with_options(priority=4).nop(leave)
    with pytest.raises(SystemExit) as caught:
        front.with_options(priority=-4).busy(0.2)
    assert caught.value.outcome.status in ("never ran", "abandoned")
    assert front.engine.nreqs == 0


def test_waiting_for_a_cancelled_request_raises_cancelled(aio, pool):
    pool.max_parallel = 0
    request = aio.current().engine.nop()
    assert request.cancel()
    with pytest.raises(Cancelled):
        aio.current().wait(request)


def test_in_a_forked_child_it_starts_anew(aio, backend, tmp_path, monkeypatch):
    monkeypatch.setattr("anyaio._blocking.Engine", engine_class(backend))
    aio.current().shutdown()
    aio.nop()
    before = aio.current()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert aio.current() is not before
            status = 0 if aio.listdir(tmp_path) == [] else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert aio.listdir(tmp_path) == []

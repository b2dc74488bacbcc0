"""Signals: no request is disturbed by one, and handlers run, and may raise, where Python promises it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyaio
import anyaio.blocking
from programs import program
from programs.process import LIMIT, expect, until

STORM = 0.001  # seconds between two signals


class Interruption(BaseException):
    """What a handler raises."""


def _interrupt(number: int, frame: object) -> None:
    raise Interruption


@contextmanager
def _storm(handler: Callable[[int, Any], object]) -> Iterator[None]:
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, STORM, STORM)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _check(engine: Any) -> None:
    """The engine is usable, and nothing is left in it."""
    deadline = time.monotonic() + LIMIT
    while engine.nreqs:
        assert engine.wait(max(0.0, deadline - time.monotonic())), f"{engine.nreqs} requests are lost"
        engine.poll()
    told: list[object] = []
    request = engine.stat("/", callback=told.append)
    while not told:
        assert engine.wait(LIMIT)
        engine.poll()
    assert told == [request]
    assert request.result().st_ino == os.stat("/").st_ino


# ---- handlers that return ----


@program
def a_storm_disturbs_no_request_of_any_kind() -> None:
    aio = anyaio.blocking
    handled: list[int] = []
    reader, writer = os.pipe()
    with _storm(lambda number, frame: handled.append(number)):
        for number in range(60):
            name = f"file-{number}"
            fd = aio.open(name, os.O_CREAT | os.O_RDWR)
            assert aio.write(fd, b"hello") == 5
            assert aio.pwrite(fd, b"world", 5) == 5
            assert aio.writev(fd, [b"a", b"b"]) == 2
            assert aio.pwritev(fd, [b"c", b"d"], 7) == 2
            assert aio.lseek(fd, 0, os.SEEK_SET) == 0
            buffer = bytearray(3)
            assert aio.readv(fd, [buffer]) == 3
            assert aio.preadv(fd, [buffer], 0) == 3
            assert aio.read(fd, 2) == b"lo"
            assert aio.pread(fd, 100, 0) == b"helloabcdd"[:5] + b"abcdd"[:2] + b"cdd"
            aio.fdatasync(fd)
            aio.close(fd)
            aio.rename(name, "renamed")
            assert aio.stat("renamed").st_size == aio.lstat("renamed").st_size == 10
            assert "renamed" in aio.listdir(".")
            assert [entry.name for entry in aio.scandir(".", stat=True)] == aio.listdir(".")
            aio.split_dir("/usr")
            aio.mkdir("folder")
            aio.rmdir("folder")
            os.symlink("renamed", "link")
            assert aio.readlink("link") == "renamed"
            aio.unlink("link")
            aio.unlink("renamed")
            expect(FileNotFoundError, aio.stat, "renamed")
            aio.busy(0.003)
            aio.pathsync(".")
            aio.write(writer, b"x" * 10)
            assert aio.read(reader, 100) == b"x" * 10
            aio.nop()
    assert len(handled) > 50


@program
def a_storm_loses_no_result_of_thousands() -> None:
    engine: Any = anyaio.Engine()
    handled: list[int] = []
    told: list[Any] = []
    requests = []
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    with _storm(lambda number, frame: handled.append(number)):
        for number in range(3000):
            requests.append(engine.pwrite(fd, b"x" * 10, number * 10, told.append))
            requests.append(engine.stat("file", callback=told.append))
            if engine.nreqs > 64:
                engine.wait()
                engine.poll()
        engine.flush()
    assert handled
    assert sorted(map(id, told)) == sorted(map(id, requests))
    assert {request.outcome.status for request in requests} == {"done"}
    assert os.fstat(fd).st_size == 30000


@program
def a_handler_runs_in_the_main_thread_while_it_waits() -> None:
    engine: Any = anyaio.Engine()
    reader, writer = os.pipe()
    request = engine.read(reader, 10)
    threads = []

    def handle(number: int, frame: object) -> None:
        threads.append(threading.current_thread())
        os.write(writer, b"hello")

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert engine.wait() is True
    assert threads == [threading.main_thread()]
    engine.poll()
    assert request.result() == b"hello"


@program
def a_handler_may_submit_to_the_engine_that_waits() -> None:
    engine: Any = anyaio.Engine()
    reader, writer = os.pipe()
    told: list[Any] = []
    engine.read(reader, 10, told.append)

    def handle(number: int, frame: object) -> None:
        engine.write(writer, b"hello", told.append)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    engine.flush()
    assert sorted(request.operation for request in told) == ["read", "write"]


@program
def a_wait_does_not_end_before_its_time() -> None:
    engine: Any = anyaio.Engine()
    reader, writer = os.pipe()
    engine.read(reader, 10)
    with _storm(lambda number, frame: None):
        begun = time.monotonic()
        assert engine.wait(0.2) is False
        assert time.monotonic() - begun >= 0.2
    os.write(writer, b"x")


@program
def the_end_of_a_child_disturbs_nothing() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGCHLD, lambda number, frame: heard.append(number))
    processes = [subprocess.Popen(["sleep", f"0.0{number}"]) for number in range(1, 6)]
    while len(heard) == 0 or any(process.poll() is None for process in processes):
        anyaio.blocking.busy(0.01)
        assert anyaio.blocking.stat("/").st_ino == os.stat("/").st_ino


@program
def a_write_to_a_closed_pipe_is_an_error_and_no_signal() -> None:
    for action in (signal.SIG_IGN, signal.SIG_DFL):  # Python's own setting, and the one that kills
        signal.signal(signal.SIGPIPE, action)
        reader, writer = os.pipe()
        os.close(reader)
        for call, data in ((anyaio.blocking.write, b"x"), (anyaio.blocking.writev, [b"x"])):
            expect(BrokenPipeError, call, writer, data)


@program
def workers_block_all_signals() -> None:
    engine: Any = anyaio.Engine()
    engine.pool.max_idle = 8
    for _ in range(4):
        engine.busy(0.05)
    until(lambda: engine.nready == 0)
    main = os.getpid()
    masks = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        if fields["Name"].strip() == "anyaio":
            assert int(task) != main
            masks.append(int(fields["SigBlk"], 16))
    # What cannot be blocked: SIGKILL, SIGSTOP and, on Linux, two that the C library keeps for itself.
    exempt = sum(1 << number - 1 for number in (signal.SIGKILL, signal.SIGSTOP, 32, 33))
    assert len(masks) >= 4
    assert {mask | exempt for mask in masks} == {(1 << 64) - 1}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    engine.flush()


@program
def the_mask_of_the_thread_that_submits_is_left_as_it_was() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    anyaio.blocking.nop()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR1}


# ---- handlers that raise ----


@program
def an_exception_leaves_wait_and_the_engine_is_usable() -> None:
    engine: Any = anyaio.Engine()
    reader, writer = os.pipe()
    request = engine.read(reader, 10)
    signal.signal(signal.SIGALRM, _interrupt)
    for call in (engine.wait, engine.flush):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        expect(Interruption, call)
    os.write(writer, b"hello")
    _check(engine)
    assert request.result() == b"hello"


@program
def an_exception_leaves_a_blocking_call_and_the_next_one_works() -> None:
    signal.signal(signal.SIGALRM, _interrupt)
    reader, writer = os.pipe()
    for _ in range(3):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        error = expect(Interruption, anyaio.blocking.read, reader, 10)
        assert error.outcome.status == "never ran"  # type: ignore[attr-defined]
    os.write(writer, b"hello")
    assert anyaio.blocking.read(reader, 10) == b"hello"
    _check(anyaio.blocking.current().engine)


@program
def an_exception_in_a_callback_lets_the_others_come() -> None:
    engine: Any = anyaio.Engine()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    told: list[Any] = []
    engine.nop(lambda request: os.kill(os.getpid(), signal.SIGINT))
    for _ in range(10):
        engine.nop(told.append)
    expect(KeyboardInterrupt, engine.flush)
    _check(engine)
    assert len(told) == 10


# ---- handlers that raise wherever the main thread is ----


def exceptions_at_any_moment_lose_no_result() -> None:
    engine: Any = anyaio.Engine()
    told: list[Any] = []
    for number in range(200):
        # A list's append is no Python code that the exception could leave.
        requests = [engine.nop(told.append) for _ in range(64)]
        until(lambda: engine.npending == 64)
        signal.signal(signal.SIGALRM, _interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.00002 + number % 20 * 0.00002)
            while engine.nreqs:
                engine.poll()
            until(lambda: False, "the signal")
        except Interruption:
            pass
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        _check(engine)
        assert sorted(map(id, told)) == sorted(map(id, requests))
        told.clear()


def exceptions_at_any_moment_leave_blocking_calls_usable() -> None:
    for number in range(200):
        signal.signal(signal.SIGALRM, _interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + number % 20 * 0.00005)
            for _ in range(1000):
                anyaio.blocking.nop()
        except Interruption:
            pass
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        _check(anyaio.blocking.current().engine)


def an_exception_at_every_line_leaves_blocking_calls_usable() -> None:
    """The same, but at each line of the library's Python code that this thread runs, one after the other."""
    os.mkdir("folder")
    place = 0
    while _raises_at(place):
        place += 1
        _check(anyaio.blocking.current().engine)
        assert anyaio.blocking.listdir("folder") == []
    assert place > 5


def _raises_at(place: int) -> bool:
    """Call with an exception at the line of this number; False if there are not so many."""
    count = 0
    package = os.path.dirname(anyaio.__file__)

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(package) or frame.f_code.co_name == "__del__":
            return None
        if event == "line":
            count += 1
            if count == place + 1:
                sys.settrace(None)
                raise Interruption
        return trace

    sys.settrace(trace)
    try:
        anyaio.blocking.listdir("folder")
    except Interruption:
        return True
    finally:
        sys.settrace(None)
    return False


# ---- Ctrl-C: the tests send SIGINT ----


def a_blocking_open_of_a_fifo(path: str) -> None:
    view = anyaio.blocking.current().with_options(patience=LIMIT * 10)
    _wait_to_be_interrupted(view, path, os.O_WRONLY)


def a_blocking_change_with_patience(path: str) -> None:
    view = anyaio.blocking.current().with_options(patience=0.3)
    _wait_to_be_interrupted(view, path, os.O_WRONLY | os.O_CREAT)


def a_blocking_change_without_end(path: str) -> None:
    anyaio.blocking.current().pool.exit_timeout = 0
    view = anyaio.blocking.current().with_options(patience=None)
    _wait_to_be_interrupted(view, path, os.O_WRONLY | os.O_CREAT)


def _wait_to_be_interrupted(view: Any, path: str, flags: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    anyaio.default_pool().exit_timeout = 0
    _tell_when(lambda: view.engine.nreqs == 1 and view.engine.nready == 0, "waiting")
    begun = time.monotonic()
    try:
        view.open(path, flags)
    except KeyboardInterrupt as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        outcome = error.outcome  # type: ignore[attr-defined]
        print(outcome.status, time.monotonic() - begun < LIMIT, flush=True)
    _check(anyaio.blocking.current().engine)


def _tell_when(condition: Callable[[], object], word: str) -> None:
    def tell() -> None:
        until(condition)
        print(word, flush=True)

    threading.Thread(target=tell, daemon=True).start()

"""Exit: changes are finished, looks are dropped, and nothing else of the process's end is disturbed.

These programs write "leaving" as the last thing that they do. Where the exit may not wait, `exit_timeout` is so long
that the test would notice.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import functools
import importlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

LONG = 1000.0  # seconds

after: list[Callable[[], object]] = []  # called after anyaio's own handler, since this one is registered before it


@atexit.register
def _call_after() -> None:
    for call in after:
        call()


import anyaio  # noqa: E402
import anyaio.asyncio as aio  # noqa: E402
import anyaio.blocking  # noqa: E402
from programs import program  # noqa: E402
from programs.process import expect, in_leaving_child, until  # noqa: E402


def _engine(exit_timeout: float = LONG) -> Any:
    engine = anyaio.Engine()
    engine.pool.exit_timeout = exit_timeout
    kept.append(engine)
    return engine


kept: list[Any] = []  # alive until the interpreter's end


def _stick(engine: Any, callback: Any = None) -> None:
    """Have a change that no worker can end: a large write into a pipe that nobody reads."""
    reader, writer = os.pipe()
    engine.write(writer, bytes(1 << 20), callback)
    until(lambda: engine.nready == 0)
    until(lambda: _filled(reader))


def _fill(writer: int) -> None:
    """Fill a pipe of 64 KiB."""
    os.set_blocking(writer, False)
    assert os.write(writer, bytes(1 << 20)) == 1 << 16
    os.set_blocking(writer, True)


def _filled(reader: int) -> bool:
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, count)
    return count[0] >= 1 << 16


def _leave() -> None:
    print("leaving", flush=True)


def _measure() -> None:
    """Have the time that the exit takes printed."""
    begun: list[float] = []
    atexit.register(lambda: begun.append(time.monotonic()))
    after.append(lambda: print(f"{time.monotonic() - begun[0]:.2f}"))


# ---- what is dropped ----


@program
def looks_that_are_queued_are_dropped() -> None:
    engine = _engine()
    engine.pool.max_parallel = 1
    engine.busy(LONG)
    for _ in range(1000):
        engine.nop()
        engine.stat("/")


@program
def looks_that_are_held_back_are_dropped() -> None:
    engine = _engine()
    engine.pool.max_parallel = 0
    for _ in range(1000):
        engine.nop()


@program
def a_look_that_runs_is_not_waited_for() -> None:
    engine = _engine()
    engine.busy(LONG)
    until(lambda: engine.nready == 0)


@program
def an_open_that_is_stuck_on_a_fifo_is_not_waited_for() -> None:
    engine = _engine()
    os.mkfifo("fifo")
    engine.open("fifo", os.O_WRONLY)
    engine.open("fifo", os.O_RDONLY)
    engine.open("fifo2", os.O_RDONLY)
    os.mkfifo("fifo3")
    engine.open("fifo3", os.O_RDONLY)
    until(lambda: engine.nready == 0)


@program
def a_read_of_a_quiet_pipe_is_not_waited_for() -> None:
    engine = _engine()
    reader, _ = os.pipe()
    engine.read(reader, 10)
    until(lambda: engine.nready == 0)
    time.sleep(0.05)  # for the worker's way into poll(2), which nothing shows; less would only make the test weaker


@program
def daemon_threads_that_wait_do_no_harm() -> None:
    def wait() -> None:
        anyaio.blocking.busy(LONG)

    def wait_in_a_loop() -> None:
        asyncio.run(aio.busy(LONG))

    def submit() -> None:
        try:
            while True:
                anyaio.blocking.nop()
        except anyaio.Cancelled:
            pass  # the exit has dropped it

    anyaio.default_pool().exit_timeout = LONG
    for work in (wait, wait_in_a_loop, submit):
        threading.Thread(target=work, daemon=True).start()
    until(lambda: anyaio.default_pool().nthreads >= 2)


# ---- what is finished ----


def queued_pwrites_are_made() -> None:
    engine = _engine()
    engine.pool.max_parallel = 0
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    for number in range(64):
        engine.pwrite(fd, bytes([number]) * (1 << 20), number << 20)
    assert engine.nready == 64
    engine.pool.max_parallel = 2
    _leave()


def pwrites_of_an_engine_that_is_gone_are_made(way: str) -> None:
    engine = anyaio.Engine()
    engine.pool.max_parallel = 1
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    engine.busy(0.05)
    for number in range(64):
        engine.pwrite(fd, bytearray([number]) * (1 << 20), number << 20)
    if way == "shutdown":
        engine.shutdown()
    del engine
    _leave()


def pwrites_of_a_daemon_thread_are_made() -> None:
    written = threading.Event()

    def work() -> None:
        engine = _engine()
        engine.pool.max_parallel = 1
        fd = os.open("file", os.O_CREAT | os.O_RDWR)
        for number in range(64):
            engine.pwrite(fd, bytes([number]) * (1 << 20), number << 20)
        written.set()
        engine.flush()
        _thread.allocate_lock().acquire()  # free: the thread just ends

    threading.Thread(target=work, daemon=True).start()
    written.wait()
    _leave()


def a_running_write_is_waited_for(fd: str) -> None:
    engine = _engine()
    engine.write(int(fd), bytes(1 << 20))
    until(lambda: engine.nready == 0)
    _leave()


def a_write_that_waits_for_room_is_waited_for(fd: str) -> None:
    engine = _engine()
    _fill(int(fd))
    engine.write(int(fd), bytes((1 << 20) - (1 << 16)))
    until(lambda: engine.nready == 0)
    time.sleep(0.05)  # as above
    _leave()


def writes_of_a_stuck_loop_are_waited_for(fd: str) -> None:
    async def main() -> None:
        anyaio.default_pool().exit_timeout = LONG
        task = asyncio.create_task(aio.write(int(fd), bytes(1 << 20)))
        await asyncio.sleep(0)
        engine = aio.current().engine
        await asyncio.to_thread(until, lambda: engine.nreqs == 1 and engine.nready == 0)
        engine.shutdown()
        task.cancel()

    asyncio.run(main())
    _leave()


# ---- how long it takes ----


def a_stuck_change_delays_by_the_exit_timeout() -> None:
    _stick(_engine(1.0))
    _measure()


def a_write_that_waits_for_room_delays_by_the_exit_timeout() -> None:
    engine = _engine(1.0)
    _, writer = os.pipe()
    _fill(writer)
    engine.write(writer, b"x")
    until(lambda: engine.nready == 0)
    time.sleep(0.05)  # as above
    _measure()


def a_stuck_change_of_a_private_pool_delays_by_its_exit_timeout() -> None:
    pool = anyaio.Pool()
    pool.exit_timeout = 1.0
    engine = anyaio.Engine(pool)
    kept.append(engine)
    _stick(engine)
    _measure()


def completions_that_keep_arriving_prolong_it() -> None:
    engine = _engine(1.0)
    engine.pool.max_parallel = 1
    reader, writer = os.pipe()

    def drain_slowly() -> None:
        while os.read(reader, 1 << 16):
            time.sleep(0.2)  # the rate at which completions arrive: each write fills the pipe

    for _ in range(12):
        engine.write(writer, bytes(1 << 16))
    _measure()
    threading.Thread(target=drain_slowly, daemon=True).start()


def a_change_that_is_held_back_delays_by_the_exit_timeout_at_most() -> None:
    engine = _engine(0.2)
    engine.pool.max_parallel = 0
    engine.mkdir("never")
    _measure()


def an_interrupt_ends_the_wait() -> None:
    _stick(_engine())

    def interrupt_soon() -> None:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.5)  # when the exit waits

    atexit.register(interrupt_soon)
    _leave()


# ---- what is left alone ----


def a_status_is_kept(way: str) -> None:
    engine = _engine(0.05)
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    engine.pwrite(fd, b"written", 0)
    engine.busy(LONG)
    if way == "exit":
        sys.exit(3)
    if way == "exception":
        raise ValueError("unhandled")
    if way == "at once":
        _stick(_engine())
        os._exit(7)
    if way == "thread":
        _thread.interrupt_main()
        until(lambda: False)


def handlers_may_use_the_library() -> None:
    def make(name: str) -> None:
        anyaio.blocking.mkdir(name)
        print(sorted(anyaio.blocking.listdir(".")))

    engine = _engine()
    engine.nop()
    engine.mkdir("in the main program")
    atexit.register(make, "before")
    after.append(lambda: make("later"))


@program
def handlers_may_use_it_for_the_first_time() -> None:
    def use() -> None:
        anyaio.blocking.mkdir("folder")
        fd = anyaio.blocking.open("file", os.O_CREAT | os.O_RDWR)
        assert anyaio.blocking.write(fd, b"hello") == 5
        assert anyaio.blocking.pread(fd, 10, 0) == b"hello"
        anyaio.blocking.close(fd)
        assert sorted(anyaio.blocking.listdir(".")) == ["file", "folder"]
        os.remove("file")
        os.rmdir("folder")

    atexit.register(use)
    after.append(use)


@program
def handlers_may_use_it_when_all_threads_are_stuck() -> None:
    engine = _engine(0.0)
    engine.pool.max_parallel = 2
    engine.busy(LONG)
    until(lambda: engine.nready == 0)

    def use() -> None:
        for _ in range(10):
            assert anyaio.blocking.stat("/").st_ino == os.stat("/").st_ino

    atexit.register(use)
    after.append(use)


def buffered_output_is_flushed() -> None:
    _engine().mkdir("folder")
    sys.stdout.write("no newline")
    sys.stderr.write("an error")


# ---- the interpreter's end ----


class Circle:
    """Refers to itself, and uses what it has when it goes."""

    def __init__(self, *things: object) -> None:
        self.me = self
        self.things = things

    def __del__(self) -> None:
        for thing in self.things:
            repr(thing)
            getattr(thing, "state", None)


def everything_is_alive_at_the_end() -> None:
    engine = _engine(0.01)
    engine.on_error = lambda error, request: kept.append((engine, error, request))
    told: list[Any] = []
    os.mkfifo("fifo")
    reader, writer = os.pipe()
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    buffer = bytearray(1000)
    requests: list[Any] = [
        engine.open("fifo", os.O_WRONLY, callback=told.append),
        engine.open("fifo", os.O_WRONLY | os.O_CREAT, callback=lambda request: requests.append(request)),
        engine.read(reader, 10, told.append),
        engine.readv(reader, [buffer], told.append),
        engine.busy(LONG, told.append),
        engine.listdir("/", callback=told.append),
        engine.stat("/"),
        engine.stat("missing"),
        engine.open("file", os.O_RDONLY),
    ]
    engine.wait()
    engine.poll()
    requests += [engine.scandir("/"), engine.open("file", os.O_RDONLY), engine.stat("missing")]
    requests += [engine.pwrite(fd, bytearray(1 << 16), number << 16, told.append) for number in range(16)]
    requests += [engine.nop(told.append) for _ in range(100)]
    composite = engine.split_dir("/usr", callback=told.append)
    private = anyaio.Engine(anyaio.Pool(max_parallel=0))
    private.pool.exit_timeout = 0.01
    requests += [private.nop(), private.mkdir("never"), private.close(writer)]
    circle = Circle(engine, private, requests, composite, kept)
    circle.things += (engine.with_options(priority=1), weakref.ref(engine), anyaio.blocking.current(), told)
    anyaio.blocking.nop()
    kept.append((requests, private, composite, circle, told))
    sys.modules["kept"] = circle  # type: ignore[assignment]  # goes last
    engine.circle = circle


def many_children_end_with_everything_alive() -> None:
    for number in range(50):
        os.mkdir(str(number))
        os.chdir(str(number))
        in_leaving_child(everything_is_alive_at_the_end)
        os.chdir("..")


def many_children_end_with_a_loop_alive(name: str) -> None:
    for number in range(20):
        os.mkdir(str(number))
        os.chdir(str(number))
        in_leaving_child(functools.partial(a_loop_is_alive_at_the_end, name))
        os.chdir("..")


def a_loop_is_alive_at_the_end(name: str) -> None:
    loop = importlib.import_module(name).new_event_loop()
    os.mkfifo("fifo")

    async def wait() -> None:
        await aio.open("fifo", os.O_WRONLY)

    async def main() -> None:
        anyaio.default_pool().exit_timeout = 0.01
        kept.extend([loop, aio.current(), loop.create_task(wait()), loop.create_task(aio.busy(LONG))])
        kept.append(aio.nop())
        await aio.stat("/")
        kept[-1].send(None)

    loop.run_until_complete(main())
    kept.append(Circle(loop, kept))


def all_colours_in_development_mode() -> None:
    engine = _engine()
    engine.split_dir("/")
    request = engine.listdir("/")
    engine.flush()
    assert request.result()
    private = anyaio.Engine(anyaio.Pool())
    private.stat("/")
    private.flush()
    private.shutdown()
    assert anyaio.blocking.stat("/")
    expect(FileNotFoundError, anyaio.blocking.stat, "missing")

    async def main() -> None:
        assert await aio.listdir("/")
        fd = await aio.open("file", os.O_CREAT | os.O_RDWR)
        await aio.pwrite(fd, b"hello", 0)
        await aio.close(fd)
        await aio.split_dir("/")
        await asyncio.gather(*(aio.stat("/") for _ in range(10)))
        task = asyncio.create_task(aio.busy(LONG))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    engine.listdir("/")

"""fork: the child starts anew and works; what it inherited is out of its reach; its parent is not disturbed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyaio
import anyaio.asyncio as aio
import anyaio.blocking
from programs import program
from programs.process import descriptors, expect, in_child, in_leaving_child, until


class Parent:
    """An engine with requests under way."""

    def __init__(self) -> None:
        self.engine = anyaio.Engine()
        self.told: list[Any] = []  # requests, as their callbacks were called
        self.requests: list[Any] = []

    def go_on(self) -> None:
        """Let all requests end; each must be told once."""
        self.engine.pool.max_parallel = 32
        self.engine.flush()
        assert sorted(map(id, self.told)) == sorted(map(id, self.requests))
        self.check()

    def check(self) -> None:
        seen: list[object] = []
        self.engine.stat("/", callback=seen.append)
        self.engine.flush()
        assert len(seen) == 1


def use_the_library() -> None:
    """All that a child may want to do."""
    engine = anyaio.Engine()
    request = engine.stat("/")
    engine.flush()
    assert request.result().st_ino == os.stat("/").st_ino
    engine.shutdown()
    fd = anyaio.blocking.open(f"child-{os.getpid()}", os.O_CREAT | os.O_RDWR)
    assert anyaio.blocking.pwrite(fd, b"hello", 0) == 5
    anyaio.blocking.close(fd)

    async def main() -> None:
        assert (await aio.stat(f"child-{os.getpid()}")).st_size == 5

    asyncio.run(main())


def refuse(engine: Any, requests: list[Any]) -> None:
    """What was inherited is refused, and does no harm where it is looked at."""
    for call in (engine.nop, engine.poll, engine.wait, engine.flush):
        assert "fork" in str(expect(RuntimeError, call))
    expect(RuntimeError, anyaio.Engine, engine.pool)
    for request in requests:
        assert request.state in ("queued", "running", "finished", "done")
        assert request.operation in repr(request)
        if request.state != "done":
            expect(RuntimeError, request.cancel)
            expect(RuntimeError, request.result)
    assert "engine" in repr(engine)
    assert "pool" in repr(engine.pool)
    assert engine.nreqs >= 0


def fork_in(parent: Parent) -> None:
    """Fork twice: one child leaves as a program does, the other drops all that it inherited."""

    def look() -> None:
        refuse(parent.engine, parent.requests)
        use_the_library()

    def drop() -> None:
        idle = not parent.engine.nreqs
        parent.requests.clear()
        parent.told.clear()
        del parent.engine
        gc.collect()
        if idle:  # else what is under way may keep it
            assert fd not in descriptors(), "the notifier's copy is still open"
        use_the_library()

    def shut_down() -> None:
        parent.engine.shutdown()
        assert parent.engine.closed
        use_the_library()

    fd = parent.engine.fileno()
    for act in (look, drop, shut_down):
        in_leaving_child(act)
        in_child(act)


# ---- the programs ----


@program
def with_nothing_under_way() -> None:
    parent = Parent()
    parent.check()
    fork_in(parent)
    parent.go_on()


@program
def before_the_first_request() -> None:
    parent = Parent()
    fork_in(parent)
    parent.go_on()


@program
def with_requests_queued() -> None:
    parent = Parent()
    engine = parent.engine
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    engine.pool.max_parallel = 0
    parent.requests = [
        engine.nop(parent.told.append),
        engine.pwrite(fd, bytearray(b"x" * 100_000), 0, parent.told.append),
        engine.open("file", os.O_RDONLY, callback=parent.told.append),
        engine.close(os.dup(fd), parent.told.append),
    ]
    fork_in(parent)
    assert os.fstat(fd).st_size == 0
    parent.go_on()
    assert os.fstat(fd).st_size == 100_000
    assert os.readlink(f"/proc/self/fd/{parent.requests[2].result()}").endswith("file")


@program
def with_requests_running() -> None:
    parent = Parent()
    engine = parent.engine
    os.mkfifo("fifo")
    reader, writer = os.pipe()
    parent.requests = [
        engine.open("fifo", os.O_WRONLY | os.O_CREAT, callback=parent.told.append),
        engine.open("fifo", os.O_WRONLY, callback=parent.told.append),
        engine.read(reader, 10, parent.told.append),
    ]
    until(lambda: engine.nready == 0 and all(request.state == "running" for request in parent.requests))
    fork_in(parent)
    assert parent.told == []
    os.write(writer, b"hello")
    fifo = os.open("fifo", os.O_RDONLY)
    parent.go_on()
    assert parent.requests[2].result() == b"hello"
    os.close(fifo)


@program
def with_requests_finished_but_not_polled() -> None:
    parent = Parent()
    engine = parent.engine
    os.mkdir("folder")
    parent.requests = [
        engine.listdir("folder", callback=parent.told.append),
        engine.open("folder", os.O_RDONLY, callback=parent.told.append),
        engine.stat("missing", callback=parent.told.append),
    ]
    until(lambda: engine.npending == 3)
    fork_in(parent)
    assert parent.told == []
    assert engine.wait(0)
    parent.go_on()
    assert parent.requests[0].result() == []
    os.close(parent.requests[1].result())
    expect(FileNotFoundError, parent.requests[2].result)


@program
def with_requests_done() -> None:
    parent = Parent()
    request = parent.engine.stat("/")
    parent.engine.flush()

    def look() -> None:
        assert request.state == "done"
        assert request.result().st_ino == os.stat("/").st_ino
        use_the_library()

    in_child(look)
    assert request.result().st_ino == os.stat("/").st_ino


async def hold(steps: Any, path: str, quiet: int) -> bytes:
    """Keep a temporary file while waiting for data in a pipe."""
    fd = await steps.open(path, os.O_CREAT | os.O_RDWR)
    try:
        return await steps.read(quiet, 10)  # type: ignore[no-any-return]
    finally:
        await steps.unlink(path)
        await steps.close(fd)


@program
def with_a_suspended_composite_whose_cleanup_is_the_parents() -> None:
    engine = anyaio.Engine()
    reader, writer = os.pipe()
    told: list[Any] = []
    composite: Any = engine._drive_queued(told.append, hold, "temporary", reader)
    while not os.path.exists("temporary"):
        engine.wait(10)
        engine.poll()
    until(lambda: engine.nready == 0)
    held = [engine, composite]

    def drop() -> None:
        expect(RuntimeError, composite.cancel)
        held.clear()
        gc.collect()
        use_the_library()

    def drop_all() -> None:
        nonlocal engine, composite
        held.clear()
        del engine, composite
        gc.collect()
        use_the_library()

    def shut_down() -> None:
        engine.shutdown()
        use_the_library()

    def fork_again() -> None:
        in_leaving_child(use_the_library)
        use_the_library()

    for act in (drop, drop_all, shut_down, fork_again):
        in_leaving_child(act)
        in_child(act)
        assert os.path.exists("temporary"), f"{act.__name__}: a child has run the parent's cleanup"
    os.write(writer, b"hello")
    while not told:
        engine.wait(10)
        engine.poll()
    assert told == [composite]
    assert composite.result() == b"hello"
    assert not os.path.exists("temporary")


@program
def from_another_thread() -> None:
    parent = Parent()
    engine = parent.engine
    os.mkfifo("fifo")
    parent.requests = [engine.open("fifo", os.O_WRONLY, callback=parent.told.append)]
    until(lambda: engine.nready == 0)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            anyaio.blocking.nop()  # this thread has an engine of its own
            front = anyaio.blocking.current()

            def look() -> None:
                refuse(engine, parent.requests)
                expect(RuntimeError, front.engine.nop)
                assert anyaio.blocking.current() is not front
                use_the_library()

            in_child(look)
            in_child(use_the_library)
            anyaio.blocking.nop()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
    fifo = os.open("fifo", os.O_RDONLY)
    parent.go_on()
    os.close(fifo)


@program
def twice() -> None:
    parent = Parent()
    parent.engine.pool.max_parallel = 0
    parent.requests = [parent.engine.nop(parent.told.append)]

    def child() -> None:
        use_the_library()
        engine = anyaio.Engine()
        engine.pool.max_parallel = 0
        request = engine.nop()
        anyaio.blocking.current()

        def grandchild() -> None:
            refuse(parent.engine, parent.requests)
            refuse(engine, [request])
            use_the_library()

        in_leaving_child(grandchild)
        in_child(grandchild)
        engine.pool.max_parallel = 4
        engine.flush()
        assert request.state == "done"

    in_leaving_child(child)
    in_child(child)
    parent.go_on()


@program
def by_multiprocessing() -> None:
    anyaio.blocking.nop()
    parent = Parent()
    parent.engine.pool.max_parallel = 0
    parent.requests = [parent.engine.nop(parent.told.append)]
    process = multiprocessing.get_context("fork").Process(target=use_the_library)
    process.start()
    process.join(10)
    assert process.exitcode == 0
    parent.go_on()


@program
def a_program_that_is_executed_inherits_no_descriptor() -> None:
    parent = Parent()
    reader, writer = os.pipe()
    parent.requests = [parent.engine.read(reader, 1, parent.told.append)]
    until(lambda: parent.engine.nready == 0)
    ours = {name for name in descriptors().values() if "eventfd" in name}
    assert ours
    script = "for link in /proc/self/fd/*; do readlink $link; done; true"  # ls needs statx, which sandboxes forbid
    listing = subprocess.run(["sh", "-c", script], close_fds=False, capture_output=True, text=True, check=True)
    assert listing.stdout
    assert "eventfd" not in listing.stdout
    os.write(writer, b"x")
    parent.go_on()


@program
def a_handler_of_the_child_may_fork_at_exit() -> None:
    import atexit

    parent = Parent()
    parent.engine.pool.max_parallel = 0
    parent.requests = [parent.engine.nop(parent.told.append)]
    main = os.getpid()

    def at_exit() -> None:
        if os.getpid() != main:
            in_child(use_the_library)

    atexit.register(at_exit)
    in_leaving_child(use_the_library)
    parent.go_on()


a_handler_of_the_child_may_fork_at_exit.until = (3, 12)  # type: ignore[attr-defined]  # then no fork at exit


@program
def a_change_that_is_queued_is_made_by_the_parent_alone() -> None:
    parent = Parent()
    fd = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    parent.engine.pool.max_parallel = 0
    parent.requests = [parent.engine.write(fd, b"line\n", parent.told.append) for _ in range(10)]
    for _ in range(3):
        in_leaving_child(use_the_library)  # its exit finishes changes: its own
    parent.go_on()
    with open("log", "rb") as log:
        assert log.read() == b"line\n" * 10


@program
def under_heavy_load_from_several_threads() -> None:
    ending = threading.Event()
    failures: list[BaseException] = []
    counts: list[int] = []

    def load(name: str) -> None:
        try:
            engine = anyaio.Engine()
            fd = os.open(name, os.O_CREAT | os.O_RDWR)
            told: list[object] = []
            submitted = 0
            while not ending.is_set():
                for number in range(16):
                    engine.pwrite(fd, b"x" * 100, number * 100, told.append)
                    engine.pread(fd, 100, number * 100, told.append)
                    engine.nop(told.append)
                submitted += 48
                engine.flush()
            assert len(told) == submitted
            counts.append(submitted)
            engine.shutdown()
        except BaseException as error:
            failures.append(error)

    def look() -> None:
        expect(RuntimeError, inherited.nop)
        assert anyaio.blocking.listdir("empty") == []

    os.mkdir("empty")
    sys.setswitchinterval(0.0005)  # or the threads keep the interpreter to themselves
    inherited = anyaio.Engine()
    workers = [threading.Thread(target=load, args=(f"file-{number}",)) for number in range(2)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(200):
            in_child(look)
    finally:
        ending.set()
        for worker in workers:
            worker.join()
    assert failures == []
    assert len(counts) == 2


@program
def from_a_task_of_a_running_loop() -> None:
    _from_a_task(asyncio.new_event_loop)


@program
def from_a_task_of_a_running_uvloop() -> None:
    try:
        import uvloop
    except ImportError:
        return
    _from_a_task(uvloop.new_event_loop)


def _from_a_task(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        os.mkfifo("fifo")
        stuck = asyncio.create_task(aio.open("fifo", os.O_WRONLY))
        await aio.nop()
        front = aio.current()

        def shut_down() -> None:
            refuse(front.engine, [])
            front.shutdown()  # detaching would reach the parent's epoll
            use_the_library()

        def drop() -> None:
            nonlocal front
            front = None  # type: ignore[assignment]  # the child's copy
            gc.collect()
            use_the_library()

        for act in (shut_down, drop, use_the_library):
            in_child(act)
            assert (await aio.stat("/")).st_ino == os.stat("/").st_ino
        results = await asyncio.gather(*(aio.stat("/") for _ in range(100)))
        assert len(results) == 100
        assert not stuck.done()
        fifo = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
        await aio.close(await stuck)
        os.close(fifo)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@program
def between_two_runs_of_a_loop() -> None:
    loop = asyncio.new_event_loop()

    async def main() -> int:
        return (await aio.stat("/")).st_ino

    first = loop.run_until_complete(main())
    for _ in range(2):
        child = os.fork()
        if child == 0:
            use_the_library()
            loop.close()  # the child's copy, which has an epoll registration of the parent
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert loop.run_until_complete(main()) == first
    loop.close()

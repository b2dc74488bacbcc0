"""anyaio.asyncio: the life of loops, and cancellation by all that asyncio has for it. Each gets the loop's name."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import anyaio
import anyaio.asyncio as aio
from programs import program
from programs.process import LIMIT, descriptors, expect, threads, until

STUCK = os.O_WRONLY | os.O_CREAT  # opening a FIFO with these is a change that no worker can end


def _factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    return importlib.import_module(loop).new_event_loop  # type: ignore[no-any-return]


def _run(loop: str, main: Coroutine[Any, Any, Any]) -> Any:
    complaints: list[dict[str, Any]] = []

    async def wrapped() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        return await main

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        result = runner.run(wrapped())
    assert complaints == []
    return result


async def _until(condition: Callable[[], object], what: str = "it") -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        await asyncio.sleep(0.001)


async def _running(engine: Any) -> None:
    """Wait until every outstanding request is in a worker."""
    await _until(lambda: engine.nreqs > 0 and engine.nready == 0)


async def _finished(engine: Any) -> None:
    """Have the request of the task that was made last finished, and not polled."""
    engine.pool.max_parallel = 0
    await asyncio.sleep(0)
    engine.pool.max_parallel = 8
    until(lambda: engine.npending == 1)


async def _cancelled(task: asyncio.Future[Any], *, times: int = 1) -> asyncio.CancelledError:
    """Cancel a task, return what it raised."""
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    error = await _error(task)
    assert isinstance(error, asyncio.CancelledError)
    return error


async def _error(task: asyncio.Future[Any]) -> BaseException:
    """Return what a task raises."""
    try:
        async with asyncio.timeout(LIMIT):
            await task
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def _is_open(name: str, *, but: int) -> bool:
    """Whether a descriptor of a file is open, but for one."""
    return any(what.endswith(name) and fd != but for fd, what in descriptors().items())


class _Remains:
    """What there is before; nothing else may be there after."""

    def __init__(self) -> None:
        self.before = len(descriptors())
        self.threads = threads()

    def check(self) -> None:
        gc.collect()
        until(lambda: len(descriptors()) <= self.before, f"an end of {descriptors()}")
        # The pool keeps a few threads while it has engines; they go with the last one.
        until(lambda: threads() <= self.threads, f"an end of {threads()} threads")


# ---- runs ----


@program
def a_thousand_runs_that_end_with_outstanding_looks_leave_nothing(loop: str) -> None:
    async def use() -> None:
        fd = await aio.open("/", os.O_RDONLY)
        try:
            await aio.fstat(fd)
        finally:
            await aio.close(fd)

    async def main() -> None:
        tasks = [asyncio.create_task(call) for call in (aio.busy(0.0001), aio.stat("/"), use(), use())]
        await aio.nop()
        assert tasks

    _run(loop, main())
    remains = _Remains()
    for _ in range(1000):
        _run(loop, main())
    remains.check()


@program
def runs_that_end_with_a_stuck_open_end_at_once(loop: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(aio.open("fifo", os.O_WRONLY))
        await _running(aio.current().engine)
        assert not task.done()

    os.mkfifo("fifo")
    _run(loop, aio.nop())
    remains = _Remains()
    begun = time.monotonic()
    for _ in range(20):
        _run(loop, main())
    assert time.monotonic() - begun < LIMIT
    assert anyaio.default_pool().stats()["running"] == 20
    assert len(anyaio.default_pool().stats()["stuck"]) == 20
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)  # they succeed, for nobody
    until(lambda: anyaio.default_pool().stats()["running"] == 0)
    os.close(reader)
    remains.check()


@program
def a_run_that_ends_with_a_stuck_change_ends_after_patience(loop: str) -> None:
    outcomes: list[Any] = []

    async def work() -> None:
        view = aio.current().with_options(patience=0.2)
        try:
            await view.open("fifo", STUCK)
        except asyncio.CancelledError as error:
            outcomes.append(error.outcome)  # type: ignore[attr-defined]
            raise

    async def main() -> None:
        tasks = [asyncio.create_task(work()) for _ in range(3)]
        await _running(aio.current().engine)
        assert len(tasks) == 3

    os.mkfifo("fifo")
    _run(loop, aio.nop())
    remains = _Remains()
    begun = time.monotonic()
    _run(loop, main())
    assert 0.2 <= time.monotonic() - begun < LIMIT
    assert [outcome.status for outcome in outcomes] == ["unknown"] * 3
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    until(lambda: anyaio.default_pool().stats()["running"] == 0)
    os.close(reader)
    remains.check()


@program
def a_shutdown_with_a_stuck_change_wakes_who_waits(loop: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(aio.open("fifo", STUCK))
        engine = aio.current().engine
        await _running(engine)
        aio.current().shutdown()
        error = await _error(task)
        assert isinstance(error, anyaio.Cancelled)
        assert error.outcome is not None
        assert error.outcome.status == "unknown"
        assert len(anyaio.default_pool().stats()["stuck"]) == 1
        await aio.nop()
        os.close(os.open("fifo", os.O_RDONLY | os.O_NONBLOCK))

    os.mkfifo("fifo")
    _run(loop, main())


@program
def two_loops_in_two_threads_disturb_each_other_in_no_round(loop: str) -> None:
    failures: list[BaseException] = []
    meeting = threading.Barrier(2, timeout=LIMIT)

    async def main(name: str, number: int) -> None:
        fd = await aio.open(f"{name}-{number}", os.O_CREAT | os.O_RDWR)
        assert await aio.pwrite(fd, name.encode(), 0) == 1
        results = await asyncio.gather(*(aio.pread(fd, 10, 0) for _ in range(20)))
        assert results == [name.encode()] * 20
        task = asyncio.create_task(aio.busy(0.001))
        await asyncio.sleep(0)
        task.cancel()
        await aio.close(fd)

    def work(name: str) -> None:
        try:
            for number in range(50):
                meeting.wait()
                _run(loop, main(name, number))
        except BaseException as error:
            failures.append(error)
            meeting.abort()

    workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


@program
def a_loop_can_be_run_several_times(loop: str) -> None:
    _run(loop, aio.nop())
    remains = _Remains()
    again = _factory(loop)()
    task = again.create_task(aio.busy(0.02))
    engines = set()

    async def main() -> int:
        engines.add(aio.current().engine)
        return (await aio.stat("/")).st_ino

    for _ in range(5):
        assert again.run_until_complete(main()) == os.stat("/").st_ino
    again.run_until_complete(task)
    assert len(engines) == 1
    again.run_until_complete(again.shutdown_asyncgens())
    again.close()
    engines.clear()
    del again, task
    remains.check()


@program
def results_that_come_between_two_runs_arrive_in_the_second(loop: str) -> None:
    again = _factory(loop)()
    told: list[Any] = []

    async def submit() -> Any:
        engine = aio.current().engine
        engine.pool.max_parallel = 0  # or it might arrive in this run
        engine.stat("/", callback=told.append)
        return engine

    async def wait() -> None:
        await _until(lambda: told)

    engine = again.run_until_complete(submit())
    engine.pool.max_parallel = 1
    until(lambda: engine.npending == 1)
    assert told == []
    again.run_until_complete(wait())
    assert told[0].result().st_ino == os.stat("/").st_ino
    again.close()


@program
def a_loop_that_is_closed_with_pending_requests_leaves_nothing(loop: str) -> None:
    async def main(number: int) -> None:
        engine = aio.current().engine
        engine.open("fifo", os.O_WRONLY)
        engine.busy(LIMIT * 10, lambda request: told.append(request))
        engine.busy(0.01, callback=lambda request: told.append(request))
        engine.mkdir(f"folder-{number}")
        await asyncio.sleep(0)

    os.mkfifo("fifo")
    told: list[object] = []
    _run(loop, aio.nop())
    remains = _Remains()
    for number in range(3):
        again = _factory(loop)()
        again.run_until_complete(main(number))
        again.close()
        del again
        gc.collect()
    until(lambda: all(os.path.isdir(f"folder-{number}") for number in range(3)), "a change that was queued")
    assert told == []
    assert len(descriptors()) <= remains.before
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)  # what has begun succeeds, for nobody
    until(lambda: not _is_open("fifo", but=reader))
    os.close(reader)
    until(lambda: len(descriptors()) <= remains.before)


@program
def a_task_that_is_left_pending_can_be_collected_anywhere(loop: str) -> None:
    kept: list[Any] = []
    heard: list[Any] = []

    async def main() -> None:
        kept.append(aio.current().busy(LIMIT * 10))
        kept[-1].send(None)

    again = _factory(loop)()
    again.run_until_complete(main())
    again.close()
    collector = threading.Thread(target=kept.clear)
    sys.unraisablehook = heard.append
    collector.start()
    collector.join()
    assert heard == [], [(entry.exc_value, entry.object) for entry in heard]


@program
def debug_mode_has_nothing_to_complain_of(loop: str) -> None:
    async def main() -> None:
        await asyncio.gather(*(aio.stat("/") for _ in range(20)))
        assert (await _cancelled(asyncio.create_task(aio.busy(LIMIT)))).args == ()
        async with asyncio.timeout(LIMIT):
            await aio.listdir("/")
        await asyncio.to_thread(time.sleep, 0.001)

    _run(loop, aio.nop())
    remains = _Remains()
    warnings.simplefilter("error")
    with asyncio.Runner(loop_factory=_factory(loop), debug=True) as runner:
        runner.get_loop().slow_callback_duration = LIMIT  # the machine may be busy
        runner.run(main())
    del runner
    remains.check()


# ---- cancellation ----


@program
def a_task_can_be_cancelled_twice_in_each_state(loop: str) -> None:
    async def main() -> None:
        engine = aio.current().engine
        pool = engine.pool
        await aio.nop()
        for times in (1, 2):
            pool.max_parallel = 0
            tasks = [asyncio.create_task(call) for call in (aio.nop(), aio.mkdir("never"), aio.open("x", STUCK))]
            await _until(lambda: engine.nready == 3)
            for task in tasks:
                assert (await _cancelled(task, times=times)).outcome.status == "never ran"  # type: ignore[attr-defined]
            pool.max_parallel = 8

            task = asyncio.create_task(aio.busy(LIMIT * 10))
            await _running(engine)
            assert (await _cancelled(task, times=times)).outcome.status == "abandoned"  # type: ignore[attr-defined]

            task = asyncio.create_task(aio.mkdir(f"finished-{times}"))
            await _finished(engine)
            error = await _cancelled(task, times=times)
            assert error.outcome.status == "done"  # type: ignore[attr-defined]
            assert os.path.isdir(f"finished-{times}")

            looking = asyncio.create_task(aio.stat("/"))
            await _finished(engine)
            error = await _cancelled(looking, times=times)
            assert error.outcome.status == "abandoned"  # type: ignore[attr-defined]

            done = asyncio.create_task(aio.nop())
            await done
            assert done.cancel() is False
        task = asyncio.create_task(aio.open("fifo", STUCK))
        await _running(engine)
        assert (await _cancelled(task, times=2)).outcome.status == "unknown"  # type: ignore[attr-defined]
        assert engine.nreqs == 0
        os.close(os.open("fifo", os.O_RDONLY | os.O_NONBLOCK))

    os.mkfifo("fifo")
    _run(loop, main())
    assert not os.path.exists("never")


@program
def a_close_that_is_cancelled_twice_closes_and_waits_no_longer(loop: str) -> None:
    async def main() -> None:
        await aio.nop()
        engine = aio.current().engine
        for times in (1, 2):
            reader, writer = os.pipe()
            engine.pool.max_parallel = 0
            task = asyncio.create_task(aio.close(reader))
            await _until(lambda: engine.nready)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            engine.pool.max_parallel = 8
            error = await _cancelled(task, times=0)
            outcome = error.outcome  # type: ignore[attr-defined]
            assert outcome.status == ("done" if times == 1 else "unknown"), (times, outcome)
            await _until(lambda fd=reader: fd not in descriptors())  # type: ignore[misc]
            os.close(writer)

    _run(loop, main())


@program
def a_timeout_waits_for_a_change_that_ends(loop: str) -> None:
    async def main() -> None:
        engine = aio.current().engine
        for wait in (_with_timeout, _with_wait_for):
            task = asyncio.create_task(wait(aio.open("fifo", STUCK)))
            await _running(engine)
            await asyncio.sleep(0.05)  # longer than the timeout
            assert not task.done()
            reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
            error = await _error(task)
            assert isinstance(error, TimeoutError)
            assert error.__context__ is not None  # and its cause too, but for the first 3.11s
            assert error.__context__.outcome.status == "done"  # type: ignore[attr-defined]
            await _until(lambda but=reader: not _is_open("fifo", but=but))  # type: ignore[misc]
            os.close(reader)

    os.mkfifo("fifo")
    _run(loop, main())


async def _with_timeout(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async with asyncio.timeout(0.02):
        return await coroutine


async def _with_wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wait_for(coroutine, 0.02)


@program
def a_task_group_ends_when_its_changes_have_ended(loop: str) -> None:
    async def fail() -> None:
        await _running(aio.current().engine)
        raise ValueError

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(aio.open("fifo", STUCK))
            tasks.create_task(aio.busy(LIMIT * 10))
            tasks.create_task(fail())

    async def main() -> None:
        task = asyncio.create_task(group())
        await _until(lambda: anyaio.default_pool().stats()["stuck"])  # the look was abandoned
        assert not task.done()
        reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
        error = await _error(task)
        assert isinstance(error, ExceptionGroup)
        assert [type(inner) for inner in error.exceptions] == [ValueError]
        await _until(lambda: not _is_open("fifo", but=reader))
        os.close(reader)

    os.mkfifo("fifo")
    _run(loop, main())


@program
def a_gather_of_everything_has_each_its_own_result_or_error(loop: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(aio.busy(LIMIT * 10))
        results = asyncio.gather(
            aio.listdir("."), aio.stat("missing"), asyncio.shield(aio.mkdir("folder")), task, return_exceptions=True
        )
        await _until(lambda: os.path.isdir("folder"))
        task.cancel()
        listing, missing, made, cancelled = await results
        assert isinstance(listing, list)
        assert isinstance(missing, FileNotFoundError)
        assert made is None
        assert isinstance(cancelled, asyncio.CancelledError)

    _run(loop, main())


@program
def a_descriptor_is_closed_in_a_cancelled_scope(loop: str) -> None:
    async def work(started: asyncio.Event) -> None:
        fd = await aio.open("/", os.O_RDONLY)
        try:
            started.set()
            await aio.busy(LIMIT * 10)
        finally:
            await aio.close(fd)

    async def main() -> None:
        await aio.nop()
        before = set(descriptors())
        for times in (1, 2):
            started = asyncio.Event()
            task = asyncio.create_task(work(started))
            await started.wait()
            await _cancelled(task, times=times)
            await _until(lambda: set(descriptors()) == before)
        try:
            async with asyncio.timeout(0.02):
                await work(asyncio.Event())
        except TimeoutError:
            pass
        assert set(descriptors()) == before

    _run(loop, main())


@program
def opens_that_are_cancelled_at_random_leak_nothing(loop: str) -> None:
    dice = random.Random(20)

    async def main() -> None:
        await aio.nop()
        before = set(descriptors())
        statuses: dict[str, int] = {}
        engine = aio.current().engine
        for number in range(1000):
            flags = os.O_RDONLY if number % 2 else os.O_RDWR | os.O_CREAT
            task = asyncio.create_task(aio.open("file", flags))
            moment = dice.random()
            if moment < 0.3:
                await asyncio.sleep(0)
            elif moment < 0.5:
                await asyncio.sleep(0)
                until(lambda: engine.npending or not engine.nreqs)
                if moment < 0.4:
                    engine.poll()
            elif moment < 0.9:
                await asyncio.sleep(dice.random() * 0.0002)
            task.cancel()
            if moment < 0.1:
                task.cancel()
            try:
                fd = await task
            except asyncio.CancelledError as error:
                outcome = getattr(error, "outcome", None)
                status = outcome.status if outcome is not None else "never began"
            else:
                status = "taken"
                await aio.close(fd)
            statuses[status] = statuses.get(status, 0) + 1
        await _until(lambda: set(descriptors()) == before, "the last close")
        assert {"never began", "done"} <= statuses.keys()

    with open("file", "w"):
        pass
    _run(loop, main())


# ---- Ctrl-C ----


@program
def an_interrupt_of_a_run_waits_for_a_running_change(loop: str) -> None:
    _interrupted(loop, 0.3, 1, "unknown")


@program
def a_second_interrupt_of_a_run_waits_no_longer(loop: str) -> None:
    _interrupted(loop, None, 2, "unknown")


def _interrupted(loop: str, patience: float | None, times: int, status: str) -> None:
    outcomes: list[Any] = []

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    async def main() -> None:
        running = asyncio.get_running_loop()
        view = aio.current().with_options(patience=patience)
        watcher = running.create_task(_running(view.engine))

        def begin(_: object) -> None:
            for number in range(times):
                running.call_later(number * 0.1, interrupt)

        watcher.add_done_callback(begin)
        try:
            await view.open("fifo", STUCK)
        except asyncio.CancelledError as error:
            outcomes.append(error.outcome)  # type: ignore[attr-defined]
            raise

    os.mkfifo("fifo")
    anyaio.default_pool().exit_timeout = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        expect(KeyboardInterrupt, runner.run, main())
    assert time.monotonic() - begun < LIMIT
    if patience is not None:
        assert time.monotonic() - begun >= patience
    assert [outcome.status for outcome in outcomes] == [status]
    _run(loop, aio.nop())
    os.close(os.open("fifo", os.O_RDONLY | os.O_NONBLOCK))


@program
def an_interrupt_while_nothing_but_a_look_is_under_way_ends_at_once(loop: str) -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        running.call_later(0.02, os.kill, os.getpid(), signal.SIGINT)
        await aio.busy(LIMIT * 10)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        expect(KeyboardInterrupt, runner.run, main())
    assert time.monotonic() - begun < LIMIT
    _run(loop, aio.nop())

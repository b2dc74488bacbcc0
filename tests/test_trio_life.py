"""anyaio.trio from the begin of a run to its end: what callbacks raise, late finalizers, guest mode, several runs."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import warnings
import weakref
from functools import partial
from types import SimpleNamespace

import loops
import pytest
import trio
import trio.testing
import trio_runs
from loops import descriptors, running, spin, thread_count
from trio_runs import LIMIT, in_trio, run, start, until

import anyaio.asyncio
from anyaio import Cancelled

aio, stuck = trio_runs.aio, loops.stuck


def is_open(fd):
    return os.path.lexists(f"/proc/self/fd/{fd}")


# ---- what callbacks raise ----


@pytest.fixture
def unraisable(monkeypatch):
    """What `sys.unraisablehook` heard."""
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: heard.append(arguments.exc_value))
    return heard


@in_trio
async def test_an_exception_in_a_callback_is_reported_and_the_run_goes_on(aio, unraisable):
    engine = aio.current().engine
    after = []
    engine.nop(lambda request: 1 / 0)
    engine.nop(after.append)
    await until(lambda: after)
    await aio.nop()
    assert [type(error) for error in unraisable] == [ZeroDivisionError]


@in_trio
async def test_an_exception_in_a_feeder_fails_its_group(aio):
    group = aio.group()
    group.feed(lambda group: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await aio.current().wait(group)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@in_trio
async def test_an_exception_in_a_progress_function_is_raised_by_its_call(aio, tmp_path, error):
    def fail(done, total):
        raise error

    (tmp_path / "source").write_bytes(b"x" * 1000)
    with pytest.raises(error):
        await aio.copy(tmp_path / "source", tmp_path / "target", progress=fail)
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_a_callback_is_raised_in_the_main_task(aio, error):
    seen = SimpleNamespace(others=[], main=None)

    def interrupt(request):
        raise error

    async def other(engine):
        engine.nop(interrupt)
        engine.nop(seen.others.append)
        await until(lambda: seen.others)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other, aio.current().engine)
            try:
                await trio.sleep_forever()
            except BaseException as error:
                seen.main = error
                await until(lambda: seen.others)
        raise seen.main

    with pytest.raises(error) as caught:
        run(main)
    assert caught.value is seen.main
    assert len(seen.others) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_waits_until_the_main_task_can_be_interrupted(aio, stuck, error):
    def interrupt(request):
        raise error

    async def callbacks(engine):
        done = []
        await until(running(engine))
        engine.nop(interrupt)
        engine.nop(done.append)
        await until(lambda: done)
        stuck.release()

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(callbacks, aio.current().engine)
            os.close(await aio.open(stuck.path, stuck.FLAGS))
            with pytest.raises(error):
                await trio.sleep(LIMIT)

    trio.run(main)


def test_an_interruption_that_the_main_task_does_not_live_to_see_is_reported(aio, unraisable):
    def interrupt(request):
        raise SystemExit

    async def main():
        engine = aio.current().engine
        engine.nop(interrupt)
        spin(lambda: engine.npending)
        await trio.lowlevel.cancel_shielded_checkpoint()
        await trio.lowlevel.cancel_shielded_checkpoint()

    trio.run(main)
    assert [type(error) for error in unraisable] == [SystemExit]


def test_an_interruption_that_a_cancellation_brings_about_is_raised_in_the_main_task(aio, pool):
    def interrupt(group):
        raise SystemExit

    async def main():
        front = aio.current()
        pool.max_parallel = 0
        request = front.engine.nop()
        group = front.group()
        group.add(request)
        group.feed(interrupt, 1)  # called when the request has left the group
        async with trio.open_nursery() as nursery:
            call = start(nursery, front.wait, request)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(SystemExit):
                await call.cancelled()
            await call.done.wait()
        assert isinstance(call.error, trio.Cancelled)
        await trio.lowlevel.checkpoint()

    run(main)


# ---- the front end ----


@in_trio
async def test_current_is_one_object_in_a_run(aio):
    front = aio.current()
    await aio.nop()
    assert aio.current() is front


@in_trio
async def test_after_shutdown_the_next_request_starts_anew(aio):
    front = aio.current()
    await front.nop()
    front.shutdown()
    front.shutdown()
    with pytest.raises(RuntimeError):
        await front.nop()
    await aio.nop()
    assert aio.current() is not front


@in_trio
async def test_shutdown_at_once_after_the_start_leaves_no_task(aio):
    before = trio.lowlevel.current_statistics().tasks_living
    aio.current().shutdown()
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert trio.lowlevel.current_statistics().tasks_living == before


@in_trio
async def test_shutdown_in_a_callback(aio):
    front = aio.current()
    front.engine.nop(lambda request: front.shutdown())
    await until(lambda: front.engine.closed)
    await aio.nop()


@in_trio
async def test_shutdown_wakes_who_waits(aio, pool):
    pool.max_parallel = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_queued_and_shut_down, aio)
        with pytest.raises(Cancelled):
            await aio.nop()


async def until_queued_and_shut_down(aio):
    await until(lambda: aio.current().engine.nready)
    aio.current().shutdown()


def test_a_front_end_that_was_kept_says_so_in_another_run(aio):
    kept = []

    async def first():
        kept.append(aio.current())
        await aio.nop()

    async def second():
        with pytest.raises(RuntimeError, match="shut down"):
            await kept[0].nop()
        await aio.nop()

    trio.run(first)
    trio.run(second)


def test_a_failed_call_leaves_no_garbage_behind(aio, tmp_path):
    class Thing:
        pass

    async def fail():
        thing = Thing()
        try:
            await aio.stat(tmp_path / "missing")
        except FileNotFoundError:
            return weakref.ref(thing)

    async def main():
        await aio.nop()
        reference = await fail()
        await trio.lowlevel.checkpoint()
        return reference()

    gc.disable()
    try:
        assert run(main) is None
    finally:
        gc.enable()


# ---- the end of a run ----


def test_a_run_leaves_nothing_behind(aio, pool):
    async def main():
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(aio.nop)
        aio.current().engine.nop()

    trio.run(main)
    spin(lambda: pool.nthreads == 0)
    threads = thread_count()
    before = descriptors()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(100):
                trio.run(main)
            spin(lambda: pool.nthreads == 0)
            assert len(os.listdir("/proc/self/fd")) - 1 == len(before)
    finally:
        gc.enable()
    spin(lambda: thread_count() <= threads)


def test_a_run_that_fails_with_requests_under_way_leaves_nothing_behind(aio, pool):
    async def main():
        aio.current()
        pool.max_parallel = 0
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(aio.nop)
            aio.current().engine.nop()
            await until(lambda: aio.current().engine.nready == 11)
            raise ValueError

    before = descriptors()
    with pytest.raises(ExceptionGroup):
        trio.run(main)
    assert descriptors() == before


def test_the_end_of_a_run_is_not_held_by_a_request_that_nobody_waits_for(aio, stuck):
    async def main():
        engine = aio.current().engine
        engine.open(stuck.path, stuck.FLAGS)
        await until(running(engine))

    run(main)


def test_a_system_task_can_finish_its_work_when_the_main_task_has_ended(aio, stuck, tmp_path):
    ended = []

    async def system():
        with trio.CancelScope(shield=True):
            try:
                os.close(await aio.open(stuck.path, stuck.FLAGS))
                await aio.mkdir(tmp_path / "d")
            finally:
                ended.append(sys.exc_info()[1])

    async def main():
        aio.current()
        trio.lowlevel.spawn_system_task(system)
        trio.lowlevel.spawn_system_task(release)
        await until(running(aio.current().engine))

    async def release():
        try:
            await trio.sleep_forever()
        finally:
            stuck.release()

    run(main)
    assert ended == [None]
    assert (tmp_path / "d").is_dir()


def test_a_system_task_can_begin_when_the_engine_has_ended(aio, tmp_path):
    async def system():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for number in range(3):
                    for _ in range(5):
                        await trio.lowlevel.checkpoint()
                    await aio.mkdir(tmp_path / str(number))

    async def main():
        await aio.nop()
        trio.lowlevel.spawn_system_task(system)
        await trio.lowlevel.checkpoint()

    before = descriptors()
    run(main)
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2"]
    assert descriptors() == before


def test_a_shutdown_in_the_last_step_of_a_run_wakes_a_system_task_that_waits(aio, pool):
    ended = []

    async def system():
        with trio.CancelScope(shield=True):
            try:
                await aio.nop()
            except BaseException as error:
                ended.append(type(error))

    async def main():
        front = aio.current()
        pool.max_parallel = 0
        trio.lowlevel.spawn_system_task(system)
        await until(lambda: front.engine.nready)
        front.shutdown()

    for count in range(1, 11):  # trio takes its tasks in any order
        run(main)
        assert ended == [Cancelled] * count


def late_generator(aio, path, opened, cleanup):
    async def generate():
        fd = await aio.open(path, os.O_RDONLY)
        opened.append(fd)
        try:
            yield fd
        finally:
            await cleanup(fd)

    return generate()


def test_a_generator_that_is_finalized_after_all_tasks_closes_its_file(aio, tmp_path, caplog):
    opened = []
    generator = late_generator(aio, tmp_path, opened, aio.close)

    async def main():
        await anext(generator)

    before = descriptors()
    run(main)
    assert not is_open(opened[0])
    assert descriptors() == before
    assert caplog.records == []


def test_what_a_late_generator_does_besides_is_a_runtime_error(aio, tmp_path, caplog):
    opened, errors = [], []

    async def cleanup(fd):
        with trio.CancelScope(shield=True):
            front = aio.current()
            for call in (
                lambda: aio.mkdir(tmp_path / "d"),
                lambda: aio.rmtree(tmp_path),
                lambda: front.wait(front.group()),
                lambda: anext(aio.each(aio.stat, [tmp_path])),
                lambda: anext(aio.each(aio.stat, numbers())),
            ):
                try:
                    await call()
                except BaseException as error:
                    errors.append(error)
            await aio.close(fd)

    generator = late_generator(aio, tmp_path, opened, cleanup)

    async def main():
        await anext(generator)

    before = descriptors()
    run(main)
    assert [type(error) for error in errors] == [RuntimeError] * 5
    assert not is_open(opened[0])
    assert os.listdir(tmp_path) == []
    assert descriptors() == before
    assert caplog.records == []


async def numbers():
    yield 1


def test_a_late_generator_in_a_run_that_had_no_request_before(aio, pipe):
    fd = os.dup(pipe[0])

    async def generate():
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                await aio.close(fd)

    generator = generate()

    async def main():
        await anext(generator)

    before = descriptors()
    run(main)
    assert not is_open(fd)
    assert descriptors() < before


@pytest.mark.parametrize("waits", [True, False])
def test_a_generator_that_is_collected_closes_its_file_in_a_task(aio, tmp_path, waits):
    opened = []

    async def main():
        generator = late_generator(aio, tmp_path, opened, aio.close)
        await anext(generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # trio's, that it was not closed
            del generator
            gc.collect()
        if waits:
            await until(lambda: not is_open(opened[0]))

    run(main)
    assert not is_open(opened[0])


# ---- several runs ----


def test_runs_in_several_threads_work_at_once(aio, tmp_path):
    meeting = threading.Barrier(3, timeout=LIMIT)
    engines, errors = [], []

    async def main(name):
        await aio.mkdir(tmp_path / name)
        engines.append(aio.current().engine)
        meeting.wait()
        for _ in range(50):
            assert (await aio.stat(tmp_path / name)).st_nlink == 2

    def work(name):
        try:
            run(partial(main, name))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert errors == []
    assert len(set(engines)) == 3


# ---- guest mode ----


def run_as_guest(main, beside=None):
    """Run *main* by trio in asyncio's loop, and *beside* by asyncio."""

    async def host():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            main, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        async with asyncio.timeout(LIMIT):
            if beside is not None:
                await beside()
            outcome = await done
        return outcome.unwrap()

    return asyncio.run(host())


def test_a_guest_and_its_host_use_files_side_by_side(aio, tmp_path):
    async def write(functions, name):
        for number in range(20):
            await functions.mkdir(tmp_path / f"{name}{number}")

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, aio, "guest")
            nursery.start_soon(write, aio, "another")
        return aio.current()

    before = descriptors()
    front = run_as_guest(main, partial(write, anyaio.asyncio, "host"))
    assert len(os.listdir(tmp_path)) == 60
    assert front.engine.closed
    spin(lambda: descriptors() == before)


def test_a_guests_request_can_be_cancelled(aio, pool, tmp_path):
    async def main():
        pool.max_parallel = 0
        with trio.move_on_after(0.01) as scope:
            await aio.mkdir(tmp_path / "d")
        assert scope.cancelled_caught
        assert aio.current().engine.nreqs == 0

    run_as_guest(main)


def test_a_guests_functions_are_not_the_hosts(aio):
    async def main():
        await aio.nop()
        await trio.sleep(0.05)

    async def beside():
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError):
            await aio.nop()

    run_as_guest(main, beside)

"""The life of a loop: its front end's start, shutdown, and that nothing stays behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from .. import Cancelled
from ._trial import Trial, demands, descriptors, ends_by_itself, not_for, restarts, threads

# ---- one loop ----


async def the_front_end_of_a_loop_is_one_object(t: Trial) -> None:
    front = t.front
    await t.aio.nop()
    assert t.front is front


@demands(restarts)
async def after_shutdown_the_next_call_starts_anew(t: Trial) -> None:
    front = t.front
    await t.aio.nop()
    front.shutdown()
    front.shutdown()
    assert await t.aio.listdir(t.folder) == []
    assert t.front is not front


@demands(restarts)
async def a_front_end_that_was_shut_down_refuses(t: Trial) -> None:
    front = t.front
    await t.aio.nop()
    front.shutdown()
    await t.raised(RuntimeError, _awaited(lambda: t.driver.neutral(front).nop()))


async def _awaited(call: Callable[[], Any]) -> None:
    await call()


@demands(restarts)
@not_for(callback="what is shut down has no callbacks")
async def shutdown_wakes_who_waits(t: Trial) -> None:
    with t.held():
        task = t.start(t.aio.nop())
        await t.until(t.queued())
        t.front.shutdown()
        ending = await t.join(task)
    assert isinstance(ending.error, Cancelled)


@demands(restarts)
async def a_callback_may_shut_down(t: Trial) -> None:
    told: list[Any] = []
    front = t.front

    def shut_down(request: Any) -> None:
        told.append(request)
        front.shutdown()

    t.engine.nop(shut_down)
    t.engine.nop()
    await t.until(lambda: told)
    assert front.engine.closed
    assert await t.aio.listdir(t.folder) == []


@demands(restarts)
async def shutdown_leaves_a_change_to_the_pool(t: Trial) -> None:
    stuck = t.stuck()
    t.engine.open(stuck.path, stuck.CHANGE)
    await t.until(t.running())
    t.front.shutdown()
    stuck.release()
    await t.until(lambda: not stuck.is_open())
    assert await t.aio.listdir(t.folder) == [stuck.path.name]


async def a_call_from_another_thread_is_refused(t: Trial) -> None:
    engine, front = t.engine, t.front
    errors: list[BaseException] = []

    def use() -> None:
        for call in (engine.nop, engine.poll, front.shutdown):
            try:
                call()
            except RuntimeError as error:
                errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(errors) == 3
    assert await t.aio.listdir(t.folder) == []


# ---- its end ----


def a_loop_that_makes_no_request_opens_nothing(t: Trial) -> None:
    seen: list[tuple[set[str], int]] = []

    async def look() -> None:
        seen.append((descriptors(), t.pool.nthreads))

    t.run(look)
    assert t.pool.nthreads == 0


def the_next_run_starts_clean(t: Trial) -> None:
    async def main() -> list[str]:
        names: list[str] = await t.aio.listdir(t.folder)
        return names

    assert t.run(main) == []
    (t.folder / "f").touch()
    assert t.run(main) == ["f"]


def a_loop_ends_with_looks_in_flight(t: Trial) -> None:
    async def main() -> None:
        for _ in range(3):
            t.engine.busy(0.3)  # longer than it takes to start the threads
        await t.until(t.running(3))

    t.run(main)


def a_loop_ends_with_changes_in_flight_that_are_done_all_the_same(t: Trial) -> None:
    async def main() -> None:
        for number in range(20):
            t.engine.mkdir(t.folder / str(number))

    t.run(main)
    t.spin(lambda: len(os.listdir(t.folder)) == 20)


def a_loop_ends_with_a_stuck_change(t: Trial) -> None:
    stuck = t.stuck()

    async def main() -> None:
        t.engine.open(stuck.path, stuck.CHANGE)
        await t.until(t.running())

    t.run(main)
    assert not stuck.released
    assert t.run(lambda: t.aio.listdir(t.folder)) == [stuck.path.name]
    stuck.release()
    t.spin(lambda: not stuck.is_open())


def a_loop_ends_with_a_task_that_waits(t: Trial) -> None:
    stuck = t.stuck()

    async def main() -> None:
        t.start(t.view(patience=0.05).open(stuck.path, stuck.CHANGE))
        await t.until(t.running())

    t.run(main)
    assert not stuck.released
    assert t.run(lambda: t.aio.listdir(t.folder)) == [stuck.path.name]


def a_failure_of_the_program_ends_the_loop_as_ever(t: Trial) -> None:
    async def main() -> None:
        t.engine.busy(0.05)
        await t.aio.stat(t.folder / "missing")

    for _ in range(2):
        try:
            t.run(main)
        except FileNotFoundError:
            pass
        else:
            raise AssertionError("it did not fail")


@demands(ends_by_itself)
def a_loop_does_not_end_while_requests_are_outstanding(t: Trial) -> None:
    told: list[Any] = []
    t.driver.run_until_idle(lambda: t.engine.busy(0.05, told.append))
    assert len(told) == 1


@demands(ends_by_itself)
def a_loop_is_not_kept_when_no_request_is_outstanding(t: Trial) -> None:
    told: list[Any] = []

    def begin() -> None:
        t.engine.nop(lambda request: t.engine.nop(told.append))

    t.driver.run_until_idle(begin)
    assert len(told) == 1


# ---- several ----


@demands(threads)
def two_loops_run_in_two_threads(t: Trial) -> None:
    results: list[Any] = []
    both = threading.Barrier(2, timeout=t.limit)

    async def main() -> None:
        await t.aio.nop()
        both.wait()
        for number in range(50):
            path = t.folder / f"{threading.get_ident()}-{number}"
            await t.aio.mkdir(path)
            results.append(await t.aio.listdir(path))

    threads = [threading.Thread(target=t.run, args=(main,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[]] * 100


@demands(threads)
def loops_come_and_go_in_threads(t: Trial) -> None:
    results: list[Any] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: results.append(t.run(lambda: t.aio.listdir(t.folder))))
        thread.start()
        thread.join()
    assert results == [[]] * 5


def nothing_grows_from_loop_to_loop(t: Trial) -> None:
    async def main() -> None:
        fd = await t.aio.open(t.folder, os.O_RDONLY)
        await t.aio.close(fd)
        t.engine.nop()

    def run(count: int) -> None:
        for _ in range(count):
            t.run(main)

    scale = t.driver.scale if t.backend.NAME == "native" else t.driver.scale // 4  # the slower one
    run(max(5, scale // 10))
    before = _sizes()
    run(scale)
    t.spin(lambda: _sizes()[0] <= before[0] and _sizes()[1] <= before[1] + t.pool.max_idle)
    _, _, blocks, memory = _sizes()
    assert blocks - before[2] < scale + 500, "objects are left of each loop"  # 500: what caches come to
    assert memory - before[3] < 4 << 20, "memory is left of each loop"


def _sizes() -> tuple[int, int, int, int]:
    """Descriptors, threads, Python's blocks of memory, and bytes of the process."""
    gc.collect()
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    return (
        len(descriptors()),
        len(os.listdir("/proc/self/task")),
        sys.getallocatedblocks(),
        pages * os.sysconf("SC_PAGESIZE"),
    )


async def nothing_grows_from_call_to_call(t: Trial) -> None:
    async def calls() -> None:
        for _ in range(100):
            await t.aio.nop()
            t.engine.nop()
        await t.drained()

    await calls()
    before = _sizes()
    for _ in range(10):
        await calls()
    assert _sizes()[0] <= before[0]
    assert _sizes()[2] - before[2] < 500

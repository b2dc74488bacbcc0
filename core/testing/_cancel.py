"""Cancellation: of each class of operations, in each state; what it tells, and what is left of it."""

from __future__ import annotations

import fcntl
import os

from ._trial import Trial, a_second_cancel_counts, demands, has_timeouts

# ---- queued ----


async def a_change_cancelled_while_queued_never_runs(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.mkdir(t.folder / "d"), t.queued())
        t.told(ending, "never ran")
        assert t.engine.nreqs == 0
    await t.aio.nop()
    assert not (t.folder / "d").exists()


async def a_look_cancelled_while_queued_never_runs(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.listdir(t.folder), t.queued())
    t.told(ending, "never ran")
    assert t.engine.nreqs == 0


async def an_open_cancelled_while_queued_opens_nothing(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.open(t.folder / "f", os.O_CREAT | os.O_WRONLY), t.queued())
    t.told(ending, "never ran")
    await t.aio.nop()
    assert not (t.folder / "f").exists()


async def a_close_cancelled_while_queued_closes(t: Trial) -> None:
    fd = await t.aio.open(t.folder, os.O_RDONLY)
    held = t.held()
    held.__enter__()
    await t.cancelled(lambda: t.aio.close(fd), t.queued(), then=lambda: held.__exit__(None, None, None))
    await t.drained()
    assert not os.path.exists(f"/proc/self/fd/{fd}")


async def a_finally_clause_can_close_in_a_cancelled_task(t: Trial) -> None:
    fds = []

    async def use() -> None:
        fds.append(await t.aio.open(t.folder, os.O_RDONLY))
        try:
            await t.look()
        finally:
            await t.aio.close(fds[0])

    ending = await t.cancelled(use, lambda: fds and t.running()())
    assert ending.cancelled
    await t.until(lambda: not os.path.exists(f"/proc/self/fd/{fds[0]}"))


# ---- running ----


async def a_look_cancelled_while_it_runs_is_abandoned_at_once(t: Trial) -> None:
    ending = await t.cancelled(t.look, t.running())
    t.told(ending, "abandoned")
    assert t.running()()
    assert t.engine.nreqs == 0


async def an_open_cancelled_while_it_runs_is_abandoned_and_closed_late(t: Trial) -> None:
    stuck = t.stuck()
    ending = await t.cancelled(lambda: t.aio.open(stuck.path, stuck.MAKE), t.running())
    t.told(ending, "abandoned")
    assert not stuck.released
    stuck.release()
    await t.until(lambda: not stuck.is_open())


async def a_change_cancelled_while_it_runs_is_waited_for(t: Trial) -> None:
    stuck = t.stuck()
    released = []

    async def change() -> int:
        try:
            fd: int = await t.aio.open(stuck.path, stuck.CHANGE)
            return fd
        finally:
            released.append(stuck.released)

    ending = await t.cancelled(change, t.running(), then=stuck.release)
    assert released == [True], "the task went on before the change had ended"
    t.told(ending, "done")
    if ending.value is not None:
        os.close(ending.value)
    await t.until(lambda: not stuck.is_open())


async def a_read_of_a_quiet_pipe_is_cancelled_and_consumes_nothing(t: Trial) -> None:
    reader, writer = os.pipe()
    ending = await t.cancelled(lambda: t.aio.read(reader, 10), t.running())
    t.told(ending, "never ran", "abandoned")
    os.write(writer, b"later")
    assert await t.aio.read(reader, 10) == b"later"
    os.close(reader)
    os.close(writer)


async def a_wait_for_a_lock_is_cancelled(t: Trial) -> None:
    (t.folder / "f").touch()
    fds = [os.open(t.folder / "f", os.O_RDWR) for _ in range(3)]
    fcntl.flock(fds[0], fcntl.LOCK_EX)
    waits = lambda: t.pool.stats()["waiting_locks"]  # noqa: E731
    t.told(await t.cancelled(lambda: t.aio.flock(fds[1], fcntl.LOCK_EX), waits), "never ran")
    os.close(fds[0])
    fcntl.flock(fds[2], fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fds[1])
    os.close(fds[2])


# ---- finished, but not polled ----


async def a_look_cancelled_when_it_has_finished_ends(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.listdir(t.folder), t.finished())
    assert ending.cancelled or ending.value == []
    await t.drained()


async def an_open_cancelled_when_it_has_finished_loses_no_descriptor(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.open(t.folder, os.O_RDONLY), t.finished())
    if ending.value is not None:
        os.close(ending.value)
    await t.drained()


async def a_creating_open_cancelled_when_it_has_finished_loses_no_descriptor(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.open(t.folder / "f", os.O_CREAT | os.O_WRONLY), t.finished())
    assert (t.folder / "f").exists()
    if ending.value is not None:
        os.close(ending.value)
    else:
        t.told(ending, "done")
    await t.drained()


async def a_change_cancelled_when_it_has_finished_tells_that_it_is_done(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.write_bytes(t.folder / "f", b"12345"), t.finished())
    t.told(ending, "done")
    assert (t.folder / "f").read_bytes() == b"12345"


async def a_change_cancelled_when_it_has_failed_tells_the_error(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.mkdir(t.folder), t.finished())
    t.told(ending, "failed")
    error = ending.error if t.driver.late else ending.outcome and ending.outcome.error
    assert isinstance(error, FileExistsError)
    assert error.filename is t.folder


# ---- done, again and together ----


async def cancelling_a_task_that_has_ended_does_nothing(t: Trial) -> None:
    task = t.start(t.aio.listdir(t.folder))
    assert (await t.join(task)).value == []
    task.cancel()
    await t.aio.nop()
    assert task.ending is not None
    assert task.ending.value == []


async def a_second_cancel_does_no_harm(t: Trial) -> None:
    stuck = t.stuck()
    view = t.view(patience=0.1)
    ending = await t.cancelled(lambda: view.open(stuck.path, stuck.CHANGE), t.running(), t.running())
    t.told(ending, "unknown")
    stuck.release()
    await t.until(lambda: not stuck.is_open())
    assert await t.aio.listdir(t.folder) == [stuck.path.name]


@demands(a_second_cancel_counts)
async def a_second_cancel_ends_the_wait_for_a_stuck_change(t: Trial) -> None:
    stuck = t.stuck()
    view = t.view(patience=None)
    ending = await t.cancelled(lambda: view.open(stuck.path, stuck.CHANGE), t.running(), t.running())
    t.told(ending, "unknown")
    assert not stuck.released


async def patience_ends_the_wait_for_a_stuck_change(t: Trial) -> None:
    stuck = t.stuck()
    view = t.view(patience=0.05)
    ending = await t.cancelled(lambda: view.open(stuck.path, stuck.CHANGE), t.running())
    t.told(ending, "unknown")
    assert not stuck.released
    assert [row["operation"] for row in t.pool.stats()["stuck"]] == ["open"]
    stuck.release()
    await t.until(lambda: not stuck.is_open())


async def many_tasks_cancelled_at_once_never_run(t: Trial) -> None:
    with t.held():
        tasks = [t.start(t.aio.mkdir(t.folder / str(number))) for number in range(100)]
        await t.until(lambda: t.queued(100)() and all(task.begun for task in tasks))
        for task in tasks:
            task.cancel()
        endings = await t.join_all(tasks)
    assert all(ending.cancelled for ending in endings)
    await t.aio.nop()
    assert os.listdir(t.folder) == []


async def after_a_cancelled_call_the_next_one_works(t: Trial) -> None:
    await t.cancelled(t.look, t.running())
    assert await t.aio.listdir(t.folder) == ["stuck0"]


# ---- timeouts: the loop's own ----


@demands(has_timeouts)
async def a_call_within_its_limit_of_time_returns(t: Trial) -> None:
    assert await t.driver.timeout(t.limit, lambda: t.aio.listdir(t.folder)) == []


@demands(has_timeouts)
async def a_limit_of_time_ends_a_look(t: Trial) -> None:
    await t.raised(TimeoutError, t.driver.timeout(0.02, t.look))
    await t.until(lambda: not t.engine.nreqs)


@demands(has_timeouts)
async def a_limit_of_time_ends_what_is_queued(t: Trial) -> None:
    with t.held():
        await t.raised(TimeoutError, t.driver.timeout(0.02, lambda: t.aio.mkdir(t.folder / "d")))
        await t.until(lambda: not t.engine.nreqs)
    await t.aio.nop()
    assert not (t.folder / "d").exists()


@demands(has_timeouts)
async def a_limit_of_time_and_patience_end_a_stuck_change(t: Trial) -> None:
    stuck = t.stuck()
    view = t.view(patience=0.05)
    await t.raised(TimeoutError, t.driver.timeout(0.02, lambda: view.open(stuck.path, stuck.CHANGE)))
    await t.until(lambda: not t.engine.nreqs)
    assert not stuck.released

"""Requests of the engine, in the callback colour, beside the loop's own: re-entrance, errors, waiting for them."""

from __future__ import annotations

import contextvars
import gc
import os
import weakref
from typing import Any

from .. import Cancelled
from ._trial import Trial


async def the_engines_requests_go_beside_the_loops(t: Trial) -> None:
    told: list[Any] = []
    request = t.engine.listdir(t.folder, told.append)
    assert await t.aio.listdir(t.folder) == []
    await t.until(lambda: told)
    assert told == [request]
    assert request.result() == []


async def a_callback_is_never_called_before_its_call_has_returned(t: Trial) -> None:
    told: list[Any] = []
    requests = [t.engine.stat(t.folder, told.append) for _ in range(100)]
    assert told == []
    await t.drained()
    assert set(told) == set(requests)


async def a_request_of_the_engine_can_be_waited_for(t: Trial) -> None:
    assert await t.wait(t.engine.listdir(t.folder)) == []


async def a_request_that_is_done_can_be_waited_for(t: Trial) -> None:
    request = t.engine.listdir(t.folder)
    await t.until(lambda: request.state == "done")
    assert await t.wait(request) == []
    assert await t.wait(request) == []


async def waiting_for_a_failed_request_raises_its_error(t: Trial) -> None:
    request = t.engine.stat(t.folder / "missing")
    await t.raised(FileNotFoundError, t.wait(request))
    await t.raised(FileNotFoundError, t.wait(request))


async def waiting_for_a_cancelled_request_raises_cancelled(t: Trial) -> None:
    with t.held():
        request = t.engine.nop()
        assert request.cancel()
    error = await t.raised(Cancelled, t.wait(request))
    assert error.outcome is not None
    assert error.outcome.status == "never ran"


async def a_wait_for_a_request_is_cancelled_with_it(t: Trial) -> None:
    with t.held():
        request = t.engine.mkdir(t.folder / "d")
        ending = await t.cancelled(lambda: t.wait(request), t.queued())
    assert ending.cancelled
    assert request.state == "done"
    await t.aio.nop()
    assert os.listdir(t.folder) == []


async def a_callback_may_submit(t: Trial) -> None:
    done: list[int] = []

    def go_on(request: Any) -> None:
        done.append(len(done))
        if len(done) < 100:
            t.engine.nop(go_on)

    t.engine.nop(go_on)
    await t.until(lambda: len(done) == 100)


async def a_callback_may_cancel_another_request(t: Trial) -> None:
    told: list[Any] = []
    t.pool.max_parallel = 1
    with t.held():
        second = t.engine.nop(told.append)
        t.engine.with_options(priority=1).nop(lambda request: told.append(second.cancel()))
    await t.drained()
    assert told == [True]


async def a_callback_that_raises_is_heard_of_and_stops_no_other(t: Trial) -> None:
    told: list[Any] = []
    with t.held():
        for _ in range(3):
            t.engine.nop(lambda request: 1 / 0)
            t.engine.nop(told.append)
    await t.drained()
    assert len(told) == 3
    await t.until(lambda: len(t.driver.heard) == 3)
    assert {type(error) for error in t.driver.heard} == {ZeroDivisionError}
    t.driver.heard.clear()
    assert await t.aio.listdir(t.folder) == []


async def a_callback_runs_in_the_context_of_its_submit(t: Trial) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    told: list[str] = []
    variable.set("first")
    await t.aio.nop()
    variable.set("second")
    t.engine.nop(lambda request: told.append(variable.get()))
    variable.set("third")
    await t.until(lambda: told)
    assert told == ["second"]


async def a_task_keeps_its_context_over_a_call(t: Trial) -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def use(name: str) -> str:
        variable.set(name)
        await t.aio.nop()
        return variable.get()

    names = [str(number) for number in range(10)]
    assert await t.all(use(name) for name in names) == names


async def the_loop_keeps_no_callers_context(t: Trial) -> None:
    class Thing:
        pass

    variable = contextvars.ContextVar[Thing]("variable")

    async def start() -> weakref.ref[Thing]:
        thing = Thing()
        variable.set(thing)
        await t.aio.nop()
        return weakref.ref(thing)

    t.front.shutdown() if t.driver.restarts else None
    (reference,) = await t.all([start()])

    def is_gone() -> bool:
        gc.collect()
        return reference() is None

    await t.until(is_gone)
    await t.aio.nop()


async def a_result_that_nobody_takes_is_closed(t: Trial) -> None:
    path = str(t.folder / "f")
    t.engine.open(path, os.O_CREAT | os.O_WRONLY)
    await t.drained()
    await t.until(lambda: not _is_open(path))
    assert os.path.exists(path)


async def a_result_that_is_taken_is_the_callers(t: Trial) -> None:
    request = t.engine.open(t.folder, os.O_RDONLY)
    fd = await t.wait(request)
    del request
    gc.collect()
    os.close(fd)


def _is_open(path: str) -> bool:
    return any(os.path.realpath(f"/proc/self/fd/{fd}") == path for fd in os.listdir("/proc/self/fd"))

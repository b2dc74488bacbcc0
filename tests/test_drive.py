"""The trampoline: coroutines that an engine runs, their cancellation, and several steps at once."""

from __future__ import annotations

import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest

from anyaio import Cancelled, Request
from anyaio._drive import Composite, drive, drive_queued, finish_all
from anyaio._opcodes import BUSY, NOP, OPEN, STAT
from anyaio._scope import batch, scope

LIMIT = 10.0  # seconds that nothing here should ever take
LONG = 0.7  # seconds that a step lasts which is cancelled; its thread must end before the test does


def start(engine, function, *arguments, **options):
    return drive(engine, engine.submitter(), function, arguments, options)


def finish(engine, request):
    """Poll until *request* is done; return its result."""
    stop = time.monotonic() + LIMIT
    while request.state != "done":
        assert time.monotonic() < stop
        assert engine.wait(LIMIT)
        engine.poll()
    return request.result()


def run(engine, function, *arguments, **options):
    answer = start(engine, function, *arguments, **options)
    return finish(engine, answer) if isinstance(answer, Composite) else answer


# ---- results ----


def test_who_never_suspends_is_the_result_itself(engine):
    async def add(steps, a, *, b):
        return a + b

    assert start(engine, add, 1, b=2) == 3


def test_who_never_suspends_raises_at_once(engine):
    async def fail(steps):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        start(engine, fail)


def test_who_is_suspended_is_a_composite(engine, tmp_path):
    async def two(steps):
        await steps.mkdir(tmp_path / "d")
        return await steps.listdir(tmp_path)

    composite = start(engine, two)
    assert isinstance(composite, Request)
    assert (composite.operation, composite.priority, composite.state, composite.outcome) == ("two", 0, "running", None)
    with pytest.raises(RuntimeError, match="not done"):
        composite.result()
    assert finish(engine, composite) == ["d"]
    assert composite.outcome.status == "done"
    assert composite.cancel() is False


def test_the_error_of_a_step_is_thrown_at_its_await(engine, tmp_path):
    async def look(steps):
        try:
            await steps.stat(tmp_path / "missing")
        except FileNotFoundError as error:
            return error.filename

    assert run(engine, look) == tmp_path / "missing"


def test_an_error_that_leaves_is_the_result_again_and_again(engine, tmp_path):
    async def look(steps):
        await steps.stat(tmp_path / "missing")

    composite = start(engine, look)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            finish(engine, composite)
    assert composite.outcome.status == "failed"


def test_wrong_arguments_are_raised_at_the_await(engine):
    async def wrong(steps):
        await steps.pread("x", 1, 2)

    with pytest.raises(TypeError):
        start(engine, wrong)


def test_only_steps_can_be_awaited(engine):
    class Foreign:
        def __await__(self):
            yield "something"

    async def wrong(steps):
        await Foreign()

    with pytest.raises(TypeError, match="something"):
        start(engine, wrong)


def test_steps_have_the_priority_of_the_submit(engine):
    seen = []

    async def one(steps):
        seen.append(steps.submit(NOP).priority)
        await steps.nop()

    composite = drive(engine, engine.submitter(priority=3), one, (), {})
    finish(engine, composite)
    assert (composite.priority, seen) == (3, [3])


def test_a_composite_is_a_step_of_another(engine, tmp_path):
    async def inner(steps):
        await steps.nop()
        return await steps.listdir(tmp_path)

    async def outer(steps):
        return await steps._wait(steps._drive(inner))

    assert run(engine, outer) == []


def test_it_runs_in_the_context_of_its_submit(engine):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    async def look(steps):
        seen.append(variable.get())
        await steps.nop()
        seen.append(variable.get())
        variable.set("inside")

    variable.set("submit")
    composite = drive_queued(engine, engine.submitter(), lambda _: seen.append(variable.get()), look, (), {})
    variable.set("later")
    finish(engine, composite)
    assert seen[:2] == ["submit", "submit"]
    assert "later" not in seen
    assert variable.get() == "later"


# ---- waiters and callbacks ----


def test_a_queued_callback_never_comes_before_the_call_returned(engine):
    async def nothing(steps):
        return 5

    seen = []
    composite = drive_queued(engine, engine.submitter(), seen.append, nothing, (), {})
    assert (seen, composite.state) == ([], "finished")
    engine.flush()
    assert seen == [composite]
    assert composite.result() == 5


def test_waiters_are_woken_and_then_the_callback_is_called(engine):
    async def one(steps):
        await steps.nop()

    seen = []
    engine.wake = seen.append
    composite = start(engine, one)
    composite.attach("waiter")
    composite.callback = seen.append
    finish(engine, composite)
    composite.attach("late")
    assert seen == ["waiter", composite, "late"]


def test_the_exception_of_a_callback_goes_to_on_error(engine):
    async def one(steps):
        await steps.nop()

    def callback(request):
        raise ValueError("mine")

    seen = []
    engine.on_error = lambda error, request: seen.append((str(error), request))
    composite = drive_queued(engine, engine.submitter(), callback, one, (), {})
    engine.flush()
    assert seen == [("mine", composite)]


def test_without_on_error_it_goes_to_the_unraisable_hook(engine, monkeypatch):
    async def one(steps):
        await steps.nop()

    def callback(request):
        raise ValueError("mine")

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    drive_queued(engine, engine.submitter(), callback, one, (), {})
    engine.flush()
    assert [type(arguments.exc_value) for arguments in seen] == [ValueError]


def test_an_interrupt_in_a_callback_leaves_the_poll(engine):
    async def one(steps):
        await steps.nop()

    def callback(request):
        raise KeyboardInterrupt

    composite = drive_queued(engine, engine.submitter(), callback, one, (), {})
    with pytest.raises(KeyboardInterrupt):
        engine.flush()
    assert composite.state == "done"


def test_an_interrupt_in_the_coroutine_is_its_error(engine):
    async def one(steps):
        await steps.nop()
        raise KeyboardInterrupt

    composite = start(engine, one)
    composite.callback = lambda request: None
    with pytest.raises(KeyboardInterrupt):
        finish(engine, composite)


def test_an_interrupt_that_nobody_would_see_leaves_the_poll(engine):
    async def one(steps):
        await steps.nop()
        raise KeyboardInterrupt

    start(engine, one)
    with pytest.raises(KeyboardInterrupt):
        engine.flush()


# ---- cancelling ----


def test_a_look_is_left_and_cleanup_awaits(engine, tmp_path):
    async def work(steps):
        fd = await steps.open(tmp_path, os.O_RDONLY)
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()
            await steps.close(fd)
            await steps.mkdir(tmp_path / "cleaned")

    seen = []
    composite = start(engine, work)
    composite.callback = seen.append
    while composite._root.step.operation != "busy":
        engine.wait(LIMIT)
        engine.poll()
    begin = time.monotonic()
    assert composite.cancel() is False
    assert composite.state == "running"
    assert composite.cancel() is False  # does not interrupt the cleanup
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert time.monotonic() - begin < LONG
    assert seen == [composite]
    assert os.listdir(tmp_path) == ["cleaned"]
    assert composite.outcome.status == "failed"


def test_a_change_is_waited_for_and_its_outcome_told(engine, tmp_path):
    read, write = os.pipe()
    caught = []

    async def work(steps):
        try:
            await steps.mkdir(tmp_path / "d")
        except Cancelled as cancelled:
            caught.append(cancelled)
            raise

    composite = start(engine, work)
    wait_until(lambda: composite._root.step.state == "finished")
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert caught[0].outcome.status == "done"
    assert os.listdir(tmp_path) == ["d"]
    os.close(read)
    os.close(write)


def test_the_descriptor_of_a_step_that_nobody_takes_is_closed(engine, tmp_path):
    async def work(steps):
        await steps.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)

    before = len(os.listdir("/proc/self/fd"))
    composite = start(engine, work)
    wait_until(lambda: composite._root.step.state == "finished")
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before)


def test_who_completes_all_the_same_has_his_result(engine):
    async def work(steps):
        try:
            await steps.busy(LONG)
        except Cancelled:
            return "done"

    composite = start(engine, work)
    assert composite.cancel() is False
    assert finish(engine, composite) == "done"


def test_a_cancel_that_ends_it_at_once_tells_the_callback_in_a_poll(engine):
    async def work(steps):
        await steps.busy(LONG)

    seen = []
    composite = drive_queued(engine, engine.submitter(), seen.append, work, (), {})
    assert composite.cancel() is False
    assert seen == []
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert seen == [composite]


def test_a_cancel_that_ends_it_at_once_wakes_the_waiter(engine):
    async def work(steps):
        await steps.busy(LONG)

    woken = []
    engine.wake = woken.append
    composite = start(engine, work)
    composite.attach("waiter")
    assert composite.cancel() is False
    assert (woken, composite.state) == (["waiter"], "done")


def test_withdraw_forgets_the_waiter(engine):
    async def work(steps):
        await steps.busy(LONG)

    woken = []
    engine.wake = woken.append
    composite = start(engine, work)
    composite.attach("waiter")
    assert composite.withdraw() is True
    assert (woken, composite.state) == ([], "done")


def test_withdraw_keeps_the_waiter_while_cleanup_runs(engine):
    async def work(steps):
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()

    woken = []
    engine.wake = woken.append
    composite = start(engine, work)
    composite.attach("waiter")
    assert composite.withdraw() is False
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert woken == ["waiter"]


def test_it_can_cancel_itself(engine):
    seen = []

    async def work(steps):
        await steps.nop()
        assert composite.cancel() is False
        seen.append("goes on")
        try:
            await steps.busy(LONG)
        except Cancelled:
            seen.append("cancelled")
            await steps.nop()
            raise

    composite = start(engine, work)
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert seen == ["goes on", "cancelled"]


def test_a_callback_can_cancel_it(engine):
    async def work(steps):
        await steps.busy(LONG)

    async def short(steps):
        await steps.nop()

    composite = start(engine, work)
    drive_queued(engine, engine.submitter(), lambda _: composite.cancel(), short, (), {})
    with pytest.raises(Cancelled):
        finish(engine, composite)


def test_abandon_lets_go_at_once_and_the_coroutine_ends_all_the_same(engine, tmp_path):
    async def work(steps):
        await steps.busy(0.01)
        await steps.mkdir(tmp_path / "done")

    seen = []
    composite = start(engine, work)
    composite.callback = seen.append
    composite.abandon()
    assert (composite.state, composite.outcome.status, seen) == ("done", "unknown", [composite])
    with pytest.raises(Cancelled):
        composite.result()
    engine.flush()
    assert os.listdir(tmp_path) == ["done"]
    assert (composite.outcome.status, seen) == ("unknown", [composite])


def test_settle_tells_the_outcome(engine, tmp_path):
    async def work(steps):
        await steps.rmdir(tmp_path / "missing")

    composite = start(engine, work)
    wait_until(lambda: composite._root.step.state == "finished")
    with pytest.raises(FileNotFoundError):
        finish(engine, composite)
    error = Cancelled()
    composite.settle(error)
    assert error.outcome.status == "failed"
    assert isinstance(error.__cause__, FileNotFoundError)


def test_another_thread_may_not_touch_it(engine):
    async def work(steps):
        await steps.nop()

    composite = start(engine, work)
    errors = []

    def other():
        for method in (composite.cancel, composite.withdraw, composite.abandon):
            with pytest.raises(RuntimeError, match="thread") as caught:
                method()
            errors.append(caught.value)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == 3
    finish(engine, composite)


def wait_until(condition):
    stop = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.001)


# ---- scope ----


def test_children_run_at_once_and_have_ended_at_the_exit(engine):
    ended = []

    async def child(steps, number):
        await steps.nop()
        ended.append(number)

    async def parent(steps):
        async with scope() as s:
            for number in range(100):
                await s.start(child(steps, number))
            assert ended == []
        return sorted(ended)

    assert run(engine, parent) == list(range(100))


def test_start_waits_while_limit_children_run(engine):
    most = running = 0

    async def child(steps):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await steps.nop()
        running -= 1

    async def parent(steps):
        async with scope(3) as s:
            for _ in range(20):
                await s.start(child(steps))

    run(engine, parent)
    assert most == 3


def test_the_first_error_cancels_the_others_and_is_raised_itself(engine, tmp_path):
    log = []

    async def fails(steps, name):
        await steps.stat(tmp_path / name)

    async def sleeps(steps):
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()
            log.append("cleaned")

    async def parent(steps):
        async with scope() as s:
            await s.start(sleeps(steps))
            await s.start(fails(steps, "missing"))
            try:
                await steps.busy(LONG)
            finally:
                log.append("body left")

    begin = time.monotonic()
    with pytest.raises(FileNotFoundError):
        run(engine, parent)
    assert time.monotonic() - begin < LONG
    assert sorted(log) == ["body left", "cleaned"]


def test_further_errors_are_notes_of_the_first(engine):
    async def fails(steps, number):
        try:
            await steps.busy(0 if number == 0 else LONG)
        finally:
            raise ValueError(number)

    async def parent(steps):
        async with scope() as s:
            for number in range(20):
                await s.start(fails(steps, number))

    with pytest.raises(ValueError, match="0") as caught:
        run(engine, parent)
    assert len(caught.value.__notes__) == 11
    assert caught.value.__notes__[-1] == "and 9 more"


def test_an_error_of_the_body_cancels_the_children(engine):
    ended = []

    async def child(steps):
        try:
            await steps.busy(LONG)
        finally:
            ended.append(1)

    async def parent(steps):
        async with scope() as s:
            await s.start(child(steps))
            await steps.nop()
            raise ValueError("body")

    with pytest.raises(ValueError, match="body"):
        run(engine, parent)
    assert ended == [1]


def test_a_scope_that_failed_does_not_keep_its_parent_cancelled(engine):
    async def fails(steps):
        await steps.nop()
        raise ValueError("child")

    async def parent(steps):
        try:
            async with scope() as s:
                await s.start(fails(steps))
                await steps.busy(LONG)
        except ValueError:
            await steps.nop()
            return "went on"

    assert run(engine, parent) == "went on"


def test_cancelling_reaches_all_children_at_once_and_waits_for_their_cleanup(engine):
    ended = []

    async def child(steps, number):
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()
            ended.append(number)

    async def middle(steps):
        async with scope() as s:
            await s.start(child(steps, 1))
            await s.start(child(steps, 2))

    async def parent(steps):
        async with scope() as s:
            await s.start(middle(steps))
            await s.start(child(steps, 3))
            await steps.nop()

    composite = start(engine, parent)
    for _ in range(3):
        engine.wait(0.1)
        engine.poll()
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert sorted(ended) == [1, 2, 3]


def test_a_cleanup_may_use_a_scope_and_later_cancels_leave_it_alone(engine):
    ended = []

    async def child(steps):
        await steps.nop()
        await steps.nop()
        ended.append(1)

    async def parent(steps):
        try:
            await steps.busy(LONG)
        finally:
            async with scope() as s:
                await s.start(child(steps))
                await s.start(child(steps))

    composite = start(engine, parent)
    composite.cancel()
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert ended == [1, 1]


def test_a_cancel_from_outside_while_a_scope_unwinds_comes_after_it(engine):
    log = []

    async def fails(steps):
        await steps.nop()
        raise ValueError("child")

    async def parent(steps):
        try:
            async with scope() as s:
                await s.start(fails(steps))
                try:
                    await steps.busy(LONG)
                finally:
                    composite.cancel()
                    await steps.nop()
                    log.append("cleaned")
        except ValueError:
            log.append("failed")
        await steps.busy(LONG)

    composite = start(engine, parent)
    with pytest.raises(Cancelled):
        finish(engine, composite)
    assert log == ["cleaned", "failed"]


def test_nothing_starts_in_a_scope_that_failed(engine):
    async def fails(steps):
        raise ValueError("child")

    async def never(steps):
        raise AssertionError

    async def parent(steps):
        async with scope(1) as s:
            await s.start(fails(steps))
            await s.start(never(steps))

    with pytest.raises(ValueError, match="child"):
        run(engine, parent)


def test_a_scope_that_has_ended_takes_no_children(engine):
    async def child(steps):
        pass

    async def parent(steps):
        async with scope() as s:
            pass
        await s.start(child(steps))

    with pytest.raises(RuntimeError, match="ended"):
        run(engine, parent)


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="0"):
        scope(0)
    with pytest.raises(ValueError, match="0"):
        batch(0)


# ---- many and deep ----


def test_ten_thousand_children(engine):
    count = 0

    async def child(steps):
        nonlocal count
        await steps.nop()
        count += 1

    async def parent(steps):
        async with scope() as s:
            for _ in range(10_000):
                await s.start(child(steps))

    run(engine, parent)
    assert count == 10_000


def test_ten_thousand_children_are_cancelled(engine):
    async def child(steps):
        await steps.busy(LONG)

    async def parent(steps):
        async with scope() as s:
            for _ in range(10_000):
                await s.start(child(steps))

    composite = start(engine, parent)
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)


def test_a_hundred_thousand_steps_that_are_done_at_once_do_not_recur(engine):
    async def child(steps):
        pass

    async def many(steps):
        for _ in range(50_000):
            async with scope() as s:
                await s.start(child(steps))
        async with batch(1) as requests:
            for number in range(50_000):
                requests.add(number, number)
                await requests.some()
        return "done"

    assert start(engine, many) == "done"


def test_scopes_nested_deeper_than_the_stack(engine):
    depth = 0

    async def child(steps, left):
        nonlocal depth
        depth += 1
        async with scope() as s:
            if left:
                await s.start(child(steps, left - 1))
            else:
                await steps.nop()

    run(engine, child, 3_000)
    assert depth == 3_001


def test_nested_scopes_are_cancelled_without_recursion(engine):
    async def child(steps, left):
        async with scope() as s:
            if left:
                await s.start(child(steps, left - 1))
            else:
                await steps.busy(LONG)

    composite = start(engine, child, 3_000)
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)


def test_composites_that_wait_for_composites_in_a_long_chain(engine):
    async def first(steps):
        await steps.nop()
        return 0

    async def following(steps, before):
        return await steps._wait(before) + 1

    composite = start(engine, first)
    for _ in range(3_000):
        composite = start(engine, following, composite)
    assert finish(engine, composite) == 3_000


# ---- batch ----


def test_a_batch_returns_requests_with_their_keys(engine, tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name * 3)

    async def sizes(steps):
        found = {}
        names = ["a", "b", "c"]
        async with batch(2) as requests:
            while names or requests:
                while names and requests.room:
                    name = names.pop()
                    requests.add(name, steps.submit(STAT, tmp_path / name, None, True))
                for name, request in await requests.some():
                    found[name] = request.result().st_size
        return found

    assert run(engine, sizes) == {"a": 3, "b": 3, "c": 3}


def test_a_batch_takes_results_that_are_there_at_once(engine):
    async def one(steps):
        async with batch(2) as requests:
            requests.add("key", 5)
            return [(key, request.result()) for key, request in await requests.some()]

    assert start(engine, one) == [("key", 5)]


def test_an_empty_batch_has_nothing_to_wait_for(engine):
    async def one(steps):
        async with batch(2) as requests:
            await requests.some()

    with pytest.raises(RuntimeError, match="empty"):
        start(engine, one)


def test_leaving_a_batch_takes_back_what_is_in_it(engine, tmp_path):
    async def leave(steps):
        async with batch(8) as requests:
            requests.add("slow", steps.submit(BUSY, LONG))
            requests.add("fd", steps.submit(OPEN, tmp_path, os.O_RDONLY, 0, None))
            requests.add("change", steps.submit(OPEN, tmp_path / "f", os.O_CREAT | os.O_RDWR, 0o600, None))
            requests.add("nop", steps.submit(NOP))
            await requests.some()

    before = len(os.listdir("/proc/self/fd"))
    begin = time.monotonic()
    run(engine, leave)
    assert time.monotonic() - begin < LONG
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_cancelled_batch_takes_back_what_is_in_it(engine):
    async def work(steps):
        async with batch(8) as requests:
            requests.add("slow", steps.submit(BUSY, LONG))
            await requests.some()

    composite = start(engine, work)
    composite.cancel()
    with pytest.raises(Cancelled):
        finish(engine, composite)


def test_a_batch_beside_other_requests_misses_nothing(engine):
    async def work(steps, count):
        done = 0
        async with batch(4) as requests:
            for _ in range(count):
                while requests.room:
                    requests.add(None, steps.submit(NOP))
                done += len(await requests.some())
        return done

    composites = [start(engine, work, 50) for _ in range(5)]
    for _ in range(100):
        engine.nop()
    assert all(finish(engine, composite) >= 50 for composite in composites)


# ---- life ----


def test_finish_all_drives_cleanup_to_its_end(engine, tmp_path):
    async def work(steps):
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()
            await steps.mkdir(tmp_path / "cleaned")

    composite = start(engine, work)
    finish_all(engine)
    assert os.listdir(tmp_path) == ["cleaned"]
    assert composite.state == "done"
    finish_all(engine)


def test_a_callback_can_shut_down_while_others_are_suspended(engine, tmp_path):
    async def work(steps):
        try:
            await steps.busy(LONG)
        finally:
            await steps.nop()
            await steps.mkdir(tmp_path / "cleaned")

    async def short(steps):
        await steps.nop()

    composite = start(engine, work)
    drive_queued(engine, engine.submitter(), lambda _: engine.shutdown(), short, (), {})
    engine.flush()
    assert composite.state == "done"
    assert os.listdir(tmp_path) == ["cleaned"]


def test_a_composite_that_nobody_holds_goes_on(engine, tmp_path):
    async def work(steps):
        await steps.nop()
        gc.collect()
        await steps.mkdir(tmp_path / "d")

    start(engine, work)
    gc.collect()
    engine.flush()
    assert os.listdir(tmp_path) == ["d"]


def test_no_cycle_keeps_a_composite_alive(engine, tmp_path):
    gc.collect()
    gc.disable()
    try:

        async def work(steps):
            try:
                await steps.stat(tmp_path / "missing")
            except FileNotFoundError:
                await steps.nop()
            await steps.rmdir(tmp_path / "missing")

        composite = start(engine, work)
        engine.flush()
        with pytest.raises(FileNotFoundError):
            composite.result()
        gone = weakref.ref(composite)
        del composite
        if sys.version_info >= (3, 12):
            gc.collect()  # there a coroutine's frame keeps the one that resumed it
        assert gone() is None
    finally:
        gc.enable()


def script(text, *, backend, status=0):
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    command = [sys.executable, "-W", "ignore::DeprecationWarning"]  # 3.12 warns of every fork beside threads
    done = subprocess.run(
        [*command, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == status, done.stderr
    return done


PROGRAM = """
    import os, sys
    import anyaio
    from anyaio._drive import drive

    async def work(steps):
        try:
            await steps.busy(5)
        finally:
            print("cleanup", flush=True)
            await steps.nop()
            print("cleaned", flush=True)

    engine = anyaio.Engine()
    composite = drive(engine, engine.submitter(), work, (), {})
"""


def test_at_exit_the_coroutine_is_driven_to_its_end(backend):
    done = script(PROGRAM, backend=backend)
    assert (done.stdout, done.stderr) == ("cleanup\ncleaned\n", "")


def test_a_forked_child_neither_runs_nor_closes_what_is_suspended(backend):
    done = script(
        PROGRAM
        + """
    import gc
    if os.fork() == 0:
        for method in (composite.cancel, composite.abandon, composite.withdraw):
            try:
                method()
            except RuntimeError as error:
                assert "fork" in str(error)
            else:
                print("no error")
        del composite, engine
        gc.collect()
        sys.exit(0)
    pid, status = os.wait()
    assert status == 0
    print("child has ended", flush=True)
    """,
        backend=backend,
    )
    assert (done.stdout, done.stderr) == ("child has ended\ncleanup\ncleaned\n", "")


def test_at_shutdown_the_coroutine_is_driven_to_its_end(backend):
    done = script(PROGRAM + "    engine.shutdown(); print('shut down', flush=True)\n", backend=backend)
    assert (done.stdout, done.stderr) == ("cleanup\ncleaned\nshut down\n", "")


def test_what_is_stuck_at_exit_is_not_closed(backend):
    text = (
        PROGRAM
        + """
    engine.pool.exit_timeout = 0.2
    engine.pool.max_parallel = 0
    """
    )
    done = script(text, backend=backend)
    assert (done.stdout, done.stderr) == ("cleanup\n", "")

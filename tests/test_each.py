"""`each`: many items through one operation, in every colour, and how it ends early."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import threading
import typing
import weakref

import loops
import pytest
from engines import Fifo, held, until
from loops import on_loops

import anyaio.asyncio
import anyaio.blocking
from anyaio import Cancelled
from anyaio._front import FutureFront, engine_class

aio = loops.aio
loop_factory = loops.loop_factory
stuck = loops.stuck


@pytest.fixture
def blocking(backend, pool, monkeypatch):
    """`anyaio.blocking`, whose engines are of this backend."""
    monkeypatch.setattr("anyaio._blocking.Engine", functools.partial(engine_class(backend), pool))
    yield anyaio.blocking
    anyaio.blocking.current().shutdown()


@pytest.fixture
def files(tmp_path):
    """Thirty files; the n-th has n bytes."""
    found = []
    for size in range(30):
        path = tmp_path / f"{size:02}"
        path.write_bytes(b"x" * size)
        found.append(path)
    return found


class Source:
    """An iterable that counts what was taken, and tells when it is closed."""

    def __init__(self, items):
        self.items = items
        self.taken = 0
        self.closed = False

    def __iter__(self):
        try:
            for item in self.items:
                self.taken += 1
                yield item
        finally:
            self.closed = True

    async def __aiter__(self):
        try:
            for item in self.items:
                self.taken += 1
                yield item
                await asyncio.sleep(0)
        finally:
            self.closed = True


class Sync:
    """Only the plain side of a source."""

    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return iter(self.source)


def under_way(aio):
    return aio.current().engine.nreqs


# ---- pairs ----


@on_loops
async def test_pairs_of_items_and_results(aio, files):
    sizes = {path: status.st_size async for path, status in aio.each(aio.stat, files)}
    assert sizes == {path: size for size, path in enumerate(files)}


@on_loops
async def test_no_items_no_pairs(aio):
    assert [pair async for pair in aio.each(aio.stat, [])] == []


@on_loops
async def test_pairs_come_as_they_are_completed(aio):
    each = aio.each(aio.busy, [0.2, 0.0, 0.0], limit=3)
    assert [item async for item, _ in each] == [0.0, 0.0, 0.2]


@on_loops
async def test_ordered_they_come_in_the_order_of_the_items(aio):
    each = aio.each(aio.busy, [0.05, 0.0, 0.02, 0.0], ordered=True, limit=3)
    assert [item async for item, _ in each] == [0.05, 0.0, 0.02, 0.0]


@on_loops
async def test_a_method_of_the_front_end_is_called_with_its_options(aio, pool, files):
    front = aio.current()
    view = front.with_options(priority=3)
    pool.max_parallel = 0
    each = front.each(view.stat, files, limit=1)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    (request,) = each._flow._under_way
    assert request.priority == 3
    pool.max_parallel = 4
    await task
    each.close()


@on_loops
async def test_a_function_of_the_module_has_the_options_of_the_front_end_whose_each_it_is(aio, pool, files):
    pool.max_parallel = 0
    each = aio.current().with_options(priority=-2).each(aio.stat, files, limit=1)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    (request,) = each._flow._under_way
    assert request.priority == -2
    pool.max_parallel = 4
    await task
    each.close()


@on_loops
async def test_a_partial_gives_the_other_arguments(aio, tmp_path):
    (tmp_path / "f").write_bytes(b"abcdef")
    (tmp_path / "link").symlink_to("nowhere")
    fd = await aio.open(tmp_path / "f", os.O_RDONLY)
    reads = functools.partial(functools.partial(aio.pread, fd), 2)
    assert [pair async for pair in aio.each(reads, [0, 2, 4], ordered=True)] == [(0, b"ab"), (2, b"cd"), (4, b"ef")]
    await aio.close(fd)
    look = functools.partial(aio.stat, follow_symlinks=False)
    assert len([pair async for pair in aio.each(look, [tmp_path / "link"])]) == 1


@on_loops
async def test_a_composite_is_called_for_each_item(aio, tmp_path):
    for name in "abc":
        (tmp_path / name / "sub").mkdir(parents=True)
    folders = [tmp_path / name for name in "abc"]
    found = {path: names async for path, names in aio.each(aio.split_dir, folders)}
    assert found == dict.fromkeys(folders, (["sub"], []))


@on_loops
async def test_any_other_callable_is_a_type_error(aio):
    async def stat(path):
        return None

    other = anyaio.Engine()
    for function in (
        stat,
        os.stat,
        len,
        "stat",
        lambda path: None,
        aio.current,
        aio.current().wait,
        aio.current().with_options,
        aio.current().engine.stat,
        other.stat,
        anyaio.blocking.stat,
        functools.partial(os.stat, follow_symlinks=False),
        functools.partial(aio.stat, callback=print),
        aio.each,
        aio.group,
        anyaio._front.AwaitFront.stat,
    ):
        with pytest.raises(TypeError, match="an operation itself"):
            aio.each(function, [])
    other.shutdown()


@on_loops
@pytest.mark.parametrize(
    ("options", "error"),
    [({"limit": 0}, ValueError), ({"limit": 1.5}, TypeError), ({"errors": "ignore"}, ValueError)],
    ids=str,
)
async def test_a_wrong_option_is_refused(aio, options, error):
    with pytest.raises(error, match=next(iter(options))):
        aio.each(aio.stat, [], **options)


@on_loops
async def test_items_that_cannot_be_iterated_are_a_type_error(aio):
    with pytest.raises(TypeError):
        aio.each(aio.stat, 3)


# ---- room ----


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("kind", ["sync", "async"])
@on_loops
async def test_items_are_taken_only_as_room_comes(aio, files, ordered, kind):
    source = Source(files)
    delivered = 0
    each = aio.each(aio.stat, Sync(source) if kind == "sync" else source, limit=4, ordered=ordered)
    assert source.taken == 0
    async for _ in each:
        delivered += 1
        assert source.taken - delivered <= 4
        assert under_way(aio) <= 4
        if delivered % 7 == 0:  # let everything under way end
            await loops.until(lambda: under_way(aio) == 0)
            await asyncio.sleep(0.001)
            assert source.taken - delivered <= 4
    assert (source.taken, delivered, source.closed) == (30, 30, True)


@on_loops
async def test_a_slow_consumer_gets_what_is_under_way_and_no_more(aio, files):
    source = Sync(Source(files))
    each = aio.each(aio.stat, source, limit=3)
    await anext(each)
    await loops.until(lambda: under_way(aio) == 0)
    assert source.source.taken == 4
    each.close()


@on_loops
async def test_while_the_engine_is_full_only_one_is_under_way(aio, pool, files):
    engine = aio.current().engine
    pool.max_parallel = 0
    others = [engine.nop() for _ in range(3)]
    engine.max_outstanding = 3
    each = aio.each(aio.stat, files, limit=10)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    assert engine.nreqs == 4
    engine.max_outstanding = 0
    pool.max_parallel = 4
    await task
    assert len([pair async for pair in each]) == 29
    assert {request.state for request in others} == {"done"}


@pytest.mark.parametrize("most", [1, 2, 5])
@on_loops
async def test_max_outstanding_is_kept(aio, files, most):
    engine = aio.current().engine
    engine.max_outstanding = most
    count = 0
    async for _ in aio.each(aio.stat, files, limit=10):
        count += 1
        assert engine.nreqs <= most
    assert count == 30


@pytest.mark.parametrize(("count", "ordered"), [(100_000, False), (10_000, True)])
def test_a_hundred_thousand_items_need_no_memory(aio, count, ordered):
    alive = weakref.WeakSet()
    most = []

    class Path:
        def __init__(self):
            alive.add(self)

        def __fspath__(self):
            return "/"

    async def main():
        source = (Path() for _ in range(count))
        delivered = 0
        async for _ in aio.each(aio.lstat, source, limit=64, ordered=ordered):
            delivered += 1
            if delivered % 1000 == 0:
                most.append(len(alive))
        assert delivered == count

    asyncio.run(main())
    assert max(most) <= 66


@on_loops
async def test_who_consumes_is_woken_once_for_a_batch(aio, files, pool):
    woken = []
    engine = aio.current().engine
    wake = engine.wake
    engine.wake = lambda waiter: (woken.append(waiter), wake(waiter))
    engine.max_poll_time = 0
    pool.max_parallel = 0
    each = aio.each(aio.stat, files)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    pool.max_parallel = 1
    loops.spin(lambda: engine.npending == 30)
    await task
    assert len([pair async for pair in each]) == 29
    assert len(woken) == 1


# ---- failures ----


@on_loops
async def test_the_first_failure_is_raised_with_its_item_in_a_note(aio, files, tmp_path):
    missing = tmp_path / "missing"
    each = aio.each(aio.stat, [*files, missing], ordered=True)
    seen = []

    async def consume():
        async for path, _ in each:
            seen.append(path)

    with pytest.raises(FileNotFoundError) as caught:
        await consume()
    assert seen == files
    assert caught.value.filename == missing
    assert caught.value.__notes__ == [f"the item was {missing!r}"]
    assert [pair async for pair in each] == []


@on_loops
async def test_after_a_failure_everything_else_is_cancelled(aio, pool, tmp_path):
    pool.max_parallel = 1
    source = Source([tmp_path / "missing", *[tmp_path] * 50])
    each = aio.each(aio.stat, Sync(source), limit=10)
    with pytest.raises(FileNotFoundError):
        async for _ in each:
            pass
    assert under_way(aio) == 0
    assert source.closed


@on_loops
async def test_a_failure_ends_everything_though_the_others_are_held(aio, stuck, tmp_path):
    opens = functools.partial(aio.open, flags=os.O_RDONLY)
    each = aio.each(opens, [stuck.path, tmp_path / "missing"])
    with pytest.raises(FileNotFoundError):
        await anext(each)
    assert under_way(aio) == 0


@on_loops
async def test_failures_are_returned_if_asked_for(aio, files, tmp_path):
    missing = tmp_path / "missing"
    pairs = [pair async for pair in aio.each(aio.stat, [files[3], missing, files[4]], errors="return", ordered=True)]
    assert [item for item, _ in pairs] == [files[3], missing, files[4]]
    assert isinstance(pairs[1][1], FileNotFoundError)
    assert (pairs[0][1].st_size, pairs[2][1].st_size) == (3, 4)


@on_loops
async def test_an_item_that_is_wrong_fails_as_any_other(aio, files):
    pairs = [pair async for pair in aio.each(aio.stat, ["\0", 1.5, files[2]], errors="return", ordered=True)]
    assert [type(result) for _, result in pairs[:2]] == [ValueError, TypeError]
    assert pairs[2][1].st_size == 2
    with pytest.raises(ValueError, match="null") as caught:
        await anext(aio.each(aio.stat, ["\0"]))
    assert caught.value.__notes__ == [r"the item was '\x00'"]


@on_loops
async def test_a_callable_item_is_no_callback(aio):
    with pytest.raises(TypeError):
        await anext(aio.each(functools.partial(aio.stat, "/"), [print]))


@pytest.mark.parametrize("kind", ["sync", "async"])
@on_loops
async def test_the_error_of_a_source_comes_behind_the_results_that_were_under_way(aio, files, kind):
    def plain():
        yield from files[:3]
        raise LookupError("no more")

    async def slow():
        for path in plain():
            yield path

    each = aio.each(aio.stat, plain() if kind == "sync" else slow())
    seen = []

    async def consume():
        async for path, _ in each:
            seen.append(path)

    with pytest.raises(LookupError):
        await consume()
    assert sorted(seen) == files[:3]
    assert [pair async for pair in each] == []


@on_loops
async def test_an_interrupt_in_a_source_loses_no_pair(aio, files):
    def source():
        yield from files[:2]
        if interrupts.pop():
            raise KeyboardInterrupt

    interrupts = [True]
    each = aio.each(aio.stat, source(), limit=1, ordered=True)
    seen = [(await anext(each))[0]]
    with pytest.raises(KeyboardInterrupt):
        await anext(each)
    seen += [item async for item, _ in each]
    assert seen == files[:2]


# ---- ending early ----


@on_loops
async def test_a_break_cancels_what_is_under_way(aio, pool):
    pool.max_parallel = 1
    async for _ in aio.each(aio.busy, [0.0, *[10.0] * 20]):
        break
    assert under_way(aio) == 0
    assert aio.current().engine.nready == 0


@on_loops
async def test_a_collected_each_is_closed(aio, pool):
    pool.max_parallel = 0
    source = Source(["/"] * 50)
    each = aio.each(aio.stat, Sync(source), limit=10)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    assert under_way(aio) == 10
    task.cancel()
    await asyncio.wait([task])
    each = aio.each(aio.stat, Sync(source), limit=10)
    pool.max_parallel = 1
    await anext(each)
    pool.max_parallel = 0
    del each
    assert under_way(aio) == 0
    assert source.closed


@on_loops
async def test_close_cancels_and_ends_the_iteration(aio, pool, files):
    each = aio.each(aio.stat, files, limit=5)
    await anext(each)
    pool.max_parallel = 0
    each.close()
    each.close()
    assert under_way(aio) == 0
    assert [pair async for pair in each] == []
    with pytest.raises(StopAsyncIteration):
        await anext(each)


@on_loops
async def test_the_end_is_told_again_and_again(aio):
    each = aio.each(aio.stat, ["/"])
    await anext(each)
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(each)


@on_loops
async def test_a_with_block_closes(aio, pool, files):
    with aio.each(aio.stat, files, limit=5) as each:
        await anext(each)
        pool.max_parallel = 0
    assert under_way(aio) == 0


@pytest.mark.parametrize("ordered", [False, True])
@on_loops
async def test_descriptors_that_nobody_took_are_closed(aio, files, ordered):
    def opened():
        return sum(str(files[0].parent) in name for name in loops.descriptors())

    each = aio.each(functools.partial(aio.open, flags=os.O_RDONLY), files, limit=10, ordered=ordered)
    _, fd = await anext(each)
    await loops.until(lambda: under_way(aio) == 0)
    assert opened() == 11
    each.close()
    await loops.until(lambda: opened() == 1)
    os.close(fd)


@on_loops
async def test_an_async_with_block_waits_for_changes_that_run(aio, stuck):
    opens = functools.partial(aio.open, flags=stuck.FLAGS)
    told = []

    async def work():
        async with aio.each(opens, ["/", stuck.path], errors="return") as each:
            await anext(each)
            await loops.until(loops.running(aio.current().engine))
            told.append("body")
        told.append("after")

    task = asyncio.ensure_future(work())
    await loops.until(lambda: told == ["body"])
    assert not task.done()
    stuck.release()
    await task
    assert told == ["body", "after"]
    assert under_way(aio) == 0


@on_loops
async def test_close_waits_for_nothing(aio, stuck):
    opens = functools.partial(aio.open, flags=stuck.FLAGS)
    each = aio.each(opens, ["/", stuck.path], errors="return")
    await anext(each)
    await loops.until(loops.running(aio.current().engine))
    each.close()
    assert under_way(aio) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(each)
    stuck.release()
    await loops.until(lambda: under_way(aio) == 0)


@on_loops
async def test_an_exception_in_an_async_with_block_is_raised_when_all_has_ended(aio, pool, files):
    async def fail():
        async with aio.each(aio.stat, files) as each:
            await anext(each)
            pool.max_parallel = 0
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert under_way(aio) == 0


# ---- cancelling who waits ----


@on_loops
async def test_cancelling_who_waits_takes_the_queued_back(aio, pool, files):
    pool.max_parallel = 0
    each = aio.each(aio.stat, files, limit=5)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    assert under_way(aio) == 5
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert under_way(aio) == 0
    assert isinstance(anyaio.outcome(caught.value).error, Cancelled)
    with pytest.raises(StopAsyncIteration):
        await anext(each)


@on_loops
async def test_cancelling_who_waits_waits_for_changes_that_run(aio, stuck):
    opens = functools.partial(aio.open, flags=stuck.FLAGS)
    each = aio.each(opens, [stuck.path])
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    await loops.until(loops.running(aio.current().engine))
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    stuck.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert under_way(aio) == 0


@on_loops
async def test_a_second_cancel_waits_no_longer(aio, stuck):
    opens = functools.partial(aio.open, flags=stuck.FLAGS)
    each = aio.each(opens, [stuck.path])
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    await loops.until(loops.running(aio.current().engine))
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert anyaio.outcome(caught.value).status == "unknown"


@on_loops
async def test_a_cancel_in_the_same_iteration_as_the_result_cancels_all_the_same(aio, stuck):
    opens = functools.partial(aio.open, flags=stuck.FLAGS)
    engine = aio.current().engine
    each = aio.each(opens, [stuck.path, "/"], errors="return")
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    wake = engine.wake
    engine.wake = lambda waiter: (wake(waiter), task.cancel())
    await loops.until(lambda: task.cancelling())
    engine.wake = wake
    await asyncio.sleep(0.01)
    assert not task.done()  # for a change that runs
    stuck.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert under_way(aio) == 0


@on_loops
async def test_cancelling_who_consumes_elsewhere_cancels_what_is_under_way(aio, pool, files):
    async def consume():
        async for _ in aio.each(aio.stat, files, limit=5):
            pool.max_parallel = 0
            await asyncio.sleep(10)

    task = asyncio.ensure_future(consume())
    await loops.until(lambda: pool.max_parallel == 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert under_way(aio) == 0


@on_loops
async def test_two_consumers_at_once_are_an_error(aio, pool, files):
    pool.max_parallel = 0
    each = aio.each(aio.stat, files)
    first = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another consumer"):
        await anext(each)
    pool.max_parallel = 4
    await first
    assert len([pair async for pair in each]) == 29


@on_loops
async def test_a_shutdown_ends_it_with_cancelled(aio, pool, files):
    pool.max_parallel = 0
    each = aio.each(aio.stat, files)
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0)
    aio.current().shutdown()
    with pytest.raises(Cancelled):
        await task
    assert [pair async for pair in each] == []


@on_loops
async def test_after_a_shutdown_the_next_item_is_a_runtime_error(aio, files):
    each = aio.each(aio.stat, files, limit=1)
    await loops.until(lambda: True)
    aio.current().shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        await anext(each)


def test_collected_on_another_thread_it_does_no_harm(aio, pool, files):
    kept = []

    async def main():
        pool.max_parallel = 0
        each = aio.each(aio.stat, files)
        task = asyncio.ensure_future(anext(each))
        await asyncio.sleep(0)
        kept.append(each)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()


def test_a_loop_that_ends_with_one_open_leaves_nothing(aio, files):
    before = loops.descriptors()

    async def main():
        each = aio.each(aio.stat, files, limit=5)
        await anext(each)
        kept.append(each)

    kept = []
    asyncio.run(main())
    kept.clear()
    gc.collect()
    assert loops.descriptors() == before


# ---- asynchronous sources ----


@on_loops
async def test_results_are_delivered_while_the_source_is_waited_for(aio, files):
    event = asyncio.Event()

    async def source():
        yield files[1]
        await event.wait()
        yield files[2]

    each = aio.each(aio.stat, source())
    assert (await anext(each))[0] == files[1]
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0.01)
    assert not task.done()
    event.set()
    assert (await task)[0] == files[2]
    with pytest.raises(StopAsyncIteration):
        await anext(each)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 64])
@on_loops
async def test_a_fast_source_is_taken_from_as_room_comes(aio, files, ordered, limit):
    async def source():
        for path in files:
            yield path

    seen = [path async for path, _ in aio.each(aio.stat, source(), limit=limit, ordered=ordered)]
    assert (seen if ordered else sorted(seen)) == files


@on_loops
async def test_an_async_source_respects_a_full_engine(aio, files):
    engine = aio.current().engine
    engine.max_outstanding = 2
    count = 0
    async for _ in aio.each(aio.stat, Source(files), limit=10):
        count += 1
        assert engine.nreqs <= 2
    assert count == 30


@on_loops
async def test_an_async_source_that_is_waited_for_is_cancelled_with_the_each(aio):
    told = []

    async def source():
        try:
            yield "/"
            await asyncio.sleep(10)
        finally:
            told.append("closed")

    async with aio.each(aio.stat, source()) as each:
        await anext(each)
        await asyncio.sleep(0)
    assert told == ["closed"]


@on_loops
async def test_cancelling_who_waits_for_an_async_source_ends_the_source_first(aio):
    told = []

    async def source():
        try:
            await asyncio.sleep(10)
            yield "/"
        finally:
            await asyncio.sleep(0.01)
            told.append("closed")

    each = aio.each(aio.stat, source())
    task = asyncio.ensure_future(anext(each))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["closed"]


@on_loops
async def test_a_source_that_is_cancelled_by_itself_ends_the_each(aio):
    async def source():
        yield "/"
        raise asyncio.CancelledError

    each = aio.each(aio.stat, source())
    assert (await anext(each))[0] == "/"
    with pytest.raises(asyncio.CancelledError):
        await anext(each)
    with pytest.raises(StopAsyncIteration):
        await anext(each)


@on_loops
async def test_a_wrong_item_of_an_async_source_wakes_who_waits(aio):
    async def source():
        await asyncio.sleep(0)
        yield "\0"

    with pytest.raises(ValueError, match="null"):
        await anext(aio.each(aio.stat, source()))


@on_loops
async def test_no_task_stays_of_a_source(aio, files):
    before = asyncio.all_tasks()
    async for _ in aio.each(aio.stat, Source(files), limit=3):
        break
    await loops.until(lambda: asyncio.all_tasks() == before)
    assert len([pair async for pair in aio.each(aio.stat, Source(files))]) == 30
    await loops.until(lambda: asyncio.all_tasks() == before)


# ---- the blocking colour ----


@pytest.mark.parametrize("ordered", [False, True])
def test_the_blocking_colour_iterates(blocking, files, ordered):
    pairs = [(path, status.st_size) for path, status in blocking.each(blocking.stat, files, limit=4, ordered=ordered)]
    assert (pairs if ordered else sorted(pairs)) == [(path, size) for size, path in enumerate(files)]


def test_the_blocking_colour_takes_items_as_room_comes(blocking, files):
    source = Source(files)
    for delivered, _ in enumerate(blocking.each(blocking.stat, Sync(source), limit=3), 1):
        assert source.taken - delivered <= 3
    assert source.closed


def test_an_asynchronous_source_is_a_type_error_in_the_blocking_colour(blocking, files):
    async def source():
        yield "/"

    with pytest.raises(TypeError, match="asynchronous"):
        blocking.each(blocking.stat, source())


def test_failures_in_the_blocking_colour(blocking, files, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        list(blocking.each(blocking.stat, [files[0], missing]))
    assert caught.value.__notes__ == [f"the item was {missing!r}"]
    ((_, error),) = blocking.each(blocking.current().stat, [missing], errors="return")
    assert isinstance(error, FileNotFoundError)


def test_a_break_in_the_blocking_colour_cancels_what_is_under_way(blocking, pool, files):
    pool.max_parallel = 1
    for _ in blocking.each(blocking.busy, [0.0, *[10.0] * 9]):
        break
    assert blocking.current().engine.nreqs == 0


def test_a_with_block_in_the_blocking_colour_waits_for_changes_that_run(blocking, stuck):
    opens = functools.partial(blocking.open, flags=stuck.FLAGS)
    with blocking.each(opens, ["/", stuck.path], errors="return") as each:
        next(each)
        loops.spin(loops.running(blocking.current().engine))
        threading.Timer(0.05, stuck.release).start()
    assert blocking.current().engine.nreqs == 0
    assert list(each) == []


def test_what_the_blocking_colour_does_not_take(blocking):
    async def stat(path):
        return None

    for function in (stat, os.stat, anyaio.asyncio.stat, blocking.current().engine.stat):
        with pytest.raises(TypeError, match="an operation itself"):
            blocking.each(function, [])


def test_an_interrupt_while_it_waits_closes_it(blocking, pool, files):
    pool.max_parallel = 0
    engine = blocking.current().engine

    def interrupt(request):
        raise KeyboardInterrupt

    each = blocking.each(blocking.stat, files)
    engine.submitter().post(interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(each)
    assert engine.nreqs == 0
    assert list(each) == []


# ---- the callback colour ----


def finish(engine, request):
    while request.state != "done":
        assert engine.wait(10), f"{request!r} did not end"
        engine.poll()


@pytest.mark.parametrize("ordered", [False, True])
def test_the_callback_gets_each_item_with_its_request(engine, files, ordered):
    told = []
    group = engine.each(
        engine.stat,
        files,
        lambda item, request: told.append((item, request.result().st_size)),
        limit=4,
        ordered=ordered,
    )
    assert told == []
    finish(engine, group)
    assert (told if ordered else sorted(told)) == [(path, size) for size, path in enumerate(files)]


def test_the_groups_callback_comes_last(engine, files):
    told = []
    group = engine.each(engine.stat, files, lambda item, request: told.append(item))
    group.callback = lambda group: told.append("end")
    finish(engine, group)
    assert told[-1] == "end"
    assert len(told) == 31


@pytest.mark.parametrize("ordered", [False, True])
def test_the_callback_colour_takes_items_as_room_comes(engine, files, ordered):
    source = Source(files)
    ended = []

    def callback(item, request):
        ended.append(item)
        assert source.taken - len(ended) < 4

    group = engine.each(engine.stat, Sync(source), callback, limit=4, ordered=ordered)
    assert source.taken == 4
    finish(engine, group)
    assert len(ended) == 30


def test_a_failure_is_its_requests(engine, tmp_path):
    told = []
    group = engine.each(engine.stat, [tmp_path / "missing", "\0"], lambda *pair: told.append(pair))
    finish(engine, group)
    (first, wrong), (second, failed) = sorted(told, key=lambda pair: str(pair[0]))
    assert (first, second) == ("\0", tmp_path / "missing")
    with pytest.raises(ValueError, match="null"):
        wrong.result()
    with pytest.raises(FileNotFoundError):
        failed.result()


def test_the_order_is_kept_when_callbacks_raise(engine):
    errors, told = [], []
    engine.on_error = lambda error, request: errors.append(type(error))

    def callback(item, request):
        told.append(item)
        raise LookupError

    times = [0.02, 0.0, 0.01]
    finish(engine, engine.each(engine.busy, times, callback, ordered=True))
    assert told == times
    assert errors == [LookupError] * 3


def test_cancelling_the_group_cancels_what_is_under_way(engine, pool, files):
    told = []
    with held(pool):
        source = Source(files)
        group = engine.each(engine.stat, Sync(source), lambda *pair: told.append(pair), limit=5)
        assert engine.nready == 5
        assert group.cancel() is True
        assert engine.nready == 0
    engine.flush()
    assert (told, source.taken) == ([], 5)


def test_a_source_that_raises_fails_the_group(engine):
    def source():
        yield "/"
        raise LookupError

    group = engine.each(engine.stat, source(), lambda item, request: None)
    finish(engine, group)
    with pytest.raises(LookupError):
        group.result()


def test_a_full_engine_is_respected_in_the_callback_colour(engine, pool, files):
    engine.max_outstanding = 3
    most = []
    group = engine.each(engine.stat, files, lambda item, request: most.append(engine.nreqs), limit=10)
    assert engine.nreqs <= 3
    finish(engine, group)
    assert len(most) == 30
    assert max(most) <= 3


def test_views_and_partials_are_called(engine, pool, files):
    with held(pool):
        view = engine.with_options(priority=2)
        lstat = functools.partial(view.stat, follow_symlinks=False)
        group = engine.each(lstat, files[:1], lambda item, request: None)
        (request,) = group._members
        assert (request.priority, group.priority, view.each(view.nop, [], print).priority) == (2, 0, 2)
    finish(engine, group)


def test_what_the_callback_colour_does_not_take(engine, backend, pool):
    async def source():
        yield "/"

    with engine_class(backend)(pool) as other:
        for function in (os.stat, other.stat, anyaio.asyncio.stat, engine.poll, engine.submitter, engine.group):
            with pytest.raises(TypeError, match="operation of this engine"):
                engine.each(function, [], print)
    with pytest.raises(TypeError, match="asynchronous"):
        engine.each(engine.stat, source(), print)
    with pytest.raises(TypeError, match="callback"):
        engine.each(engine.stat, [], None)
    with pytest.raises(ValueError, match="limit"):
        engine.each(engine.stat, [], print, limit=0)
    assert engine.nreqs == 0


# ---- the future colour ----


class Future(asyncio.Future):
    request: typing.Any = None

    def cancel(self, msg=None):
        if not self.done() and self.request is not None and not self.request.withdraw():
            return False
        return super().cancel(msg)


class FutureAdapter:
    """asyncio's futures, handed out as a loop of the future colour does."""

    on_error = None

    def __init__(self, loop):
        self.loop = loop
        self.made = []

    def attach(self, fd, poll):
        self.loop.add_reader(fd, poll)

    def detach(self, fd):
        self.loop.remove_reader(fd)

    def wake(self, waiter):
        self.set(waiter)

    def set(self, future):
        if future.done():
            return
        try:
            future.set_result(future.request.result())
        except (Exception, Cancelled) as error:
            future.set_exception(error)

    def future(self, result):
        future = Future()
        self.made.append(future)
        if isinstance(result, anyaio.Request):
            future.request = result
            result.attach(future)
        else:
            self.loop.call_soon(future.set_result, result)
        return future

    def spawn(self, coroutine):
        return self.loop.create_task(coroutine).cancel


@pytest.mark.parametrize("kind", ["sync", "async"])
@on_loops
async def test_the_future_colour_iterates_over_futures(backend, pool, files, kind):
    adapter = FutureAdapter(asyncio.get_running_loop())
    front = FutureFront.start(adapter, engine_class(backend)(pool))
    each = front.each(front.stat, files if kind == "sync" else Source(files), limit=3)
    future = anext(each)
    assert future is adapter.made[-1] or kind == "async"
    pairs = [await future] + [pair async for pair in each]
    assert sorted((path, status.st_size) for path, status in pairs) == [(path, size) for size, path in enumerate(files)]
    async with front.each(front.stat, [files[0]]) as each:
        await anext(each)
    front.shutdown()


# ---- what is open of a change ----


def test_a_change_in_the_callback_colour_is_waited_for(engine, fifo):
    group = engine.each(functools.partial(engine.open, flags=Fifo.CHANGE), [fifo.path], lambda *pair: None)
    (request,) = group._members
    until(request, "running")
    assert group.cancel() is False
    fifo.let_go()
    finish(engine, group)


@on_loops
async def test_what_the_source_makes_after_it_has_closed_the_each_is_not_begun(aio, tmp_path):
    (tmp_path / "f").touch()

    async def source():
        each.close()
        yield tmp_path / "f"

    def plain():
        each.close()
        yield tmp_path / "f"

    for make in (source, plain):
        each = aio.each(aio.unlink, make())
        assert [pair async for pair in each] == []
        assert (tmp_path / "f").exists()


@on_loops
async def test_an_interruption_while_an_item_is_looked_at_takes_no_room(aio, tmp_path):
    class Interrupts:
        def __fspath__(self):
            raise KeyboardInterrupt

    each = aio.each(aio.stat, [Interrupts(), tmp_path], limit=1)
    with pytest.raises(KeyboardInterrupt):
        await anext(each)
    assert (await anext(each))[0] == tmp_path

"""anyaio.gevent: greenlets that wait, what interrupts them, and the life of hubs, on libev and libuv."""

from __future__ import annotations

import functools
import gc
import os
import sys
import threading

import loops
import pytest
from engines import held
from loops import descriptors, running, spin

from anyaio import Cancelled, outcome
from anyaio._front import engine_class

pytest.importorskip("gevent", reason="gevent is not installed")
pytest.importorskip("cffi", reason="gevent's libuv needs cffi, which is not installed")

import gevent
from gevent.event import AsyncResult, Event
from gevent.hub import Hub, LoopExit, set_hub
from gevent.pool import Group, Pool
from hubs import LOOPS, in_hub

import anyaio.gevent as aio

stuck = loops.stuck


@pytest.fixture(params=LOOPS)
def run(request, backend, pool, monkeypatch):
    """Call a function in the main greenlet of a thread with a hub of its own; nothing of it may stay.

    *heard*: the exceptions that its hub's handler is to hear of.
    """

    def run(main, heard=0):
        told = []
        try:
            return in_hub(LOOPS[request.param], main, told)
        finally:
            gc.collect()
            assert len(told) == heard, told

    monkeypatch.setattr("anyaio.gevent._adapter.Engine", functools.partial(engine_class(backend), pool))
    run(gevent.sleep)  # what a loop's first use opens for the process stays open
    before = descriptors()
    yield run
    spin(lambda: descriptors() == before)


def until(condition):
    """Let the hub run until the condition holds."""
    with gevent.Timeout(loops.LIMIT):
        while not condition():
            gevent.sleep(0.001)


def waiting(call, *arguments, **options):
    """Spawn a greenlet and let its call come to a worker."""
    greenlet = gevent.spawn(call, *arguments, **options)
    until(running(aio.current().engine))
    return greenlet


# ---- waiting ----


def test_a_call_blocks_only_its_greenlet(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        assert aio.stat("/").st_ino == os.stat("/").st_ino
        assert not opener.ready()
        stuck.release()
        aio.close(opener.get())

    run(main)


def test_greenlets_of_every_kind_wait_side_by_side(run, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")

    def main():
        fd = aio.open(tmp_path / "f", os.O_RDONLY)

        def read(offset):
            return aio.pread(fd, 1, offset)

        pool = Pool(3)
        assert list(pool.imap(read, range(10))) == [b"%d" % number for number in range(10)]
        assert sorted(pool.imap_unordered(read, range(10))) == [b"%d" % number for number in range(10)]
        greenlets = [gevent.spawn(read, offset) for offset in range(10)]
        assert set(gevent.iwait(greenlets)) == set(greenlets)
        group = Group()
        assert group.map(read, [1, 2]) == [b"1", b"2"]
        read_raw = AsyncResult()
        gevent.spawn_raw(lambda: read_raw.set(read(5)))
        assert read_raw.get() == b"5"
        aio.close(fd)

    run(main)


def test_a_worker_of_the_hubs_thread_pool_waits_in_a_hub_of_its_own(run, tmp_path):
    def main():
        assert gevent.get_hub().threadpool.apply(aio.listdir, (tmp_path,)) == []
        gevent.get_hub().threadpool.join()

    run(main)


def test_greenlets_that_read_without_end_let_others_run(run, tmp_path):
    (tmp_path / "f").write_bytes(bytes(4096))
    ticks = []

    def main():
        fd = aio.open(tmp_path / "f", os.O_RDONLY)

        def read():
            while len(ticks) < 20:
                aio.pread(fd, 4096, 0)

        readers = [gevent.spawn(read) for _ in range(64)]
        while len(ticks) < 20:
            gevent.sleep(0.001)
            ticks.append(None)
        gevent.joinall(readers, raise_error=True)
        aio.close(fd)

    run(main)


def test_a_switch_from_elsewhere_does_not_pass_for_a_result(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, os.O_WRONLY)
        gevent.get_hub().loop.run_callback(opener.switch, "a value")
        opener.join()
        assert isinstance(opener.exception, AssertionError)
        assert "was switched to by another" in str(opener.exception)

    run(main)


def test_another_consumer_of_an_each_is_refused_and_the_first_goes_on(run, stuck):
    def main():
        each = aio.each(functools.partial(aio.open, flags=stuck.FLAGS), [stuck.path])
        consumer = waiting(next, each)
        with pytest.raises(RuntimeError, match="another consumer"):
            next(each)
        stuck.release()
        aio.close(consumer.get()[1])

    run(main)


def test_an_each_goes_from_one_greenlet_to_another(run, tmp_path):
    for number in range(10):
        (tmp_path / str(number)).touch()

    def main():
        each = aio.each(aio.stat, [tmp_path / str(number) for number in range(10)], limit=3, ordered=True)
        first = next(each)
        rest = gevent.spawn(list, each).get()
        assert [int(path.name) for path, _ in [first, *rest]] == list(range(10))

    run(main)


# ---- in the hub itself ----


def test_the_hub_itself_is_refused_before_anything_happens(run, tmp_path):
    def main():
        aio.nop()
        front, errors = aio.current(), []

        def refused():
            for call in (
                lambda: aio.mkdir(tmp_path / "d"),
                lambda: front.mkdir(tmp_path / "d"),
                lambda: aio.copy("/etc/passwd", tmp_path / "d"),
                lambda: front.with_options(priority=1).mkdir(tmp_path / "d"),
                lambda: next(aio.each(aio.stat, ["/"])),
                lambda: front.wait(front.engine.nop()),
            ):
                with pytest.raises(RuntimeError, match="hub cannot wait") as caught:
                    call()
                errors.append(caught.value)

        gevent.get_hub().loop.run_callback(refused)
        until(lambda: len(errors) == 6)
        assert aio.listdir(tmp_path) == []

    run(main)


def test_callbacks_can_queue_more_in_the_hub(run, tmp_path):
    def main():
        done = Event()

        def made(request):
            aio.current().engine.rmdir(tmp_path / "d", callback=lambda request: done.set())

        aio.current().engine.mkdir(tmp_path / "d", callback=made)
        done.wait()
        assert aio.listdir(tmp_path) == []

    run(main)


# ---- what interrupts ----


def test_a_timeout_ends_a_look_at_once(run, fifo):
    def main():
        with gevent.Timeout(0.01) as timeout, pytest.raises(gevent.Timeout) as caught:
            aio.open(fifo.path, os.O_WRONLY)
        assert caught.value is timeout
        assert outcome(timeout).status == "abandoned"

    run(main)


def test_a_change_is_waited_for_and_then_the_first_exception_is_raised(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        opener.kill(KeyError("first"), block=False)
        gevent.sleep(0.001)
        assert not opener.ready()
        stuck.release()
        opener.join()
        assert str(opener.exception) == "'first'"
        assert outcome(opener.exception).status == "done"

    run(main)
    assert not stuck.is_open_for_writing()


def test_a_failed_change_is_the_cause_of_what_is_raised(run, tmp_path, pool):
    def main():
        with held(pool):
            maker = gevent.spawn(aio.mkdir, tmp_path)
            until(lambda: aio.current().engine.nready == 1)
        spin(lambda: aio.current().engine.npending == 1)
        maker.kill(KeyError, block=False)  # it comes before the loop looks at descriptors
        maker.join()
        assert isinstance(maker.exception, KeyError)
        assert isinstance(maker.exception.__cause__, FileExistsError)

    run(main)


def test_kill_waits_for_the_change_unless_it_is_told_not_to(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        opener.kill(timeout=0.01)
        assert not opener.ready()
        gevent.spawn(stuck.release)
        opener.kill()
        assert isinstance(opener.value, gevent.GreenletExit)

    run(main)


def test_a_kill_that_comes_behind_a_timeout_is_raised_behind_it(run, stuck):
    def main():
        seen = []

        def work():
            with gevent.Timeout(0.05, False) as timeout:
                aio.open(stuck.path, stuck.FLAGS)
            seen.append(outcome(timeout).status)
            try:
                gevent.sleep(loops.LIMIT)
            finally:
                seen.append("ended")

        worker = waiting(work)
        gevent.sleep(0.1)
        worker.kill(block=False)
        gevent.sleep(0.001)
        assert seen == []
        stuck.release()
        worker.join()
        assert seen == ["done", "ended"]
        assert isinstance(worker.value, gevent.GreenletExit)

    run(main)


def test_an_outer_timeout_that_came_meanwhile_is_raised_behind_the_inner_one(run, stuck):
    def main():
        seen = []
        with gevent.Timeout(0.02, False):
            with gevent.Timeout(0.01, False):
                timer = gevent.get_hub().loop.timer(0.05)  # gevent does not keep it
                timer.start(stuck.release)
                aio.open(stuck.path, stuck.FLAGS)
            seen.append("behind the inner block")
            gevent.sleep(loops.LIMIT)
            seen.append("never")
        assert seen == ["behind the inner block"]

    run(main)


def test_a_timeout_whose_block_was_left_is_not_raised_any_more(run, stuck):
    def main():
        timer = gevent.get_hub().loop.timer(0.05)  # gevent does not keep it
        timer.start(stuck.release)
        with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.02), gevent.Timeout(0.01) as inner:
            aio.open(stuck.path, stuck.FLAGS)
        assert caught.value is inner
        gevent.sleep(0.01)
        aio.nop()

    run(main)


def test_what_came_meanwhile_does_not_reach_a_greenlet_that_has_ended(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        for number in range(3):
            opener.kill(KeyError(number), block=False)
            gevent.sleep(0)
        stuck.release()
        opener.join()
        assert opener.exception.args == (0,)
        gevent.sleep(0)

    run(main)


def test_patience_ends_the_wait_for_a_stuck_change(run, stuck):
    def main():
        front = aio.current().with_options(patience=0.02)
        opener = waiting(front.open, stuck.path, stuck.FLAGS)
        opener.kill(KeyError)
        assert outcome(opener.exception).status == "unknown"
        assert len(front.pool.stats()["stuck"]) == 1

    run(main)


def test_a_switch_from_elsewhere_does_not_end_the_wait_of_a_greenlet_that_was_killed(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        opener.kill(KeyError, block=False)
        gevent.get_hub().loop.run_callback(opener.switch, "hello")
        for _ in range(3):
            gevent.sleep(0)
        assert not opener.ready()
        stuck.release()
        with pytest.raises(KeyError) as caught:
            opener.get()
        assert outcome(caught.value).status == "done"

    run(main)


def test_a_close_is_done_in_a_greenlet_that_is_being_killed(run, tmp_path):
    def main():
        fd = aio.open(tmp_path, os.O_RDONLY)

        def work():
            try:
                gevent.sleep(loops.LIMIT)
            finally:
                aio.close(fd)

        worker = gevent.spawn(work)
        gevent.sleep(0)
        worker.kill()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


def test_a_descriptor_that_came_too_late_is_closed(run, tmp_path, pool):
    def main():
        engine = aio.current().engine
        with held(pool):
            opener = gevent.spawn(aio.open, tmp_path, os.O_RDONLY)
            until(lambda: engine.nready == 1)
        spin(lambda: engine.npending == 1)
        opener.kill(KeyError, block=False)
        engine.poll()  # it is done; the greenlet is resumed after it was killed
        opener.join()
        assert isinstance(opener.exception, KeyError)
        assert outcome(opener.exception).status == "done"

    run(main)


def test_many_greenlets_are_killed_at_once(run, tmp_path, pool):
    def main():
        with held(pool):
            greenlets = [gevent.spawn(aio.mkdir, tmp_path / str(number)) for number in range(100)]
            until(lambda: aio.current().engine.nready == 100)
            gevent.killall(greenlets)
        assert aio.listdir(tmp_path) == []

    run(main)


def test_killed_while_it_iterates_an_each_it_cancels_what_is_under_way(run, fifo, tmp_path):
    def main():
        each = aio.each(functools.partial(aio.open, flags=os.O_WRONLY), [fifo.path] * 3)
        consumer = waiting(list, each)
        consumer.kill()
        assert aio.current().engine.nreqs == 0
        with pytest.raises(StopIteration):
            next(each)

    run(main)


def test_killed_in_the_block_of_an_each_it_waits_for_changes(run, stuck):
    def main():
        ended = []

        def work():
            with aio.each(functools.partial(aio.open, flags=stuck.FLAGS), [stuck.path]) as each:
                try:
                    next(each)
                finally:
                    ended.append("next")
            ended.append("never")

        worker = waiting(work)
        worker.kill(block=False)
        gevent.sleep(0.001)
        assert not worker.ready()
        stuck.release()
        worker.join()
        assert ended == ["next"]

    run(main)


def test_an_exception_of_the_main_greenlet_interrupts_its_wait(run, fifo):
    def main():
        main_greenlet = gevent.getcurrent()
        timer = gevent.get_hub().loop.timer(0.01)  # gevent does not keep it
        timer.start(main_greenlet.throw, KeyError("thrown"))
        with pytest.raises(KeyError, match="thrown"):
            aio.open(fifo.path, os.O_WRONLY)

    run(main)


# ---- callbacks ----


def test_a_callback_that_raises_goes_to_the_hub_and_the_rest_arrive(run):
    def main():
        told = []

        def fail(request):
            raise KeyError("of a callback")

        for callback in (fail, told.append, fail, told.append):
            aio.current().engine.nop(callback)
        until(lambda: len(told) == 2)
        until(lambda: not aio.current().engine.nreqs)

    run(main, heard=2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_programs_reaches_the_main_greenlet_and_the_rest_arrive(run, kind, capsys):
    def main():
        told = []

        def leave(request):
            raise kind

        for callback in (leave, told.append, told.append):
            aio.current().engine.nop(callback)
        with pytest.raises(kind):
            gevent.sleep(loops.LIMIT)
        until(lambda: len(told) == 2)
        assert aio.listdir("/")

    run(main)


# ---- the life of a hub ----


def test_a_loop_does_not_end_while_anything_is_outstanding(run, tmp_path):
    (tmp_path / "f").write_bytes(bytes(100_000))

    def main():
        hub, told = gevent.get_hub(), []
        for begin in (
            lambda: aio.current().engine.busy(0.01, told.append),
            lambda: aio.current().engine.copy(tmp_path / "f", tmp_path / "g", callback=told.append),
            lambda: aio.current().group(told.append).add(aio.current().engine.busy(0.01)),
            lambda: gevent.spawn(lambda: told.append(aio.stat("/"))),
        ):
            begin()
            assert hub.join(loops.LIMIT)
            assert told.pop()

    run(main)


def test_a_loop_ends_when_nothing_is_outstanding(run):
    def main():
        aio.nop()
        assert gevent.get_hub().join(loops.LIMIT)
        with pytest.raises(LoopExit):
            Event().wait()
        aio.nop()

    run(main)


def test_a_wait_that_nothing_can_end_is_a_loop_exit(run):
    def main():
        aio.nop()
        paused = aio.group()
        paused.feed(lambda group: None, limit=0)
        with pytest.raises(LoopExit):
            aio.current().wait(paused)
        aio.nop()

    run(main)


def test_a_woken_greenlet_may_shut_down_and_start_anew(run):
    def main():
        def work():
            aio.nop()
            aio.current().shutdown()
            return aio.stat("/")

        assert all(Group().map(lambda _: work(), [None]))

    run(main)


def test_a_shutdown_by_another_greenlet_wakes_who_waits(run, stuck):
    def main():
        opener = waiting(aio.open, stuck.path, stuck.FLAGS)
        aio.current().shutdown()
        opener.join()
        assert isinstance(opener.exception, Cancelled)
        assert outcome(opener.exception).status == "unknown"

    run(main)


def test_a_hub_destroyed_with_greenlets_that_wait_leaves_no_descriptor(run, stuck):
    def main():
        waiting(aio.open, stuck.path, stuck.FLAGS)  # on libuv it is shut down first: see hubs.py

    run(main)
    stuck.release()


def test_a_thread_that_gets_another_hub_starts_anew(run, request):
    def main():
        aio.nop()
        front = aio.current()
        gevent.get_hub().destroy(destroy_loop=True)
        with pytest.raises(RuntimeError, match="hub of this front end was destroyed"):
            front.nop()
        set_hub(Hub(loop=LOOPS[request.node.callspec.params["run"]](default=False)))
        assert aio.listdir("/")
        assert front.engine.closed
        gevent.get_hub().destroy(destroy_loop=True)
        set_hub(Hub(loop=LOOPS[request.node.callspec.params["run"]](default=False)))

    run(main)


def test_hubs_in_several_threads_do_not_disturb_each_other(run, request, tmp_path):
    results = []
    both = threading.Barrier(2, timeout=loops.LIMIT)

    def work():
        both.wait()
        for number in range(50):
            path = tmp_path / f"{threading.get_ident()}-{number}"
            aio.mkdir(path)
            results.append(aio.listdir(path))
        results.append(id(aio.current().engine))

    loop = LOOPS[request.node.callspec.params["run"]]
    threads = [threading.Thread(target=in_hub, args=(loop, work)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count([]) == 100
    assert len({result for result in results if result != []}) == 2


def test_hubs_leave_hardly_more_than_they_do_by_themselves(run, request):
    loop = LOOPS[request.node.callspec.params["run"]]

    def growth(use):
        before = blocks()
        for _ in range(100):
            in_hub(loop, use)
        return blocks() - before

    def blocks():
        gc.collect()
        return sys.getallocatedblocks()

    def use():
        aio.close(aio.open("/", os.O_RDONLY))

    growth(use)
    growth(gevent.sleep)
    # What destroys a hub keeps the frames that it was thrown through: one of them is ours.
    assert growth(use) - growth(gevent.sleep) < 100 * 10

"""What a program steers an engine and its pool with: limits, room, what it posts, and who is told of an end."""

from __future__ import annotations

import contextvars
import fcntl
import os
import threading

import pytest
from engines import held, is_readable, run, spin, until

from anyaio import Cancelled
from anyaio._front import engine_class
from anyaio._opcodes import CLOSE, FLOCK, NOP, STAT

# ---- limits of the pool ----


def test_a_raised_max_idle_keeps_threads(engine, pool):
    pool.max_idle, pool.idle_timeout = 0, 60.0
    pool.max_idle = 4
    pool.idle_timeout = 0.0
    for request in [engine.busy(0.02) for _ in range(4)]:
        run(engine, request)
    threads = pool.nthreads
    assert threads > 0
    assert not engine.wait(0.05)
    assert pool.nthreads == threads


# ---- room ----


@pytest.fixture
def limited(engine, pool):
    """An engine for two requests at once."""
    engine.max_outstanding = 2
    return engine


def test_an_engine_has_no_limit_at_first(engine, pool):
    assert engine.max_outstanding == 0
    with held(pool):
        requests = [engine.nop() for _ in range(100)]
        assert not engine.full
    assert run(engine, requests[-1]) is None


def test_an_engine_is_full_from_max_outstanding_on(limited, pool):
    with held(pool):
        first = limited.nop()
        assert not limited.full
        limited.nop()
        assert limited.full
        limited.nop()  # the callback colour goes on
        assert (limited.full, limited.nreqs) == (True, 3)
        limited.max_outstanding = 4
        assert not limited.full
        limited.max_outstanding = 3
        assert limited.full
        first.cancel()
        assert not limited.full


@pytest.mark.parametrize("name", ["max_outstanding", "max_poll_reqs", "max_poll_time"])
def test_a_limit_of_an_engine_must_be_a_number_that_is_not_negative(engine, name):
    before = getattr(engine, name)
    with pytest.raises(ValueError, match=r"at least 0|not be negative|0 or more"):
        setattr(engine, name, -1)
    with pytest.raises(TypeError):
        setattr(engine, name, "2")
    assert getattr(engine, name) == before


def test_room_is_told_at_the_end_of_a_poll(limited):
    told = []
    limited.on_room = lambda: told.append((limited.full, limited.npending))
    post = limited.submitter().post
    requests = [post(None), post(None), post(None)]
    limited.max_poll_reqs = 1
    limited.poll()
    assert told == []
    limited.poll()
    assert told == [(False, 1)]
    assert [request.state for request in requests] == ["done", "done", "finished"]


def test_room_is_not_told_by_an_engine_without_a_limit(engine):
    told = []
    engine.on_room = lambda: told.append(True)
    run(engine, engine.nop())
    assert told == []


@pytest.mark.parametrize("end", ["cancel", "withdraw", "abandon", "settle"])
def test_room_is_told_when_a_request_is_given_up(limited, pool, end):
    told = []
    limited.on_room = lambda: told.append(limited.full)
    with held(pool):
        request, other = limited.nop(), limited.nop()
        getattr(request, end)(*[Cancelled()] * (end == "settle"))
        assert told == [False]
        assert other.state == "queued"


@pytest.mark.parametrize("limit", [0, 3])
def test_room_is_told_when_the_limit_is_lifted(limited, pool, limit):
    told = []
    limited.on_room = lambda: told.append(limited.full)
    with held(pool):
        for _ in range(2):
            limited.nop()
        limited.max_outstanding = limit
        assert told == [False]


def test_room_is_told_after_an_exception_that_leaves_poll(limited):
    told = []
    limited.on_room = lambda: told.append(True)

    def interrupt(request):
        raise KeyboardInterrupt

    limited.submitter().post(interrupt)
    with pytest.raises(KeyboardInterrupt):
        limited.poll()
    assert told == [True]


def test_an_error_of_who_is_told_of_room_is_reported(limited):
    errors = []
    limited.on_error = lambda error, request: errors.append(error)
    limited.on_room = lambda: 1 / 0
    run(limited, limited.nop())
    assert all(isinstance(error, ZeroDivisionError) for error in errors)
    assert errors


# ---- holding ----


def hold(submitter, number, *arguments):
    return submitter, number, arguments


def test_a_submitter_of_a_full_engine_hands_the_call_to_hold(limited, pool):
    submitter = limited.submitter(priority=1, hold=hold)
    with held(pool):
        assert submitter(NOP).state == "queued"
        submitter(NOP)
        assert submitter(STAT, "/", None, True) == (submitter, STAT, ("/", None, True))
        assert limited.nreqs == 2


def test_what_must_run_is_never_held(limited, pool, pipe):
    submitter = limited.submitter(hold=hold)
    fd = os.dup(pipe[0])
    with held(pool):
        limited.nop()
        limited.nop()
        request = submitter(CLOSE, fd)
        assert request.state == "queued"
        unlocking = submitter(FLOCK, pipe[0], fcntl.LOCK_UN)
        assert unlocking.state == "queued"
        assert submitter(FLOCK, pipe[0], fcntl.LOCK_SH)[1] == FLOCK
    assert run(limited, request) is None
    assert run(limited, unlocking) is None


def test_what_is_queued_is_never_held(limited, pool):
    submitter = limited.submitter(hold=hold)
    with held(pool):
        requests = [submitter.queue(NOP, None) for _ in range(4)]
        assert [request.state for request in requests] == ["queued"] * 4


def test_a_submitter_without_hold_submits_to_a_full_engine(limited, pool):
    submitter = limited.submitter()
    with held(pool):
        assert [submitter(NOP).state for _ in range(4)] == ["queued"] * 4


def test_hold_must_be_callable(engine):
    with pytest.raises(TypeError, match="hold"):
        engine.submitter(hold=1)


def test_a_submitter_knows_its_engine(engine):
    submitter = engine.submitter()
    assert submitter.engine is engine
    with pytest.raises(AttributeError):
        submitter.engine = None


# ---- posting ----


def test_what_is_posted_is_finished_at_once_without_a_worker(engine, pool):
    seen = []
    request = engine.submitter(priority=2).post(seen.append)
    assert (request.operation, request.priority, request.state) == ("nop", 2, "finished")
    assert (engine.nreqs, engine.nready, engine.npending, pool.nthreads) == (1, 0, 1, 0)
    assert is_readable(engine)
    assert engine.wait(0)
    assert seen == []
    assert engine.poll() == 1
    assert seen == [request]
    assert (request.state, request.result(), request.outcome.status) == ("done", None, "done")
    assert not is_readable(engine)


def test_what_is_posted_is_handed_over_by_priority_and_in_order_within_one(engine):
    seen = []
    for priority, name in [(0, "a"), (-4, "b"), (4, "c"), (0, "d"), (4, "e")]:
        engine.submitter(priority=priority).post(lambda request, name=name: seen.append(name))
    engine.flush()
    assert seen == ["c", "e", "a", "d", "b"]


def test_what_is_posted_stands_with_what_workers_have_finished(engine):
    seen = []
    engine.with_options(priority=1).nop(lambda request: seen.append("later, but first"))
    engine.nop(lambda request: seen.append("first"))
    spin(lambda: engine.npending == 2)
    engine.submitter().post(lambda request: seen.append("last"))
    engine.poll()
    assert seen == ["later, but first", "first", "last"]


def test_a_callback_may_post_again(engine):
    seen = []

    def post(request):
        seen.append(request)
        if len(seen) < 10:
            engine.submitter().post(post)

    engine.submitter().post(post)
    engine.flush()
    assert len(seen) == 10


def test_what_is_posted_can_be_cancelled(engine):
    seen = []
    request = engine.submitter().post(seen.append)
    assert request.cancel()
    assert (request.state, engine.nreqs, engine.npending, is_readable(engine)) == ("done", 0, 0, False)
    engine.flush()
    assert seen == []


def test_what_is_posted_runs_in_its_context(engine):
    word, seen = contextvars.ContextVar("word"), []
    word.set("posted")
    engine.submitter().post(lambda request: seen.append(word.get()))
    word.set("polled")
    engine.poll()
    assert seen == ["posted"]


def test_what_is_posted_is_counted(engine):
    engine.submitter().post(None)
    engine.flush()
    assert engine.stats()["requests"] == {"nop": 1}


def test_a_shutdown_drops_what_is_posted(backend, pool):
    engine, seen, woken = engine_class(backend)(pool), [], []
    engine.wake = woken.append
    submitter = engine.submitter()
    request = submitter.post(seen.append)
    request.attach("waiter")
    engine.shutdown()
    assert (request.state, seen, woken) == ("done", [], ["waiter"])
    with pytest.raises(RuntimeError, match="shut down"):
        submitter.post(None)


def test_what_is_posted_must_be_callable_and_by_the_engines_thread(engine):
    submitter, errors = engine.submitter(), []

    def post():
        with pytest.raises(RuntimeError, match="thread") as caught:
            submitter.post(None)
        errors.append(caught.value)

    with pytest.raises(TypeError, match="callback"):
        submitter.post(1)
    thread = threading.Thread(target=post)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert engine.nreqs == 0


# ---- who is told of the end ----


class Group:
    """Notes when it is told, and what it finds."""

    def __init__(self, seen):
        self.seen = seen

    def _member_done(self, request):
        self.seen.append(("group", request.state, request.group))


TOLD = ("group", "done", None)


def test_a_group_is_told_after_waiter_and_callback(engine):
    seen = []
    engine.wake = seen.append
    request = engine.nop(lambda request: seen.append("callback"))
    assert request.group is None
    request.attach("waiter")
    request.group = group = Group(seen)
    assert request.group is group
    run(engine, request)
    assert seen == ["waiter", "callback", TOLD]
    assert not request.cancel()
    request.settle(Cancelled())
    assert len(seen) == 3


@pytest.mark.parametrize("end", ["cancel", "withdraw", "abandon", "settle"])
def test_a_group_is_told_of_a_queued_request_that_is_given_up(engine, pool, end):
    seen = []
    with held(pool):
        request = engine.nop()
        request.group = Group(seen)
        getattr(request, end)(*[Cancelled()] * (end == "settle"))
        assert seen == [TOLD]
    engine.flush()
    assert seen == [TOLD]


@pytest.mark.parametrize("end", ["cancel", "withdraw", "settle"])
def test_a_group_is_told_of_a_finished_request_that_is_given_up(engine, end):
    seen = []
    request = engine.submitter().post(None)
    request.group = Group(seen)
    getattr(request, end)(*[Cancelled()] * (end == "settle"))
    assert seen == [TOLD]
    engine.flush()
    assert seen == [TOLD]


@pytest.mark.parametrize("end", ["abandon", "settle"])
def test_a_group_is_told_of_a_running_change_that_is_given_up(engine, fifo, end):
    seen = []
    request = engine.open(fifo.path, fifo.CHANGE)
    request.group = Group(seen)
    until(request, "running")
    getattr(request, end)(*[Cancelled()] * (end == "settle"))
    assert (request.outcome.status, seen) == ("unknown", [TOLD])


def test_a_group_is_told_when_patience_is_over(engine, fifo):
    seen = []
    request = engine.with_options(patience=0).open(fifo.path, fifo.CHANGE)
    request.group = Group(seen)
    until(request, "running")
    assert not request.cancel()
    engine.wait(10)
    engine.poll()
    assert (request.outcome.status, seen) == ("unknown", [TOLD])


def test_a_group_is_told_by_the_shutdown(backend, pool):
    engine, seen = engine_class(backend)(pool), []
    engine.wake = seen.append
    with held(pool):
        request = engine.nop()
        request.attach("waiter")
        request.group = Group(seen)
        engine.shutdown()
    assert seen == ["waiter", TOLD]


def test_a_group_is_not_told_by_an_engine_that_is_dropped(backend, pool):
    engine, seen = engine_class(backend)(pool), []
    with held(pool):
        request = engine.nop()
        request.group = Group(seen)
        del engine
    assert request.state == "done"
    assert seen == []


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_group_is_told_although_the_callback_raises(engine, kind):
    seen = []
    engine.on_error = lambda error, request: seen.append(type(error))

    def fail(request):
        raise kind

    request = engine.submitter().post(fail)
    request.group = Group(seen)
    if kind is ValueError:
        engine.poll()
    else:
        with pytest.raises(kind):
            engine.poll()
    assert sorted(map(repr, seen)) == sorted(map(repr, [kind, TOLD] if kind is ValueError else [TOLD]))


def test_an_error_of_a_group_is_reported(engine):
    errors = []
    engine.on_error = lambda error, request: errors.append((type(error), request))

    class Failing:
        def _member_done(self, request):
            raise ZeroDivisionError

    request = engine.submitter().post(None)
    request.group = Failing()
    engine.poll()
    assert errors == [(ZeroDivisionError, request)]


def test_a_group_may_submit_and_poll_when_it_is_told(engine):
    class Feeder:
        left = 5

        def _member_done(self, request):
            self.left -= 1
            if self.left:
                engine.nop().group = self
                engine.wait()
                engine.poll()

    feeder = Feeder()
    engine.nop().group = feeder
    engine.flush()
    assert feeder.left == 0


# ---- statistics ----


def test_a_pool_tells_how_many_wait_for_a_lock(engine, pool, tmp_path):
    fds = [os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    assert pool.stats()["waiting_locks"] == 0
    run(engine, engine.flock(fds[0], fcntl.LOCK_EX))
    requests = [engine.flock(fd, fcntl.LOCK_SH) for fd in fds[1:]]
    spin(lambda: pool.stats()["waiting_locks"] == 2)
    assert engine.stats()["queued"] == 2
    run(engine, engine.flock(fds[0], fcntl.LOCK_UN))
    for request in requests:
        run(engine, request)
    assert pool.stats()["waiting_locks"] == 0
    for fd in fds:
        os.close(fd)


# ---- whether anything is outstanding ----


@pytest.fixture
def told(engine):
    """What `on_busy` has heard."""
    told = []
    engine.on_busy = told.append
    return told


def test_on_busy_hears_of_the_first_request_and_of_the_end_of_the_last(engine, told):
    assert engine.on_busy == told.append
    first, second = engine.nop(), engine.nop()
    assert told == [True]
    run(engine, first)
    run(engine, second)
    assert told == [True, False]
    run(engine, engine.submitter().post(None))
    assert told == [True, False, True, False]


def test_on_busy_hears_nothing_while_callbacks_submit_more(engine, told):
    left = [3, 2, 1]

    def again(request):
        if left:
            left.pop()
            engine.nop(again)

    engine.nop(again)
    engine.flush()
    assert (left, told) == ([], [True, False])


@pytest.mark.parametrize("way", ["cancel", "withdraw", "abandon"])
def test_on_busy_hears_of_what_was_taken_back(engine, pool, told, way):
    with held(pool):
        getattr(engine.nop(), way)()
        assert told == [True, False]
        error = BaseException()
        engine.nop().settle(error)
        assert told == [True, False] * 2


def test_on_busy_hears_of_a_shutdown(engine, pool, told):
    with held(pool):
        engine.nop()
        engine.shutdown()
    assert told == [True, False]


def test_an_on_busy_that_raises_is_told_and_the_request_goes_on(engine, told):
    failures = []

    def fail(busy):
        told.append(busy)
        raise ValueError("no")

    engine.on_busy = fail
    engine.on_error = lambda error, where: failures.append((type(error), where))
    assert run(engine, engine.nop()) is None
    assert told == [True, False]
    assert failures == [(ValueError, fail)] * 2


def test_an_interruption_leaves_on_busy_through_the_submit(engine):
    interruptions = [KeyboardInterrupt]

    def interrupt(busy):
        if interruptions:
            raise interruptions.pop()

    engine.on_busy = interrupt
    with pytest.raises(KeyboardInterrupt):
        engine.nop()
    engine.flush()
    assert engine.nreqs == 0

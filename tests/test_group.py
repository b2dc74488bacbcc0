"""Groups: when they are done, what cancelling them does, and the rules of feeders."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import loops
import pytest
from engines import Fifo, held, spin, until
from loops import on_loops

import anyaio.blocking
from anyaio import Cancelled, Group
from anyaio._front import engine_class

aio = loops.aio
loop_factory = loops.loop_factory


def finish(engine, request):
    """Poll until *request* is done."""
    while request.state != "done":
        assert engine.wait(10), f"{request!r} did not end"
        engine.poll()


def poll_once(engine):
    """One poll, that hands over all there is."""
    engine.max_poll_time = 0
    assert engine.wait(10)
    engine.poll()


def run_out(engine):
    engine.flush()


# ---- when it is done ----


def test_an_empty_group_is_done_at_its_first_poll(engine):
    told = []
    group = engine.group(told.append)
    assert (group.state, group.outcome, told) == ("running", None, [])
    poll_once(engine)
    assert (group.state, told) == ("done", [group])
    assert group.result() is None
    assert group.outcome.status == "done"


def test_a_group_is_done_right_behind_the_callback_of_its_last_member_in_the_same_poll(engine, pool):
    told = []
    pool.max_parallel = 1  # in this order
    with held(pool):
        group = engine.group(lambda group: told.append("group"))
        group.add(*(engine.nop(lambda request, number=number: told.append(number)) for number in range(3)))
        engine.poll()
        assert told == []
        engine.nop(lambda request: told.append("behind"))
    spin(lambda: engine.npending == 4)
    poll_once(engine)
    assert told == [0, 1, 2, "group", "behind"]


def test_the_callback_of_the_last_member_may_add_more(engine):
    told = []
    group = engine.group(lambda group: told.append("group"))

    def more(request):
        told.append("first")
        group.add(engine.nop(lambda request: told.append("second")))

    group.add(engine.nop(more))
    finish(engine, group)
    assert told == ["first", "second", "group"]


def test_members_that_have_ended_before_its_turn_do_not_end_it(engine, pool):
    told = []
    pool.max_parallel = 1
    with held(pool):
        group = engine.with_options(priority=-4).group(told.append)
        group.add(engine.with_options(priority=4).nop())
    spin(lambda: engine.npending == 2)
    engine.max_poll_reqs = 1
    engine.poll()
    assert (group.state, told) == ("running", [])
    engine.poll()
    assert told == [group]


@pytest.mark.parametrize("priority", [-4, 4])
def test_its_turn_comes_by_its_priority(engine, pool, priority):
    told = []
    with held(pool):
        engine.nop(lambda request: told.append("nop"))
        group = engine.with_options(priority=priority).group(lambda group: told.append("group"))
    assert group.priority == priority
    spin(lambda: engine.npending == 2)
    poll_once(engine)
    assert told == (["group", "nop"] if priority == 4 else ["nop", "group"])


def test_a_group_with_members_does_not_count_as_a_request(engine, pool):
    with held(pool):
        group = engine.group()
        group.add(engine.nop())
        engine.poll()
        assert engine.nreqs == 1


def test_a_group_takes_its_turn_though_nobody_keeps_it(engine):
    told = []
    engine.group(lambda group: told.append("done")).add(engine.nop())
    gc.collect()
    run_out(engine)
    assert told == ["done"]


def test_composites_are_members(engine, tmp_path):
    (tmp_path / "sub").mkdir()
    told = []
    group = engine.group(lambda group: told.append("group"))
    (member,) = group.add(engine.split_dir(tmp_path, callback=lambda request: told.append(request.result())))
    finish(engine, group)
    assert told == [(["sub"], []), "group"]
    assert member.group is None


def test_groups_are_members(engine):
    told = []
    outer = engine.group(lambda group: told.append("outer"))
    (inner,) = outer.add(engine.group(lambda group: told.append("inner")))
    inner.add(engine.nop(lambda request: told.append("nop")))
    finish(engine, outer)
    assert told == ["nop", "inner", "outer"]


def test_a_thousand_groups_in_each_other_end_without_recursion(engine):
    told = []
    groups = [
        engine.group(functools.partial(lambda number, group: told.append(number), number)) for number in range(1000)
    ]
    for outer, inner in itertools.pairwise(groups):
        outer.add(inner)
    groups[-1].add(engine.nop())
    finish(engine, groups[0])
    assert told == [*reversed(range(1000))]


def test_a_thousand_groups_in_each_other_are_cancelled_without_recursion(engine, pool):
    with held(pool):
        groups = [engine.group() for _ in range(1000)]
        for outer, inner in itertools.pairwise(groups):
            outer.add(inner)
        (request,) = groups[-1].add(engine.nop())
        assert groups[0].cancel() is True
    assert {group.state for group in groups} == {"done"}
    assert request.outcome.status == "never ran"


def test_many_members_end_without_recursion(engine):
    left = iter(range(20_000))
    group = engine.group()

    def feeder(group):
        for _ in left:
            group.add(engine.nop())
            break

    group.feed(feeder, 500)
    finish(engine, group)
    assert next(left, None) is None


# ---- what it returns ----


def test_the_last_result_is_returned(engine):
    group = engine.group()
    group.set_result(1)
    group.set_result([2])
    with pytest.raises(RuntimeError, match="not done"):
        group.result()
    finish(engine, group)
    assert group.result() == [2]
    assert group.outcome == ("done", [2], None)


def test_an_error_counts_for_more_than_a_result(engine):
    group = engine.group()
    error = LookupError("no")
    group.set_error(error)
    group.set_result(1)
    finish(engine, group)
    for _ in range(2):
        with pytest.raises(LookupError):
            group.result()
    assert group.outcome == ("failed", None, error)


def test_the_error_of_a_member_is_the_members_own(engine, tmp_path):
    group = engine.group()
    (member,) = group.add(engine.stat(tmp_path / "missing"))
    finish(engine, group)
    assert group.result() is None
    with pytest.raises(FileNotFoundError):
        member.result()


def test_add_returns_what_it_was_given(engine):
    group = engine.group()
    requests = engine.nop(), engine.nop()
    assert group.add(*requests) == requests
    assert group.add() == ()
    finish(engine, group)


# ---- what cannot be added ----


def test_a_request_in_two_groups_is_a_value_error(engine):
    one, other = engine.group(), engine.group()
    (request,) = one.add(engine.nop())
    with pytest.raises(ValueError, match="another group"):
        other.add(request)
    with pytest.raises(ValueError, match="this group"):
        one.add(request)
    finish(engine, one)
    finish(engine, other)


def test_a_request_twice_in_one_call_is_a_value_error_that_adds_nothing(engine):
    group = engine.group()
    request = engine.nop()
    with pytest.raises(ValueError, match="already"):
        group.add(engine.nop(), request, request)
    assert request.group is None
    group.add(request)
    run_out(engine)
    assert group.state == "done"


def test_a_group_in_itself_is_a_value_error(engine):
    group = engine.group()
    with pytest.raises(ValueError, match="in itself"):
        group.add(group)
    finish(engine, group)


def test_a_circle_of_groups_is_a_value_error(engine):
    outer, middle, inner = (engine.group() for _ in range(3))
    outer.add(middle)
    middle.add(inner)
    with pytest.raises(ValueError, match="has this group in it"):
        inner.add(outer)
    finish(engine, outer)


def test_a_request_of_another_engine_is_a_value_error(engine, backend, pool):
    with engine_class(backend)(pool) as other:
        group = engine.group()
        for request in (other.nop(), other.group()):
            with pytest.raises(ValueError, match="another engine"):
                group.add(request)
        other.flush()
    finish(engine, group)


def test_what_is_no_request_is_a_type_error(engine):
    group = engine.group()
    with pytest.raises(TypeError, match="'stat'"):
        group.add("stat")
    finish(engine, group)


def test_a_request_that_is_done_is_not_taken(engine):
    request = engine.nop()
    finish(engine, request)
    group = engine.group()
    assert group.add(request) == (request,)
    assert request.group is None
    finish(engine, group)


def test_nothing_is_changed_once_its_callback_has_started(engine):
    errors = []

    def callback(group):
        request = engine.nop()
        for call in (
            lambda: group.add(request),
            lambda: group.feed(lambda group: None),
            lambda: setattr(group, "limit", 3),
            lambda: group.set_result(1),
            lambda: group.set_error(ValueError()),
            group.cancel_members,
            lambda: setattr(group, "callback", print),
        ):
            try:
                call()
            except RuntimeError as error:
                errors.append(error)

    group = engine.group(callback)
    finish(engine, group)
    assert len(errors) == 7
    run_out(engine)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda group: group.feed(3), TypeError),
        (lambda group: group.feed(print, -1), ValueError),
        (lambda group: setattr(group, "limit", -1), ValueError),
        (lambda group: setattr(group, "limit", 1.5), TypeError),
        (lambda group: group.set_error("no"), TypeError),
        (lambda group: setattr(group, "callback", 3), TypeError),
    ],
)
def test_a_wrong_argument_is_refused(engine, call, error):
    group = engine.group()
    with pytest.raises(error):
        call(group)
    finish(engine, group)


# ---- its callback ----


def test_the_callback_can_be_replaced_until_it_ran(engine):
    told = []
    group = engine.group(lambda group: told.append("first"))
    group.callback = lambda group: told.append("second")
    finish(engine, group)
    assert told == ["second"]


def test_the_callback_runs_in_the_context_of_the_submit(engine):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []
    variable.set("submit")
    group = engine.group(lambda group: seen.append(variable.get()))
    variable.set("later")
    finish(engine, group)
    assert seen == ["submit"]


def test_the_exception_of_a_callback_is_reported_with_the_group(engine):
    told = []
    engine.on_error = lambda error, request: told.append((repr(error), request))
    group = engine.group(lambda group: 1 / 0)
    outer = engine.group()
    outer.add(group)
    finish(engine, outer)
    assert told == [("ZeroDivisionError('division by zero')", group)]


def test_an_interrupt_in_a_callback_leaves_the_poll_and_loses_nothing(engine):
    def callback(group):
        raise KeyboardInterrupt

    told = []
    outer = engine.group(lambda group: told.append("outer"))
    outer.add(engine.group(callback))
    with pytest.raises(KeyboardInterrupt):
        finish(engine, outer)
    assert told == ["outer"]


# ---- cancelling ----


def test_cancelling_ends_a_group_of_queued_members_at_once(engine, pool):
    told = []
    with held(pool):
        group = engine.group(told.append)
        members = group.add(*(engine.nop(told.append) for _ in range(3)))
        assert group.cancel() is True
        assert group.state == "done"
        assert {member.outcome.status for member in members} == {"never ran"}
    with pytest.raises(Cancelled) as caught:
        group.result()
    assert caught.value.outcome is group.outcome
    assert group.outcome.status == "failed"
    assert isinstance(group.outcome.error, Cancelled)
    assert group.cancel() is False
    run_out(engine)
    assert told == []


def test_cancelling_waits_for_a_change_that_runs(engine, fifo):
    told = []
    group = engine.group(lambda group: told.append("group"))
    member, _ = group.add(
        engine.open(fifo.path, Fifo.CHANGE, callback=lambda request: told.append("member")), engine.nop()
    )
    until(member, "running")
    assert group.cancel() is False
    assert group.state == "running"
    assert group.cancel() is False
    fifo.let_go()
    finish(engine, group)
    assert told == ["member"]
    with pytest.raises(Cancelled):
        group.result()


def test_cancelling_ends_the_groups_in_it(engine, pool):
    with held(pool):
        outer = engine.group()
        (inner,) = outer.add(engine.group())
        (member,) = inner.add(engine.nop())
        assert outer.cancel() is True
        assert (inner.state, member.state) == ("done", "done")
        with pytest.raises(Cancelled):
            inner.result()


def test_cancelling_a_composite_member_drives_it_to_its_end(engine, pool, tmp_path):
    with held(pool):
        group = engine.group()
        (member,) = group.add(engine.split_dir(tmp_path))
        assert group.cancel() is True
    assert member.state == "done"


def test_cancelling_a_group_stops_members_that_are_added_later(engine, pool, fifo):
    group = engine.group()
    (change,) = group.add(engine.open(fifo.path, Fifo.CHANGE))
    until(change, "running")
    assert group.cancel() is False
    pool.max_parallel = 1
    late = engine.nop()
    group.add(late)
    assert late.outcome.status == "never ran"
    fifo.let_go()
    finish(engine, group)
    pool.max_parallel = 0
    later = engine.nop()
    assert group.add(later) == (later,)
    assert later.outcome.status == "never ran"
    assert later.group is None


def test_cancelling_stops_the_feeder(engine, pool):
    calls = []

    def feeder(group):
        calls.append(1)
        group.add(engine.nop())

    with held(pool):
        group = engine.group()
        group.feed(feeder, 3)
        assert len(calls) == 3
        assert group.cancel() is True
        group.feed(feeder)
        group.limit = 5
    run_out(engine)
    assert len(calls) == 3


def test_a_feeder_may_cancel_its_group(engine):
    def feeder(group):
        group.add(engine.nop())
        group.cancel()

    group = engine.group()
    group.feed(feeder, 10)
    assert group.state == "done"
    run_out(engine)


def test_a_cancelled_member_leaves_and_the_group_ends_in_a_later_poll(engine, pool):
    told = []
    with held(pool):
        group = engine.group(told.append)
        (member,) = group.add(engine.nop())
        poll_once(engine)
        assert member.cancel()
        assert told == []
        poll_once(engine)
        assert told == [group]


def test_cancelling_the_members_leaves_the_group_and_its_result(engine, pool):
    told = []
    with held(pool):
        group = engine.group(told.append)
        group.feed(lambda group: group.add(engine.nop(told.append)), 4)
        group.set_result(7)
        group.cancel_members()
        assert (told, group.state) == ([], "running")
        poll_once(engine)
    assert told == [group]
    assert group.result() == 7


def test_members_can_be_added_after_the_others_were_cancelled(engine, pool):
    told = []
    with held(pool):
        group = engine.group(lambda group: told.append("group"))
        group.add(engine.nop())
        poll_once(engine)
        group.cancel_members()
        group.add(engine.nop(lambda request: told.append("member")))
    finish(engine, group)
    assert told == ["member", "group"]


def test_cancelling_the_members_cancels_groups_in_it(engine, pool):
    told = []
    with held(pool):
        outer = engine.group(lambda group: told.append("outer"))
        (inner,) = outer.add(engine.group(lambda group: told.append("inner")))
        inner.add(engine.nop())
        outer.cancel_members()
    finish(engine, outer)
    assert told == ["outer"]
    assert inner.outcome.status == "failed"


def test_a_member_whose_patience_runs_out_ends_its_group(engine, fifo):
    group = engine.group()
    (member,) = group.add(engine.with_options(patience=0.01).open(fifo.path, Fifo.CHANGE))
    until(member, "running")
    group.cancel()
    finish(engine, group)
    assert member.outcome.status == "unknown"
    fifo.let_go()


def test_an_abandoned_group_is_done_though_a_change_runs(engine, fifo):
    group = engine.group()
    (member,) = group.add(engine.open(fifo.path, Fifo.CHANGE))
    until(member, "running")
    group.abandon()
    assert group.state == "done"
    assert group.outcome.status == "unknown"
    assert (member.state, member.group) == ("running", None)
    fifo.let_go()
    run_out(engine)


# ---- feeders ----


class Feeder:
    """Adds *batch* nops a call, *calls* times; then nothing."""

    def __init__(self, engine, calls, batch=1):
        self.engine, self.left, self.batch = engine, calls, batch
        self.calls = 0
        self.most = 0

    def __call__(self, group):
        self.calls += 1
        self.most = max(self.most, len(group._members))
        if self.left:
            self.left -= 1
            group.add(*(self.engine.nop() for _ in range(self.batch)))


def test_it_feeds_inside_of_feed_up_to_the_limit(engine, pool):
    with held(pool):
        group = engine.group()
        feeder = Feeder(engine, 10)
        group.feed(feeder, 5)
        assert (feeder.calls, engine.nready) == (5, 5)
    finish(engine, group)
    assert (feeder.calls, feeder.most) == (11, 4)  # the eleventh adds nothing


def test_the_limit_is_two_unless_another_is_given(engine, pool):
    with held(pool):
        group = engine.group()
        feeder = Feeder(engine, 10)
        assert group.limit == 0
        group.feed(feeder)
        assert (group.limit, feeder.calls) == (2, 2)
    finish(engine, group)


def test_setting_the_limit_feeds_at_once(engine, pool):
    with held(pool):
        group = engine.group()
        feeder = Feeder(engine, 10)
        group.feed(feeder)
        group.limit = 6
        assert feeder.calls == 6
        group.limit = 1
        assert feeder.calls == 6
    finish(engine, group)


def test_a_member_that_leaves_is_replaced_behind_its_callback(engine, pool):
    told = []

    def feeder(group):
        if len(told) < 6:
            told.append("fed")
            group.add(engine.nop(lambda request: told.append("called")))

    pool.max_parallel = 1
    with held(pool):
        group = engine.group()
        group.feed(feeder, 1)
        assert told == ["fed"]
    finish(engine, group)
    assert told == ["fed", "called"] * 3


def test_a_call_that_adds_nothing_removes_the_feeder_for_good(engine, pool):
    calls = []

    def feeder(group):
        calls.append(1)
        if len(calls) != 2:
            group.add(engine.nop())

    with held(pool):
        group = engine.group()
        group.feed(feeder, 5)
        assert len(calls) == 2
        group.limit = 9
        assert len(calls) == 2
    finish(engine, group)
    assert len(calls) == 2


def test_to_add_what_is_done_is_to_add_nothing(engine):
    done = engine.nop()
    finish(engine, done)
    calls = []
    group = engine.group()
    group.feed(lambda group: (calls.append(1), group.add(done)))
    assert len(calls) == 1
    finish(engine, group)


def test_a_feeder_may_add_more_than_the_limit(engine, pool):
    with held(pool):
        group = engine.group()
        feeder = Feeder(engine, 3, batch=10)
        group.feed(feeder, 3)
        assert (feeder.calls, engine.nready) == (1, 10)
    finish(engine, group)
    assert (feeder.calls, feeder.most) == (4, 2)


def test_a_paused_group_waits(engine):
    told = []
    group = engine.group(told.append)
    feeder = Feeder(engine, 3)
    group.feed(feeder, 0)
    run_out(engine)
    assert (feeder.calls, told, group.state) == (0, [], "running")
    assert "paused" in repr(group)
    group.limit = 1
    finish(engine, group)
    assert (feeder.calls, told) == (4, [group])


def test_a_group_paused_in_the_middle_goes_on(engine):
    group = engine.group()
    feeder = Feeder(engine, 3)
    group.feed(feeder, 1)
    group.limit = 0
    run_out(engine)
    assert (feeder.calls, group.state) == (1, "running")
    group.limit = 2
    finish(engine, group)
    assert feeder.left == 0


def test_a_limit_of_zero_without_a_feeder_pauses_nothing(engine):
    group = engine.group()
    group.limit = 0
    group.add(engine.nop())
    finish(engine, group)


def test_taking_the_feeder_away_ends_a_paused_group_in_a_later_poll(engine):
    told = []
    group = engine.group(told.append)
    group.feed(Feeder(engine, 3), 0)
    run_out(engine)
    group.feed(None)
    assert told == []
    finish(engine, group)
    assert told == [group]


def test_a_paused_group_can_be_cancelled(engine):
    group = engine.group()
    group.feed(Feeder(engine, 3), 0)
    run_out(engine)
    assert group.cancel() is True


def test_an_exception_in_a_feeder_fails_the_group_when_the_members_have_ended(engine):
    told = []

    def feeder(group):
        if told == ["fed"]:
            raise LookupError("no more")
        told.append("fed")
        group.add(engine.nop(lambda request: told.append("member")))

    group = engine.group(lambda group: told.append("group"))
    group.feed(feeder, 3)
    group.limit = 9
    finish(engine, group)
    assert told == ["fed", "member", "group"]
    with pytest.raises(LookupError):
        group.result()


def test_an_error_that_was_set_is_kept_when_the_feeder_fails(engine):
    group = engine.group()
    group.set_error(LookupError())
    group.feed(lambda group: 1 / 0)
    finish(engine, group)
    with pytest.raises(LookupError):
        group.result()


def test_an_interrupt_in_a_feeder_leaves_and_takes_the_feeder_away(engine):
    calls = []

    def feeder(group):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        group.add(engine.nop())

    group = engine.group()
    with pytest.raises(KeyboardInterrupt):
        group.feed(feeder, 5)
    finish(engine, group)
    assert len(calls) == 2
    with pytest.raises(KeyboardInterrupt):
        group.result()


def test_the_feeder_gets_the_group_in_the_context_of_feed(engine):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    def feeder(group):
        seen.append((variable.get(), group))
        if len(seen) < 3:
            group.add(engine.nop())

    group = engine.group()
    variable.set("feed")
    group.feed(feeder, 1)
    variable.set("later")
    finish(engine, group)
    assert seen == [("feed", group)] * 3


def test_a_feeder_may_replace_itself(engine):
    told = []

    def second(group):
        told.append("second")

    def first(group):
        told.append("first")
        group.feed(second)

    group = engine.group()
    group.feed(first)
    finish(engine, group)
    assert told == ["first", "second"]


def test_a_feeder_may_set_the_limit(engine, pool):
    feeder = Feeder(engine, 10)

    def setting(group):
        group.limit = 4
        feeder(group)

    with held(pool):
        group = engine.group()
        group.feed(setting, 1)
        assert feeder.calls == 4
    finish(engine, group)


def test_groups_are_fed_with_groups(engine):
    told = []
    left = iter(range(5))

    def feeder(group):
        for number in left:
            (inner,) = group.add(engine.group(lambda group, number=number: told.append(number)))
            inner.add(engine.nop())
            break

    group = engine.group(lambda group: told.append("outer"))
    group.feed(feeder, 1)
    finish(engine, group)
    assert told == [0, 1, 2, 3, 4, "outer"]


# ---- life ----


def test_shutdown_ends_groups_also_paused_ones(engine, pool):
    told = []
    engine.wake = told.append
    pool.max_parallel = 0
    paused, full = engine.group(told.append), engine.group(told.append)
    paused.feed(Feeder(engine, 1), 0)
    full.feed(Feeder(engine, 10), 5)
    paused.attach("paused")
    full.attach("full")
    engine.shutdown()
    assert sorted(told) == ["full", "paused"]
    for group in (paused, full):
        with pytest.raises(Cancelled):
            group.result()


def test_shutdown_waits_for_no_change(engine, fifo):
    group = engine.group()
    (member,) = group.add(engine.open(fifo.path, Fifo.CHANGE))
    until(member, "running")
    engine.shutdown()
    assert (group.state, group.outcome.status) == ("done", "unknown")
    fifo.let_go()


def test_a_group_of_an_engine_that_was_shut_down_is_a_runtime_error(engine):
    engine.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        engine.group()


def test_a_group_does_not_keep_its_engine(backend, pool):
    engine = engine_class(backend)(pool)
    group = engine.group()
    group.feed(Feeder(None, 1), 0)
    run_out(engine)
    gone = weakref.ref(engine)
    del engine
    assert gone() is None
    assert group.engine is None
    assert group.cancel() is True


def test_a_group_belongs_to_its_thread(engine):
    group = engine.group()
    errors = []

    def use():
        for call in (group.cancel, group.add, lambda: group.set_result(1), lambda: group.attach(1)):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors == ["the group belongs to another thread"] * 4
    finish(engine, group)


def test_an_inherited_group_raises_in_a_forked_child(backend):
    code = """
import os, anyaio
engine = anyaio.Engine()
group = engine.group(lambda group: print("told", os.getpid() == parent))
parent = os.getpid()
group.feed(lambda group: None, 0)
if os.fork() == 0:
    for call in (group.cancel, group.add, lambda: setattr(group, "limit", 2), lambda: group.set_result(1)):
        try:
            call()
        except RuntimeError as error:
            print(error)
    engine.shutdown()
    print(engine.closed, group.state)
    os._exit(0)
os.wait()
group.limit = 2
engine.flush()
"""
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment
    )
    refusal = "the group was made before fork; it only lives in the parent"
    assert done.stdout.splitlines() == [*[refusal] * 4, "True running", "told True"]
    assert done.stderr == ""


def test_its_repr_tells_the_state_and_the_members(engine):
    group = engine.group()
    assert repr(group) == "<anyaio group running, 0 members>"
    group.feed(Feeder(engine, 1), 1)
    assert repr(group) == "<anyaio group running, 1 members, feeding>"
    group.cancel()
    assert repr(group) == "<anyaio group done, cancelled, 0 members>"


# ---- waiting for one ----


@on_loops
async def test_a_group_is_waited_for(aio):
    group = aio.group()
    assert isinstance(group, Group)
    group.add(aio.current().engine.nop())
    group.set_result("result")
    assert await aio.current().wait(group) == "result"
    assert await aio.current().wait(group) == "result"


@on_loops
async def test_cancelling_who_waits_cancels_the_group(aio, pool):
    pool.max_parallel = 0
    group = aio.group()
    (member,) = group.add(aio.current().engine.nop())
    task = asyncio.create_task(aio.current().wait(group))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert member.outcome.status == "never ran"
    assert anyaio.outcome(caught.value) == group.outcome


@on_loops
async def test_cancelling_who_waits_waits_for_a_change_that_runs(aio, stuck):
    group = aio.group()
    (member,) = group.add(aio.current().engine.open(stuck.path, stuck.FLAGS))
    task = asyncio.create_task(aio.current().wait(group))
    await asyncio.sleep(0)
    await loops.until(lambda: member.state == "running")
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    stuck.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert group.outcome.status == "failed"


@on_loops
async def test_a_second_cancel_waits_no_longer(aio, stuck):
    group = aio.group()
    (member,) = group.add(aio.current().engine.open(stuck.path, stuck.FLAGS))
    task = asyncio.create_task(aio.current().wait(group))
    await asyncio.sleep(0)
    await loops.until(lambda: member.state == "running")
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert anyaio.outcome(caught.value).status == "unknown"


@on_loops
async def test_who_waits_for_a_group_is_woken_by_a_cancel(aio, pool):
    pool.max_parallel = 0
    group = aio.group()
    group.add(aio.current().engine.nop())
    task = asyncio.create_task(aio.current().wait(group))
    await asyncio.sleep(0)
    group.cancel()
    with pytest.raises(Cancelled):
        await task


stuck = loops.stuck


@pytest.fixture
def blocking(backend, pool, monkeypatch):
    """`anyaio.blocking`, whose engines are of this backend."""
    monkeypatch.setattr("anyaio._blocking.Engine", functools.partial(engine_class(backend), pool))
    yield anyaio.blocking
    anyaio.blocking.current().shutdown()


def test_the_blocking_colour_waits_for_a_group(blocking):
    front = blocking.current()
    group = blocking.group()
    group.add(front.engine.nop())
    group.set_result(3)
    assert front.wait(group) == 3


def test_waiting_for_a_paused_group_that_nothing_can_resume_is_an_error(blocking):
    front = blocking.current()
    group = blocking.group()
    feeder = Feeder(front.engine, 2)
    group.feed(feeder, 0)
    with pytest.raises(RuntimeError, match="paused"):
        front.wait(group)
    group.limit = 1
    assert front.wait(group) is None
    assert feeder.left == 0


def test_a_paused_group_that_a_callback_resumes_is_waited_for(blocking):
    front = blocking.current()
    group = blocking.group()
    group.feed(Feeder(front.engine, 2), 0)
    front.engine.busy(0.01, lambda request: setattr(group, "limit", 1))
    assert front.wait(group) is None


def test_a_view_makes_groups_of_its_priority(blocking):
    assert blocking.current().with_options(priority=3).group().priority == 3

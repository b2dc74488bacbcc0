"""The callback colour: an engine by hand, in a loop of one's own or without any."""

from __future__ import annotations

import os
import selectors
import sys

import pytest
from loops import LIMIT

from anyaio._front import engine_class


def test_an_engine_works_in_a_selectors_loop(engine, tmp_path):
    names = []
    (tmp_path / "a").touch()
    engine.rename(
        tmp_path / "a", tmp_path / "b", lambda _: engine.listdir(tmp_path, lambda done: names.extend(done.result()))
    )
    with selectors.DefaultSelector() as selector:
        selector.register(engine, selectors.EVENT_READ, engine.poll)
        while engine.nreqs:
            events = selector.select(LIMIT)
            assert events
            for key, _ in events:
                key.data()
    assert names == ["b"]


def test_an_engine_works_without_a_loop(engine, tmp_path):
    request = engine.listdir(tmp_path)
    engine.flush()
    assert request.result() == []


def test_the_callback_gets_the_request_that_the_call_returned(engine):
    seen = []
    request = engine.nop(seen.append)
    assert seen == []
    engine.flush()
    assert seen == [request]


def test_the_callback_comes_last_or_by_keyword(engine, tmp_path):
    seen = []
    engine.open(tmp_path / "f", os.O_CREAT | os.O_RDWR, 0o600, seen.append)
    engine.mkdir(tmp_path / "d", callback=seen.append)
    engine.flush()
    assert sorted(request.operation for request in seen) == ["mkdir", "open"]


def test_an_error_is_raised_by_result(engine, tmp_path):
    path = tmp_path / "missing"
    request = engine.stat(path)
    engine.flush()
    with pytest.raises(FileNotFoundError) as caught:
        request.result()
    assert caught.value.filename is path


def test_a_wrong_argument_is_raised_before_anything_is_queued(engine):
    with pytest.raises(TypeError):
        engine.pread("f", 1, 0)
    assert engine.nreqs == 0


def test_a_view_is_the_same_engine_with_other_options(engine, pool):
    pool.max_parallel = 0
    order = []
    high = engine.with_options(priority=3)
    requests = [engine.nop(lambda request: order.append("plain")), high.nop(lambda request: order.append("high"))]
    assert [request.priority for request in requests] == [0, 3]
    assert high.engine is engine
    assert engine.nreqs == 2
    pool.max_parallel = 1
    engine.flush()
    assert order == ["high", "plain"]


def test_a_view_of_a_view_keeps_what_it_is_not_told(engine):
    view = engine.with_options(priority=2).with_options(patience=None)
    request = view.nop()
    engine.flush()
    assert request.priority == 2


def test_an_exception_in_a_callback_goes_to_on_error(engine):
    heard = []
    engine.on_error = lambda exception, request: heard.append((type(exception), request))
    request = engine.nop(lambda request: 1 / 0)
    engine.flush()
    assert heard == [(ZeroDivisionError, request)]


def test_without_on_error_it_goes_to_the_unraisable_hook(engine, monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: heard.append(unraisable.exc_type))
    engine.nop(lambda request: 1 / 0)
    engine.flush()
    assert heard == [ZeroDivisionError]


def test_dropping_an_engine_closes_its_descriptor_at_once(backend, pool):
    engine = engine_class(backend)(pool)
    fd = engine.fileno()
    engine.nop()
    engine.flush()
    del engine
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_view_keeps_its_engine(backend, pool, tmp_path):
    view = engine_class(backend)(pool).with_options(priority=1)
    request = view.listdir(tmp_path)
    view.engine.flush()
    assert request.result() == []
    view.engine.shutdown()

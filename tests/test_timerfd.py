"""The timerfd functions: ours, and those of `os` where it has them."""

from __future__ import annotations

import inspect
import math
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import anyaio
from anyaio import _constants, _timerfd

MODULES: list[Any] = [_timerfd, os] if hasattr(os, "timerfd_create") else [_timerfd]


@pytest.fixture(params=MODULES, ids=lambda module: module.__name__)
def timers(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def timer(timers: Any) -> Iterator[int]:
    fd = timers.timerfd_create(time.CLOCK_MONOTONIC)
    yield fd
    os.close(fd)


def test_anyaio_has_the_functions_of_os_where_they_exist() -> None:
    assert anyaio.timerfd_create is MODULES[-1].timerfd_create


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("timerfd_create", "(clockid, /, *, flags=0)"),
        ("timerfd_gettime", "(fd, /)"),
        ("timerfd_gettime_ns", "(fd, /)"),
        ("timerfd_settime", "(fd, /, *, flags=0, initial=0.0, interval=0.0)"),
        ("timerfd_settime_ns", "(fd, /, *, flags=0, initial=0, interval=0)"),
    ],
)
def test_the_signature_is_that_of_os_in_python_3_13(timers: Any, name: str, signature: str) -> None:
    found = inspect.signature(getattr(timers, name))
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
    assert str(inspect.Signature(bare)) == signature


def test_a_timer_is_not_inherited_and_blocks_unless_told(timers: Any, timer: int) -> None:
    assert not os.get_inheritable(timer)
    assert os.get_blocking(timer)
    other = timers.timerfd_create(time.CLOCK_REALTIME, flags=_constants.TFD_NONBLOCK)
    assert not os.get_inheritable(other)
    with pytest.raises(BlockingIOError):
        os.read(other, 8)
    os.close(other)


def test_a_timer_expires(timers: Any, timer: int) -> None:
    timers.timerfd_settime_ns(timer, initial=1)
    assert select.select([timer], [], [], 10)[0] == [timer]
    assert os.read(timer, 8) == (1).to_bytes(8, sys.byteorder)


def test_settime_returns_what_was_before(timers: Any, timer: int) -> None:
    assert timers.timerfd_settime(timer, initial=1000.5, interval=0.25) == (0.0, 0.0)
    following, interval = timers.timerfd_settime_ns(timer, initial=2000 * 10**9, interval=7)
    assert 900 * 10**9 < following <= 1000_500_000_000
    assert interval == 250_000_000
    following, interval = timers.timerfd_gettime(timer)
    assert 1900 < following <= 2000
    assert round(interval * 1e9) == 7
    following, interval = timers.timerfd_gettime_ns(timer)
    assert 1900 * 10**9 < following <= 2000 * 10**9
    assert (interval, type(interval)) == (7, int)


def test_an_absolute_time_is_a_time_of_the_clock(timers: Any, timer: int) -> None:
    timers.timerfd_settime(timer, flags=_constants.TFD_TIMER_ABSTIME, initial=time.monotonic() + 1000)
    assert 900 < timers.timerfd_gettime(timer)[0] <= 1000


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda timers, fd: timers.timerfd_create(12345), OSError),
        (lambda timers, fd: timers.timerfd_create("x"), TypeError),
        (lambda timers, fd: timers.timerfd_create(2**40), OverflowError),
        (lambda timers, fd: timers.timerfd_create(1, flags=1 << 30), OSError),
        (lambda timers, fd: timers.timerfd_gettime(-1), ValueError),
        (lambda timers, fd: timers.timerfd_gettime("x"), TypeError),
        (lambda timers, fd: timers.timerfd_settime(fd, initial=-1), OSError),
        (lambda timers, fd: timers.timerfd_settime(fd, initial=math.nan), OverflowError),
        (lambda timers, fd: timers.timerfd_settime(fd, interval=1e300), OverflowError),
        (lambda timers, fd: timers.timerfd_settime(fd, initial="x"), TypeError),
        (lambda timers, fd: timers.timerfd_settime(fd, flags=1 << 20), OSError),
        (lambda timers, fd: timers.timerfd_settime_ns(fd, initial=2**63), OverflowError),
        (lambda timers, fd: timers.timerfd_settime_ns(fd, initial=1.0), TypeError),
    ],
)
def test_a_timer_refuses_what_is_wrong(
    timers: Any, timer: int, call: Callable[[Any, int], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(timers, timer)


def test_a_timer_may_be_an_object_with_a_fileno(timers: Any, timer: int) -> None:
    with os.fdopen(os.dup(timer), "rb", buffering=0) as file:
        assert timers.timerfd_gettime(file) == (0.0, 0.0)

"""The timerfd functions that `os` has from Python 3.13 on: same signatures, same results."""

from __future__ import annotations

import math
import os
from functools import cache
from typing import Any

from ._foreign import C_INT, call, descriptor, integer, load

C_LONG_LONG = (-(2**63), 2**63 - 1)
SECOND = 10**9  # in nanoseconds


def timerfd_create(clockid: int, /, *, flags: int = 0) -> int:
    """Return the descriptor of a new timer, which is not inherited by other programs.

    *clockid* is one of ``time.CLOCK_*``, *flags* are ``anyaio.TFD_*`` (timerfd_create(2)). The descriptor is readable
    when the timer has expired; 8 bytes tell how often.
    """
    clock = integer("timerfd_create: clockid", clockid, C_INT)
    return call("timerfd_create", clock, integer("timerfd_create: flags", flags, C_INT) | os.O_CLOEXEC)


def timerfd_settime(fd: int, /, *, flags: int = 0, initial: float = 0.0, interval: float = 0.0) -> tuple[float, float]:
    """Have a timer expire in *initial* seconds, 0 being never, and then every *interval* seconds, 0 being never again.

    Return what `timerfd_gettime` did before. With TFD_TIMER_ABSTIME in *flags*, *initial* is a time of the clock.
    """
    old = _set("timerfd_settime", fd, flags, _nanoseconds("initial", initial), _nanoseconds("interval", interval))
    return old[0] / SECOND, old[1] / SECOND


def timerfd_settime_ns(fd: int, /, *, flags: int = 0, initial: int = 0, interval: int = 0) -> tuple[int, int]:
    """Do what `timerfd_settime` does, with nanoseconds."""
    return _set(
        "timerfd_settime_ns",
        fd,
        flags,
        integer("timerfd_settime_ns: initial", initial, C_LONG_LONG),
        integer("timerfd_settime_ns: interval", interval, C_LONG_LONG),
    )


def timerfd_gettime(fd: int, /) -> tuple[float, float]:
    """Return in how many seconds a timer expires next, and its interval."""
    now = _get("timerfd_gettime", fd)
    return now[0] / SECOND, now[1] / SECOND


def timerfd_gettime_ns(fd: int, /) -> tuple[int, int]:
    """Return in how many nanoseconds a timer expires next, and its interval."""
    return _get("timerfd_gettime_ns", fd)


@cache
def _timer_class() -> Any:
    """Return struct itimerspec."""
    ctypes = load()

    class Timer(ctypes.Structure):  # type: ignore[misc,name-defined]  # ctypes is not known to be it
        _fields_ = tuple((name, ctypes.c_long) for name in ("every", "every_ns", "next", "next_ns"))

        def times(self) -> tuple[int, int]:
            return self.next * SECOND + self.next_ns, self.every * SECOND + self.every_ns

    return Timer


def _set(name: str, fd: int, flags: int, initial: int, interval: int) -> tuple[int, int]:
    fd, flags = _descriptor(name, fd), integer(f"{name}: flags", flags, C_INT)
    ctypes = load()
    new = _timer_class()(*divmod(interval, SECOND), *divmod(initial, SECOND))
    old = _timer_class()()
    call("timerfd_settime", fd, flags, ctypes.byref(new), ctypes.byref(old))
    return old.times()  # type: ignore[no-any-return]  # its class is made with ctypes at hand


def _get(name: str, fd: int) -> tuple[int, int]:
    fd = _descriptor(name, fd)
    ctypes = load()
    now = _timer_class()()
    call("timerfd_gettime", fd, ctypes.byref(now))
    return now.times()  # type: ignore[no-any-return]


def _descriptor(name: str, fd: int) -> int:
    number = descriptor(f"{name}: fd", fd)
    if number < 0:
        raise ValueError(f"{name}: file descriptor cannot be a negative integer ({number})")
    return number


def _nanoseconds(name: str, seconds: float) -> int:
    value = math.fsum((seconds,))  # any number, and no str
    if not abs(value) < C_LONG_LONG[1] / SECOND:  # nor NaN
        raise OverflowError(f"timerfd_settime: {name} is out of range: {value}")
    return math.floor(value * SECOND)

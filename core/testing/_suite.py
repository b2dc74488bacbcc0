"""The suite: all behaviours, and what runs one of them with a driver."""

from __future__ import annotations

import faulthandler
import functools
import gc
import inspect
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from . import _callbacks, _cancel, _composites, _each, _fairness, _groups, _life, _options, _process, _results
from ._driver import Driver
from ._trial import LIMIT, Trial, descriptors

Behaviour = Callable[[Trial], Any]

SUBJECTS: tuple[ModuleType, ...] = (
    _results,
    _cancel,
    _callbacks,
    _groups,
    _each,
    _composites,
    _options,
    _fairness,
    _life,
    _process,
)


@functools.cache
def behaviours() -> dict[str, Behaviour]:
    """All behaviours by their names."""
    found: dict[str, Behaviour] = {}
    for module in SUBJECTS:
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and _is_behaviour(value):
                found[name] = value
    return found


def _is_behaviour(function: Callable[..., Any]) -> bool:
    return not function.__name__.startswith("_") and list(inspect.signature(function).parameters) == ["t"]


def reason_against(driver: Driver, name: str) -> str | None:
    """Return why a behaviour does not apply to a loop; None if it does."""
    behaviour = behaviours()[name]
    if name in driver.does_not_apply:
        return driver.does_not_apply[name]
    reasons: Mapping[str, str] = getattr(behaviour, "reasons", {})
    if driver.colour in reasons:
        return reasons[driver.colour]
    return next((reason for reason in (demand(driver) for demand in getattr(behaviour, "demands", ())) if reason), None)


class Failed(AssertionError):
    """A behaviour left something behind, or did not end."""


def check(driver: Driver, backend: ModuleType, behaviour: Behaviour, folder: Path, limit: float = LIMIT) -> None:
    """Run one behaviour. Raises what it raises, and Failed for what it leaves behind."""
    _warm(driver)
    driver.heard.clear()
    before = descriptors()
    trial = Trial(driver, backend, folder, limit)
    with _time_limit(trial), _listening(driver), driver.using(trial.make_engine):
        try:
            if inspect.iscoroutinefunction(behaviour):
                trial.run(lambda: _watched(trial, behaviour))
            else:
                behaviour(trial)
        finally:
            trial.release_all()
    if not _comes(0.01, lambda: not trial.pool.nthreads and descriptors() <= before):
        gc.collect()  # what is left may be garbage: to look for it takes longer than to wait a little
    trial.end()
    if not _comes(limit, lambda: descriptors() <= before):
        raise Failed(f"left open: {descriptors() - before}")
    if driver.heard:
        raise Failed(f"nobody was to hear of {driver.heard!r}") from driver.heard[0]


def _warm(driver: Driver) -> None:
    """Have the framework open what it then keeps for ever."""
    if driver not in _warmed:
        driver.run(driver.sleep_once)
        _warmed.add(driver)


_warmed: weakref.WeakSet[Driver] = weakref.WeakSet()


async def _watched(trial: Trial, behaviour: Behaviour) -> None:
    """Run a behaviour in a task, so that one that is never woken again is found."""
    if not trial.driver.watches:
        await behaviour(trial)
        return
    task = trial.start(behaviour(trial))
    deadline = time.monotonic() + trial.limit * 1.5
    while task.ending is None and time.monotonic() < deadline:
        await trial.driver.sleep(0.001)
    if task.ending is None:
        trial.release_all()
        task.cancel()
        raise Failed("it did not end: who waits was not woken")
    if task.ending.error is not None:
        raise task.ending.error


def _comes(limit: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition for at most so long; return whether it came to hold."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


@contextmanager
def _time_limit(trial: Trial) -> Iterator[None]:
    """End a behaviour that blocks its loop for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        faulthandler.dump_traceback()
        trial.release_all()
        raise Failed("it did not end: the loop's thread was blocked")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, trial.limit * 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _listening(driver: Driver) -> Iterator[None]:
    """Have the driver hear of exceptions that nobody can catch, too."""

    def hear(unraisable: Any) -> None:
        driver.heard.append(unraisable.exc_value)

    before, sys.unraisablehook = sys.unraisablehook, hear
    try:
        yield
    finally:
        sys.unraisablehook = before

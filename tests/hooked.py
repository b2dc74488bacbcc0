"""Composites under watch: a hook sees each step before it is submitted, and may fail it, answer it, or stop there."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from engines import LIMIT, spin

from anyaio import Cancelled, Request, _opcodes
from anyaio._drive import Composite, drive
from anyaio._ops import OPERATIONS

Hook = Callable[[int, str, tuple[Any, ...]], Any]

SUBMIT = object()  # what a hook returns to have the step submitted


class Hooked:
    """A submitter whose requests a *hook* sees, with their number from 0 on, name and arguments."""

    def __init__(self, engine: Any, hook: Hook) -> None:
        self.submitter = engine.submitter()
        self.hook = hook
        self.count = 0

    def __call__(self, number: int, *arguments: Any) -> Any:
        answer = self._ask(number, arguments)
        return self.submitter(number, *arguments) if answer is SUBMIT else answer

    def start(self, number: int, *arguments: Any) -> Any:
        answer = self._ask(number, arguments)
        return self.submitter.start(number, *arguments) if answer is SUBMIT else answer

    def _ask(self, number: int, arguments: tuple[Any, ...]) -> Any:
        count, self.count = self.count, self.count + 1
        return self.hook(count, OPERATIONS[number].name, arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.submitter, name)


def call(engine: Any, hook: Hook, function: Any, *arguments: Any, **options: Any) -> Any:
    """Run a composite whose steps *hook* sees; return its result."""
    answer = drive(engine, Hooked(engine, hook), function, arguments, options)
    return finish(engine, answer) if isinstance(answer, Composite) else answer


def finish(engine: Any, composite: Any) -> Any:
    deadline = time.monotonic() + LIMIT
    while composite.state != "done":
        assert time.monotonic() < deadline, f"{composite!r} did not end"
        engine.wait(0.1)
        engine.poll()
    return composite.result()


class Recorder:
    """A hook that notes the names of the steps."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, number: int, name: str, arguments: tuple[Any, ...]) -> Any:
        self.names.append(name)
        return SUBMIT


def failing(name: str, number: int, *, when: Callable[..., bool] = lambda *arguments: True) -> Hook:
    """Return a hook that fails each step of that name, if *when* says so of its arguments, with that errno."""

    def hook(count: int, step: str, arguments: tuple[Any, ...]) -> Any:
        if step == name and when(*arguments):
            raise OSError(number, os.strerror(number))
        return SUBMIT

    return hook


def together(*hooks: Hook) -> Hook:
    """Return a hook that is several: the first that has an answer gives it."""

    def hook(count: int, step: str, arguments: tuple[Any, ...]) -> Any:
        answers = (hook(count, step, arguments) for hook in hooks)
        return next((answer for answer in answers if answer is not SUBMIT), SUBMIT)

    return hook


Situation = tuple[Any, tuple[Any, ...], dict[str, Any], Hook]  # what to run, with which arguments, under which hook


def failed_at_each_step(engine: Any, begin: Callable[[], Situation], check: Callable[[bool], None]) -> int:
    """Run a composite whose first step fails, then a new one whose second does, and so on; return how many there are.

    *begin* makes each. *check* is told whether it failed.
    """
    step = 0
    while True:
        before = descriptors()
        failure = Failure(step)
        function, arguments, options, hook = begin()
        try:
            call(engine, together(failure, hook), function, *arguments, **options)
            failed = False
        except OSError as error:
            assert error.errno == errno.EIO
            failed = True
        spin_until_closed(before)
        if not failure.reached:
            return step
        check(failed)
        step += 1


class Failure:
    """A hook that fails the step of that number."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.reached = False

    def __call__(self, count: int, name: str, arguments: tuple[Any, ...]) -> Any:
        if count != self.step:
            return SUBMIT
        self.reached = True
        if name == "close":  # an error of it, and closed all the same
            os.close(arguments[0])
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def cancelled_at_each_step(
    engine: Any, begin: Callable[[], Situation], check: Callable[[bool], None], when: str
) -> int:
    """Cancel a composite at its first step, then a new one at its second, and so on; return how many there are.

    *begin* makes each. *when* is the state of the step: "queued", "running" (or just finished), or "finished", when
    nothing but the poll is left. *check* is told whether the composite was cancelled.
    """
    step = 0
    while True:
        before = descriptors()
        function, arguments, options, hook = begin()
        cancelling = Cancelling(engine, step, when)

        async def begun(steps: Any, situation: Situation = (function, arguments, options, hook)) -> Any:
            await steps.nop()  # until the composite is known
            return await situation[0](steps, *situation[1], **situation[2])

        composite = drive(engine, Hooked(engine, together(cancelling, hook)), begun, (), {})
        assert isinstance(composite, Composite)
        cancelling.composite = composite
        cancelled = False
        try:
            finish(engine, composite)
        except Cancelled:
            cancelled = True
        spin_until_closed(before)
        if not cancelling.reached:
            return step
        check(cancelled)
        step += 1


class Cancelling:
    """A hook that cancels the composite at the step of that number, not counting its first."""

    composite: Any

    def __init__(self, engine: Any, step: int, when: str) -> None:
        self.pool = engine.pool
        self.submit = engine.submitter(lane="pool")  # where it has the states
        self.step = step + 1
        self.when = when
        self.reached = False

    def __call__(self, count: int, name: str, arguments: tuple[Any, ...]) -> Any:
        if count != self.step:
            return SUBMIT
        self.reached = True
        most = self.pool.max_parallel
        if self.when == "queued":
            self.pool.max_parallel = 0
        answer = self.submit(getattr(_opcodes, name.upper()), *arguments)
        if isinstance(answer, Request) and self.when != "queued":
            spin(lambda: answer.state == "finished" or answer.state == self.when)
        self.composite.cancel()
        if isinstance(answer, Request) and self.when == "queued":
            answer.cancel()  # as the trampoline will, but while it is queued
            self.pool.max_parallel = most
        return answer


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def spin_until_closed(before: int) -> None:
    spin(lambda: descriptors() <= before)


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change owners")

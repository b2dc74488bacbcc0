"""trio's way to wait, and the front end of the running loop.

One system task an engine waits for its descriptor and polls. It ends with the run, but not before those who still wait:
other system tasks may close files when the main task has ended. What comes later still, from generators that trio
finalizes when no task can be started any more, is run in place.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from math import inf
from typing import Any, NoReturn

import trio
from trio import lowlevel

from anyaio._checkpoint import CheckpointAdapter, CheckpointFront
from anyaio._drive import report_unraisable
from anyaio._front import Engine


class Interruption(trio.abc.Instrument):
    """Raises an exception in the main task as soon as that can be interrupted, as Ctrl-C does.

    trio has no public way to do so.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error
        lowlevel.add_instrument(self)

    def after_task_step(self, task: Any) -> None:
        if (main := task._runner.main_task)._abort_func is not None:
            main._attempt_abort(self._throw)

    def _throw(self) -> NoReturn:
        lowlevel.remove_instrument(self)
        raise self._error

    def after_run(self) -> None:
        report_unraisable(self._error, self)  # type: ignore[arg-type]  # nothing was left to interrupt


class TrioAdapter(CheckpointAdapter):
    """One run of trio."""

    wake = staticmethod(lowlevel.reschedule)
    task = staticmethod(lowlevel.current_task)
    checkpoint = staticmethod(lowlevel.checkpoint)
    cancel_point = staticmethod(lowlevel.checkpoint_if_cancelled)
    turn = staticmethod(lowlevel.cancel_shielded_checkpoint)
    suspend = staticmethod(lowlevel.wait_task_rescheduled)
    yes, no = lowlevel.Abort.SUCCEEDED, lowlevel.Abort.FAILED
    wait = lowlevel.enable_ki_protection(CheckpointAdapter.wait)  # nothing may come between attaching and suspending
    interrupt = Interruption

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        self._serving = trio.CancelScope()
        try:
            lowlevel.spawn_system_task(self._serve, fd, poll, name="anyaio")
        except RuntimeError:
            self.over = True

    def detach(self, fd: int) -> None:
        self.over = True
        _front.set(None)
        self._serving.cancel()

    async def _serve(self, fd: int, poll: Callable[[], int]) -> None:
        try:
            with self._serving:
                await self._poll(fd, poll)
        except trio.Cancelled:  # the run ends; it may have been detached as well, and the descriptor closed
            while self.begun != self.ended and not self.over:
                with trio.CancelScope(shield=True) as self._serving:
                    self.on_waitless = self._serving.cancel
                    await self._poll(fd, poll)
            if not self.over:
                self.guard(current().shutdown)
            raise

    async def _poll(self, fd: int, poll: Callable[[], int]) -> None:
        while not self._serving.cancel_called:
            await lowlevel.wait_readable(fd)
            self.guard(poll)

    def is_cancelled(self) -> bool:
        return trio.current_effective_deadline() == -inf

    def spawn(self, coroutine: Coroutine[None, None, None]) -> Callable[[], object]:
        scope = trio.CancelScope()

        async def run() -> None:
            # Who consumes the items is told of their errors; from here one would end the run.
            with suppress(BaseException), scope:
                await coroutine

        lowlevel.spawn_system_task(run, name="anyaio: items of an each", context=copy_context())
        token = lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(scope.cancel)  # a finalizer may call it, on any thread, inside of trio


_front: lowlevel.RunVar[CheckpointFront | None] = lowlevel.RunVar("anyaio", default=None)


def current() -> CheckpointFront:
    """Return the running loop's front end, made at its first use. RuntimeError outside of a run."""
    if (front := _front.get()) is None:
        _front.set(front := CheckpointFront.start(TrioAdapter(), Engine()))
    return front

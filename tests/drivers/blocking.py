"""A thread without a loop. Its tasks are threads, with an engine each."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

import anyaio.blocking
from anyaio._blocking import ThreadAdapter
from anyaio.testing import BlockingLoop, Ending, Trial


class Interruption(BaseException):
    """What a signal's handler raises."""


Main = Callable[[], Coroutine[Any, Any, Any]]

POLLS_AT_ONCE = "a thread that waits polls at once: nothing stays finished"
OWN_ENGINE = "no two threads share an engine"
NOT_CANCELLED = "a thread cannot be cancelled, but by a signal, which interrupts whatever runs"


class Thread(BlockingLoop):
    name = "blocking"
    engines = "anyaio._blocking"
    cancellations = (Interruption,)
    tasks = 20
    hasty = True
    does_not_apply: ClassVar = {
        "a_look_cancelled_when_it_has_finished_ends": POLLS_AT_ONCE,
        "an_open_cancelled_when_it_has_finished_loses_no_descriptor": POLLS_AT_ONCE,
        "a_creating_open_cancelled_when_it_has_finished_loses_no_descriptor": POLLS_AT_ONCE,
        "a_change_cancelled_when_it_has_finished_tells_that_it_is_done": POLLS_AT_ONCE,
        "a_change_cancelled_when_it_has_failed_tells_the_error": POLLS_AT_ONCE,
        "cancelling_a_task_that_has_ended_does_nothing": NOT_CANCELLED,
        "many_tasks_cancelled_at_once_never_run": NOT_CANCELLED,
        "a_loop_ends_with_a_task_that_waits": NOT_CANCELLED,
        "shutdown_wakes_who_waits": OWN_ENGINE,
        "a_view_orders_the_queue_by_priority": OWN_ENGINE,
        "a_full_engine_holds_back_who_calls": OWN_ENGINE,
        "a_call_that_is_held_back_can_be_cancelled": OWN_ENGINE,
    }
    watches = False  # a signal is to interrupt it, in the main thread

    @property
    def aio(self) -> Any:
        return anyaio.blocking

    def run_blocking(self, main: Callable[[], Any]) -> Any:
        try:
            return main()
        finally:
            anyaio.blocking.current().shutdown()

    def start_blocking(self, function: Callable[[], None]) -> Callable[[], object]:
        threading.Thread(target=self.run_blocking, args=(function,)).start()
        return self._cannot_be_cancelled

    def _cannot_be_cancelled(self) -> None:
        raise AssertionError("nothing can cancel what a thread waits for, but a signal: use t.cancelled")

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            engine = anyaio.blocking.current().engine
            if engine.nreqs:
                engine.wait(left)
                engine.poll()
            else:
                time.sleep(left)

    async def interrupted(
        self, trial: Trial, main: Main, conditions: Sequence[Callable[[], object]], then: Callable[[], object]
    ) -> Ending:
        def interrupt(signals: Signals) -> None:
            for condition in conditions:
                trial.spin(lambda condition=condition: (condition() and signals.waits()) or signals.over.is_set())
                signals.send()
                time.sleep(0.005)
            then()

        with Signals(interrupt) as signals:
            try:
                value = await main()
                signals.end()
                return Ending(value, None, False)
            except BaseException as error:
                return Ending(None, error, isinstance(error, Interruption))

    async def timeout(self, seconds: float, main: Main) -> Any:
        """As an alarm does it."""

        def interrupt(signals: Signals) -> None:
            while not signals.waits() and not signals.over.wait(0.001):
                pass  # on a busy machine it may come to that later than in *seconds*
            if not signals.over.wait(seconds):
                signals.send()

        with Signals(interrupt):
            try:
                return await main()
            except Interruption as error:
                raise TimeoutError from error

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        self.run_blocking(lambda: (begin(), anyaio.blocking.current().engine.flush()))


class Signals:
    """A thread that sends signals to this one, whose handler raises Interruption, until the end of the block."""

    def __init__(self, interrupt: Callable[[Signals], None]) -> None:
        self._receiver = threading.get_ident()
        self._sender = threading.Thread(target=interrupt, args=(self,))
        self._received = threading.Event()
        self.over = threading.Event()

    def __enter__(self) -> Signals:
        self._before = signal.signal(signal.SIGUSR1, self._raise)
        self._sender.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()
        signal.signal(signal.SIGUSR1, self._before)

    def end(self) -> None:
        """Send no more."""
        self.over.set()
        self._sender.join()

    def send(self) -> None:
        """Interrupt, again if need be: a signal that comes just before the thread sleeps does not wake it."""
        self._received.clear()
        while not self._received.is_set() and not self.over.is_set():
            signal.pthread_kill(self._receiver, signal.SIGUSR1)
            self._received.wait(0.5)

    def _raise(self, number: int, frame: object) -> None:
        self._received.set()
        raise Interruption

    def waits(self) -> bool:
        """Whether the thread is in the wait for a request, or on its way there."""
        frame = sys._current_frames().get(self._receiver)
        while frame is not None:
            if frame.f_code is ThreadAdapter.wait.__code__:
                return True
            frame = frame.f_back
        return False


DRIVERS = [Thread()]

"""A thread without a loop. Its tasks are threads, with an engine each."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyaio.blocking
from anyaio.testing import BlockingLoop, Ending, Trial


class Interruption(BaseException):
    """What a signal's handler raises."""


class Thread(BlockingLoop):
    name = "blocking"
    engines = "anyaio._blocking"
    cancellations = (Interruption,)
    tasks = 20
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
        anyaio.blocking.busy(seconds)

    async def interrupted(self, trial: Trial, main: Any, conditions: Sequence[Callable[[], object]]) -> Ending:
        thread = threading.Thread(target=self._interrupt, args=(trial, conditions, threading.get_ident()))
        before = signal.signal(signal.SIGUSR1, self._raise)
        try:
            thread.start()
            try:
                return Ending(await main(), None, False)
            except BaseException as error:
                return Ending(None, error, isinstance(error, Interruption))
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, before)

    def _interrupt(self, trial: Trial, conditions: Sequence[Callable[[], object]], thread: int) -> None:
        for condition in conditions:
            trial.spin(condition)
            signal.pthread_kill(thread, signal.SIGUSR1)

    def _raise(self, number: int, frame: object) -> None:
        raise Interruption


DRIVERS = [Thread()]

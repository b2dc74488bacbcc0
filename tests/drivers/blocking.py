"""A thread without a loop. Its tasks are threads, with an engine each."""

from __future__ import annotations

import signal
import threading
import time
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
    hasty = True
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

    async def interrupted(
        self, trial: Trial, main: Any, conditions: Sequence[Callable[[], object]], then: Callable[[], object]
    ) -> Ending:
        ended = threading.Event()
        here = threading.get_ident()

        def interrupt() -> None:
            for condition in conditions:
                trial.spin(lambda condition=condition: condition() or ended.is_set())
                signal.pthread_kill(here, signal.SIGUSR1)
                time.sleep(0.005)
            then()

        thread = threading.Thread(target=interrupt)
        before = signal.signal(signal.SIGUSR1, self._raise)
        try:
            thread.start()
            value = await main()
            ended.set()
            thread.join()
            return Ending(value, None, False)
        except BaseException as error:
            return Ending(None, error, isinstance(error, Interruption))
        finally:
            ended.set()
            thread.join()
            signal.signal(signal.SIGUSR1, before)

    def _raise(self, number: int, frame: object) -> None:
        raise Interruption


DRIVERS = [Thread()]

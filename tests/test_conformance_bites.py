"""The conformance suite finds what is wrong: adapters with a planted defect, each found by the behaviour named here."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from drivers.asyncio import Asyncio

from anyaio import Request
from anyaio._backend import backend
from anyaio._front import AwaitFront, Engine
from anyaio.testing import behaviours, check, conformance

LIMIT = 1.0  # seconds that a behaviour gets here

# ---- an adapter that is right ----


class Sound:
    """An adapter of a few lines for asyncio; the defects are made of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        contextvars.Context().run(self.loop.add_reader, fd, poll)

    def detach(self, fd: int) -> None:
        self.loop.remove_reader(fd)

    def wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def on_error(self, error: BaseException, request: Request[Any]) -> None:
        self.loop.call_exception_handler({"message": "a callback failed", "exception": error})

    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        cancelled: BaseException | None = None
        while request.state != "done":
            try:
                await asyncio.shield(waiter)
            except asyncio.CancelledError as error:
                if cancelled is not None:
                    request.abandon()
                cancelled = error
                request.withdraw()
        if cancelled is not None:
            request.settle(cancelled)
            raise cancelled
        try:
            return request.result()
        finally:
            del request


class Toy(Asyncio):
    """Drives asyncio with an adapter of this file."""

    engines = __name__

    def __init__(self, adapter: Callable[[asyncio.AbstractEventLoop], Any]) -> None:
        super().__init__("toy", asyncio.new_event_loop)
        self.adapter = adapter
        self.fronts: dict[asyncio.AbstractEventLoop, AwaitFront] = {}

    @property
    def aio(self) -> Any:
        return self.current()

    def current(self) -> Any:
        loop = asyncio.get_running_loop()
        front = self.fronts.get(loop)
        if front is None or front.engine.closed:
            front = self.fronts[loop] = AwaitFront.start(self.adapter(loop), Engine())
        return front

    def run(self, main: Any) -> Any:
        async def run() -> Any:
            try:
                return await main()
            finally:
                self.end()

        return super().run(run)

    def end(self) -> None:
        front = self.fronts.pop(asyncio.get_running_loop(), None)
        if front is not None:
            front.shutdown()

    def styles(self) -> dict[str, Any]:
        return {}


# ---- defects ----


class LosesWakeups(Sound):
    count = 0

    def wake(self, waiter: Any) -> None:
        self.count += 1
        if self.count % 10:
            super().wake(waiter)


class WakesTwice(Sound):
    def wake(self, waiter: Any) -> None:
        waiter.set_result(None)
        waiter.set_result(None)


class BlocksTheLoop(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        while request.state != "done":
            request.engine.wait()
            request.engine.poll()
        return request.result()


class PollsInABusyLoop(Sound):
    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        def again() -> None:
            with suppress(RuntimeError):
                poll()
                self.handle = self.loop.call_soon(again)

        again()

    def detach(self, fd: int) -> None:
        self.handle.cancel()


class PollsOnlyOnce(Sound):
    """As one that watches for edges does."""

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        last = [0.0]

        def once() -> None:
            if time.monotonic() > last[0] + 0.2:  # it was quiet before
                poll()
            last[0] = time.monotonic()

        super().attach(fd, once)


class LeaksADescriptor(Sound):
    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        self.fd = os.dup(fd)
        super().attach(fd, poll)


class LeaksWhatIsCancelled(Sound):
    """Takes a result that is there already, and raises the cancellation."""

    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        try:
            await waiter
        except asyncio.CancelledError as error:
            if request.state == "finished":
                request.engine.poll()
                error.taken = request.result()  # type: ignore[attr-defined]
            request.settle(error)
            raise
        return request.result()


class SwallowsErrors(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        try:
            return await super().wait(request)
        except OSError:
            return None


class RenamesErrors(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        try:
            return await super().wait(request)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from None


class SwallowsCancellations(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        try:
            return await super().wait(request)
        except asyncio.CancelledError:
            return None


class ForgetsTheOutcome(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        try:
            return await super().wait(request)
        except asyncio.CancelledError:
            raise asyncio.CancelledError from None


class LeavesTheRequest(Sound):
    """Cancelling the wait does not cancel the request."""

    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        await waiter
        return request.result()


class AbandonsChanges(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        try:
            await waiter
        except asyncio.CancelledError as error:
            request.abandon()
            request.settle(error)
            raise
        return request.result()


class WaitsForLooks(Sound):
    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        cancelled = None
        while not waiter.done():
            try:
                await asyncio.shield(waiter)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            request.settle(cancelled)
            raise cancelled
        return request.result()


class KeepsItsErrors(Sound):
    """The frame that raises refers to the request, which holds the error."""

    async def wait(self, request: Request[Any]) -> Any:
        waiter = self.loop.create_future()
        request.attach(waiter)
        await waiter
        self.last = request
        return request.result()


class KeepsTheCallersContext(Sound):
    """The reader runs in the context of the first call."""

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        self.loop.add_reader(fd, poll)


class HidesCallbackErrors(Sound):
    def on_error(self, error: BaseException, request: Request[Any]) -> None:
        pass


class NeverWatches(Sound):
    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        pass

    def detach(self, fd: int) -> None:
        pass


class KeepsFronts(Toy):
    """One front end for all loops: the second loop meets that of the first."""

    def current(self) -> Any:
        for front in self.fronts.values():
            return front
        return super().current()

    def end(self) -> None:
        pass


class NeverShutsDown(Toy):
    def end(self) -> None:
        self.kept = [*getattr(self, "kept", []), self.fronts.pop(asyncio.get_running_loop(), None)]


class AFrontEndACall(Toy):
    def current(self) -> Any:
        return AwaitFront.start(self.adapter(asyncio.get_running_loop()), Engine())


# Each with the behaviour that finds it, and what that complains of.
DEFECTS: dict[Callable[..., Any], tuple[str, str]] = {
    LosesWakeups: ("each_task_gets_its_own_result", "it did not come about"),
    WakesTwice: ("a_file_is_written_and_read_back", "nobody was to hear of .*InvalidStateError"),
    BlocksTheLoop: ("other_tasks_go_on_while_a_request_waits", "it did not end"),
    PollsInABusyLoop: ("a_loop_that_waits_uses_no_processor", "processor"),
    PollsOnlyOnce: ("one_result_a_poll_is_enough", "it did not end: who waits was not woken"),
    LeaksADescriptor: ("a_file_is_written_and_read_back", "left open: .*eventfd"),
    LeaksWhatIsCancelled: ("an_open_cancelled_when_it_has_finished_loses_no_descriptor", "left open: "),
    SwallowsErrors: (
        "an_error_is_the_ordinary_one_with_the_callers_own_path",
        "it did not raise FileNotFoundError",
    ),
    RenamesErrors: ("an_error_is_the_ordinary_one_with_the_callers_own_path", "filename"),
    SwallowsCancellations: ("a_look_cancelled_while_it_runs_is_abandoned_at_once", "cancelled=False"),
    ForgetsTheOutcome: ("a_change_cancelled_while_queued_never_runs", "does not tell what the call did"),
    LeavesTheRequest: ("a_change_cancelled_while_queued_never_runs", "does not tell what the call did"),
    AbandonsChanges: ("a_change_cancelled_while_it_runs_is_waited_for", "went on before the change had ended"),
    WaitsForLooks: ("an_open_cancelled_while_it_runs_is_abandoned_and_closed_late", "it did not come about"),
    KeepsItsErrors: ("a_failed_call_keeps_nothing_alive", "keeps the caller"),
    KeepsTheCallersContext: ("the_loop_keeps_no_callers_context", "it did not come about"),
    HidesCallbackErrors: ("a_callback_that_raises_is_heard_of_and_stops_no_other", "it did not come about"),
    NeverWatches: ("a_file_is_written_and_read_back", "it did not end: who waits was not woken"),
    KeepsFronts: ("the_next_run_starts_clean", "attached to a different loop"),
    NeverShutsDown: ("the_next_run_starts_clean", "it did not come about"),
    AFrontEndACall: ("the_front_end_of_a_loop_is_one_object", "is"),
}


def toy(defect: Callable[..., Any]) -> Toy:
    return defect(Sound) if isinstance(defect, type) and issubclass(defect, Toy) else Toy(defect)


def run(driver: Toy, name: str, folder: Any) -> None:
    check(driver, backend, behaviours()[name], folder, LIMIT)


@pytest.mark.blocks_loop("to bring requests into each state")
@pytest.mark.parametrize("name", sorted({name for name, _ in DEFECTS.values()}))
def test_without_a_defect_the_behaviour_is_there(name, tmp_path):
    run(Toy(Sound), name, tmp_path)


@pytest.mark.blocks_loop("a defect may do that")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_defect_is_found(defect, tmp_path):
    name, complaint = DEFECTS[defect]
    tries = 5 if defect is PollsInABusyLoop else 1  # on a busy machine it may not get the processor to waste
    with pytest.raises((AssertionError, RuntimeError), match=complaint):
        run_often(toy(defect), name, tmp_path, tries)


def run_often(driver, name, folder, tries):
    for number in range(tries):
        (folder / str(number)).mkdir()
        run(driver, name, folder / str(number))


def test_a_reason_for_a_behaviour_that_there_is_not_is_an_error():
    driver = Toy(Sound)
    driver.does_not_apply = {"flying": "it has no wings"}
    with pytest.raises(ValueError, match="flying"):
        conformance(driver)


def test_one_parameter_makes_the_tests_of_a_loop():
    test = conformance(Toy(Sound))
    rows = {mark.args[0]: mark.args[1] for mark in test.pytestmark}
    assert set(rows["behaviour"]) == set(behaviours())
    assert len(rows["behaviour"]) >= 60
    assert set(rows["backend"]) == {"native", "python"}

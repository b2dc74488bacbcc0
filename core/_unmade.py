"""Requests that no engine made, for who waits for requests: what was refused, and what was answered at once."""

from __future__ import annotations

from typing import Any

from ._ops import OPERATIONS
from ._request import Cancelled, Outcome, Request, State
from ._scope import Answer

NEVER_RAN = Outcome("never ran")


class Refused(Request[Any]):
    """What was not submitted, since its caller is cancelled. It never wakes who waits: the cancellation does."""

    __slots__ = ()

    @property
    def operation(self) -> str:
        return "none"

    @property
    def state(self) -> State:
        return "queued"

    @property
    def outcome(self) -> Outcome | None:
        return NEVER_RAN

    def attach(self, waiter: Any) -> None:
        """There is nothing to wake for."""

    def cancel(self) -> bool:
        return True

    def withdraw(self) -> bool:
        return True

    def settle(self, error: BaseException) -> None:
        error.outcome = NEVER_RAN  # type: ignore[attr-defined]  # that is what it is for

    def result(self) -> Any:
        raise Cancelled(outcome=NEVER_RAN)


class Answered(Answer):
    """A result that was there at once, for who waits for it all the same: his cancellation may still follow."""

    __slots__ = ()

    @property
    def operation(self) -> str:
        return "none"

    @property
    def outcome(self) -> Outcome | None:
        return Outcome("done", self._value)

    def withdraw(self) -> bool:
        return False

    def abandon(self) -> None:
        """Who waits is woken at once in any case."""

    def settle(self, error: BaseException) -> None:
        error.outcome = self.outcome  # type: ignore[attr-defined]  # that is what it is for


MAY_HAVE_TO_RUN = frozenset(row.name for row in OPERATIONS if "must" in (row.request_class, *(row.unless or ())))


def run_in_place(number: int, /, *arguments: Any) -> Any:
    """Do what must be done where nothing will ever poll again; RuntimeError for all else."""
    row = OPERATIONS[number]
    if not row.must_run(arguments):
        raise RuntimeError(f"{row.name}: this loop is at its end, where only closing and unlocking still work")
    return row.body(*arguments)

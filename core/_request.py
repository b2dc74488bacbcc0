"""What every request is, whichever backend runs it, and how its cancellation is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, TypeVar

T = TypeVar("T")

State = Literal["queued", "parked", "running", "finished", "done"]
Status = Literal["never ran", "abandoned", "done", "failed", "unknown"]


class Outcome(NamedTuple):
    """What a cancelled request did to the world.

    *status* is ``"never ran"`` (it was still queued: nothing happened), ``"abandoned"`` (it could only look, or open
    without creating: nothing changed), ``"done"`` (the call succeeded; *result* is what it returned, but None for a
    descriptor, which was closed since nobody took it), ``"failed"`` (*error* is its OSError) or ``"unknown"`` (it is
    still running: patience ran out).
    """

    status: Status
    result: Any = None
    error: BaseException | None = None


def outcome(error: BaseException | None) -> Outcome | None:
    """Return what the request did whose wait *error* ended; None if *error* does not tell.

    *error* is a cancellation, or the TimeoutError that it became: both of `asyncio.timeout` and `asyncio.wait_for`.
    """
    errors = (error, error.__cause__, error.__context__) if isinstance(error, TimeoutError) else (error,)
    outcomes = (getattr(error, "outcome", None) for error in errors)
    return next((outcome for outcome in outcomes if isinstance(outcome, Outcome)), None)


class Cancelled(BaseException):
    """A request was cancelled while something waited for its result.

    A BaseException, as the frameworks' own cancellations are, so that ``except Exception`` does not swallow it.
    """

    def __init__(self, message: str = "the request was cancelled", outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome


class Request(Generic[T]):
    """One piece of work under way. Made by an engine, never by hand.

    It is *queued*, *running*, *finished* (waiting to be polled), then *done*.
    """

    __slots__ = ()

    @property
    def operation(self) -> str:
        """The operation's name, such as ``"pread"``."""
        raise NotImplementedError

    @property
    def priority(self) -> int:
        """From -4 to 4; higher ones run first."""
        raise NotImplementedError

    @property
    def state(self) -> State:
        """Where it is: queued, parked, running, finished or done."""
        raise NotImplementedError

    @property
    def outcome(self) -> Outcome | None:
        """What it did, once it is done; None before that."""
        raise NotImplementedError

    @property
    def callback(self) -> Callable[[Request[T]], object] | None:
        """Called with this request when its result is polled. It can be replaced until then."""
        raise NotImplementedError

    @callback.setter
    def callback(self, callback: Callable[[Request[T]], object] | None) -> None:
        raise NotImplementedError

    def cancel(self) -> bool:
        """Take the request back if that is still possible.

        True: it will have no effect, and its callback will not run. False: it cannot be taken back, because it is
        a change that a worker has begun, a close, or done already; a change ends in its own time, and its callback
        runs when the call has ended or *patience* has run out.
        """
        raise NotImplementedError

    def result(self) -> T:
        """Return what the request returned, or raise its error; RuntimeError before it is done.

        The result is the caller's from then on: a descriptor that nobody took is closed with its request.
        Raises Cancelled if it was cancelled, with the outcome.
        """
        raise NotImplementedError

    @property
    def engine(self) -> Any:
        """The engine that it belongs to; None once that was shut down."""
        raise NotImplementedError

    @property
    def group(self) -> Any:
        """The `Group` that it is a member of, while it is not done; None otherwise."""
        raise NotImplementedError

    @group.setter
    def group(self, group: Any) -> None:
        raise NotImplementedError

    # What adapters need, and nobody else.

    def attach(self, waiter: Any) -> None:
        """Have the engine's *wake* called with *waiter* when the request is done: at once if it is done already."""
        raise NotImplementedError

    def withdraw(self) -> bool:
        """Cancel on behalf of the waiter, which is forgotten without being woken if this returns True."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Wait no longer, whatever state it is in: the outcome of a running change is unknown. Wakes the waiter."""
        raise NotImplementedError

    def settle(self, error: BaseException) -> None:
        """Tell *error*, the cancellation that took the waiter away, what the request did, and give back its result.

        Sets ``error.outcome``, and ``error.__cause__`` to the OSError of a call that failed.
        """
        raise NotImplementedError

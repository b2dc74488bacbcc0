"""What the loops' own kinds of futures have in common: when they are done, who takes the result, what cancelling does.

1. A future calls nobody before the next turn of the loop, also if its result was there at once.
2. A future that is done leaves its result with its request, until somebody takes it: so a descriptor that nobody took
   is closed, with the request.
3. Cancelling takes the request back, or else waits for its end, until patience or a second cancel ends that.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ._request import Request, T
from ._unmade import Answered

if TYPE_CHECKING:
    from ._engine import Engine

GIVEN_BACK = ("open", "flock", "lockf", "ofd_lock")  # operations whose result must not be lost: see `Request.settle`


class Cancellable:
    """What a request is waited for with: it can be cancelled."""

    if not TYPE_CHECKING:
        __slots__ = ()  # who is of this kind has its slots

    request: Request[Any]
    cancelled_before: bool

    def take_back(self) -> bool:
        """Cancel the request. True: it is done now. False: its end wakes; at once if this is the second time."""
        again, self.cancelled_before = self.cancelled_before, True
        try:
            if self.request.withdraw():
                return True
            if again:
                self.request.abandon()
        except RuntimeError:  # the loop has moved to another thread, or was forked: what ends it is not told here
            return True
        return False


class Untaken(Cancellable, Generic[T]):
    """The result of a request, for a future: it is looked at, or taken."""

    if not TYPE_CHECKING:
        __slots__ = ()

    request: Request[T]
    taken: bool
    value: T
    error: BaseException | None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.request!r}>"

    def hold(self, request: Request[T]) -> None:
        """Begin with this request."""
        self.request = request
        self.error = None
        self.taken = self.cancelled_before = False

    def look(self) -> BaseException | None:
        """Return the error of the request, which is done. A result that could be lost is not taken."""
        if self.taken:
            return self.error
        request = self.request
        if request.operation not in GIVEN_BACK or (outcome := request.outcome) is None or outcome.status != "done":
            self.take()
        return self.error

    def take(self) -> None:
        """Have the result, or the error. Only once: the next result of the same request may be another."""
        if self.taken:
            return
        self.taken = True
        try:
            self.value = self.request.result()
        except BaseException as error:
            self.error = error.with_traceback(None)

    def end_with(self, error: BaseException) -> None:
        """Have this error, the cancellation, in place of what the request gives."""
        self.taken, self.error = True, error
        self.request.settle(error)

    def forget(self) -> None:
        """Have neither request nor error any more: the traceback of that leads here."""
        self.error = self.request = None  # type: ignore[assignment]  # it is over

    def answer(self, takes: bool = True) -> T:
        """Return the result, and take it or not; raise the error."""
        try:
            if (error := self.look()) is not None:
                raise error
            if takes:
                self.take()
            if self.taken:
                return self.value
            outcome = self.request.outcome
            return outcome.result if outcome is not None else None  # type: ignore[return-value]  # a look finds it
        finally:
            error = None
            del self  # the error's traceback must not lead back to it


class Yielded(Untaken[T]):
    """A future that a task gets by a yield. The task asks for the result before it resumes, and may be cancelled then.

    So that is a look: who awaits takes the result himself when he goes on.
    """

    if not TYPE_CHECKING:
        __slots__ = ()

    done: Callable[[], bool]
    cancel: Callable[..., bool]
    exception: Callable[[], BaseException | None]
    nobody: ClassVar[tuple[Any, ...]] = ()
    """The code of those who ask for a result to be rid of it; the first would also log an error that comes late."""
    resuming: int  # how many await it

    def hold(self, request: Request[T]) -> None:
        super().hold(request)
        self.resuming = 0

    def result(self) -> T:
        """Take the result, or raise the error."""
        caller = sys._getframe(1).f_code
        try:
            if self.exception() is not None and caller in self.nobody[:1]:
                return None  # type: ignore[return-value]  # nobody has it
            return self.answer(takes=not self.resuming and caller not in self.nobody)
        finally:
            del self  # as in `answer`

    def wait(self) -> Generator[Any, None, T]:
        try:
            if not self.done():
                self.resuming += 1
                try:
                    yield self
                except BaseException as error:
                    if error is not self.error:
                        self._lose(error)
                    raise
                finally:
                    self.resuming -= 1
            self.exception()  # or it raises that it was cancelled
            return self.answer()
        finally:
            del self

    def _lose(self, error: BaseException) -> None:
        """Who awaited goes on with this error, whatever the result is."""
        with suppress(RuntimeError):  # on another thread: what nobody takes goes with its request
            if self.done():
                self.cancelled_before = True
                self.request.settle(error)
            else:
                self.cancel()


F = TypeVar("F", bound=Untaken[Any])


class FutureMaker(Generic[F]):
    """The part of an adapter that makes futures. It keeps neither the engine, which keeps the adapter, nor the loop."""

    def __init__(self, engine: Engine, loop: Any) -> None:
        self.engine = weakref.ref(engine)
        self.loop = weakref.ref(loop)

    make: Callable[[], F]
    """Returns a new future of the loop's kind."""
    wake: Callable[[F], object]
    """Has a future done, as its request is."""

    def future(self, result: Any) -> Any:
        return self.follow(result) if isinstance(result, Request) else self.answer(result)

    def answer(self, result: Any) -> Any:
        """Return a future of what was there at once. It may be done, where that calls nobody before the next turn."""
        return self.follow(Answered(result))

    def follow(self, request: Request[Any]) -> F:
        try:
            future = self.make()
        except RuntimeError:  # the loop is gone
            request.cancel()
            raise
        future.hold(request)
        if request.state != "done":
            request.attach(future)
        elif (engine := self.engine()) is not None:
            engine.submitter().post(lambda _: self.wake(future))
        return future

    def done(self, result: Any) -> F:
        """Return a future of what a poll has brought before."""
        future = self.make()
        future.hold(Answered(result))
        self.wake(future)
        return future

"""Several steps of a composite at once: `scope` for coroutines, `batch` for plain requests. Nothing of any loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._drive import cancel_strands
from ._request import Cancelled, Request, State
from ._strand import Signal, Strand, current_strand, suspend

if TYPE_CHECKING:
    from typing import Self

    from ._engine import Engine

K = TypeVar("K")

MOST_NOTES = 10  # of the further errors, this many are named


def scope(limit: int | None = None) -> Scope:
    """Return a scope for child coroutines, of which at most *limit* run at once.

        async with scope(8) as s:
            for name in names:
                await s.start(child(steps, name))

    When it exits, all children have ended. The first error, a child's or the body's, cancels the others, and is raised
    when they have ended: itself, not in an ExceptionGroup, so that ``except FileNotFoundError`` around a composite
    means what it says. Further errors are named in its ``__notes__``.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit!r}")
    return Scope(limit)


class Scope:
    """Child coroutines that fail together, are cancelled together, and have ended when the ``async with`` exits."""

    __slots__ = ("_children", "_empty", "_entered", "_errors", "_failed", "_limit", "_room", "_strand")
    _strand: Strand

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._children: dict[Strand, None] = {}  # in the order of their start
        self._room: deque[Signal] = deque()  # of those who wait in `start`
        self._empty: Signal | None = None  # fired when the last child has ended
        self._errors: list[BaseException] = []  # in the order in which they happened
        self._failed = False
        self._entered = False

    async def __aenter__(self) -> Self:
        self._strand = await current_strand()
        self._strand.scopes.append(self)
        self._entered = True
        return self

    async def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run *coroutine* as a child, in a copy of the caller's context; wait first while *limit* children run."""
        try:
            while not self._failed and self._limit is not None and len(self._children) >= self._limit:
                room = Signal()
                self._room.append(room)
                await suspend(room)
            if not self._entered:
                raise RuntimeError("the scope is not entered, or has ended")
            if self._failed:
                raise Cancelled("the scope was cancelled")
        except BaseException:
            coroutine.close()  # it was never started
            raise
        child = Strand(self._strand.composite, coroutine, copy_context())
        child.scope = self
        self._children[child] = None
        self._strand.composite._enqueue(child)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        strand = self._strand
        if error is not None and strand.cancelling is self:
            if not isinstance(error, Cancelled):
                self._errors.append(error)
            error = None
        elif error is not None and not (self._failed and isinstance(error, Cancelled) and strand.cancelling is None):
            cancel_strands(self.cancel_children())
        else:
            error = None
        while self._children:
            self._empty = Signal()
            try:
                await suspend(self._empty)
            except Cancelled as cancelled:  # from outside, and only once
                error = error or cancelled
        self._entered = False
        strand.scopes.remove(self)
        if self in strand.cancellers:
            strand.cancellers.remove(self)
        if strand.cancelling is self:
            strand.cancelling = None
        errors = [other for other in self._errors if other is not error]
        self._errors = []
        first = error if error is not None else errors.pop(0) if errors else None
        if first is None:
            return
        add_notes(first, errors)
        try:
            raise first
        finally:
            del first, error, errors  # the error holds this frame

    def cancel_children(self) -> list[tuple[Strand, object]]:
        """Take no more children; return those to cancel, for `cancel_strands`."""
        self._failed = True
        return [(child, self) for child in self._children]

    def child_ended(self, child: Strand, error: BaseException | None) -> None:
        """Hear of the end of a child from the trampoline."""
        del self._children[child]
        if error is not None and not (isinstance(error, Cancelled) and self in (child.cancelling, *child.cancellers)):
            self._errors.append(error)
            if not self._failed:
                strands = self.cancel_children()
                if self._empty is None:  # the body still runs
                    strands.append((self._strand, self))
                cancel_strands(strands)
        while self._room:
            room = self._room.popleft()
            if room.state != "done":
                room.fire()
                break
        if self._empty is not None and not self._children:
            self._empty.fire()


def add_notes(error: BaseException, others: list[BaseException]) -> None:
    """Name the errors that came with *error*."""
    for other in others[:MOST_NOTES]:
        error.add_note(f"beside it: {type(other).__name__}: {other}")
    if len(others) > MOST_NOTES:
        error.add_note(f"and {len(others) - MOST_NOTES} more")


def batch(limit: int) -> Batch[Any]:
    """Return a batch for plain requests, of which at most *limit* are in it at once.

        async with batch(32) as requests:
            while names or requests:
                while names and requests.room:
                    name = names.pop()
                    requests.add(name, steps.submit(STAT, name, None, True))
                for name, request in await requests.some():
                    print(name, request.result())

    When it exits, what is left in it is cancelled and settled: no descriptor is lost, and no change still runs.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit!r}")
    return Batch(limit)


class Answer(Request[Any]):
    """A result that was there at once, with the face of a request that is done."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def state(self) -> State:
        return "done"

    def cancel(self) -> bool:
        return False

    def result(self) -> Any:
        return self._value

    def settle(self, error: BaseException) -> None:
        """It was the caller's from the start."""


class Batch(Generic[K]):
    """Plain requests under way, each with a key. True while any is in it."""

    __slots__ = ("_done", "_engine", "_keys", "_limit", "_news")
    _engine: Engine

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: dict[Request[Any], K] = {}  # of all that are in it
        self._done: list[Request[Any]] = []  # completed, not yet returned by `some`
        self._news: Signal | None = None  # of the strand that waits in `some`

    async def __aenter__(self) -> Self:
        self._engine = (await current_strand()).composite.engine
        return self

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def room(self) -> int:
        """How many requests can be added."""
        return self._limit - len(self._keys)

    def add(self, key: K, answer: Any) -> None:
        """Add a request that has no callback, or the result that its submit returned instead."""
        if isinstance(answer, Request):
            self._keys[answer] = key
            answer.callback = self._completed
        else:
            answer = Answer(answer)
            self._keys[answer] = key
            self._done.append(answer)

    async def some(self) -> list[tuple[K, Request[Any]]]:
        """Wait until requests are done; return those that are, in the order of their completion, with their keys.

        They are no longer in the batch. At least one must have been.
        """
        if not self._keys:
            raise RuntimeError("the batch is empty")
        while not self._done:
            self._news = Signal()
            await suspend(self._news)
        done, self._done = self._done, []
        take = self._keys.pop
        return [(take(request), request) for request in done]

    def _completed(self, request: Request[Any]) -> None:
        done = self._done
        done.append(request)
        if self._news is None:
            return
        engine = self._engine
        left = len(self._keys) - len(done)
        if left and engine.npending and engine.nreqs == left:
            return  # what waits to be polled is ours as well: resume once for all of it
        news, self._news = self._news, None
        news.fire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cancelled = None
        for request in list(self._keys):
            if request.state == "done" or request.cancel():
                del self._keys[request]
                request.settle(Cancelled())
        self._done.clear()
        while self._keys:  # changes that run
            try:
                for _, request in await self.some():
                    request.settle(Cancelled())
            except Cancelled as late:  # thrown once; all are cancelled already
                cancelled = late
        if cancelled is not None and error is None:
            raise cancelled

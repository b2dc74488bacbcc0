"""What one `each` has under way: its requests lead here, and who consumes it waits here.

1. Nothing is taken from the source but for room: what is under way and what has ended but was not delivered are never
   more than the limit. No task, future or callback is made for an item: each request tells the flow, as its group, and
   the consumer is woken once for all that one poll hands over.
2. A flow is a request for whoever waits for its next pair. To withdraw it is to close it, which cancels what is under
   way; what cannot be taken back is waited for.
3. An asynchronous source is pumped by one task of the loop's own kind, which waits for a `Bell` while there is no room.
4. Requests keep the flow, but never the object that the user has: when that is collected, the flow is closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ._backend import backend
from ._request import Cancelled, Outcome, Request, State
from ._runner import Home
from ._scope import Answer

if TYPE_CHECKING:
    from ._engine import Engine

LONGEST_NAME = 200  # characters of an item's repr in a note


class Failure(Request[Any]):
    """An item whose request could not be made, with the face of a request that is done."""

    __slots__ = ("_error",)

    def __init__(self, error: Exception) -> None:
        self._error = error.with_traceback(None)

    @property
    def operation(self) -> str:
        return "none"

    @property
    def state(self) -> State:
        return "done"

    @property
    def outcome(self) -> Outcome | None:
        return Outcome("failed", error=self._error)

    def cancel(self) -> bool:
        return False

    def result(self) -> Any:
        try:
            raise self._error
        finally:
            del self  # the error holds this frame

    def settle(self, error: BaseException) -> None:
        """There is nothing to tell."""


class Bell(Request[None]):
    """What a pump waits for while there is no room. It rings once."""

    __slots__ = ("_home", "_rung", "_waiter")

    def __init__(self, home: Home) -> None:
        self._home = home
        self._rung = False
        self._waiter: Any = None

    @property
    def operation(self) -> str:
        return "each"

    @property
    def state(self) -> State:
        return "done" if self._rung else "running"

    @property
    def outcome(self) -> Outcome | None:
        return None

    def ring(self) -> None:
        self._rung = True
        waiter, self._waiter = self._waiter, None
        self._home.wake(waiter)

    def attach(self, waiter: Any) -> None:
        if self._rung:
            self._home.wake(waiter)
        else:
            self._waiter = waiter

    def withdraw(self) -> bool:
        self._waiter = None
        return True

    def abandon(self) -> None:
        self.ring()

    def settle(self, error: BaseException) -> None:
        """There is nothing to tell."""

    def result(self) -> None:
        return None


class Flow(Request[Any]):
    """The requests of one `each`; its result, again and again, is the next pair of an item and its result."""

    __slots__ = tuple[str, ...]()  # they are those of its two classes below

    _engine: Engine
    _start: Callable[..., Request[Any]]  # makes the request of an item
    _source: Iterator[Any] | None  # None when nothing is left in it, and if a pump empties it
    _under_way: dict[Request[Any], Any]  # with their items
    # What has ended and was not delivered; ordered, all that was not delivered, in the order of the items.
    _done: deque[tuple[Any, Request[Any]]]
    _waiter: Any
    _bell: Bell | None  # the pump waits for room
    _limit: int
    _held: int  # items that were taken and not delivered
    _ordered: bool
    _waited: bool  # somebody has waited and was not told the result yet
    closed: bool

    _home: Home
    _keep_errors: bool
    _end: type[Exception]  # raised by `result` when there are no more
    _source_error: BaseException | None  # raised when the results that were under way are delivered
    _pumping: bool
    _stop: Callable[[], object] | None  # cancels the pump
    _cancelled: bool
    _draining: bool  # `result` is only the news that nothing is under way any more
    _outcome: Outcome | None

    def __init__(
        self,
        engine: Engine,
        start: Callable[..., Request[Any]],
        limit: int,
        ordered: bool,
        keep_errors: bool,
        end: type[Exception],
    ) -> None:
        self._engine = engine
        self._home = Home(engine)
        self._start = start
        self._limit = limit
        self._ordered = ordered
        self._keep_errors = keep_errors
        self._end = end
        self._source = None
        self._source_error = None
        self._held = 0
        self._under_way = {}
        self._done = deque()
        self._pumping = False
        self._stop = None
        self._bell = None
        self._waiter = None
        self._waited = False
        self._cancelled = False
        self._draining = False
        self._outcome = None
        self.closed = False

    # ---- the source's side ----

    def take_from(self, source: Iterator[Any]) -> None:
        self._source = source

    def pump_from(
        self,
        source: AsyncIterator[Any],
        spawn: Callable[[Any], Callable[[], object]],
        wait: Callable[[Request[None]], Awaitable[None]],
    ) -> None:
        self._pumping = True
        stop = spawn(pump(self, source, wait))
        if self._pumping:  # still
            self._stop = stop

    def has_room(self) -> bool:
        return self._held < self._limit and not (self._under_way and self._engine.full)

    def _take(self) -> None:
        """Take an item from the source."""
        assert self._source is not None, "it was looked at before"
        try:
            item = next(self._source)
        except StopIteration:
            self._source = None
        except Exception as error:
            self.fail(error)
        else:
            self.submit(item)

    def submit(self, item: Any) -> None:
        if self.closed:  # by the source, while it made the item
            return
        try:
            request = self._start(item)
        except Exception as error:
            self._refuse(item, error)
            return
        if self.closed:  # by the item, while it was looked at
            request.cancel()
            return
        self._held += 1
        request.group = self
        self._under_way[request] = item
        if self._ordered:
            self._done.append((item, request))

    def _refuse(self, item: Any, error: Exception) -> None:
        """The request of *item* could not be made."""
        if self._engine.closed:
            self.fail(error)
            return
        self._held += 1
        self._done.append((item, Failure(error)))
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Take no more: raise *error* behind what is under way."""
        self._source = None
        self._source_error = error

    def pump_ended(self) -> None:
        self._pumping = False
        self._stop = self._bell = None
        self._tell()

    # ---- the requests' side ----

    def _member_done(self, request: Request[Any]) -> None:
        item = self._under_way.pop(request, None)
        if not self._ordered and not self.closed:
            self._done.append((item, request))
        if self._waiter is not None:
            self._tell()
        if self._bell is not None:
            self._ring()

    def _tell(self) -> None:
        """Wake who waits, if there is something for him."""
        if self._waiter is not None and self._ready():
            waiter, self._waiter = self._waiter, None
            self._home.wake(waiter)

    def _ring(self) -> None:
        if self._bell is not None and self.has_room():
            bell, self._bell = self._bell, None
            bell.ring()

    async def room(self, wait: Callable[[Request[None]], Awaitable[None]]) -> None:
        """Wait, as the pump, until there is room."""
        while not self.has_room() and not self.closed:
            self._bell = bell = Bell(self._home)
            await wait(bell)

    # ---- the consumer's side ----

    @property
    def busy(self) -> bool:
        """Whether anything runs for it, also when it is closed."""
        return bool(self._under_way) or self._pumping

    @property
    def cancelled(self) -> bool:
        """Whether who waited was cancelled."""
        return self._cancelled

    def _ready(self) -> bool:
        if self.closed:
            return not self.busy
        done = self._done
        if done and not (self._ordered and done[0][1] in self._under_way):
            return True
        return self._source is None and not self.busy

    def advance(self) -> Any:
        """Take what there is room for; return the next pair, None if it must be waited for. Raises the end."""
        if self.closed or self._waited:
            self._refuse_to_advance()
        if self._source is not None and self._held < self._limit:
            while self._source is not None and self.has_room():
                self._take()
        done = self._done
        if done and (not self._ordered or done[0][1] not in self._under_way):
            return self._deliver()
        return self._end_or_wait()

    def _refuse_to_advance(self) -> None:
        if self.closed:
            raise self._end
        raise RuntimeError("another consumer waits for the next item of this each")

    def _end_or_wait(self) -> Any:
        return self._deliver() if self._ready() else None

    def result(self) -> Any:
        self._waited = False
        if self._draining:
            return None
        if self.closed:
            raise self._end
        if not self._ready():
            raise RuntimeError("the next item has no result yet")
        return self._deliver()

    def _deliver(self) -> Any:
        """Return the next pair, which is ready; raise its error, or the end."""
        if not self._done:
            error = self._source_error
            self.close()
            try:
                raise self._end if error is None else error
            finally:
                del error
        item, request = self._done.popleft()
        self._held -= 1
        try:
            value = request.result()
        except Exception as error:
            if not self._keep_errors:
                self.close()
                error.add_note(f"the item was {shortened(item)}")
                raise
            value = error.with_traceback(None)
        except BaseException:
            self.close()
            raise
        finally:
            del request  # an error's traceback must not lead back to the request that holds it
        if self._source is not None:  # there is room now, at once: the loop of the consumer may take its time
            if not (self._under_way and self._engine.full):
                try:
                    self._take()
                except BaseException:  # an interruption: the pair is delivered next time
                    self._keep(item, value)
                    raise
        elif self._bell is not None:
            self._ring()
        return item, value

    def _keep(self, item: Any, value: Any) -> None:
        self._done.appendleft((item, Answer(value)))
        self._held += 1

    def drain(self) -> bool:
        """Close it; must what runs be waited for? The result is None then."""
        self.close()
        self._draining = True
        return self.busy

    def close(self) -> None:
        """Cancel what is under way, close what nobody took; changes that run go on."""
        if self.closed:
            return
        self.closed = True
        self._source = None
        self._done.clear()  # a descriptor that nobody took is closed with its request
        for request in list(self._under_way):
            request.cancel()
        if self._stop is not None:
            self._stop()
        self._tell()

    # ---- a request's face ----

    def __repr__(self) -> str:
        return f"<anyaio each, {'closed' if self.closed else 'open'}, {len(self._under_way)} under way>"

    @property
    def operation(self) -> str:
        return "each"

    @property
    def state(self) -> State:
        return "done" if self._ready() else "running"

    @property
    def outcome(self) -> Outcome | None:
        return self._outcome

    def attach(self, waiter: Any) -> None:
        if self._waited:
            raise RuntimeError("another consumer waits for the next item of this each")
        self._waited = True
        if self._ready():
            self._home.wake(waiter)
        else:
            self._waiter = waiter

    def cancel(self) -> bool:
        self._cancelled = True
        self._outcome = self._outcome or Outcome("failed", error=Cancelled("the each was cancelled"))
        self.close()
        return not self.busy

    def withdraw(self) -> bool:
        waiter, self._waiter = self._waiter, None
        if self.cancel():
            return True
        self._waiter = waiter
        return False

    def abandon(self) -> None:
        self.cancel()
        if self.busy:
            self._outcome = Outcome("unknown")
        for request in list(self._under_way):
            request.abandon()
        self._under_way.clear()
        self._pumping = False
        self._tell()

    def settle(self, error: BaseException) -> None:
        self._waited = False
        self._waiter = None
        self.cancel()
        error.outcome = self._outcome  # type: ignore[attr-defined]  # that is what it is for


# ---- with the native backend, what runs for every item is in C: flow.c ----

HOT = (
    "_bell",
    "_done",
    "_engine",
    "_held",
    "_limit",
    "_ordered",
    "_source",
    "_start",
    "_under_way",
    "_waited",
    "_waiter",
    "closed",
)
OTHERS = (
    "__weakref__",
    "_cancelled",
    "_draining",
    "_end",
    "_home",
    "_keep_errors",
    "_outcome",
    "_pumping",
    "_source_error",
    "_stop",
)


class PythonFlow(Flow):
    __slots__ = (*HOT, *OTHERS)


def with_core(core: type) -> type[Flow]:
    return type("NativeFlow", (core, Flow), {"__slots__": OTHERS, "__module__": __name__})


NativeFlow = with_core(backend.FlowCore) if backend.NAME == "native" else PythonFlow


def flow_class(engine: Engine) -> type[Flow]:
    return NativeFlow if isinstance(engine, backend.Engine) else PythonFlow


async def pump(flow: Flow, source: AsyncIterator[Any], wait: Callable[[Request[None]], Awaitable[None]]) -> None:
    """Take the items of an asynchronous source as there is room for them."""
    try:
        while not flow.closed:
            await flow.room(wait)
            flow.submit(await anext(source))
    except StopAsyncIteration:
        pass
    except Exception as error:
        flow.fail(error)
    except BaseException as error:
        if not flow.closed:
            flow.fail(error)
        raise
    finally:
        flow.pump_ended()


def shortened(item: object) -> str:
    text = repr(item)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"

"""`each`: one operation for many items, with a limit on what is under way. `_flow.py` tells how.

    async for path, status in aio.each(aio.stat, paths):
        print(path, status.st_size)

What the user has is an object, not an async generator, which a `break` would leave open: it is closed by `close`, by
its ``with`` block, when it is collected, and by its end.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from . import _opcodes
from ._callback_ops import CallbackOps
from ._drive import call_back
from ._flow import Failure, Flow, flow_class
from ._group import LATER, Group
from ._request import Request

if TYPE_CHECKING:
    from typing import Self

    from ._engine import Engine
    from ._front import AwaitAdapter, BlockingAdapter, FutureAdapter

Item = TypeVar("Item")
Result = TypeVar("Result")

ERRORS = ("raise", "return")


# ---- the function ----


def twin(front: Any, function: Any) -> Callable[..., Request[Any]]:
    """Return what makes the request that *function*, of the front end *front*, would wait for; TypeError if none does.

    *function* is a function of the front end's module, a bound method of the front end or a view of it, or a
    `functools.partial` of one.
    """
    if isinstance(function, partial) and "callback" not in function.keywords:
        return partial(twin(front, function.func), *function.args, **function.keywords)
    name = getattr(function, "__name__", "")
    if not name.startswith("_") and hasattr(CallbackOps, name):
        owner: Any = getattr(function, "__self__", None)
        if is_method_of(front, owner, function, name):
            return getattr(owner._queueing(), name)  # type: ignore[no-any-return]  # the twin
        if owner is None and front_of(function, name, front.engine) is not None:
            return getattr(front._queueing(), name)  # type: ignore[no-any-return]  # the twin
    raise TypeError(
        "each takes an operation itself, such as aio.stat of the running loop's module, or a functools.partial of one, "
        f"not {function!r}; coroutines of your own run side by side in tasks"
    )


class Recorder:
    """Has an operation tell what it would queue."""

    def _queue(self, *arguments: Any) -> Any:
        return arguments


ITEM: Any = object()


def starter(call: Callable[..., Request[Any]]) -> Callable[[Any], Request[Any]]:
    """Return what makes the request of an item: the engine's own method, if all but the item is known beforehand."""
    plain = partial(call, callback=None)
    method: Any = plain.func
    if not hasattr(_opcodes, method.__name__.upper()):  # a composite
        return plain
    try:
        queued = method.__func__(Recorder(), *plain.args, ITEM, **plain.keywords)
    except TypeError:
        return plain  # it is raised again, for every item
    queue = method.__self__._queue
    place = next(place for place, argument in enumerate(queued) if argument is ITEM)
    before, after = queued[:place], queued[place + 1 :]
    return (lambda item: queue(*before, item, *after)) if after else partial(queue, *before)


def is_method_of(front: Any, owner: Any, function: Any, name: str) -> bool:
    return (
        isinstance(owner, type(front))
        and owner.engine is front.engine
        and getattr(type(owner), name) is getattr(function, "__func__", None)
    )


def front_of(function: Any, name: str, engine: Engine) -> Any:
    """Return the front end, of this engine, of one of the functions that `tools/generate.py` writes; None if none."""
    names = getattr(function, "__globals__", {})
    if names.get("TWINS") is not CallbackOps or names.get(name) is not function:
        return None
    try:
        front = names["current"]()
    except RuntimeError:  # that front end cannot serve here
        return None
    return front if front.engine is engine else None


def check_limit(limit: int) -> None:
    if not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {limit!r}")
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")


def start(front: Any, function: Any, limit: int, ordered: bool, errors: str, end: type[Exception]) -> Flow:
    check_limit(limit)
    if errors not in ERRORS:
        raise ValueError(f"errors must be 'raise' or 'return', not {errors!r}")
    return flow_class(front.engine)(
        front.engine, starter(twin(front, function)), limit, ordered, errors == "return", end
    )


# ---- what the user has ----


class Each(Generic[Item, Result]):
    """The pairs of items and results of one `each`."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __repr__(self) -> str:
        return repr(self._flow)

    def close(self) -> None:
        """Cancel what is under way and close descriptors that nobody took; iterating ends. Again: no effect.

        Changes that run are not waited for: the ``async with`` block does that.
        """
        self._flow.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        flow = getattr(self, "_flow", None)
        if flow is not None:
            # On another thread, or when the loop is gone: what runs ends by itself then.
            with suppress(RuntimeError):
                flow.close()


class AwaitEach(Each[Item, Result]):
    """An asynchronous iterator of pairs. With ``async with`` it ends when everything of it has ended."""

    def __init__(self, adapter: AwaitAdapter, flow: Flow, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        super().__init__(flow)
        self._adapter = adapter
        self._items: AsyncIterable[Item] | None = take_source(adapter, flow, items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Item, Result]:
        flow = self._flow
        if self._items is not None:
            self._start_pump(self._items)
        pair: tuple[Item, Result] | None = flow.advance()
        if pair is not None:
            return pair
        try:
            return cast("tuple[Item, Result]", await self._adapter.wait(flow))
        except BaseException as error:
            if flow.cancelled and not isinstance(error, GeneratorExit) and flow.drain():
                await self._adapter.wait(flow)
            raise

    def _start_pump(self, items: AsyncIterable[Item]) -> None:
        self._items = None
        if not self._flow.closed:
            # Checked to be there when the each was made.
            self._flow.pump_from(aiter(items), self._adapter.spawn, self._adapter.wait)  # type: ignore[attr-defined]

    async def aclose(self) -> None:
        """Close it, and wait for changes that run. Again: no effect."""
        if self._flow.drain():
            await self._adapter.wait(self._flow)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def take_source(adapter: object, flow: Flow, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterable[Item] | None:
    """Have the flow take from *items*, unless they are to be pumped: return them then."""
    if not isinstance(items, AsyncIterable):
        flow.take_from(iter(items))
        return None
    if not hasattr(adapter, "spawn"):
        raise TypeError("the items of this each cannot be asynchronous: its loop's adapter starts no tasks")
    return items


class FutureEach(Each[Item, Result]):
    """As in the await colour, of futures of the loop's own kind."""

    def __init__(self, adapter: FutureAdapter, flow: Flow, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        super().__init__(flow)
        self._adapter = adapter
        self._items: AsyncIterable[Item] | None = take_source(adapter, flow, items)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[tuple[Item, Result]]:
        flow = self._flow
        if self._items is not None:
            items, self._items = self._items, None
            # Checked to be there when the each was made.
            flow.pump_from(aiter(items), self._adapter.spawn, self._adapter.future)  # type: ignore[attr-defined]
        pair: tuple[Item, Result] | None = flow.advance()
        if pair is None:
            return self._adapter.future(cast("Request[tuple[Item, Result]]", flow))
        # A poll has handed it over: the consumer need not wait for another, if the adapter has futures that are done.
        make: Callable[[Any], Awaitable[tuple[Item, Result]]] = getattr(self._adapter, "done", self._adapter.future)
        return make(pair)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._flow.drain():
            await self._adapter.future(self._flow)


class BlockingEach(Each[Item, Result]):
    """An iterator of pairs. Its ``with`` block ends when everything of it has ended."""

    def __init__(self, adapter: BlockingAdapter, flow: Flow, items: Iterable[Item]) -> None:
        super().__init__(flow)
        self._adapter = adapter
        if isinstance(items, AsyncIterable):
            raise TypeError(f"the items of an each that blocks cannot be asynchronous: {items!r}")
        flow.take_from(iter(items))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Item, Result]:
        flow = self._flow
        pair: tuple[Item, Result] | None = flow.advance()
        if pair is not None:
            return pair
        return cast("tuple[Item, Result]", self._adapter.wait(flow))

    def __exit__(self, *exception: object) -> None:
        if self._flow.drain():
            self._adapter.wait(self._flow)


# ---- the callback colour ----


def each_with_callback(
    engine: Engine,
    priority: int,
    function: Callable[..., Request[Any]],
    items: Iterable[Any],
    callback: Callable[[Any, Request[Any]], object],
    limit: int,
    ordered: bool,
) -> Group:
    """Return a group that is fed with the requests of *items*; *callback* gets each item with its request."""
    check_limit(limit)
    if not callable(callback):
        raise TypeError(f"callback must be callable, not {type(callback).__name__!r}")
    if isinstance(items, AsyncIterable):
        raise TypeError(f"the items of an each with a callback cannot be asynchronous: {items!r}")
    check_queues(engine, function)
    feed = (OrderedFeed if ordered else Feed)(engine, function, iter(items), callback, limit)
    group = Group(engine, priority)
    group.feed(feed, limit)
    return group


def check_queues(engine: Engine, function: Any) -> None:
    """TypeError unless *function* queues requests of this engine."""
    while isinstance(function, partial) and "callback" not in function.keywords:
        function = function.func
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "_")
    if owner is None:
        owner = front_of(function, name, engine)
    own = owner is engine or getattr(owner, "engine", None) is engine
    if not (own and isinstance(owner, CallbackOps) and not name.startswith("_") and hasattr(CallbackOps, name)):
        raise TypeError(
            "each needs an operation of this engine or of a view of it, or a functools.partial of one, "
            f"not {function!r}"
        )


class Feed:
    """A feeder that makes the requests of items."""

    def __init__(
        self,
        engine: Engine,
        function: Callable[..., Request[Any]],
        items: Iterator[Any],
        callback: Callable[[Any, Request[Any]], object],
        limit: int,
    ) -> None:
        self._engine = engine
        self._function = function
        self._items = items
        self._callback = callback
        self._limit = limit

    def __call__(self, group: Group) -> object:
        if not self._has_room(group):
            return LATER
        try:
            item = next(self._items)
        except StopIteration:
            return None
        told = self._told(item)
        try:
            request = self._function(item, callback=told)
        except (TypeError, ValueError) as error:  # the item is wrong: its callback hears of it, in a later poll
            failure = Failure(error)
            request = self._engine.submitter(priority=group.priority).post(lambda _: told(failure))
        group.add(request)
        return None

    def _has_room(self, group: Group) -> bool:
        return not self._engine.full or not group.busy

    def _told(self, item: Any) -> Callable[[Request[Any]], object]:
        return partial(self._callback, item)


class OrderedFeed(Feed):
    """One that calls back in the order of the items."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._line: dict[int, tuple[Any, Request[Any] | None]] = {}  # by number, those that were not called back
        self._next = 0

    def _has_room(self, group: Group) -> bool:
        return super()._has_room(group) and len(self._line) < self._limit

    def _told(self, item: Any) -> Callable[[Request[Any]], object]:
        number = self._next
        self._next += 1
        self._line[number] = item, None
        return partial(self._ended, number)

    def _ended(self, number: int, request: Request[Any]) -> None:
        self._line[number] = self._line[number][0], request
        self._go_on()

    def _go_on(self) -> None:
        while self._line:
            first = next(iter(self._line))
            item, request = self._line[first]
            if request is None:
                return
            del self._line[first]
            try:
                call_back(self._engine, copy_context(), partial(self._callback, item), request)
            except BaseException:  # an interruption leaves the poll; the others come in the next
                self._engine.submitter().post(lambda _: self._go_on())
                raise

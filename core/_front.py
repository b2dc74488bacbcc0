"""The adapter interface and the front ends: adapter + engine + the operations in one colour.

An engine must not refer to its front end, nor to its submitters: dropping the last front end frees the engine at once,
which closes its descriptor, and no garbage collection is needed.
"""

from __future__ import annotations

import os
from _thread import get_native_id
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, overload

from ._await_ops import AwaitOps
from ._backend import backend
from ._blocking_ops import BlockingOps
from ._callback_ops import CallbackOps
from ._drive import drive, drive_queued, finish_all
from ._each import AwaitEach, BlockingEach, FutureEach, Item, Result, each_with_callback, start
from ._future_ops import FutureOps
from ._group import Group, end_groups
from ._hold import end_held, hold
from ._options import Options, SomeOptions, choose
from ._request import Request

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Self, Unpack

    from ._engine import Submitter

    EngineFace = backend.Engine
else:
    EngineFace = object  # what has it comes behind, whichever backend's it is

T = TypeVar("T")


class Adapter(Protocol):
    """What differs between loops."""

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        """Have *poll* called whenever *fd* is readable, outside of any caller's context."""

    def detach(self, fd: int) -> None:
        """Undo `attach`, if the loop still lives, and forget the front end."""

    def wake(self, waiter: Any, /) -> None:
        """Resume who waits with *waiter*; it may have been resumed already."""

    @property
    def on_error(self) -> Callable[[BaseException, Request[Any]], object] | None:
        """Reports the exception of a callback in the loop's own way; None: `sys.unraisablehook`."""


class AwaitAdapter(Adapter, Protocol):
    def wait(self, request: Request[T]) -> Awaitable[T]:
        """Attach a waiter, suspend the task, return the request's result."""
        raise NotImplementedError


class FutureAdapter(Adapter, Protocol):
    def future(self, result: T | Request[T]) -> Awaitable[T]:
        """Return a future of the loop's own kind; it is never done before the next poll."""
        raise NotImplementedError


class BlockingAdapter(Adapter, Protocol):
    def wait(self, request: Request[T]) -> T:
        """Block whatever runs here, until the request is done; return its result."""
        raise NotImplementedError


# ---- the callback colour: an engine, and views of it ----


class CallbackColour(CallbackOps):
    """What an engine and its views have beside the operations."""

    __slots__ = ()

    def group(self, callback: Callable[[Group], object] | None = None) -> Group:
        """Return a new group; *callback* gets it when it has no members, in a later poll."""
        return Group(*self._place(), callback)

    def each(
        self,
        function: Callable[..., Request[Any]],
        items: Iterable[Item],
        callback: Callable[[Item, Request[Any]], object],
        *,
        limit: int = 64,
        ordered: bool = False,
    ) -> Group:
        """Call *function*, an operation of this engine, for each of *items*; *callback* gets an item and its request.

        At most *limit* are under way; items are only taken when there is room. With *ordered* the callbacks come in
        the order of the items. The group that is returned can be cancelled, and given a callback for the end.
        """
        return each_with_callback(*self._place(), function, items, callback, limit, ordered)

    def _place(self) -> tuple[Engine, int]:
        """Return the engine and the priority."""
        raise NotImplementedError


class CallbackView(CallbackColour):
    """An engine with other options: the same requests, descriptor and poll."""

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine = engine
        self.options = options
        self._submitter = engine.submitter(priority=options.priority, patience=options.patience, lane=options.lane)
        self._queue = self._submitter.queue

    def with_options(self, **options: Unpack[SomeOptions]) -> CallbackView:
        """Return a view of the same engine; what is not given stays as it is here."""
        return CallbackView(self.engine, choose(self.options, options))

    def _place(self) -> tuple[Engine, int]:
        return self.engine, self.options.priority

    def _drive_queued(
        self,
        callback: Callable[[Request[Any]], object] | None,
        function: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> Request[Any]:
        return drive_queued(self.engine, self._submitter, callback, function, arguments, options)


class EngineOps(CallbackColour, EngineFace):
    """What an engine has beside its backend's own: the operations, with the default options.

    A class made of this has its backend's `Engine.queue` as `_queue`. An engine keeps no submitter: that refers to the
    engine, whose descriptor would then stay until the next collection.
    """

    __slots__ = ()

    def shutdown(self) -> None:
        """Cancel composites and drive them to their end, drop what only looks, leave changes to the pool.

        Groups are cancelled, and what waits for room never runs. Then the descriptor is closed. Again: no effect.
        """
        if not self.closed:
            end_groups(self)
            end_held(self)
        finish_all(self)
        super().shutdown()

    def with_options(self, **options: Unpack[SomeOptions]) -> CallbackView:
        """Return a view of this engine with other options: *priority*, *patience*, *checkpoint*, *lane*.

        With the *lane* ``"pool"`` nothing is done in the caller, also what the kernel has in memory. Make a view once
        and keep it.
        """
        return CallbackView(self._place()[0], choose(Options(), options))

    def _place(self) -> tuple[Engine, int]:
        return self, 0  # type: ignore[return-value]  # only an Engine is made of this

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()

    def _drive_queued(
        self,
        callback: Callable[[Request[Any]], object] | None,
        function: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> Request[Any]:
        return drive_queued(self, self.submitter(), callback, function, arguments, options)


class Engine(EngineOps, backend.Engine):
    """A notifier descriptor and the requests of one thread, in the callback colour.

    Any loop can serve it: call *poll* whenever *fileno* is readable. It belongs to the thread that made it.
    """

    _queue = backend.Engine.queue  # the operations call it as it is, without a step between


_engine_classes: dict[str, type[Engine]] = {backend.NAME: Engine}


def engine_class(backend_module: ModuleType) -> type[Engine]:
    """Return the Engine of a backend that need not be the chosen one."""
    name: str = backend_module.NAME
    if name not in _engine_classes:
        bases = (EngineOps, backend_module.Engine)
        namespace = {"__doc__": Engine.__doc__, "__module__": Engine.__module__, "_queue": backend_module.Engine.queue}
        _engine_classes[name] = type("Engine", bases, namespace)
    return _engine_classes[name]


# ---- the other colours ----

A = TypeVar("A", bound=Adapter)


class Front(Generic[A]):
    """What the front ends of all colours have."""

    _hold: ClassVar[Callable[..., Any] | None] = None  # what a submit returns that has to wait for room

    def __init__(self, adapter: A, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        self.engine = engine
        self._adapter = adapter
        self._options = options
        self._home = home  # the process and the thread that it belongs to
        self._submit: Submitter = engine.submitter(
            priority=options.priority, patience=options.patience, lane=options.lane, hold=type(self)._hold
        )

    @classmethod
    def start(cls, adapter: A, engine: Engine) -> Self:
        """Make the front end of a loop or thread that has none."""
        engine.wake = adapter.wake
        engine.on_error = adapter.on_error
        adapter.attach(engine.fileno(), engine.poll)
        return cls(adapter, engine, Options(), (os.getpid(), get_native_id()))

    @property
    def pool(self) -> backend.Pool:
        """The threads that run its requests."""
        return self.engine.pool

    def stats(self) -> dict[str, Any]:
        """Return counters of the engine and its pool, for people."""
        return self.engine.stats()

    def with_options(self, **options: Unpack[SomeOptions]) -> Self:
        """Return a view of the same engine with other options: *priority*, *patience*, *checkpoint*, *lane*.

        With the *lane* ``"pool"`` nothing is done in the caller, also what the kernel has in memory. *checkpoint* only
        has an effect where tasks have checkpoints. What is not given stays as it is here. Make a view once and keep it.
        """
        return type(self)(self._adapter, self.engine, choose(self._options, options), self._home)

    def group(self, callback: Callable[[Group], object] | None = None) -> Group:
        """Return a new group, for requests of `engine`; *callback* gets it when it has no members, in a later poll."""
        return Group(self.engine, self._options.priority, callback)

    def shutdown(self) -> None:
        """Shut the engine down; the next request through the loop or thread starts another. Again: no effect."""
        process, thread = self._home
        if not self.engine.closed and process == os.getpid():  # detaching in a child would reach the parent's epoll
            if thread != get_native_id():
                raise RuntimeError("a front end belongs to the thread that made it")
            self._adapter.detach(self.engine.fileno())
        self.engine.shutdown()

    def _drive(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return drive(self.engine, self._submit, function, arguments, options)

    def _check_own(self, request: Request[Any]) -> None:
        """TypeError or ValueError if nothing here would ever tell that *request* is done."""
        if not isinstance(request, Request):
            raise TypeError(f"wait takes a request or a group, not {request!r}")
        if request.engine not in (self.engine, None):
            raise ValueError(f"{request!r} is another engine's, which does not tell this one")

    def _queueing(self) -> CallbackView:
        return CallbackView(self.engine, self._options)


class AwaitFront(Front[AwaitAdapter], AwaitOps):
    """A loop's front end in the await colour."""

    _hold = hold

    def __init__(self, adapter: AwaitAdapter, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        super().__init__(adapter, engine, options, home)
        self._wait = adapter.wait  # type: ignore[method-assign]  # each request goes this way: a call less

    async def wait(self, request: Request[T]) -> T:
        """Wait for a request that this engine returned, also one that is done already; return its result."""
        self._check_own(request)
        return await self._adapter.wait(request)

    @overload
    def each(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise"] = "raise",
    ) -> AwaitEach[Item, Result]: ...
    @overload
    def each(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["return"],
    ) -> AwaitEach[Item, Result | Exception]: ...
    def each(
        self,
        function: Callable[[Item], Any],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise", "return"] = "raise",
    ) -> AwaitEach[Item, Any]:
        """Call *function* for each of *items*, and return an iterator of pairs: the item and its result.

        *function* is an operation or composite of this front end that takes one item; give it more with
        `functools.partial`. At most *limit* are under way, and items are only taken as room comes. The pairs come as
        they are completed, with *ordered* in the order of the items. The first failure is raised, and all else is
        cancelled; with *errors* ``"return"`` the exception comes in place of the result.

        What is under way is cancelled when it is closed, when nobody has it any more, and when who waits is cancelled.
        An ``async with`` block also waits for changes that cannot be cancelled.
        """
        flow = start(self, function, limit, ordered, errors, StopAsyncIteration)
        return AwaitEach(self._adapter, flow, items)


class FutureFront(Front[FutureAdapter], FutureOps):
    """A loop's front end in the future colour."""

    def wait(self, request: Request[T]) -> Awaitable[T]:
        """Return a future of a request that this engine returned, also one that is done already."""
        self._check_own(request)
        return self._adapter.future(request)

    @overload
    def each(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise"] = "raise",
    ) -> FutureEach[Item, Result]: ...
    @overload
    def each(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["return"],
    ) -> FutureEach[Item, Result | Exception]: ...
    def each(
        self,
        function: Callable[[Item], Any],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise", "return"] = "raise",
    ) -> FutureEach[Item, Any]:
        """Call *function* for each of *items*, and return an iterator of pairs: the item and its result.

        *function* is an operation or composite of this front end that takes one item; give it more with
        `functools.partial`. At most *limit* are under way, and items are only taken as room comes. The pairs come as
        they are completed, with *ordered* in the order of the items. The first failure is raised, and all else is
        cancelled; with *errors* ``"return"`` the exception comes in place of the result.

        What is under way is cancelled when it is closed, when nobody has it any more, and when who waits is cancelled.
        An ``async with`` block also waits for changes that cannot be cancelled.
        """
        flow = start(self, function, limit, ordered, errors, StopAsyncIteration)
        return FutureEach(self._adapter, flow, items)

    def _future(self, result: T | Request[T]) -> Any:  # the loop's own kind
        return self._adapter.future(result)


class BlockingFront(Front[BlockingAdapter], BlockingOps):
    """A front end in the blocking colour."""

    _hold = hold

    def __init__(self, adapter: BlockingAdapter, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        super().__init__(adapter, engine, options, home)
        self._wait = adapter.wait  # type: ignore[method-assign]  # no frame of ours in an error's traceback

    def wait(self, request: Request[T]) -> T:
        """Wait for a request that this engine returned, also one that is done already; return its result."""
        self._check_own(request)
        return self._adapter.wait(request)

    @overload
    def each(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise"] = "raise",
    ) -> BlockingEach[Item, Result]: ...
    @overload
    def each(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["return"],
    ) -> BlockingEach[Item, Result | Exception]: ...
    def each(
        self,
        function: Callable[[Item], Any],
        items: Iterable[Item],
        *,
        limit: int = 64,
        ordered: bool = False,
        errors: Literal["raise", "return"] = "raise",
    ) -> BlockingEach[Item, Any]:
        """Call *function* for each of *items*, and return an iterator of pairs: the item and its result.

        *function* is an operation or composite of this front end that takes one item; give it more with
        `functools.partial`. At most *limit* are under way, and items are only taken as room comes. The pairs come as
        they are completed, with *ordered* in the order of the items. The first failure is raised, and all else is
        cancelled; with *errors* ``"return"`` the exception comes in place of the result.

        What is under way is cancelled when it is closed, or when nobody has it any more. A ``with`` block also waits
        for changes that cannot be cancelled.
        """
        flow = start(self, function, limit, ordered, errors, StopIteration)
        return BlockingEach(self._adapter, flow, items)


class CallbackFront(Front[Adapter], CallbackColour):
    """A loop's front end in the callback colour: what `engine` does, for whichever loop is current."""

    def __init__(self, adapter: Adapter, engine: Engine, options: Options, home: tuple[int, int]) -> None:
        super().__init__(adapter, engine, options, home)
        self._queue = self._submit.queue

    def _place(self) -> tuple[Engine, int]:
        return self.engine, self._options.priority

    def _drive_queued(
        self,
        callback: Callable[[Request[Any]], object] | None,
        function: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> Request[Any]:
        return drive_queued(self.engine, self._submit, callback, function, arguments, options)

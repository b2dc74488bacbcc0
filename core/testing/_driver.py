"""How the suite drives a loop: what a loop's driver has, and what those of one colour share.

A behaviour is written once, as an ``async def`` that awaits the operations. Where the loop runs coroutines, it runs as
it is; where calls block, each await is the blocking call, and nothing ever suspends; where calls take callbacks, a few
lines resume the coroutine from them. What is called are in each case the public functions, as users call them.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from .. import Cancelled, Group, Request

if TYPE_CHECKING:
    from ._trial import Ending, Trial

Main = Callable[[], Coroutine[Any, Any, Any]]
Cancel = Callable[[], object]


class Driver:
    """One loop, for the suite. Make a subclass of AwaitLoop, FutureLoop, BlockingLoop or CallbackLoop."""

    name: str
    engines: str
    """The module whose `Engine` the adapter makes its engines of; while a behaviour runs, another stands there."""
    does_not_apply: Mapping[str, str] = {}
    """Why a behaviour, by its name, can not be asked of this loop. Never what could be and fails."""
    cancellations: tuple[type[BaseException], ...] = (Cancelled,)
    """What a task of this loop is cancelled with."""
    tasks: int = 10_000
    """How many tasks there may be at once."""
    scale: int = 1000
    """How many loops are made, one after the other, to see whether anything grows."""
    colour: ClassVar[str]
    """Await, future, blocking or callback."""

    def __init__(self) -> None:
        self.heard: list[BaseException] = []
        """What callbacks raised, as the loop's own handler of exceptions has heard it: `run` appends to it."""

    # ---- what a driver must have ----

    @property
    def aio(self) -> Any:
        """What has the functions: the adapter's module or front end."""
        raise NotImplementedError

    def run(self, main: Main) -> Any:
        """Run ``main()`` in a fresh loop to its end, end the loop, and return the result or raise the error."""
        raise NotImplementedError

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Cancel:
        """Start a task beside the running one; return what cancels it, in the loop's own way."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> Awaitable[object]:
        """Let the loop go on for so long; at least once around."""
        raise NotImplementedError

    # ---- what it may have ----

    main_thread: str = ""
    """Why the loop can only run in the main thread, if so."""
    watches: bool = True
    """Whether a behaviour is run in a task, so that one that is never woken is found in time."""

    restarts: bool = True
    """Whether, after shutdown, the next call starts a new engine."""
    late: bool = False
    """Whether a change that cannot be cancelled any more returns its result, as if nobody had tried."""
    hasty: bool = False
    """Whether a second cancellation ends the wait for a change at once."""

    async def interrupted(
        self, trial: Trial, main: Main, conditions: Sequence[Callable[[], object]], then: Callable[[], object]
    ) -> Ending:
        """Call ``main()``, cancel it as each condition has come to hold, call *then*, and return how it ended."""
        task = trial.start(main())
        await trial.until(lambda: task.begun)
        for condition in conditions:
            await trial.until(lambda condition=condition: condition() or task.ending)  # type: ignore[misc]
            task.cancel()
            await self.sleep(0)
        for _ in range(5):
            await self.sleep(0.001)
        then()
        return await trial.join(task)

    def run_until_idle(self, begin: Callable[[], object]) -> None:
        """Call *begin* in a fresh loop and run that until it ends by itself, since nothing is left to wait for."""
        raise NotImplementedError

    def timeout(self, seconds: float, main: Main) -> Awaitable[Any]:
        """Run ``main()`` with the loop's own limit of time; raise TimeoutError when that is over."""
        raise NotImplementedError

    def styles(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """The further ways in which users of this loop call: each takes a function's name and its arguments."""
        return {}

    def current(self) -> Any:
        """The front end of the running loop."""
        return self.aio.current()

    @property
    def engine(self) -> Any:
        """Its engine."""
        return self.current().engine

    async def sleep_once(self) -> None:
        await self.sleep(0)

    def neutral(self, functions: Any) -> Any:
        """Return *functions*, a module, front end or view, such that its functions are awaited."""
        return functions

    def each(self, name: str, items: Any, fixed: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return the asynchronous iterator of ``each``, of the function of that name with its *fixed* arguments."""
        return self.aio.each(function_of(self.aio, name, fixed), items, **options)

    @contextmanager
    def using(self, make_engine: Callable[[], Any]) -> Iterator[None]:
        """Have the adapter make its engines so."""
        module = importlib.import_module(self.engines)
        before = module.Engine
        module.Engine = make_engine  # type: ignore[attr-defined]
        try:
            yield
        finally:
            module.Engine = before  # type: ignore[attr-defined]


def function_of(functions: Any, name: str, fixed: Mapping[str, Any] | None) -> Any:
    """Return the function of that name, with some arguments fixed."""
    function = getattr(functions, name)
    return partial(function, **fixed) if fixed else function


class AwaitLoop(Driver):
    """A loop whose tasks await coroutine functions."""

    colour = "await"


class FutureLoop(Driver):
    """A loop whose functions return futures of its own kind, which its coroutines can await."""

    colour = "future"


# ---- blocking ----


class BlockingLoop(Driver):
    """Calls block the thread or greenlet that they are made in. Has `run_blocking`, `start_blocking`, `pause`."""

    colour = "blocking"

    def run_blocking(self, main: Callable[[], Any]) -> Any:
        """Call *main* in a fresh loop or thread."""
        raise NotImplementedError

    def start_blocking(self, function: Callable[[], None]) -> Cancel:
        """Call *function* beside what runs, in a greenlet or thread; return what cancels it."""
        raise NotImplementedError

    def pause(self, seconds: float) -> None:
        """Block what runs here, and nothing else, for so long."""
        raise NotImplementedError

    def run(self, main: Main) -> Any:
        return self.run_blocking(lambda: at_once(main()))

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Cancel:
        return self.start_blocking(partial(at_once, coroutine))

    async def sleep(self, seconds: float) -> None:
        self.pause(seconds)

    def neutral(self, functions: Any) -> Any:
        return BlockingFunctions(functions)

    def each(self, name: str, items: Any, fixed: Mapping[str, Any] | None = None, **options: Any) -> Any:
        return BlockingPairs(super().each(name, items, fixed, **options))


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends, since what it awaits blocks."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("a behaviour suspended where calls block")


class BlockingFunctions:
    """Functions that block, to be awaited."""

    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._functions, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return function(*arguments, **options)

        return call


class BlockingPairs:
    """What `each` returned, to be iterated asynchronously."""

    def __init__(self, each: Any) -> None:
        self._each = each

    def __aiter__(self) -> BlockingPairs:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._each)
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self) -> None:
        self._each.close()


# ---- callbacks ----


class CallbackLoop(Driver):
    """Functions take callbacks. Has `serve` and `call_later`."""

    colour = "callback"
    late = True

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        """Make a loop, call ``begin(stop)``, run the loop until ``stop()`` is called, and end it."""
        raise NotImplementedError

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Have the loop of this thread call *callback*."""
        raise NotImplementedError

    def run(self, main: Main) -> Any:
        endings: list[tuple[Any, BaseException | None]] = []

        def begin(stop: Callable[[], None]) -> None:
            def ended(value: Any, error: BaseException | None) -> None:
                endings.append((value, error))
                stop()

            Strand(main(), ended).step()

        self.serve(begin)
        value, error = endings.pop()
        if error is not None:
            raise error
        return value

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Cancel:
        strand = Strand(coroutine, lambda value, error: None)
        self.call_later(0, strand.step)
        return strand.cancel

    async def timeout(self, seconds: float, main: Main) -> Any:
        """Run ``main()`` until a timer cancels it."""
        endings: list[tuple[Any, BaseException | None]] = []
        late = False
        waiting: Strand | None = None

        def ended(value: Any, error: BaseException | None) -> None:
            endings.append((value, error))
            if waiting is not None:
                waiting.step()

        def stop() -> None:
            nonlocal late
            if not endings:
                late = True
                strand.cancel()

        def wait(waiter: Strand) -> None:
            nonlocal waiting
            waiting = waiter

        strand = Strand(main(), ended)
        self.call_later(seconds, stop)
        strand.step()
        if not endings:
            await Trap(wait)
        value, error = endings.pop()
        if late and isinstance(error, Cancelled):
            raise TimeoutError from error
        if error is not None:
            raise error
        return value

    def sleep(self, seconds: float) -> Awaitable[None]:
        return Trap(lambda strand: self.call_later(seconds, strand.step))

    def neutral(self, functions: Any) -> Any:
        return CallbackFunctions(functions)

    def each(self, name: str, items: Any, fixed: Mapping[str, Any] | None = None, **options: Any) -> Any:
        return CallbackPairs(self.aio.each, function_of(self.aio, name, fixed), items, **options)

    def styles(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"the callback comes last": self._with_last_argument}

    def _with_last_argument(self, name: str, *arguments: Any) -> Awaitable[Any]:
        return Trap(lambda strand: getattr(self.aio, name)(*arguments, strand.resume))


class Strand:
    """A coroutine that callbacks bring on."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], ended: Callable[[Any, BaseException | None], None]) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._context: Context = copy_context()
        self.request: Any = None  # that it waits for

    def step(self, value: Any = None, error: BaseException | None = None) -> None:
        """Resume it, until it waits for the next callback."""
        self.request = None
        try:
            if error is not None:
                trap = self._context.run(self._coroutine.throw, error)
            else:
                trap = self._context.run(self._coroutine.send, value)
        except StopIteration as end:
            self._ended(end.value, None)
        except BaseException as failure:
            self._ended(None, failure)
        else:
            trap(self)
        finally:
            del error  # its traceback leads here

    def resume(self, request: Request[Any]) -> None:
        """Resume it with a request's result: this is the callback."""
        try:
            value = request.result()
        except BaseException as caught:
            error = caught.with_traceback(None)
        else:
            self.step(value)
            return
        try:
            self.step(error=error)
        finally:
            del request, error

    def cancel(self) -> None:
        """Cancel the request that it waits for. Its callback does not run if that is taken back, nor does a group's."""
        request = self.request
        if request is not None and (request.cancel() or isinstance(request, Group)):
            self.step(error=Cancelled(outcome=request.outcome))


class Trap(Awaitable[Any]):
    """What a coroutine of a `Strand` awaits: a function that has the strand resumed."""

    def __init__(self, arrange: Callable[[Strand], object]) -> None:
        self._arrange = arrange

    def __await__(self) -> Generator[Callable[[Strand], object], Any, Any]:
        return (yield self._arrange)


class CallbackFunctions:
    """Functions that take callbacks, to be awaited."""

    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._functions, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            def submit(strand: Strand) -> None:
                try:
                    strand.request = function(*arguments, callback=strand.resume, **options)
                except Exception as error:
                    strand.step(error=error)

            return await Trap(submit)

        return call

    async def wait(self, request: Any) -> Any:
        """Wait for a request whose callback is free."""

        def attach(strand: Strand) -> None:
            request.callback = strand.resume
            strand.request = request

        return request.result() if request.state == "done" else await Trap(attach)


class CallbackPairs:
    """What `each` tells its callback, to be iterated asynchronously, with the errors as the other colours have them."""

    def __init__(self, each: Any, function: Any, items: Any, *, errors: str = "raise", **options: Any) -> None:
        self._errors = errors
        self._pairs: list[tuple[Any, Any]] = []
        self._strand: Strand | None = None
        self._ended = False
        self._group = each(function, items, self._told, **options)
        self._group.callback = self._end

    def _told(self, item: Any, request: Any) -> None:
        self._pairs.append((item, request))
        self._go_on()

    def _end(self, group: Any) -> None:
        self._ended = True
        self._go_on()

    def _go_on(self) -> None:
        if self._strand is not None:
            strand, self._strand = self._strand, None
            strand.step()

    def __aiter__(self) -> CallbackPairs:
        return self

    async def __anext__(self) -> Any:
        while not self._pairs:
            if self._ended:
                raise StopAsyncIteration
            try:
                await Trap(self._wait)
            except Cancelled:
                self.close()
                raise
        item, request = self._pairs.pop(0)
        try:
            return item, request.result()
        except Exception as error:
            if self._errors == "return":
                return item, error
            self.close()
            raise

    def _wait(self, strand: Strand) -> None:
        self._strand = strand
        strand.request = self._group

    def close(self) -> None:
        self._strand = None
        self._group.cancel()
        self._ended = True
        self._pairs.clear()


class ThreadLocal(threading.local):
    """Where a driver may keep its running loop: it may run in several threads at once."""

    loop: Any = None

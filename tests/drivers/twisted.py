"""Twisted, on reactors of several kinds: each run has a reactor of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from twisted import internet
from twisted.internet import defer, task
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import globalLogBeginner, globalLogPublisher
from twisted.python.failure import Failure

import anyaio.twisted
from anyaio.testing import FutureLoop

# Until somebody listens, what is logged is kept, and with it whatever it tells of.
globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)


class Twisted(FutureLoop):
    engines = "anyaio.twisted._adapter"
    cancellations = (defer.CancelledError,)
    main_thread = "a process has one reactor"

    def __init__(self, name: str, new_reactor: Callable[[], Any]) -> None:
        super().__init__()
        self.name = name
        self._new_reactor = new_reactor
        self._tasks: list[defer.Deferred[Any]] = []

    @property
    def aio(self) -> Any:
        return anyaio.twisted

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        reactor = self._new_reactor()
        results: list[Any] = []

        async def run() -> Any:
            try:
                return await defer.ensureDeferred(main())
            finally:
                for other in self._tasks:
                    other.cancel()
                await defer.DeferredList(self._tasks)
                self._tasks.clear()

        def begin() -> None:
            defer.ensureDeferred(run()).addBoth(results.append).addBoth(lambda _: reactor.stop())

        install(reactor)
        globalLogPublisher.addObserver(self._hear)
        try:
            reactor.callWhenRunning(begin)
            reactor.run(installSignalHandlers=False)
        finally:
            globalLogPublisher.removeObserver(self._hear)
            anyaio.twisted.current().shutdown()  # or it would go with the reactor, when that is collected
            uninstall(reactor)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def _hear(self, event: Any) -> None:
        failure = event.get("log_failure") or event.get("failure")  # of the new logger, of the old
        if failure is not None:
            self.heard.append(failure.value)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        deferred = defer.ensureDeferred(coroutine)
        deferred.addErrback(lambda failure: failure.trap(*self.cancellations))
        self._tasks.append(deferred)
        return deferred.cancel

    def sleep(self, seconds: float) -> Any:
        from twisted.internet import reactor

        return task.deferLater(reactor, seconds)

    async def timeout(self, seconds: float, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        from twisted.internet import reactor

        try:
            return await defer.ensureDeferred(main()).addTimeout(seconds, reactor)
        except defer.TimeoutError:
            raise TimeoutError from None

    def styles(self) -> dict[str, Any]:
        aio = anyaio.twisted

        @defer.inlineCallbacks
        def yielded(name: str, *arguments: Any) -> Any:
            return (yield getattr(aio, name)(*arguments))

        def chained(name: str, *arguments: Any) -> Any:
            return aio.nop().addCallback(lambda _: getattr(aio, name)(*arguments))

        def called_back(name: str, *arguments: Any) -> Any:
            return getattr(aio, name)(*arguments).addCallbacks(lambda value: value, lambda failure: failure)

        def gathered(name: str, *arguments: Any) -> Any:
            both = defer.gatherResults([getattr(aio, name)(*arguments), aio.nop()], consumeErrors=True)
            return both.addCallbacks(lambda values: values[0], lambda failure: failure.value.subFailure)

        def listed(name: str, *arguments: Any) -> Any:
            return defer.DeferredList([getattr(aio, name)(*arguments)], consumeErrors=True).addCallback(
                lambda pairs: pairs[0][1]
            )

        def limited(name: str, *arguments: Any) -> Any:
            from twisted.internet import reactor

            return getattr(aio, name)(*arguments).addTimeout(10, reactor)

        return {
            "yield in inlineCallbacks": yielded,
            "returned from a callback": chained,
            "Deferred.addCallbacks": called_back,
            "gatherResults": gathered,
            "DeferredList": listed,
            "Deferred.addTimeout": limited,
            "await front.stat(path)": lambda name, *arguments: getattr(aio.current(), name)(*arguments),
        }


def install(reactor: Any) -> None:
    """As `installReactor` does, but more than once."""
    sys.modules["twisted.internet.reactor"] = reactor
    internet.reactor = reactor  # type: ignore[attr-defined]  # it is a module that is put there


def uninstall(reactor: Any) -> None:
    """Close what a reactor never closes, as Twisted's own tests do."""
    for call in reactor.getDelayedCalls():
        call.cancel()
    for reader in list(reactor._internalReaders):
        reactor.removeReader(reader)
        reader.connectionLost(None)
    reactor._internalReaders.clear()
    del sys.modules["twisted.internet.reactor"], internet.reactor  # type: ignore[attr-defined]


class OwnAsyncioReactor(AsyncioSelectorReactor):
    """One with an event loop of its own, which ends with it."""

    def __init__(self) -> None:
        super().__init__(asyncio.new_event_loop())
        self.addSystemEventTrigger("after", "shutdown", self.callLater, 0, self._asyncioEventloop.stop)

    def run(self, *arguments: Any, **options: Any) -> None:
        super().run(*arguments, **options)
        self._asyncioEventloop.close()


DRIVERS = [
    Twisted("twisted-epoll", EPollReactor),
    Twisted("twisted-select", SelectReactor),
    Twisted("twisted-asyncio", OwnAsyncioReactor),
]

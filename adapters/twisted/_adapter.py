"""Twisted's Deferreds, on whichever reactor is installed.

The notifier is in the reactor only while requests are outstanding: trial, which looks for what was left, finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from twisted.internet import defer, error, interfaces
from twisted.logger import Logger
from twisted.python import threadable
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]  # without Twisted's own plug-in for mypy

from anyaio._front import Engine, FutureFront
from anyaio._fronts import Fronts
from anyaio._future import FutureMaker, Untaken
from anyaio._request import Request, T

CALLBACKS = "_callbacks" if "_callbacks" in vars(defer.Deferred()) else "callbacks"  # before Twisted 25.5


class Deferred(Untaken[T], defer.Deferred[T]):
    """The result of a request. Cancelling it cancels the request by the rules of its class."""

    def __getattr__(self, name: str) -> Any:
        # Fired when nobody listened, it has no result: whoever asks for it then, in whatever way, takes it here.
        if name != "result" or not self.called or self.taken:
            raise AttributeError(name)
        return vars(self).setdefault("result", self.answer())

    def __str__(self) -> str:
        return super().__str__() if self.taken else super().__repr__()

    __repr__ = __str__

    def cancel(self) -> None:
        """Cancel it; a change that a worker has begun is waited for, until patience or a second cancel ends that."""
        if self.taken:  # it may wait for another Deferred
            super().cancel()
        elif not self.called and self.take_back():
            self.fire()

    def fire(self) -> None:
        if self.cancelled_before:
            self.end_with(defer.CancelledError())
        if (failure := self.look()) is not None:
            self.forget()
            self.errback(failure)
        elif self.taken or vars(self)[CALLBACKS]:
            self.callback(self.answer())
        else:
            self.called = True


@implementer(interfaces.IReadDescriptor)
class ReactorAdapter(FutureMaker[Deferred[Any]]):
    """One reactor; to it, this is what has the notifier's descriptor."""

    fronts = Fronts[FutureFront]()
    make = Deferred[Any]
    wake = staticmethod(Deferred[Any].fire)

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        self.fileno = lambda: fd  # the reactor asks also when the engine has none any more

    def detach(self, fd: int) -> None:
        self.fronts.discard(self.loop())
        self.watch(False)

    def watch(self, busy: bool) -> None:
        if (reactor := self.loop()) is not None:
            Context().run(reactor.addReader if busy else reactor.removeReader, self)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Callable[[], object]:
        return defer.Deferred.fromCoroutine(coroutine).cancel

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        failure = Failure(exception)  # type: ignore[no-untyped-call]  # Twisted gives it no types
        Logger().failure("the callback of {request!r} failed", failure, request=request)

    def doRead(self) -> None:
        if (engine := self.engine()) is not None:
            engine.poll()

    def connectionLost(self, reason: Failure) -> None:
        # An error has left poll; the reactor goes on, unless it runs in another thread than the engine's.
        if not isinstance(reason.value, error.ConnectionLost | RuntimeError):
            self.watch(True)

    def logPrefix(self) -> str:
        return "anyaio"


def current() -> FutureFront:
    """Return the reactor's front end, made at its first use. RuntimeError in another thread than the reactor's."""
    from twisted.internet import reactor  # this installs one, if none is

    if (front := ReactorAdapter.fronts.of(id(reactor))) is not None:
        return front
    if threadable.ioThread is not None and not threadable.isInIOThread():
        raise RuntimeError("the reactor runs in another thread: go there with reactor.callFromThread")
    engine = Engine()
    adapter = ReactorAdapter(engine, reactor)
    engine.on_busy = adapter.watch
    return ReactorAdapter.fronts.put(reactor, FutureFront.start(adapter, engine))

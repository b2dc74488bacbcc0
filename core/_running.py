"""Which event loop runs in this thread, found without importing any framework: only here does `core` name them.

A loop is a row: how to see that it runs, and the module that serves there. What was never imported does not run, so a
row first looks in sys.modules; from then on it asks the framework directly. Rows are asked from the top.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any, Literal, get_args

from ._front import AwaitFront, BlockingFront, CallbackFront, FutureFront

Colour = Literal["await", "future", "blocking", "callback"]
Runs = Callable[[], object]


class Loop:
    """One kind of loop.

    While its framework is not imported `runs` looks for that, and `find` has still to say what to ask it.
    """

    __slots__ = ("colour", "current", "find", "framework", "module", "name", "runs")

    def __init__(self, name: str, colour: Colour, module: str, runs: Runs) -> None:
        self.name = name
        self.colour = colour
        self.module = module  # what its users import; it has `current`
        self.runs = runs  # true where such a loop runs: in this thread, and in no task of another one
        self.framework = ""
        self.find: Callable[[Any], Runs] | None = None
        self.current: Callable[[], Any] = self._import

    @classmethod
    def known(cls, name: str, colour: Colour, module: str, framework: str, find: Callable[[Any], Runs]) -> Loop:
        """Return the row of a loop whose *framework* need not be there; *find* takes that module."""
        loop = cls(name, colour, module, partial(sys.modules.get, framework))
        loop.framework, loop.find = framework, find
        return loop

    def settle(self) -> object:
        """Ask the framework, which is imported, from now on; return what it says."""
        find = self.find
        if find is not None:
            try:
                self.runs = find(sys.modules[self.framework])
            except (AttributeError, KeyError):  # another thread has only begun to import it
                return False
            self.find = None
        return self.runs()

    def _import(self) -> Any:
        self.current = import_module(self.module).current
        return self.current()


# ---- what has no function of its own that tells ----


def ask_trio(lowlevel: Any) -> Runs:
    """trio's own function takes half a microsecond to say no, so ask what trio keeps for sniffio, if it still does."""
    if not hasattr(sys.modules["trio._core._run"], "sniffio_library"):
        return lowlevel.in_trio_task  # type: ignore[no-any-return]
    local = sys.modules["sniffio"].thread_local
    return lambda: local.name == "trio"


def ask_gevent(hub: Any) -> Runs:
    """A thread that has a hub switches to it in every call that waits: there is no more of a loop that runs than that.

    The function is that of a module whose last line replaces it by a compiled one; in this one it has come to stay.
    """
    return hub._get_hub  # type: ignore[no-any-return]


def ask_twisted(threadable: Any) -> Runs:
    is_in_its_thread = threadable.isInIOThread

    def runs() -> object:
        reactor = sys.modules.get("twisted.internet.reactor")  # an object that may be replaced, not a module
        return reactor is not None and is_in_its_thread() and getattr(reactor, "running", False)

    return runs


def ask_qt(core: Any) -> Runs:
    application, thread = core.QCoreApplication.instance, core.QThread.currentThread
    return lambda: application() is not None and thread().loopLevel()


# trio before asyncio: in its guest mode both run in a thread.
LOOPS: tuple[Loop, ...] = (
    Loop.known("trio", "await", "anyaio.trio", "trio.lowlevel", ask_trio),
    Loop.known("asyncio", "await", "anyaio.asyncio", "asyncio", lambda asyncio: asyncio._get_running_loop),
    Loop.known("Twisted", "future", "anyaio.twisted", "twisted.python.threadable", ask_twisted),
    Loop.known("gevent", "blocking", "anyaio.gevent", "gevent.hub", ask_gevent),
    # Qt before GLib, on which it may be built.
    Loop.known("Qt", "callback", "anyaio.qt", "PySide6.QtCore", ask_qt),
    Loop.known("GLib", "callback", "anyaio.glib", "gi.repository.GLib", lambda glib: glib.main_depth),
    # These two do not tell: the loop that the thread was told to use is taken for one that runs.
    Loop.known("Tk", "callback", "anyaio.tk", "anyaio.tk._adapter", lambda adapter: adapter._roots.loop),
    Loop.known("pyuv", "callback", "anyaio.pyuv", "anyaio.pyuv._adapter", lambda adapter: adapter._loops.loop),
)


def _first(loops: Iterable[Loop]) -> Loop | None:
    """Return the first of them that runs in this thread."""
    return next((loop for loop in loops if loop.runs() and (loop.find is None or loop.settle())), None)


# ---- the quick way of anyaio.any ----

Way = tuple[Runs, Callable[[], AwaitFront]]  # what to ask, and what returns the front end then

_ways: tuple[Way, ...] = ()
_last: Way


def current_await() -> AwaitFront:
    """Return the front end of the loop that runs the calling task. RuntimeError if there is none with such tasks."""
    for runs, front in _ways:
        if runs():
            return front()
    try:  # the last one is not asked: its own function does that again, and asyncio asks the kernel for the process
        return _last[1]()
    except RuntimeError:
        if _last[0]():
            raise
    raise RuntimeError(_advice())


def _look_closer() -> AwaitFront:
    """Do the same where a framework or an adapter was not there last time."""
    try:
        loop = _first(_await_loops())
        if loop is None:
            raise RuntimeError(_advice())
        front: AwaitFront = loop.current()
        return front
    finally:
        _lay_ways()


def _lay_ways() -> None:
    global _ways, _last
    *ways, _last = [(loop.runs, loop.current if loop.find is None else _look_closer) for loop in _await_loops()]
    _ways = tuple(ways)


def _await_loops() -> list[Loop]:
    return [loop for loop in LOOPS if loop.colour == "await"]


def _advice() -> str:
    names = " and ".join(loop.name for loop in _await_loops())
    other = running()
    if other is None:
        advice = "no event loop runs in this thread; a script without a loop imports anyaio.blocking"
    else:
        advice = f"in the {other.name} loop that runs in this thread import {other.module} instead"
    return f"anyaio.any serves tasks of {names}: {advice}"


_lay_ways()


# ---- for everybody ----


def register(name: str, *, colour: Colour, module: str, running: Callable[[], object]) -> None:
    """Make known a loop whose adapter is in another package: to `current`, to `anyaio.any` and to `anyaio.blocking`.

    *module* is what the loop's users import: its function ``current()`` returns the front end of the loop that runs, of
    this *colour*. *running* is called without arguments, often, and from any thread; it returns something true where
    such a loop runs. The adapter calls this when it is imported. A loop that has the *name* already is replaced; the
    last one that was registered is asked first.
    """
    global LOOPS
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be what people call the loop, not {name!r}")
    if colour not in get_args(Colour):
        raise ValueError(f"colour must be one of {', '.join(map(repr, get_args(Colour)))}, not {colour!r}")
    if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"module must be the full name of a module, not {module!r}")
    if not callable(running):
        raise TypeError(f"running must be a function, not {running!r}")
    LOOPS = (Loop(name, colour, module, running), *(loop for loop in LOOPS if loop.name != name))
    _lay_ways()


def running() -> Loop | None:
    """Return the loop that runs in this thread, or None."""
    return _first(LOOPS)


def current() -> AwaitFront | FutureFront | BlockingFront | CallbackFront:
    """Return the front end of the event loop that runs in this thread, whichever it is, in that loop's colour.

    Its `engine` has the operations in the callback colour on every loop. RuntimeError where no loop runs that anyaio
    knows. No framework is imported for this.
    """
    loop = running()
    if loop is None:
        raise RuntimeError(
            "no event loop that anyaio knows runs in this thread: where one does, import the module for it and call "
            "its current(); a script without a loop imports anyaio.blocking"
        )
    front: AwaitFront | FutureFront | BlockingFront | CallbackFront = loop.current()
    return front

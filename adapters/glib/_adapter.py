"""GLib's way to watch a descriptor: a source in the main context of this thread.

The context keeps the source, and the source what it calls: with that goes the front end. PyGObject makes a new object
for a context each time, so the contexts themselves say nothing of their lives.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anyaio._front import CallbackFront, Engine
from anyaio._fronts import CallbackAdapter, Fronts

if TYPE_CHECKING:
    GLib: Any  # it has no types
else:
    from gi.repository import GLib


class Watch:
    """What a source calls."""

    def __init__(self, poll: Callable[[], int]) -> None:
        self._poll = poll

    def __call__(self, data: object) -> bool:
        # GLib reports what leaves here, and destroys the source: right for an engine of another thread or process.
        try:
            self._poll()
        except (Exception, SystemExit):
            raise
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        return True


class ContextAdapter(CallbackAdapter):
    """One main context, to which it does not refer: it would never go."""

    watch: weakref.ref[Watch]

    def __init__(self, key: int) -> None:
        self._key = key

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        watch = Watch(poll)
        self.watch = weakref.ref(watch)
        self._source = GLib.unix_fd_source_new(fd, GLib.IOCondition.IN)
        self._source.set_can_recurse(True)  # a callback may run a loop, as dialogs do
        # The function is declared as one of an idle source's, with fewer arguments: it has the data and no others.
        self._source.set_callback(watch)
        self._source.attach(GLib.MainContext.ref_thread_default())

    def detach(self, fd: int) -> None:
        self._source.destroy()
        _fronts.pop(self._key, None)


_fronts: Fronts[CallbackFront] = Fronts()


def current() -> CallbackFront:
    """Return the front end of this thread's default main context, made at its first use.

    RuntimeError if that is another thread's: a thread that is not the main one pushes a context of its own, or asks
    when it runs the global one.
    """
    context = GLib.MainContext.ref_thread_default()
    return _fronts.of(hash(context)) or start(context)


def start(context: Any) -> CallbackFront:
    if not context.acquire():
        raise RuntimeError("another thread runs the default main context: push one of this thread's own")
    context.release()
    key = hash(context)  # of what it stands for
    adapter = ContextAdapter(key)
    front = CallbackFront.start(adapter, Engine())
    return _fronts.put(adapter.watch(), front, key)

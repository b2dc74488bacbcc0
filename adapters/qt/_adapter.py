"""Qt's way to watch a descriptor: a notifier that belongs to the thread's event dispatcher, and goes with it.

What a thread is to Python says nothing: in a QThread, each slot has fresh thread-local storage.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from PySide6.QtCore import QAbstractEventDispatcher, QSocketNotifier

from anyaio._front import CallbackFront, Engine
from anyaio._fronts import CallbackAdapter, Fronts


class DispatcherAdapter(CallbackAdapter):
    """One thread's event dispatcher."""

    notifier: weakref.ref[QSocketNotifier]

    def __init__(self, dispatcher: QAbstractEventDispatcher) -> None:
        self._dispatcher = dispatcher  # or its object would not be the same next time

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        notifier = QSocketNotifier(fd, QSocketNotifier.Type.Read, self._dispatcher)
        notifier.activated.connect(lambda: poll())  # it holds `poll`, and no front end
        self.notifier = weakref.ref(notifier)

    def detach(self, fd: int) -> None:
        _fronts.discard(self._dispatcher)
        notifier = self.notifier()
        if notifier is not None:
            notifier.setEnabled(False)
            notifier.deleteLater()


_fronts: Fronts[CallbackFront] = Fronts()


def current() -> CallbackFront:
    """Return the front end of this thread's event loop, made at its first use.

    RuntimeError in a thread that has none: before the QCoreApplication in the main thread, before the QEventLoop in one
    of Python's.
    """
    dispatcher = QAbstractEventDispatcher.instance()
    if dispatcher is None:
        raise RuntimeError("this thread has no Qt event loop: make the QCoreApplication or QEventLoop first")
    entry = _fronts.get(id(dispatcher))
    return start(dispatcher) if entry is None else entry[1]


def start(dispatcher: QAbstractEventDispatcher) -> CallbackFront:
    adapter = DispatcherAdapter(dispatcher)
    front = CallbackFront.start(adapter, Engine())
    return _fronts.put(adapter.notifier(), front, id(dispatcher))

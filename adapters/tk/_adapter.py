"""Tk's way to watch a descriptor: a file handler of the thread that runs the window, until that is destroyed."""

from __future__ import annotations

import tkinter
import weakref
from collections.abc import Callable
from typing import Any

from anyaio._front import CallbackFront, Engine
from anyaio._fronts import CallbackAdapter, Chosen
from anyaio._request import Request

TAG = "anyaio"
MOST_FDS = 1024  # Tcl waits with select(2)


class RootAdapter(CallbackAdapter):
    """One root window, to which it refers weakly."""

    def __init__(self, root: tkinter.Tk) -> None:
        self._root = weakref.ref(root)

    def attach(self, fd: int, poll: Callable[[], int]) -> None:
        root = self._root()
        assert root is not None, "it was just given"
        if fd >= MOST_FDS:
            raise RuntimeError(f"Tcl cannot watch descriptors from {MOST_FDS} on, and the engine's is {fd}")
        root.createfilehandler(fd, tkinter.READABLE, lambda file, mask: poll())

    def detach(self, fd: int) -> None:
        if (root := self._root()) is not None:
            root.deletefilehandler(fd)
            _roots.discard(root)

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        if (root := self._root()) is not None:
            root.report_callback_exception(type(exception), exception, exception.__traceback__)


def start(root: tkinter.Tk) -> CallbackFront:
    front = CallbackFront.start(RootAdapter(root), Engine())
    # A binding of the root itself would be its children's too, and is easily replaced.
    root.bindtags((TAG, *root.bindtags()))
    root.tk.call("bind", TAG, "<Destroy>", root.register(front.shutdown))
    return front


_roots: Chosen[tkinter.Tk, CallbackFront] = Chosen(start, "call anyaio.tk.use(root)")
current: Callable[[], CallbackFront] = _roots.current


def use(root: tkinter.Tk) -> CallbackFront:
    """Have this thread's requests served by *root*, whose main loop it runs; return its front end.

    It is shut down when the window is destroyed.
    """
    if not isinstance(root, tkinter.Tk):
        raise TypeError(f"root must be a tkinter.Tk, not {type(root).__name__!r}")
    return _roots.use(root)

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
ADVICE = "call anyaio.tk.use(root)"
MOST_FDS = 1024  # Tcl waits with select(2)


class RootAdapter(CallbackAdapter):
    """One root window, to which it refers weakly."""

    command: str  # Tcl's, which shuts down

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
            _roots.discard(root)
            root.deletefilehandler(fd)
            root.tk.call("bind", TAG, "<Destroy>", "")
            root.deletecommand(self.command)

    def on_error(self, exception: BaseException, request: Request[Any]) -> None:
        if (root := self._root()) is not None:
            root.report_callback_exception(type(exception), exception, exception.__traceback__)


def start(root: tkinter.Tk) -> CallbackFront:
    adapter = RootAdapter(root)
    # A binding of the root itself would be its children's too, and is easily replaced.
    try:
        root.bindtags((TAG, *(tag for tag in root.bindtags() if tag != TAG)))
    except tkinter.TclError:
        raise RuntimeError(f"the window was destroyed: {ADVICE} with the next one") from None
    front = CallbackFront.start(adapter, Engine())
    adapter.command = root.register(front.shutdown)
    root.tk.call("bind", TAG, "<Destroy>", adapter.command)
    return front


_roots: Chosen[tkinter.Tk, CallbackFront] = Chosen(start, ADVICE)
current: Callable[[], CallbackFront] = _roots.current


def use(root: tkinter.Tk) -> CallbackFront:
    """Have this thread's requests served by *root*, whose main loop it runs; return its front end.

    It is shut down when the window is destroyed.
    """
    if not isinstance(root, tkinter.Tk):
        raise TypeError(f"root must be a tkinter.Tk, not {type(root).__name__!r}")
    return _roots.use(root)

"""Tk: a window for each run, in whichever thread that is."""

from __future__ import annotations

import tkinter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import display

import anyaio.tk
from anyaio.testing import CallbackLoop, ThreadLocal

if display.lacking():
    raise ImportError(display.lacking())


class Tk(CallbackLoop):
    name = "tk"
    engines = "anyaio.tk._adapter"
    scale = 100  # windows
    main_thread = "Tk keeps the connection to the display of each thread that had a window"
    does_not_apply: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("a_forked_child_runs_loops_of_its_own", "a_child_that_is_forked_in_a_loop_runs_one_of_its_own"),
        "a process that had a window cannot fork and have another: Tcl's notifier thread is not in the child",
    )

    def __init__(self) -> None:
        super().__init__()
        self._here = ThreadLocal()

    @property
    def aio(self) -> Any:
        return anyaio.tk.current()

    def current(self) -> Any:
        return anyaio.tk.current()

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        display.show()
        root = self._here.loop = tkinter.Tk()
        root.report_callback_exception = lambda kind, error, traceback: self.heard.append(error)
        try:
            anyaio.tk.use(root)
            root.after(0, begin, root.quit)
            root.mainloop()
        finally:
            self._here.loop = None
            root.destroy()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        self._here.loop.after(round(seconds * 1000), callback)


DRIVERS = [Tk()]

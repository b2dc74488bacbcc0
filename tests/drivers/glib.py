"""GLib's main loop, in a context of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import GLib
from hearing import hearing

import anyaio.glib
from anyaio.testing import CallbackLoop


class MainLoop(CallbackLoop):
    name = "glib"
    engines = "anyaio.glib._adapter"

    @property
    def aio(self) -> Any:
        return anyaio.glib.current()

    def current(self) -> Any:
        return anyaio.glib.current()

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        context = GLib.MainContext()
        loop = GLib.MainLoop(context)
        context.push_thread_default()
        self.call_later(0, lambda: begin(loop.quit))
        try:
            with hearing(self.heard):
                loop.run()
        finally:
            anyaio.glib.current().shutdown()
            context.pop_thread_default()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        def call(data: object) -> bool:
            callback()
            return False

        source = GLib.Timeout(round(seconds * 1000))
        source.set_callback(call)
        source.attach(GLib.MainContext.ref_thread_default())


DRIVERS = [MainLoop()]

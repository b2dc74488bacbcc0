"""Qt, by PySide6: one application, in whose main thread loops come one after another; loops of other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from hearing import hearing
from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

import anyaio.qt
from anyaio.testing import CallbackLoop


class Qt(CallbackLoop):
    name = "qt"
    engines = "anyaio.qt._adapter"

    def __init__(self) -> None:
        super().__init__()
        self._application: QCoreApplication | None = None

    @property
    def aio(self) -> Any:
        return anyaio.qt.current()

    def current(self) -> Any:
        return anyaio.qt.current()

    def serve(self, begin: Callable[[Callable[[], None]], None]) -> None:
        if self._application is None and threading.current_thread() is threading.main_thread():
            self._application = QCoreApplication.instance() or QCoreApplication([])
        loop = QEventLoop()
        QTimer.singleShot(0, lambda: begin(loop.quit))
        try:
            with hearing(self.heard):
                loop.exec()
        finally:
            anyaio.qt.current().shutdown()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        QTimer.singleShot(round(seconds * 1000), lambda: callback())  # Qt refers to a method's object weakly


DRIVERS = [Qt()]

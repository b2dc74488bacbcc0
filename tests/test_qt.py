"""anyaio.qt: what the conformance suite does not ask, on each backend."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import weakref

import pytest
from engines import spin
from hearing import hearing

from anyaio._front import engine_class

pytest.importorskip("PySide6.QtCore", reason="PySide6 is missing", exc_type=ImportError)
qt = pytest.importorskip("anyaio.qt")
from PySide6.QtCore import QCoreApplication, QEventLoop, QMetaObject, QObject, Qt, QThread, QTimer, Slot  # noqa: E402


@pytest.fixture(autouse=True)
def _engines(backend, pool, monkeypatch):
    monkeypatch.setattr("anyaio.qt._adapter.Engine", functools.partial(engine_class(backend), pool))


@pytest.fixture(scope="module")
def application():
    return QCoreApplication.instance() or QCoreApplication([])


@pytest.fixture
def aio(application):
    front = qt.current()
    yield front
    qt.current().shutdown()


def in_thread(function):
    """Call it in a thread, and raise what it raises."""
    errors = []

    def run():
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def test_the_front_end_of_a_thread_stays_the_same(aio):
    assert qt.current() is aio


def test_a_callback_may_run_a_loop_of_its_own(aio):
    outer, inner, told = QEventLoop(), QEventLoop(), []

    def show_a_dialog(request):
        aio.listdir("/", lambda request: (told.append(request.operation), inner.quit()))
        inner.exec()
        told.append("closed")
        outer.quit()

    aio.nop(show_a_dialog)
    outer.exec()
    assert told == ["listdir", "closed"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_a_callback_raises_goes_to_the_excepthook_and_the_rest_arrives(aio, kind):
    loop, heard, told = QEventLoop(), [], []

    def end():
        told.append("ended")
        if len(told) == 4:
            loop.quit()

    def fail(request):
        end()
        raise kind

    aio.nop(fail)
    for _ in range(3):
        aio.nop(lambda request: end())
    with hearing(heard):
        loop.exec()
    assert [type(error) for error in heard] == [kind]


def test_a_thread_without_an_event_loop_is_told_so(application):
    def ask():
        with pytest.raises(RuntimeError, match="this thread has no Qt event loop"):
            qt.current()

    in_thread(ask)


def test_a_thread_that_ends_takes_its_engine_along(application):
    engines = []

    def work():
        loop = QEventLoop()
        engine = qt.current().engine
        engines.append(weakref.ref(engine))
        engine.nop(lambda request: loop.quit())
        engine.busy(60)
        del engine
        loop.exec()

    for _ in range(3):
        in_thread(work)
    spin(lambda: [engine() for engine in engines] == [None] * 3)  # Qt clears up after Python's end of a thread


def test_the_slots_of_an_object_in_a_qthread_share_a_front_end(application):
    """Though each of them has fresh thread-local storage."""
    fronts, told = [], threading.Event()

    class Worker(QObject):
        @Slot()
        def begin(self):
            fronts.append(id(qt.current()))
            qt.current().busy(0.01, self.end)

        def end(self, request):
            fronts.append(id(qt.current()))
            told.set()

    thread, worker = QThread(), Worker()
    worker.moveToThread(thread)
    thread.start()
    QMetaObject.invokeMethod(worker, "begin", Qt.ConnectionType.QueuedConnection)
    assert told.wait(10)
    thread.quit()
    assert thread.wait(10_000)
    assert fronts[0] == fronts[1]


def test_applications_come_one_after_the_other(backend, tmp_path):
    program = """
from PySide6.QtCore import QCoreApplication
import anyaio.qt

for _ in range(3):
    application = QCoreApplication([])
    anyaio.qt.current().stat("/", lambda request: (print(request.result().st_ino), application.quit()))
    anyaio.qt.current().busy(60)
    application.exec()
    application.shutdown()
    del application
"""
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(os.stat("/").st_ino)] * 3


def test_the_callbacks_of_a_front_end_that_is_shut_down_in_one_of_them_are_dropped(aio):
    loop = QEventLoop()

    def end(request):
        aio.shutdown()
        QTimer.singleShot(0, lambda: loop.quit())

    aio.nop(end)
    aio.busy(60, pytest.fail)
    loop.exec()
    assert aio.engine.closed
    assert qt.current() is not aio

"""anyaio.glib: what the conformance suite does not ask, on each backend."""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
from hearing import hearing

from anyaio._front import engine_class

pytest.importorskip("gi", reason="PyGObject is missing")
glib = pytest.importorskip("anyaio.glib")
from gi.repository import GLib  # noqa: E402


@pytest.fixture(autouse=True)
def _engines(backend, pool, monkeypatch):
    monkeypatch.setattr("anyaio.glib._adapter.Engine", functools.partial(engine_class(backend), pool))


@pytest.fixture
def context():
    """A main context of the test's own, which is the thread's default."""
    context = GLib.MainContext()
    context.push_thread_default()
    yield context
    glib.current().shutdown()
    context.pop_thread_default()


def test_the_main_context_that_everybody_has_serves_where_no_other_is_pushed():
    loop = GLib.MainLoop()
    told = []
    glib.current().stat("/", lambda request: (told.append(request.result().st_ino), loop.quit()))
    loop.run()
    glib.current().shutdown()
    assert told == [os.stat("/").st_ino]


def test_the_front_end_stays_the_same_and_each_context_has_its_own(context):
    front = glib.current()
    assert glib.current() is front
    inner = GLib.MainContext()
    inner.push_thread_default()
    other = glib.current()
    inner.pop_thread_default()
    assert other is not front
    assert glib.current() is front
    other.shutdown()


def test_a_callback_may_run_a_loop_of_its_own(context):
    aio, told = glib.current(), []
    outer, inner = GLib.MainLoop(context), GLib.MainLoop(context)

    def show_a_dialog(request):
        aio.listdir("/", lambda request: (told.append(request.operation), inner.quit()))
        inner.run()
        told.append("closed")
        outer.quit()

    aio.nop(show_a_dialog)
    outer.run()
    assert told == ["listdir", "closed"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_a_callback_raises_goes_to_the_excepthook_and_the_rest_arrives(context, kind):
    aio, loop = glib.current(), GLib.MainLoop(context)
    heard, told = [], []

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
        loop.run()
    assert [type(error) for error in heard] == [kind]


def test_a_context_that_is_dropped_takes_its_engine_along():
    context = GLib.MainContext()
    context.push_thread_default()
    engine = weakref.ref(glib.current().engine)
    told = []
    engine().nop(told.append)
    while not told:
        context.iteration(True)
    context.pop_thread_default()
    gc.collect()
    assert engine() is not None
    del context
    assert engine() is None


def run(program, backend):
    """Run a program in a process of its own: here the default context may be another framework's already."""
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_context_that_another_thread_runs_is_refused(backend):
    program = """
        import threading
        from gi.repository import GLib
        import anyaio.glib

        inside, leave = threading.Event(), threading.Event()

        def run():
            assert GLib.MainContext.default().acquire()
            inside.set()
            leave.wait(10)
            GLib.MainContext.default().release()

        thread = threading.Thread(target=run)
        thread.start()
        inside.wait(10)
        try:
            anyaio.glib.current()
        except RuntimeError as error:
            print(error)
        leave.set()
        thread.join()
    """
    assert run(program, backend) == "another thread runs the default main context: push one of this thread's own\n"


def test_who_asked_for_it_in_a_wrong_thread_does_not_keep_it_from_the_right_one(backend):
    program = """
        import threading
        from gi.repository import GLib
        import anyaio.glib

        thread = threading.Thread(target=anyaio.glib.current)
        thread.start()
        thread.join()
        loop = GLib.MainLoop()
        anyaio.glib.current().stat("/", lambda request: (print(request.result().st_ino), loop.quit()))
        loop.run()
    """
    assert run(program, backend) == f"{os.stat('/').st_ino}\n"


def test_an_engine_whose_context_another_thread_runs_complains_once():
    heard = []
    context = GLib.MainContext()
    context.push_thread_default()
    front = glib.current()
    front.nop()
    context.pop_thread_default()

    def run():
        for _ in range(3):
            context.iteration(True) if not heard else context.iteration(False)

    thread = threading.Thread(target=run)
    with hearing(heard):
        thread.start()
        thread.join()
    assert [type(error) for error in heard] == [RuntimeError]
    front.shutdown()

"""`anyaio.current`, `anyaio.register`, and what refuses to block: which loop runs is known without importing any."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import subprocess
import sys
import textwrap

import display
import pytest
import tinyloop

import anyaio
import anyaio.any
import anyaio.asyncio
import anyaio.blocking
from anyaio import _running
from anyaio._backend import backend as chosen_backend
from anyaio._front import engine_class

FRAMEWORKS = ("asyncio", "trio", "gevent", "tornado", "twisted", "PySide6", "gi", "tkinter", "pyuv", "anyio", "sniffio")


@pytest.fixture
def loops(monkeypatch):
    """The table of loops as it was before."""
    monkeypatch.setattr(_running, "LOOPS", _running.LOOPS)
    monkeypatch.setattr(_running, "_ways", _running._ways)
    monkeypatch.setattr(_running, "_last", _running._last)


@pytest.fixture
def tiny(loops, backend, pool, monkeypatch):
    """The adapter of another package, just imported; its engines are of this backend."""
    monkeypatch.delitem(sys.modules, "tinyloop_anyaio", raising=False)
    adapter = importlib.import_module("tinyloop_anyaio")
    monkeypatch.setattr(adapter, "Engine", functools.partial(engine_class(backend), pool))
    return adapter


def run_program(program, tmp_path, *modules):
    """Run a program of its own; skip if a module that it needs is missing."""
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "ANYAIO_BACKEND": chosen_backend.NAME, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# ---- where nothing runs ----


def test_without_a_loop_there_is_no_current_front_end_and_advice():
    with pytest.raises(RuntimeError, match=r"no event loop .* anyaio\.blocking"):
        anyaio.current()


def test_no_framework_is_imported(tmp_path):
    printed = run_program(
        f"""
        import sys
        import anyaio, anyaio.any, anyaio.blocking
        for current in (anyaio.current, anyaio.any.current):
            try:
                current()
            except RuntimeError:
                pass
        anyaio.blocking.stat("/")
        print([name for name in {FRAMEWORKS} if name in sys.modules])
        """,
        tmp_path,
    )
    assert printed == "[]\n"


def test_only_the_adapter_of_the_running_loop_is_imported(tmp_path):
    printed = run_program(
        """
        import asyncio, sys
        import anyaio.any

        async def main():
            await anyaio.any.stat("/")
            assert anyaio.current() is anyaio.any.current()

        asyncio.run(main())
        print([name for name in ("trio", "gevent", "anyaio.trio", "anyaio.gevent") if name in sys.modules])
        """,
        tmp_path,
    )
    assert printed == "[]\n"


# ---- each loop ----


def test_in_asyncio_it_is_that_of_asyncio():
    async def main():
        assert anyaio.current() is anyaio.asyncio.current()

    asyncio.run(main())


RUNS = {
    "trio": (
        ["trio"],
        """
        import trio
        async def main():
            look()
        trio.run(main)
        """,
    ),
    "gevent": (
        ["gevent"],
        """
        import gevent
        gevent.spawn(look).get()
        """,
    ),
    "twisted": (
        ["twisted.internet.selectreactor"],
        """
        from twisted.internet import selectreactor
        selectreactor.install()
        from twisted.internet import reactor
        reactor.callWhenRunning(look_and, reactor.stop)
        reactor.run()
        """,
    ),
    "qt": (
        ["PySide6.QtCore"],
        """
        from PySide6.QtCore import QCoreApplication, QTimer
        application = QCoreApplication([])
        QTimer.singleShot(0, lambda: look_and(application.quit))
        application.exec()
        """,
    ),
    "glib": (
        ["gi.repository.GLib"],
        """
        from gi.repository import GLib
        loop = GLib.MainLoop()
        GLib.idle_add(look_and, loop.quit)
        loop.run()
        """,
    ),
    "pyuv": (
        ["pyuv"],
        """
        import pyuv
        import anyaio.pyuv
        loop = pyuv.Loop()
        anyaio.pyuv.use(loop)
        timer = pyuv.Timer(loop)
        timer.start(lambda timer: look_and(timer.close), 0, 0)
        loop.run()
        """,
    ),
}
LOOK = """
import importlib, threading
import anyaio, anyaio.blocking

def look():
    module = importlib.import_module("anyaio." + {name!r})
    assert anyaio.current() is module.current()
    try:
        anyaio.blocking.stat("/")
    except RuntimeError as error:
        assert "import anyaio." + {name!r} + " instead" in str(error), error
    else:
        print("it would have blocked")
    thread = threading.Thread(target=lambda: print(anyaio.blocking.listdir(".")))
    thread.start()
    thread.join()

def look_and(end):
    try:
        look()
    finally:
        end()
"""


@pytest.mark.parametrize("name", RUNS)
def test_a_loop_is_told_from_others_and_not_blocked_but_another_thread_is_free(tmp_path, name):
    modules, program = RUNS[name]
    printed = run_program(LOOK.format(name=name) + textwrap.dedent(program), tmp_path, *modules)
    assert printed == "[]\n"


def test_tk_is_told_too(tmp_path):
    if display.lacking():
        pytest.skip(display.lacking())
    display.show()
    printed = run_program(
        LOOK.format(name="tk")
        + textwrap.dedent(
            """
            import tkinter
            import anyaio.tk
            root = tkinter.Tk()
            anyaio.tk.use(root)
            root.after(0, look_and, root.destroy)
            root.mainloop()
            """
        ),
        tmp_path,
        "tkinter",
    )
    assert printed == "[]\n"


def test_a_framework_that_is_only_being_imported_does_not_run(monkeypatch, loops):
    module = type(sys)("halfway")
    monkeypatch.setitem(sys.modules, "halfway", module)
    loop = _running.Loop.known("halfway", "await", "halfway_anyaio", "halfway", lambda halfway: halfway.is_running)
    monkeypatch.setattr(_running, "LOOPS", (loop,))
    assert _running.running() is None
    module.is_running = lambda: True
    assert _running.running() is loop


# ---- loops of other packages ----


def test_a_registered_adapter_is_found(tiny, tmp_path):
    async def main():
        assert anyaio.current() is anyaio.any.current() is tiny.current()
        fd = await anyaio.any.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
        try:
            await anyaio.any.pwrite(fd, b"hello", 0)
            return await anyaio.any.pread(fd, 10, 0)
        finally:
            await anyaio.any.close(fd)

    assert tinyloop.run(main()) == b"hello"


def test_a_registered_loop_is_not_blocked(tiny):
    async def main():
        with pytest.raises(RuntimeError, match="import tinyloop_anyaio instead"):
            anyaio.blocking.stat("/")

    tinyloop.run(main())


def test_a_registered_adapter_is_looked_for_where_it_was_not_imported(loops):
    anyaio.register("lazy", colour="await", module="tinyloop_anyaio", running=tinyloop.running)

    async def main():
        assert anyaio.current() is importlib.import_module("tinyloop_anyaio").current()

    tinyloop.run(main())


def test_the_last_that_was_registered_is_asked_first_and_a_name_is_there_once(loops):
    for name, module in (("one", "one.aio"), ("two", "two.aio"), ("one", "other.aio")):
        anyaio.register(name, colour="callback", module=module, running=lambda: True)
    assert [loop.module for loop in _running.LOOPS[:2]] == ["other.aio", "two.aio"]
    assert _running.running().module == "other.aio"


def test_a_loop_of_another_colour_is_none_for_any(loops):
    anyaio.register("bell", colour="callback", module="bell.aio", running=lambda: True)
    with pytest.raises(RuntimeError, match=r"in the bell loop that runs in this thread import bell\.aio instead"):
        anyaio.any.current()


@pytest.mark.parametrize(("change", "error", "what"), [
    ({"name": ""}, ValueError, "name must be"),
    ({"name": 3}, ValueError, "name must be"),
    ({"colour": "green"}, ValueError, "colour must be one of 'await', 'future', 'blocking', 'callback', not 'green'"),
    ({"module": "my loop"}, ValueError, "module must be"),
    ({"module": None}, ValueError, "module must be"),
    ({"running": True}, TypeError, "running must be a function, not True"),
])  # fmt: skip
def test_a_wrong_argument_of_register_is_named(loops, change, error, what):
    arguments = {"name": "bell", "colour": "await", "module": "bell.aio", "running": bool, **change}
    before = _running.LOOPS
    with pytest.raises(error, match=what):
        anyaio.register(arguments.pop("name"), **arguments)
    assert _running.LOOPS is before

"""anyaio.tk: what the conformance suite does not ask, on each backend."""

from __future__ import annotations

import functools
import gc
import os
import weakref

import display
import pytest

from anyaio._front import engine_class

if display.lacking():
    pytest.skip(display.lacking(), allow_module_level=True)
tkinter = pytest.importorskip("tkinter", reason="tkinter is missing")
tk = pytest.importorskip("anyaio.tk")


@pytest.fixture(autouse=True)
def _engines(backend, pool, monkeypatch):
    monkeypatch.setattr("anyaio.tk._adapter.Engine", functools.partial(engine_class(backend), pool))


@pytest.fixture
def window():
    """Makes root windows, and destroys those that are left."""
    display.show()
    made = []

    def make():
        made.append(tkinter.Tk())
        return made[-1]

    yield make
    for root in made:
        try:
            root.destroy()
        except tkinter.TclError:  # it has been destroyed
            pass


@pytest.fixture
def root(window):
    return window()


def test_callbacks_come_in_the_main_loop(root):
    told = []
    aio = tk.use(root)
    aio.stat("/", lambda request: (told.append(request.result().st_ino), root.quit()))
    assert told == []
    root.mainloop()
    assert told == [os.stat("/").st_ino]
    assert tk.current() is aio


def test_what_a_callback_raises_is_reported_as_that_of_a_button(root):
    aio, heard = tk.use(root), []
    root.report_callback_exception = lambda kind, error, traceback: heard.append(kind)
    aio.nop(lambda request: 1 / 0)
    aio.busy(0.01, lambda request: root.quit())
    root.mainloop()
    assert heard == [ZeroDivisionError]


def test_an_interruption_leaves_the_main_loop_and_the_rest_comes_in_the_next(root, pool):
    aio, told = tk.use(root), []

    def interrupt(request):
        raise KeyboardInterrupt

    def count(request):
        told.append(request)
        if len(told) == 3:
            root.quit()

    pool.max_parallel = 1  # they end in their order
    for callback in (interrupt, count, count, count):
        aio.nop(callback)
    with pytest.raises(KeyboardInterrupt):
        root.mainloop()
    assert told == []
    root.mainloop()
    assert len(told) == 3


def test_a_callback_may_wait_for_others(root):
    aio, told = tk.use(root), []
    answer = tkinter.StringVar(root)

    def show_a_dialog(request):
        aio.listdir("/", lambda request: answer.set("yes"))
        root.wait_variable(answer)
        told.append(answer.get())
        root.quit()

    aio.nop(show_a_dialog)
    root.mainloop()
    assert told == ["yes"]


@pytest.mark.parametrize("way", ["destroy", "the window's cross"])
def test_a_window_that_is_destroyed_shuts_its_front_end_down(window, way):
    root = window()
    aio = tk.use(root)
    aio.busy(60, pytest.fail)
    root.bind("<Destroy>", lambda event: None)  # would replace a binding of ours
    if way == "destroy":
        root.destroy()
    else:
        root.after(0, root.tk.eval, root.protocol("WM_DELETE_WINDOW") or "destroy .")
        root.mainloop()
    assert aio.engine.closed


def test_a_child_that_is_destroyed_ends_nothing(root):
    aio, told = tk.use(root), []
    tkinter.Frame(root).destroy()
    aio.nop(lambda request: (told.append(request), root.quit()))
    root.mainloop()
    assert len(told) == 1


def test_windows_that_go_leave_nothing(window):
    first = window()
    first.destroy()  # Tk keeps its connection to the display

    def descriptors():
        gc.collect()
        return set(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(3):
        root = tkinter.Tk()
        tk.use(root).nop(lambda request, root=root: root.quit())
        root.mainloop()
        root.destroy()
        gone = weakref.ref(root)
        del root
        gc.collect()
        assert gone() is None
    assert descriptors() <= before


def test_two_windows_of_a_thread_have_each_their_own(window):
    one, two = window(), window()
    first, second = tk.use(one), tk.use(two)
    assert first is not second
    assert tk.current() is second
    assert tk.use(one) is first
    told = []
    first.nop(told.append)
    second.nop(told.append)
    while len(told) < 2:
        one.update()
    two.destroy()
    first.nop(lambda request: one.quit())
    one.mainloop()


def test_a_front_end_that_was_shut_down_is_followed_by_another(root):
    first = tk.use(root)
    first.shutdown()
    second = tk.current()
    assert second is not first
    second.nop(lambda request: root.quit())
    root.mainloop()


def test_what_is_no_root_window_cannot_be_used(root):
    with pytest.raises(TypeError, match=r"root must be a tkinter\.Tk, not 'Frame'"):
        tk.use(tkinter.Frame(root))


def test_shutting_down_and_using_it_again_adds_nothing_to_the_window(root):
    tk.use(root).shutdown()
    tags, commands = root.bindtags(), len(root._tclCommands)
    for _ in range(3):
        tk.use(root).shutdown()
    assert (root.bindtags(), len(root._tclCommands)) == (tags, commands)


def test_a_window_that_was_destroyed_cannot_be_used(root):
    tk.use(root)
    root.destroy()
    for ask in (tk.current, lambda: tk.use(root)):
        with pytest.raises(RuntimeError, match=r"the window was destroyed: call anyaio.tk.use\(root\)"):
            ask()

"""The examples, and every Python block of the README and the documentation, run as they stand."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import display
import pytest

from anyaio._backend import backend

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT).with_suffix('')}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text()), 1)
]
SLOW = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)  # asyncio says it of a busy machine
IMPORTED = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)


@pytest.fixture
def run(tmp_path):
    """Run a Python program in an empty folder, warnings being errors, and return what it printed."""

    def run(*arguments):
        command = [sys.executable, "-W", "error", "-X", "dev", *map(str, arguments)]
        environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, SLOW.sub("", done.stderr)) == (0, "")
        return done.stdout

    return run


@pytest.mark.parametrize("code", BLOCKS)
def test_a_block_of_the_documentation_runs(run, tmp_path, code):
    for name in IMPORTED.findall(code):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
        if name == "tkinter":
            if display.lacking():
                pytest.skip(display.lacking())
            display.show()
    (tmp_path / "block.py").write_text(code)
    run("block.py")


def test_the_readme_has_blocks():
    assert len(BLOCK.findall((ROOT / "README.md").read_text())) >= 3


def test_asyncio_copy(run, tmp_path):
    (tmp_path / "target").mkdir()
    contents = {"a": os.urandom(1_000_000), "b": b""}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    assert run(ROOT / "examples/asyncio_copy.py", "a", "b", "target") == "a: 1000000 bytes\nb: 0 bytes\n"
    assert {file.name: file.read_bytes() for file in (tmp_path / "target").iterdir()} == contents


def test_selectors_loop(run, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    printed = run(ROOT / "examples/selectors_loop.py", "folder", "missing").splitlines()
    assert sorted(printed) == [
        "1 entries",
        "[Errno 2] No such file or directory: 'missing'",
        "the clock ticked",
    ]


def test_blocking_script(run, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "small").write_bytes(b"1")
    (tmp_path / "tree" / "deep" / "large").write_bytes(b"12345")
    printed = [line.split() for line in run(ROOT / "examples/blocking_script.py", "tree").splitlines()]
    assert printed == [["5", "tree/deep/large"], ["1", "tree/small"]]


def test_trio_nursery(run, tmp_path):
    pytest.importorskip("trio", reason="trio is not installed")
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    os.mkfifo(tmp_path / "never")
    printed = run(ROOT / "examples/trio_nursery.py", "1", "a", "missing", "never").splitlines()
    assert sorted(printed) == [
        "[Errno 2] No such file or directory: 'missing'",
        f"a: {hashlib.sha256(b'x' * 1_000_000).hexdigest()}",
        "never: it took too long",
    ]


def test_gevent_greenlets(run, tmp_path):
    pytest.importorskip("gevent", reason="gevent is not installed")
    (tmp_path / "a").write_text("one\ntwo\n")
    os.mkfifo(tmp_path / "never")
    printed = run(ROOT / "examples/gevent_greenlets.py", "1", "a", "missing", "never").splitlines()
    assert printed == [
        "a: 2 lines",
        "[Errno 2] No such file or directory: 'missing'",
        "never: it took too long",
    ]


def test_pyuv_callbacks(run, tmp_path):
    pytest.importorskip("pyuv", reason="pyuv is missing; it can be built with tests/pyuv_compat.h")
    for size in (3, 1, 4, 2):
        (tmp_path / f"file{size}").write_bytes(b"1" * size)
    printed = run(ROOT / "examples/pyuv_callbacks.py", "file1", "file2", "missing", "file3", "file4").splitlines()
    assert printed == ["[Errno 2] No such file or directory: 'missing'", "4 file4", "3 file3", "2 file2"]


def test_glib_mainloop(run, tmp_path):
    pytest.importorskip("gi", reason="PyGObject is missing")
    (tmp_path / "three").write_text("1\n2\n3\n")
    printed = run(ROOT / "examples/glib_mainloop.py", "three", "missing").splitlines()
    assert printed == ["three 3", "[Errno 2] No such file or directory: 'missing'"]


def test_qt_window(run, tmp_path):
    pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is missing, or a library of its", exc_type=ImportError)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    assert run(ROOT / "examples/qt_window.py", "folder", "--close") == "1 entries shown\n"


def test_tk_window(run, tmp_path):
    pytest.importorskip("tkinter", reason="tkinter is missing")
    if display.lacking():
        pytest.skip(display.lacking())
    display.show()
    data = os.urandom(1_000_000)
    (tmp_path / "source").write_bytes(data)
    assert run(ROOT / "examples/tk_window.py", "source", "target", "--close") == "copied\n"
    assert (tmp_path / "target").read_bytes() == data


def test_tornado_ioloop(run, tmp_path):
    pytest.importorskip("tornado", reason="tornado is not installed")
    (tmp_path / "file").write_bytes(b"12345")
    printed = run(ROOT / "examples/tornado_ioloop.py", "file", "missing").splitlines()
    assert printed[0] == "the loop goes on"
    told = [line for line in printed if line != "the loop goes on"]
    assert told == ["file: 5 bytes", "[Errno 2] No such file or directory: 'missing'"]


def test_twisted_deferreds(run, tmp_path):
    pytest.importorskip("twisted", reason="Twisted is not installed")
    (tmp_path / "file").write_bytes(b"hello")
    os.mkfifo(tmp_path / "fifo")
    printed = run(ROOT / "examples/twisted_deferreds.py", "0.3", "file", "missing", "fifo").splitlines()
    assert sorted(printed) == [
        "[Errno 2] No such file or directory: 'missing'",
        "fifo: it took too long",
        "file: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    ]


def test_every_example_is_tested():
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [path.name for path in (ROOT / "examples").glob("*.py") if path.name not in tested] == []

"""Runs programs, and makes tests of them. A hang is a failure with the stacks of all threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from programs import PROGRAMS

LIMIT = 30.0  # seconds that no program should ever take
LOOPS = ("asyncio", "uvloop")

START = """
import importlib, sys
module, name, *arguments = sys.argv[1:]
getattr(importlib.import_module(f"programs.{module}"), name)(*arguments)
"""


class Ended(NamedTuple):
    """How a program ended. A negative *status* is the signal that killed it."""

    status: int
    out: str
    err: str


def start(
    backend: ModuleType,
    folder: Path,
    program: str,
    *arguments: object,
    options: Sequence[str] = (),
    fds: Sequence[int] = (),
    within: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start *program*, "module.name", in *folder*, with *options* of the interpreter; it inherits *fds*.

    *within* is a command that executes what it is given.
    """
    module, _, name = program.partition(".")
    environment = dict(os.environ, ANYAIO_BACKEND=backend.NAME, PYTHONPATH=str(Path(__file__).parent.parent))
    # Python 3.12 warns of every fork beside threads; that it is safe here is what is tested.
    strict = ("-X", "faulthandler", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return subprocess.Popen(
        [*within, sys.executable, *strict, *options, "-c", START, module, name, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
        pass_fds=fds,
        start_new_session=True,
    )


@contextmanager
def started(*arguments: Any, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program for the body, which lets it `end`; if it fails, nothing is left behind."""
    process = start(*arguments, **options)
    try:
        yield process
    except BaseException:
        stop(process)
        process.communicate()
        raise


def end(process: subprocess.Popen[str], limit: float = LIMIT) -> Ended:
    """Wait for a program and for all the processes that it has left behind."""
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        stop(process)
        out, err = process.communicate()
        pytest.fail(f"it did not end within {limit} s\n{out}\n{err}", pytrace=False)
    return Ended(process.returncode, out, err)


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a program and its children; they tell on stderr where they were."""
    for number in (signal.SIGABRT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        time.sleep(0.5)  # for the report; nothing is waited for


def run(backend: ModuleType, folder: Path, program: str, *arguments: object, options: Sequence[str] = ()) -> None:
    """Run a program that must end well and say nothing."""
    ended = end(start(backend, folder, program, *arguments, options=options))
    if ended != (0, "", ""):
        pytest.fail(f"{program} ended with {ended.status}\n{ended.out}\n{ended.err}", pytrace=False)


# ---- tests ----


def each(module: ModuleType) -> Callable[..., None]:
    """Return a test for each of the module's programs, on each backend."""
    name = module.__name__.rpartition(".")[2]

    @pytest.mark.parametrize("program", PROGRAMS[module.__name__])
    def test(backend: ModuleType, tmp_path: Path, program: str) -> None:
        until = getattr(getattr(module, program), "until", None)
        if until is not None and sys.version_info >= until:
            pytest.skip(f"from Python {until[0]}.{until[1]} on it cannot be")
        run(backend, tmp_path, f"{name}.{program}")

    return test


def each_on_loops(module: ModuleType) -> Callable[..., None]:
    """Return a test for each of the module's programs, on each backend and each loop: they get the loop's name."""
    name = module.__name__.rpartition(".")[2]

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("program", PROGRAMS[module.__name__])
    def test(backend: ModuleType, tmp_path: Path, program: str, loop: str) -> None:
        if loop != "asyncio":
            pytest.importorskip(loop, reason=f"{loop} is not installed")
        run(backend, tmp_path, f"{name}.{program}", loop)

    return test

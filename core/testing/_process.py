"""The life of a process: fork, and exit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from ._trial import Trial, demands, home, importable, threads


def _fork(child: Callable[[], None]) -> int:
    """Call *child* in a forked process, whose exit status is 0 if it returned; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: that it works is tested
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        child()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(t: Trial, pid: int) -> int:
    """Wait for a child; kill one that hangs."""
    deadline = time.monotonic() + t.limit
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGABRT)  # faulthandler, where it is enabled, says where
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


async def a_forked_child_cannot_use_the_parents_engine(t: Trial) -> None:
    told: list[Any] = []
    await t.aio.nop()
    with t.held():
        t.engine.nop(told.append)
        engine = t.engine

        def child() -> None:
            for call in (engine.nop, engine.poll):
                with contextlib.suppress(RuntimeError):
                    call()
                    raise AssertionError("it was not refused")

        assert _ended(t, _fork(child)) == 0
    assert await t.aio.listdir(t.folder) == []
    await t.until(lambda: told)


def a_forked_child_runs_loops_of_its_own(t: Trial) -> None:
    async def main() -> list[str]:
        names: list[str] = await t.aio.listdir(t.folder)
        return names

    def child() -> None:
        t.renew()
        assert t.run(main) == []

    assert t.run(main) == []
    assert _ended(t, _fork(child)) == 0
    assert t.run(main) == []


@demands(threads)
async def a_child_that_is_forked_in_a_loop_runs_one_of_its_own(t: Trial) -> None:
    async def main() -> list[str]:
        names: list[str] = await t.aio.listdir(t.folder)
        return names

    def child() -> None:
        t.renew()
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(t.run(main)))  # this one's loop is the parent's
        thread.start()
        thread.join()
        assert results == [[]]

    with t.held():
        task = t.start(main())
        await t.until(lambda: t.pool.stats()["queued"])
        assert _ended(t, _fork(child)) == 0
    assert (await t.join(task)).value == []


_PROGRAM = """
import importlib, os, sys
from anyaio.testing._process import leave
module, name, how, folder = sys.argv[1:]
leave(importlib.import_module(module), name, how, folder)
"""


def leave(module: Any, name: str, how: str, folder: str) -> None:
    """A program that ends with requests under way."""
    driver: Any = next(driver for driver in module.DRIVERS if driver.name == name)

    async def main() -> None:
        await driver.neutral(driver.aio).nop()
        for number in range(20):
            driver.engine.mkdir(os.path.join(folder, str(number)))
        driver.engine.busy(60)
        if how == "error":
            raise ValueError("on purpose")

    try:
        driver.run(main)
    except ValueError:
        sys.exit(3)


@demands(importable)
def a_process_exits_with_requests_under_way(t: Trial) -> None:
    ended = _run_program(t, "return")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert len(os.listdir(t.folder)) == 20


@demands(importable)
def a_process_keeps_its_exit_status(t: Trial) -> None:
    ended = _run_program(t, "error")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


def _run_program(t: Trial, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(home(t.driver)), t.driver.name, how, str(t.folder)],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), ANYAIO_BACKEND=t.backend.NAME),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

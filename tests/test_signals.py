"""Signals: each program of `programs.signals`, on each backend; and Ctrl-C, from outside."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

import pytest
from programs import runner, signals

test_signals = runner.each(signals)


@pytest.mark.parametrize(
    "program",
    [
        "exceptions_at_any_moment_lose_no_result",
        "exceptions_at_any_moment_leave_blocking_calls_usable",
        "an_exception_at_every_line_leaves_blocking_calls_usable",
    ],
)
def test_a_handler_that_raises_anywhere_leaves_the_library_usable(backend, tmp_path, program):
    if backend.NAME == "python" and program.startswith("an_exception_at_every_line"):
        pytest.skip("a trace function raises where no signal's handler can, between any two lines")
    runner.run(backend, tmp_path, f"signals.{program}")


@pytest.fixture
def fifo(tmp_path):
    """The path of a FIFO that nobody reads."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.fixture
def start(backend, tmp_path, fifo):
    """Starts a program that opens the FIFO, and returns when it waits there."""

    @contextlib.contextmanager
    def start(program):
        with runner.started(backend, tmp_path, f"signals.{program}", fifo) as process:
            assert process.stdout.readline() == "waiting\n"
            yield process

    return start


def test_an_interrupt_ends_a_blocking_open_that_is_stuck_at_once(start):
    with start("a_blocking_open_of_a_fifo") as process:
        process.send_signal(signal.SIGINT)
        assert runner.end(process) == (0, "abandoned True\n", "")


def test_an_interrupt_ends_a_blocking_change_when_patience_is_over(start):
    with start("a_blocking_change_with_patience") as process:
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert runner.end(process) == (0, "unknown True\n", "")
    assert time.monotonic() - begun >= 0.3


def test_a_second_interrupt_ends_a_blocking_change_at_once(start):
    deadline = time.monotonic() + runner.LIMIT
    with start("a_blocking_change_without_end") as process:
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)  # two that come at once are one: until it has ended
            time.sleep(0.05)
        assert runner.end(process) == (0, "unknown True\n", "")


def test_an_interrupt_lets_a_running_change_end(start, fifo):
    with start("a_blocking_change_without_end") as process:
        process.send_signal(signal.SIGINT)
        assert select.select([process.stdout], [], [], 0.1)[0] == []  # it waits
        reader = os.open(fifo, os.O_RDONLY)
        ended = runner.end(process)
        os.close(reader)
    assert ended == (0, "done True\n", "")

"""Exit: queued and running changes are finished, looks dropped, status, handlers and output left alone."""

from __future__ import annotations

import ast
import os

import pytest
from programs import exit, runner

test_exit = runner.each(exit)


def has_its_64_mebibytes(path):
    data = path.read_bytes()
    ends = [(data[place << 20], data[(place + 1 << 20) - 1]) for place in range(64)]
    return len(data) == 64 << 20 and ends == [(place, place) for place in range(64)]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("queued_pwrites_are_made", []),
        ("pwrites_of_an_engine_that_is_gone_are_made", ["dropped"]),
        ("pwrites_of_an_engine_that_is_gone_are_made", ["shutdown"]),
        ("pwrites_of_a_daemon_thread_are_made", []),
    ],
)
def test_queued_pwrites_are_made_before_the_process_ends(backend, tmp_path, program, arguments):
    ended = runner.end(runner.start(backend, tmp_path, f"exit.{program}", *arguments))
    assert ended == (0, "leaving\n", "")
    assert has_its_64_mebibytes(tmp_path / "file")


@pytest.mark.parametrize(
    "program",
    [
        "a_running_write_is_waited_for",
        "a_write_that_waits_for_room_is_waited_for",
        "writes_of_a_stuck_loop_are_waited_for",
    ],
)
def test_a_running_write_is_finished_before_the_process_ends(backend, tmp_path, program):
    reader, writer = os.pipe()
    with (
        open(reader, "rb") as pipe,
        runner.started(backend, tmp_path, f"exit.{program}", writer, fds=[writer]) as process,
    ):
        os.close(writer)
        assert process.stdout.readline() == "leaving\n"
        assert len(pipe.read()) == 1 << 20
        assert runner.end(process) == (0, "", "")


@pytest.mark.parametrize(
    ("program", "least", "most"),
    [
        ("a_stuck_change_delays_by_the_exit_timeout", 1.0, 1.9),
        ("a_write_that_waits_for_room_delays_by_the_exit_timeout", 1.0, 1.9),
        ("a_stuck_change_of_a_private_pool_delays_by_its_exit_timeout", 1.0, 1.9),
        ("a_change_that_is_held_back_delays_by_the_exit_timeout_at_most", 0.0, 2.0),
        ("completions_that_keep_arriving_prolong_it", 1.5, 10.0),
    ],
)
def test_the_exit_is_delayed_for_a_change_that(backend, tmp_path, program, least, most):
    ended = runner.end(runner.start(backend, tmp_path, f"exit.{program}"))
    assert (ended.status, ended.err) == (0, "")
    assert least <= float(ended.out) <= most


def test_an_interrupt_ends_the_wait_at_once(backend, tmp_path):
    ended = runner.end(runner.start(backend, tmp_path, "exit.an_interrupt_ends_the_wait"))
    assert ended.out == "leaving\n"
    assert "KeyboardInterrupt" in ended.err


@pytest.mark.parametrize(
    ("way", "status", "complaint", "content"),
    [
        ("exit", 3, "", b"written"),
        ("exception", 1, "ValueError: unhandled", b"written"),
        ("thread", -2, "KeyboardInterrupt", b"written"),
    ],
)
def test_the_exit_status_is_kept(backend, tmp_path, way, status, complaint, content):
    ended = runner.end(runner.start(backend, tmp_path, "exit.a_status_is_kept", way))
    assert ended.status == status
    assert complaint in ended.err if complaint else ended.err == ""
    assert (tmp_path / "file").read_bytes() == content


def test_os_exit_waits_for_nothing(backend, tmp_path):
    assert runner.end(runner.start(backend, tmp_path, "exit.a_status_is_kept", "at once")) == (7, "", "")


def test_exit_handlers_run_and_may_use_the_library(backend, tmp_path):
    ended = runner.end(runner.start(backend, tmp_path, "exit.handlers_may_use_the_library"))
    assert (ended.status, ended.err) == (0, "")
    first, second = map(ast.literal_eval, ended.out.splitlines())
    assert "before" in first
    assert second == ["before", "in the main program", "later"]


def test_buffered_output_is_flushed(backend, tmp_path):
    ended = runner.end(runner.start(backend, tmp_path, "exit.buffered_output_is_flushed"))
    assert ended == (0, "no newline", "an error")
    assert (tmp_path / "folder").is_dir()


@pytest.mark.parametrize("program", ["everything_is_alive_at_the_end", "many_children_end_with_everything_alive"])
def test_the_interpreter_ends_well_with_everything_alive(backend, tmp_path, program):
    runner.run(backend, tmp_path, f"exit.{program}")


@pytest.mark.parametrize("loop", runner.LOOPS)
@pytest.mark.parametrize("program", ["a_loop_is_alive_at_the_end", "many_children_end_with_a_loop_alive"])
def test_the_interpreter_ends_well_with_a_loop_alive(backend, tmp_path, program, loop):
    if loop != "asyncio":
        pytest.importorskip(loop, reason=f"{loop} is not installed")
    ended = runner.end(runner.start(backend, tmp_path, f"exit.{program}", loop))
    # What the loop itself has to say of its tasks, and nothing else.
    theirs = ("Task was destroyed", "task: <Task pending")
    assert [line for line in ended.err.splitlines() if not line.startswith(theirs)] == []
    assert (ended.status, ended.out) == (0, "")


def test_development_mode_has_nothing_to_complain_of(backend, tmp_path):
    runner.run(backend, tmp_path, "exit.all_colours_in_development_mode", options=["-X", "dev"])

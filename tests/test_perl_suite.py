"""The checks of IO::AIO's own test suite, and what that suite leaves out: ours behaves so, or a line says why not.

The 67 checks, by file; several of them are one test here. A test without a file is in this one.

00_load (3)
- 1, it loads: test_colours::test_importing_starts_nothing_and_is_light
- 2, min_parallel: differs. It raises a ceiling and starts no thread; ours is `Pool.max_parallel`, settable both ways.
- 3, max_parallel 0 returns: test_holding_everything_back_returns_at_once

01_stat (10)
- 1 to 3, open, stat of a directory and of a file: test_a_directory_and_a_file_are_told_apart
- 4 to 6, lstat on the stat cache: differs. A result is an object; what others do meanwhile cannot change it.
- 7, dup of the delivered handle: test_a_delivered_descriptor_can_be_duplicated
- 8 and 9, a handle's 13 fields are those of its path: test_the_status_of_a_descriptor_is_that_of_its_path
- 10, close: test_close_returns_nothing_and_frees_the_number

02_read (2)
- 1 and 2: test_a_read_goes_into_the_middle_of_a_buffer. It differs in that the buffer keeps its length.

03_errors (12)
- 1, open in a missing directory: test_opening_in_a_missing_directory_fails
- 2 to 4, create, and write in the ordinary way: test_a_created_file_is_an_ordinary_one
- 5 and 6, unlink of what is missing: test_unlinking_what_is_missing_fails
- 7 and 8, a write to a read-only handle throws at the call: differs. A descriptor has no mode of ours to look at, so
  the write itself fails: test_a_write_to_a_read_only_descriptor_fails
- 9 to 12, symlink with odd bytes, readlink, unlink, rmdir: test_a_symlink_holds_any_bytes

04_fork (10)
- 1 to 10: differ in that there is nothing to reinit. A child works, hears of none of the parent's requests, and the
  parent goes on: test_fork[with_requests_queued], test_fork[with_requests_running],
  test_fork[with_requests_finished_but_not_polled], test_fork[a_change_that_is_queued_is_made_by_the_parent_alone]

05_readdir (12)
- 1 to 3, readdir: test_listdir_has_what_the_directory_has
- 4 to 6, scandir's two lists: test_split_dir_has_each_name_once
- 7 to 12, readdirx with an order, with and without types: test_scandir_in_stat_order_has_the_same_names_by_inode. It
  differs in that entries always have their types.

06_group (12)
- 1 to 3, result and order: test_a_group_comes_after_its_members_with_its_result
- 4 and 5, a cancelled member: test_a_group_ends_without_a_cancelled_member
- 6, result() takes it back: test_the_last_result_of_a_group_counts
- 7 and 8, a cancelled group: test_a_cancelled_group_calls_nobody
- 9, an empty group: test_an_empty_group_ends_in_a_later_poll
- 10 to 12, busy 0 and nop: test_busy_for_no_time_and_nop_return_nothing

07_feeder (6)
- 1 to 5: test_a_feeder_keeps_the_limit_and_the_group_ends_after_all
- 6, priorities beyond 4 are clamped: differs. They are a ValueError:
  test_poll::test_a_priority_out_of_range_is_an_error

Not tested there, but here:
- cancel in each state, also after execution, when a descriptor is there:
  test_cancel::test_a_running_open_that_is_cancelled_has_its_late_descriptor_closed,
  test_cancel::test_a_finished_open_that_is_cancelled_is_closed
- callbacks replaced and removed: test_poll::test_a_callback_can_be_replaced_until_it_ran,
  test_a_callback_can_be_taken_away
- feeder rules, limit 0, nested groups, errors of groups, exceptions in callbacks, groups and feeders: test_group
- a poll that stops, and the descriptor: test_poll::test_what_a_limited_poll_leaves_keeps_the_descriptor_readable,
  test_poll::test_one_poll_hands_over_max_poll_reqs_at_most, test_poll::test_one_poll_stops_after_max_poll_time
- max_outstanding: test_control
- priorities: test_poll::test_requests_run_by_priority_and_in_order_within_one,
  test_poll::test_results_are_handed_over_by_priority_and_in_order_within_one; being nice is another view:
  test_callbacks::test_a_view_is_the_same_engine_with_other_options
- the priority is reset by errors: differs. It belongs to a view: test_a_failed_call_changes_no_priority
- recursion into flush: test_poll::test_a_callback_may_submit_and_flush
- the counters: test_the_counters_in_each_state
- threads start, idle, end, none at all: test_pool
- flush at exit: test_exit::test_queued_pwrites_are_made_before_the_process_ends,
  test_exit::test_the_exit_status_is_kept
- the notifier: test_poll::test_the_last_callback_finds_the_descriptor_not_readable,
  test_poll::test_the_descriptor_survives_a_thousand_rounds
- negative offsets: test_an_offset_is_never_negative; none is `read` and `write`
- buffers, and that they stay as they are meanwhile: test_cancel::test_a_buffer_cannot_be_resized_in_flight
- short writes: test_cancel::test_a_write_that_waits_for_more_room_ends_with_what_went, test_a_write_may_be_short
- sendfile's emulation: test_sendfile_copies_between_all_kinds, test_sendfile_copies_from_a_pipe_and_to_a_socket
- copy: test_copy; move: test_move; rmtree: test_rmtree
- scandir by type and by stat: test_composites::test_split_dir_stats_what_is_unknown_and_no_more_than_limit_at_once;
  of a symlink: test_split_dir_follows_a_symlink_that_it_is_given
- readdirx's scores: differ. Types are known, there is nothing to guess:
  test_directories::test_directories_first_and_each_half_by_inode
- slurp of /proc and beyond the end:
  test_io_aio_defects::test_7_files_without_a_size_and_offsets_beyond_the_end_are_read
- working directories: test_a_directory_descriptor_survives_a_rename_and_a_chdir, test_two_directory_descriptors,
  test_a_closed_directory_descriptor_is_an_error
- NUL in paths: test_io_aio_defects::test_8_a_path_with_a_nul_is_refused
- signals: test_signals
- many requests: test_a_hundred_thousand_requests_are_answered
- fork in a task: test_fork[from_a_task_of_a_running_loop]
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from pathlib import Path

import pytest
from engines import held, is_readable, run, until

CONTENT = b"0123456789" * 10


@pytest.fixture(autouse=True)
def somewhere_private(tmp_path_factory, monkeypatch):
    """What a defect removes in the current directory is nobody's."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_the_tests_that_are_named_above_exist():
    here = Path(__file__).parent
    for file, program, name in re.findall(r"\b(test_\w+)(?:\[(\w+)\]|::(\w+))?", __doc__):
        if program:
            where, wanted = here / "programs" / f"{file.removeprefix('test_')}.py", program
        elif name or (here / f"{file}.py").exists():
            where, wanted = here / f"{file}.py", name
        else:
            where, wanted = Path(__file__), file
        assert f"def {wanted}" in where.read_text(), (file, program, name)


# ---- 00_load ----


def test_holding_everything_back_returns_at_once(engine, pool, file):
    pool.max_parallel = 0
    request = engine.stat(file)
    assert request.state == "queued"
    pool.max_parallel = 10
    assert run(engine, request).st_size == len(CONTENT)


# ---- 01_stat ----


def test_a_directory_and_a_file_are_told_apart(engine, tmp_path, file):
    fd = run(engine, engine.open(tmp_path, os.O_RDONLY))
    assert stat.S_ISDIR(run(engine, engine.stat(tmp_path)).st_mode)
    assert stat.S_ISREG(run(engine, engine.stat(file)).st_mode)
    assert stat.S_ISDIR(run(engine, engine.stat(fd)).st_mode)
    os.close(fd)


def test_a_delivered_descriptor_can_be_duplicated(engine, file):
    fd = run(engine, engine.open(file, os.O_RDONLY))
    copy = os.dup(fd)
    os.close(fd)
    assert run(engine, engine.read(copy, 10)) == CONTENT[:10]
    os.close(copy)


def test_the_status_of_a_descriptor_is_that_of_its_path(engine, file):
    fd = os.open(file, os.O_RDONLY)
    by_path = run(engine, engine.stat(file))
    assert run(engine, engine.stat(fd)) == by_path
    assert run(engine, engine.fstat(fd)) == by_path
    os.close(fd)


def test_close_returns_nothing_and_frees_the_number(engine, file):
    fd = os.open(file, os.O_RDONLY)
    assert run(engine, engine.close(fd)) is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


# ---- 02_read ----


def test_a_read_goes_into_the_middle_of_a_buffer(engine, file):
    buffer = bytearray(b"abc" + bytes(30))
    fd = os.open(file, os.O_RDONLY)
    assert run(engine, engine.preadv(fd, [memoryview(buffer)[3:18]], 7)) == 15
    assert buffer == b"abc" + CONTENT[7:22] + bytes(15)
    os.close(fd)


# ---- 03_errors ----


def test_opening_in_a_missing_directory_fails(engine, tmp_path):
    with pytest.raises(FileNotFoundError):
        run(engine, engine.open(tmp_path / "missing" / "file", os.O_RDWR | os.O_CREAT, 0o600))


def test_a_created_file_is_an_ordinary_one(engine, tmp_path):
    fd = run(engine, engine.open(tmp_path / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with os.fdopen(fd, "w") as file:
        file.write("text")
    assert (tmp_path / "new").read_text() == "text"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_unlinking_what_is_missing_fails(engine, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        run(engine, engine.unlink(tmp_path / "missing"))
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("write", [lambda e, fd: e.write(fd, b"x"), lambda e, fd: e.pwrite(fd, b"x", 0)])
def test_a_write_to_a_read_only_descriptor_fails(engine, file, write):
    fd = os.open(file, os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, write(engine, fd))
    assert file.read_bytes() == CONTENT
    os.close(fd)


def test_a_symlink_holds_any_bytes(engine, tmp_path):
    folder = os.fsencode(tmp_path / "folder")
    target = bytes({*range(1, 256)} - {*b"/"})
    run(engine, engine.mkdir(folder))
    run(engine, engine.symlink(target, folder + b"/link"))
    assert run(engine, engine.readlink(folder + b"/link")) == target
    run(engine, engine.unlink(folder + b"/link"))
    run(engine, engine.rmdir(folder))
    assert not os.path.exists(folder)


# ---- 05_readdir ----


@pytest.fixture
def folder(tmp_path):
    for number in range(30):
        (tmp_path / f"file {number}").touch()
        (tmp_path / f"folder {number}").mkdir()
    return tmp_path


def test_listdir_has_what_the_directory_has(engine, folder):
    assert sorted(run(engine, engine.listdir(folder))) == sorted(os.listdir(folder))


def test_split_dir_has_each_name_once(engine, folder):
    directories, others = run(engine, engine.split_dir(folder))
    assert sorted(directories) == sorted(f"folder {number}" for number in range(30))
    assert sorted(others) == sorted(f"file {number}" for number in range(30))


def test_scandir_in_stat_order_has_the_same_names_by_inode(engine, folder):
    entries = run(engine, engine.scandir(folder, order="stat"))
    inodes = [entry.inode() for entry in entries]
    assert inodes == sorted(inodes)
    assert sorted(entry.name for entry in entries) == sorted(run(engine, engine.listdir(folder)))
    assert all(entry.inode() == os.lstat(entry).st_ino for entry in entries)


def test_split_dir_follows_a_symlink_that_it_is_given(engine, folder):
    (folder / "link").symlink_to(".")
    directories, others = run(engine, engine.split_dir(folder / "link"))
    assert len(directories) == 30
    assert "link" in others


# ---- 06_group ----


def test_a_group_comes_after_its_members_with_its_result(engine):
    order = []
    group = engine.group(lambda group: order.append(group.result()))
    group.add(*(engine.nop(lambda request, place=place: order.append(place)) for place in range(3)))
    group.set_result("whole")
    engine.flush()
    assert sorted(order[:3]) == [0, 1, 2]
    assert order[3:] == ["whole"]


def test_a_group_ends_without_a_cancelled_member(engine, pool):
    called = []
    with held(pool):
        group = engine.group(called.append)
        first, second = group.add(engine.nop(called.append), engine.nop(called.append))
        assert first.cancel()
    engine.flush()
    assert called == [second, group]


def test_the_last_result_of_a_group_counts(engine):
    group = engine.group()
    group.set_result(1)
    group.set_result(None)
    engine.flush()
    assert group.result() is None


def test_a_cancelled_group_calls_nobody(engine, pool):
    called = []
    with held(pool):
        group = engine.group(called.append)
        group.add(engine.nop(called.append), engine.nop(called.append))
        group.cancel()
    engine.flush()
    assert called == []
    assert group.state == "done"


def test_an_empty_group_ends_in_a_later_poll(engine):
    called = []
    group = engine.group(called.append)
    assert called == []
    engine.flush()
    assert called == [group]


def test_busy_for_no_time_and_nop_return_nothing(engine):
    assert run(engine, engine.busy(0)) is None
    assert run(engine, engine.nop()) is None


# ---- 07_feeder ----


def test_a_feeder_keeps_the_limit_and_the_group_ends_after_all(engine, pool):
    left = list(range(10))
    calls, done = [], []

    def feeder(group):
        calls.append(len(left))
        if left:
            number = left.pop(0)
            (request,) = group.add(engine.nop())
            request.callback = lambda request: done.append(number)

    with held(pool):
        group = engine.group(lambda group: done.append("group"))
        group.feed(feeder, 5)
        assert (len(calls), done) == (5, [])
    engine.flush()
    assert sorted(done[:10]) == list(range(10))
    assert done[10:] == ["group"]
    assert len(calls) == 11  # the last one had nothing


# ---- not tested upstream ----


def test_a_callback_can_be_taken_away(engine):
    called = []
    request = engine.nop(called.append)
    request.callback = None
    engine.flush()
    assert (request.state, called) == ("done", [])


def test_a_failed_call_changes_no_priority(engine):
    view = engine.with_options(priority=3)
    with pytest.raises(ValueError, match="null"):
        view.stat("a\0b")
    request = view.nop()
    engine.flush()
    assert request.priority == 3


def test_the_counters_in_each_state(engine, pool, fifo):
    def counters():
        return engine.nreqs, engine.nready, engine.npending

    assert counters() == (0, 0, 0)
    with held(pool):
        opened = engine.open(fifo.path, fifo.MAKE)
        nop = engine.nop()
        assert counters() == (2, 2, 0)
    until(nop, "finished")
    until(opened, "running")
    assert counters() == (2, 0, 1)
    engine.poll()
    assert counters() == (1, 0, 0)
    fifo.let_go()
    os.close(run(engine, opened))
    assert counters() == (0, 0, 0)
    assert not is_readable(engine)


@pytest.mark.parametrize("offset", [-1, -100])
def test_an_offset_is_never_negative(engine, file, offset):
    fd = os.open(file, os.O_RDWR)
    for request in (engine.pread(fd, 5, offset), engine.pwrite(fd, b"x", offset)):
        with pytest.raises(OSError, match="Invalid argument"):
            run(engine, request)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    os.close(fd)


def test_a_write_may_be_short(engine):
    ours, other = socket.socketpair()
    with ours, other:
        ours.setblocking(False)
        written = run(engine, engine.write(ours.fileno(), bytes(16 << 20)))
        assert 0 < written < 16 << 20


SINKS = {
    "a file": lambda path: os.open(path, os.O_RDWR | os.O_CREAT),
    "a file to append": lambda path: os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND),
    "a device": lambda path: os.open(os.devnull, os.O_RDWR),
}


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("source", ["a file", "a file of /proc"])
@pytest.mark.parametrize("count", [0, 5, 1 << 40])
def test_sendfile_copies_between_all_kinds(engine, tmp_path, source, sink, count):
    path = "/proc/sys/kernel/ostype"
    if source == "a file":
        path = tmp_path / "source"
        path.write_bytes(bytes(range(256)) * 1000)
    with open(path, "rb") as file:
        content = file.read()
    in_fd, out_fd = os.open(path, os.O_RDONLY), SINKS[sink](tmp_path / "sink")
    sent = run(engine, engine.sendfile(out_fd, in_fd, 1, count))
    assert sent == min(count, len(content) - 1)
    assert os.lseek(in_fd, 0, os.SEEK_CUR) == 0
    if sink != "a device":
        assert os.pread(out_fd, 1 << 20, 0) == content[1 : 1 + count]
    os.close(in_fd)
    os.close(out_fd)


def test_sendfile_copies_from_a_pipe_and_to_a_socket(engine, tmp_path, pipe):
    os.write(pipe[1], b"through a pipe")
    fd = os.open(tmp_path / "sink", os.O_RDWR | os.O_CREAT)
    assert run(engine, engine.sendfile(fd, pipe[0], None, 9)) == 9
    assert os.pread(fd, 20, 0) == b"through a"
    ours, other = socket.socketpair()
    with ours, other:
        assert run(engine, engine.sendfile(ours.fileno(), fd, 0, 9)) == 9
        assert other.recv(20) == b"through a"
    os.close(fd)


def test_a_directory_descriptor_survives_a_rename_and_a_chdir(engine, tmp_path, monkeypatch):
    (tmp_path / "before").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = run(engine, engine.open("before", os.O_PATH | os.O_DIRECTORY))
    run(engine, engine.rename("before", "after"))
    monkeypatch.chdir("/")
    run(engine, engine.mkdir("inner", dir_fd=folder))
    assert (tmp_path / "after" / "inner").is_dir()
    assert run(engine, engine.realpath("inner", dir_fd=folder)) == os.path.realpath(tmp_path / "after" / "inner")
    os.close(folder)


def test_two_directory_descriptors(engine, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").touch()
    one, other = (os.open(tmp_path / name, os.O_PATH | os.O_DIRECTORY) for name in ("one", "other"))
    run(engine, engine.rename("file", "moved", src_dir_fd=one, dst_dir_fd=other))
    run(engine, engine.link("moved", "linked", src_dir_fd=other, dst_dir_fd=one))
    assert os.listdir(tmp_path / "one") == ["linked"]
    assert os.listdir(tmp_path / "other") == ["moved"]
    os.close(one)
    os.close(other)


def test_a_closed_directory_descriptor_is_an_error(engine, file):
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, engine.rename("file", file, src_dir_fd=(1 << 31) - 1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(engine, engine.rename(file, "file", dst_dir_fd=(1 << 31) - 1))
    assert run(engine, engine.stat(file, dir_fd=(1 << 31) - 1)).st_size == len(CONTENT)  # an absolute path


def test_a_hundred_thousand_requests_are_answered(engine):
    done = 0

    def count(request):
        nonlocal done
        done += 1

    for _ in range(100_000):
        engine.nop(count)
    engine.flush()
    assert done == 100_000
    assert engine.nreqs == 0

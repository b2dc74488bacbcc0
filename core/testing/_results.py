"""Results and errors, in each of the styles in which users call."""

from __future__ import annotations

import errno
import gc
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ._trial import Trial


async def a_file_is_written_and_read_back(t: Trial) -> None:
    fd = await t.aio.open(t.folder / "f", os.O_CREAT | os.O_RDWR, 0o600)
    assert await t.aio.pwrite(fd, b"hello", 3) == 5
    assert await t.aio.pread(fd, 10, 0) == b"\0\0\0hello"
    assert (await t.aio.fstat(fd)).st_size == 8
    await t.aio.close(fd)
    assert not os.path.exists(f"/proc/self/fd/{fd}")


async def a_megabyte_comes_whole(t: Trial) -> None:
    content = bytes(range(256)) * 4096
    assert await t.aio.write_bytes(t.folder / "f", content) == len(content)
    assert await t.aio.read_bytes(t.folder / "f") == content


async def a_callers_buffer_is_filled(t: Trial) -> None:
    (t.folder / "f").write_bytes(b"hello")
    fd = await t.aio.open(t.folder / "f", os.O_RDONLY)
    buffer = bytearray(8)
    assert await t.aio.preadv(fd, [buffer], 0) == 5
    assert buffer == b"hello\0\0\0"
    await t.aio.close(fd)


async def keyword_arguments_are_those_of_os(t: Trial) -> None:
    fd = await t.aio.open(t.folder, os.O_RDONLY | os.O_DIRECTORY)
    await t.aio.mkdir("d", mode=0o700, dir_fd=fd)
    assert (await t.aio.stat("d", dir_fd=fd, follow_symlinks=False)).st_mode & 0o777 == 0o700
    await t.aio.close(fd)


async def bytes_come_back_as_bytes_and_str_as_str(t: Trial) -> None:
    (t.folder / "f").touch()
    assert await t.aio.listdir(os.fsencode(t.folder)) == [b"f"]
    assert await t.aio.listdir(str(t.folder)) == ["f"]
    assert await t.aio.listdir(t.folder) == ["f"]


async def an_error_is_the_ordinary_one_with_the_callers_own_path(t: Trial) -> None:
    path = t.folder / "missing"
    error = await t.raised(FileNotFoundError, t.aio.stat(path))
    assert (error.errno, error.strerror) == (errno.ENOENT, os.strerror(errno.ENOENT))
    assert error.filename is path


async def an_error_of_two_paths_has_both(t: Trial) -> None:
    source, target = t.folder / "missing", t.folder / "other"
    error = await t.raised(FileNotFoundError, t.aio.rename(source, target))
    assert (error.filename, error.filename2) == (source, target)


async def an_error_of_a_descriptor_has_no_path(t: Trial) -> None:
    fd = os.open(t.folder, os.O_RDONLY)
    error = await t.raised(IsADirectoryError, t.aio.pread(fd, 1, 0))
    os.close(fd)
    assert (error.errno, error.filename) == (errno.EISDIR, None)


async def a_wrong_argument_is_a_type_error(t: Trial) -> None:
    await t.raised(TypeError, _made(lambda: t.aio.pread("f", 1, 0)))
    await t.raised(TypeError, _made(lambda: t.aio.open(t.folder / "f", "r")))
    assert t.engine.nreqs == 0


async def a_null_character_in_a_path_is_a_value_error(t: Trial) -> None:
    await t.raised(ValueError, _made(lambda: t.aio.stat("a\0b")))
    assert t.engine.nreqs == 0


async def _made(call: Any) -> None:
    """Await a call: it may raise before there is anything to await."""
    await call()


async def each_style_of_calling_gives_the_result(t: Trial) -> None:
    (t.folder / "f").write_bytes(b"12345")
    for style in t.driver.styles().values():
        assert (await style("stat", t.folder / "f")).st_size == 5


async def each_style_of_calling_raises_the_error(t: Trial) -> None:
    for style in t.driver.styles().values():
        error = await t.raised(FileNotFoundError, style("stat", t.folder / "missing"))
        assert error.filename == t.folder / "missing"
    await t.until(lambda: t.engine.nreqs == 0)  # what a style waits for beside it goes on


async def the_front_end_has_the_functions_too(t: Trial) -> None:
    front = t.driver.neutral(t.front)
    await front.mkdir(t.folder / "d")
    assert await front.listdir(t.folder) == ["d"]


async def a_result_comes_while_another_task_waits(t: Trial) -> None:
    stuck = t.stuck()
    waiting = t.start(t.aio.open(stuck.path, stuck.MAKE))
    await t.until(t.running())
    assert await t.aio.listdir(t.folder) == [stuck.path.name]
    assert waiting.ending is None
    stuck.release()
    os.close((await t.join(waiting)).value)


async def each_task_gets_its_own_result(t: Trial) -> None:
    sizes = list(range(min(100, t.driver.tasks)))
    for size in sizes:
        (t.folder / str(size)).write_bytes(b"x" * size)
        (t.folder / f"link{size}").symlink_to(str(size))
    statuses = await t.all(_call(t.aio.stat, t.folder / str(size)) for size in sizes)
    assert [status.st_size for status in statuses] == sizes
    targets = await t.all(_call(t.aio.readlink, t.folder / f"link{size}") for size in sizes)  # a worker's, each
    assert targets == [str(size) for size in sizes]


async def _call(function: Callable[..., Any], path: Path) -> Any:
    return await function(path)


async def as_many_tasks_as_the_loop_bears_are_served(t: Trial) -> None:
    tasks = [t.start(_nop(t)) for _ in range(t.driver.tasks)]
    await t.until(lambda: all(task.ending is not None for task in tasks))
    assert all(task.ending is not None and task.ending.error is None for task in tasks)


async def _nop(t: Trial) -> None:
    await t.aio.nop()


async def ten_thousand_requests_at_once_are_all_told(t: Trial) -> None:
    told: list[Any] = []
    with t.held():
        for _ in range(10_000):
            t.engine.nop(told.append)
        assert t.engine.nreqs == 10_000
    await t.drained()
    assert len(set(map(id, told))) == len(told) == 10_000


async def a_failed_call_keeps_nothing_alive(t: Trial) -> None:
    class Thing:
        pass

    async def fail() -> weakref.ref[Thing]:
        thing = Thing()
        with suppress(FileNotFoundError):
            await t.aio.stat(t.folder / "missing")
        return weakref.ref(thing)

    gc.disable()
    try:
        reference = await fail()
        await t.driver.sleep(0)  # the loop's own reference goes with its next turn
        assert reference() is None, "the error keeps the caller's frame"
    finally:
        gc.enable()

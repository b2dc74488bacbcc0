"""Results and errors, in the style of each colour."""

from __future__ import annotations

import errno
import os

from ._trial import Trial


async def a_file_is_written_and_read_back(t: Trial) -> None:
    fd = await t.aio.open(t.folder / "f", os.O_CREAT | os.O_RDWR, 0o600)
    assert await t.aio.pwrite(fd, b"hello", 3) == 5
    assert await t.aio.pread(fd, 10, 0) == b"\0\0\0hello"
    assert (await t.aio.fstat(fd)).st_size == 8
    await t.aio.close(fd)
    assert not os.path.exists(f"/proc/self/fd/{fd}")


async def an_error_is_the_ordinary_one_with_the_callers_own_path(t: Trial) -> None:
    path = t.folder / "missing"
    try:
        await t.aio.stat(path)
    except FileNotFoundError as error:
        assert error.errno == errno.ENOENT
        assert error.filename is path
    else:
        raise AssertionError("no error")


async def an_error_of_two_paths_has_both(t: Trial) -> None:
    try:
        await t.aio.rename(t.folder / "missing", t.folder / "other")
    except FileNotFoundError as error:
        assert (error.filename, error.filename2) == (t.folder / "missing", t.folder / "other")
    else:
        raise AssertionError("no error")


async def bytes_come_back_as_bytes(t: Trial) -> None:
    (t.folder / "f").touch()
    assert await t.aio.listdir(os.fsencode(t.folder)) == [b"f"]
    assert await t.aio.listdir(str(t.folder)) == ["f"]


async def a_wrong_argument_is_a_type_error(t: Trial) -> None:
    try:
        await t.aio.pread("f", 1, 0)
    except TypeError:
        pass
    else:
        raise AssertionError("no error")


async def each_style_of_calling_gives_the_result(t: Trial) -> None:
    (t.folder / "f").write_bytes(b"12345")
    for style in t.driver.styles().values():
        assert (await style("stat", t.folder / "f")).st_size == 5


async def each_style_of_calling_raises_the_error(t: Trial) -> None:
    for style in t.driver.styles().values():
        try:
            await style("stat", t.folder / "missing")
        except FileNotFoundError as error:
            assert error.filename == t.folder / "missing"
        else:
            raise AssertionError("no error")


async def a_result_is_there_while_other_tasks_wait(t: Trial) -> None:
    os.mkfifo(t.folder / "fifo")
    slow = t.start(t.aio.open(t.folder / "fifo", os.O_WRONLY))
    await t.until(t.running())
    assert await t.aio.listdir(t.folder) == ["fifo"]
    assert slow.ending is None
    fd = os.open(t.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.close((await t.join(slow)).value)
    os.close(fd)


async def a_call_cancelled_while_queued_never_runs(t: Trial) -> None:
    with t.held():
        ending = await t.cancelled(lambda: t.aio.mkdir(t.folder / "d"), t.queued())
    await t.aio.nop()
    assert ending.cancelled
    assert ending.outcome is not None
    assert ending.outcome.status == "never ran"
    assert not (t.folder / "d").exists()


async def a_look_is_abandoned_at_once(t: Trial) -> None:
    ending = await t.cancelled(lambda: t.aio.busy(0.2), t.running())
    assert t.running()()
    assert ending.cancelled
    assert ending.outcome is not None
    assert ending.outcome.status == "abandoned"


async def a_callback_that_raises_is_heard_of_by_the_loop(t: Trial) -> None:
    after: list[object] = []
    t.engine.nop(lambda request: 1 / 0)
    t.engine.nop(after.append)
    await t.aio.nop()
    await t.until(lambda: after)
    assert [type(error) for error in t.driver.heard] == [ZeroDivisionError]
    t.driver.heard.clear()


async def each_gives_every_item_with_its_result(t: Trial) -> None:
    paths = [t.folder / str(number) for number in range(100)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    sizes = {path: status.st_size async for path, status in t.driver.each("stat", paths, limit=8)}
    assert sizes == {path: number for number, path in enumerate(paths)}


def the_next_run_starts_clean(t: Trial) -> None:
    async def main() -> list[str]:
        names: list[str] = await t.aio.listdir(t.folder)
        return names

    assert t.run(main) == []
    (t.folder / "f").touch()
    assert t.run(main) == ["f"]

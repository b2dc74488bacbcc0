"""Composites: requests that are made of others."""

from __future__ import annotations

import os
from pathlib import Path

from ._trial import Trial


async def a_tree_is_removed(t: Trial) -> None:
    (t.folder / "a/b/c").mkdir(parents=True)
    (t.folder / "a/b/f").touch()
    await t.aio.rmtree(t.folder / "a")
    assert os.listdir(t.folder) == []


async def a_file_is_copied(t: Trial) -> None:
    (t.folder / "f").write_bytes(b"hello")
    await t.aio.copy(t.folder / "f", t.folder / "g")
    assert (t.folder / "g").read_bytes() == b"hello"


async def a_composite_raises_the_ordinary_error(t: Trial) -> None:
    error = await t.raised(FileNotFoundError, t.aio.copy(t.folder / "missing", t.folder / "g"))
    assert error.filename == t.folder / "missing"
    assert os.listdir(t.folder) == []


async def a_composite_cancelled_while_it_is_queued_does_nothing(t: Trial) -> None:
    (t.folder / "f").write_bytes(b"hello")
    with t.held():
        ending = await t.cancelled(lambda: t.aio.copy(t.folder / "f", t.folder / "g"), t.queued())
    assert ending.cancelled
    await t.drained()
    assert os.listdir(t.folder) == ["f"]


async def a_copy_cancelled_between_its_steps_leaves_no_part_behind(t: Trial) -> None:
    (t.folder / "f").write_bytes(bytes(17 << 20))  # more than a step

    def progress(done: int, size: int) -> None:
        t.pool.max_parallel = 0

    ending = await t.cancelled(
        lambda: t.aio.copy(t.folder / "f", t.folder / "g", progress=progress),
        lambda: not t.pool.max_parallel and t.queued()(),
        then=t.release_all,
    )
    assert ending.cancelled
    await t.drained()
    assert os.listdir(t.folder) == ["f"]


async def a_copy_of_a_quiet_fifo_is_cancelled(t: Trial) -> None:
    stuck = t.stuck()
    ending = await t.cancelled(lambda: t.aio.copy(stuck.path, t.folder / "g"), t.running())
    assert ending.cancelled
    await t.drained()
    assert os.listdir(t.folder) == [stuck.path.name]


async def a_composite_runs_beside_others(t: Trial) -> None:
    for number in range(10):
        (t.folder / f"{number}/d").mkdir(parents=True)
    await t.all(_remove(t, t.folder / str(number)) for number in range(10))
    assert os.listdir(t.folder) == []


async def _remove(t: Trial, path: Path) -> None:
    await t.aio.rmtree(path)


async def a_composite_of_the_engine_can_be_waited_for(t: Trial) -> None:
    (t.folder / "a/b").mkdir(parents=True)
    assert await t.wait(t.engine.rmtree(t.folder / "a")) is None
    assert os.listdir(t.folder) == []

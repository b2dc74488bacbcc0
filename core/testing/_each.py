"""`each`: one operation for many items."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from ._trial import Trial, not_for


def _files(t: Trial, count: int) -> list[Path]:
    paths = [t.folder / str(number) for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    return paths


async def each_gives_every_item_with_its_result(t: Trial) -> None:
    paths = _files(t, 100)
    sizes = {path: status.st_size async for path, status in t.driver.each("stat", paths, limit=8)}
    assert sizes == {path: number for number, path in enumerate(paths)}


async def each_in_order_keeps_the_order(t: Trial) -> None:
    paths = _files(t, 50)
    pairs = [pair async for pair in t.driver.each("stat", paths, limit=8, ordered=True)]
    assert [path for path, _ in pairs] == paths
    assert [status.st_size for _, status in pairs] == list(range(50))


async def each_of_nothing_ends_at_once(t: Trial) -> None:
    assert [pair async for pair in t.driver.each("stat", [])] == []


async def each_keeps_to_its_limit(t: Trial) -> None:
    most = 0
    async for _ in t.driver.each("stat", [t.folder] * 50, limit=4):
        most = max(most, t.engine.nreqs)
    assert most <= 5  # a group's own turn is one


async def each_raises_the_first_error(t: Trial) -> None:
    paths = [*_files(t, 5), t.folder / "missing"]

    async def stat_all() -> None:
        async for _ in t.driver.each("stat", paths, limit=2):
            pass

    error = await t.raised(FileNotFoundError, stat_all())
    assert error.filename == t.folder / "missing"
    await t.drained()


async def each_can_give_errors_back(t: Trial) -> None:
    paths = [t.folder, t.folder / "missing"]
    found = {path: result async for path, result in t.driver.each("stat", paths, errors="return")}
    assert isinstance(found[t.folder], os.stat_result)
    assert isinstance(found[t.folder / "missing"], FileNotFoundError)


async def each_that_is_left_early_loses_no_descriptor(t: Trial) -> None:
    paths = _files(t, 20)
    pairs = t.driver.each("open", paths, {"flags": os.O_RDONLY}, limit=8)
    async for _, fd in pairs:
        os.close(fd)
        break
    pairs.close()
    await t.drained()


async def each_that_is_dropped_loses_no_descriptor(t: Trial) -> None:
    paths = _files(t, 20)
    async for _, fd in t.driver.each("open", paths, {"flags": os.O_RDONLY}, limit=8):
        os.close(fd)
        break
    gc.collect()
    await t.drained()


async def each_is_cancelled_with_who_iterates(t: Trial) -> None:
    async def make_all() -> None:
        async for _ in t.driver.each("mkdir", [t.folder / str(number) for number in range(10)], limit=4):
            pass

    with t.held():
        ending = await t.cancelled(make_all, t.queued(4))
        assert ending.cancelled
        await t.drained()
    await t.aio.nop()
    assert os.listdir(t.folder) == []


@not_for(
    blocking="items that come asynchronously cannot be waited for where calls block",
    callback="items that come asynchronously cannot be waited for in callbacks",
)
async def each_takes_items_that_come_asynchronously(t: Trial) -> None:
    async def items() -> Any:
        for path in _files(t, 5):
            await t.aio.nop()
            yield path

    sizes = [status.st_size async for _, status in t.driver.each("stat", items(), ordered=True)]
    assert sizes == [0, 1, 2, 3, 4]

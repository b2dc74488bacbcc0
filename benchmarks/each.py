"""`each` over cached stat paths on asyncio, in the pool lane, beside tasks that await the same one after the other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyaio.asyncio as aio

from .common import Medians, Options, Result, Row, Subject

TIMES = 5  # as many items as others have operations


def paths(options: Options) -> list[str]:
    """Paths that are cached once this has looked at them: those of one directory, again and again."""
    folder = options.tree
    names = [os.path.join(folder, name) for name in sorted(os.listdir(folder))][:1000]
    for name in names:
        os.lstat(name)
    count = options.operations * TIMES
    return [names[number % len(names)] for number in range(count)]


def side(measured: Callable[[Any, list[str], int], Coroutine[Any, Any, int]]) -> Callable[[Options], Result]:
    async def main(options: Options) -> Result:
        front = aio.current().with_options(lane="pool")
        items = paths(options)
        await measured(front, items[: len(items) // 10], options.in_flight)
        began, processor = time.perf_counter(), time.process_time()
        count = await measured(front, items, options.in_flight)
        took, used = time.perf_counter() - began, time.process_time() - processor
        assert count == len(items), count
        return {"us per item": took / count * 1e6, "us of processor per item": used / count * 1e6}

    def run(options: Options) -> Result:
        return asyncio.run(main(options))

    return run


async def with_each(front: Any, items: list[str], in_flight: int) -> int:
    count = 0
    async for _ in front.each(front.lstat, items, limit=in_flight):
        count += 1
    return count


async def with_each_in_order(front: Any, items: list[str], in_flight: int) -> int:
    count = 0
    async for _ in front.each(front.lstat, items, limit=in_flight, ordered=True):
        count += 1
    return count


async def with_tasks(front: Any, items: list[str], in_flight: int) -> int:
    left = iter(items)
    count = 0

    async def work() -> None:
        nonlocal count
        for item in left:
            await front.lstat(item)
            count += 1

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return count


def rows(sides: Medians) -> list[Row]:
    found = [Row(f"{side}: {name}", value, "us") for side, result in sides.items() for name, value in result.items()]
    tasks = sides["tasks"]["us per item"]
    return [
        *found,
        Row("each: time / that of tasks", sides["each"]["us per item"] / tasks, "", "<= 0.7"),
        Row("each, ordered: time / that of tasks", sides["each, ordered"]["us per item"] / tasks, ""),
    ]


SUBJECT = Subject({"each": side(with_each), "each, ordered": side(with_each_in_order), "tasks": side(with_tasks)}, rows)

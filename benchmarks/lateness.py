"""How late a 1 ms ticker comes in an asyncio loop: idle, and beside writes of 4 KiB in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .common import Medians, Options, Result, Row, Subject, percentile
from .writes import Pwrite, Work, anyaio_pwrite, executor_pwrite

INTERVAL = 0.001


async def tick(seconds: float) -> list[float]:
    """Return how late each tick was, in ms."""
    loop = asyncio.get_running_loop()
    late = []
    end = loop.time() + seconds
    while (now := loop.time()) < end:
        await asyncio.sleep(INTERVAL)
        late.append((loop.time() - now - INTERVAL) * 1000)
    return late


def side(make_pwrite: Callable[[], Pwrite] | None) -> Callable[[Options], Result]:
    async def main(options: Options) -> Result:
        load = None
        if make_pwrite is not None:
            work = Work(make_pwrite(), options.folder, options.in_flight)
            load = asyncio.create_task(work.write(1 << 40))
            await asyncio.sleep(0.2)
        late = await tick(options.seconds)
        if load is not None:
            load.cancel()
            await asyncio.wait([load])
        return {"p50": percentile(late, 50), "p99": percentile(late, 99), "max": max(late)}

    return lambda options: asyncio.run(main(options))


def rows(sides: Medians) -> list[Row]:
    found = [
        Row(f"ticker, {side}: {name}", value, "ms") for side, result in sides.items() for name, value in result.items()
    ]
    above = sides["beside anyaio"]["p99"] - sides["idle"]["p99"]
    return [*found, Row("ticker: p99 beside anyaio above idle", above, "ms", "<= 2")]


SUBJECT = Subject(
    {"idle": side(None), "beside anyaio": side(anyaio_pwrite), "beside executor": side(executor_pwrite)}, rows
)

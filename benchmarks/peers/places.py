"""Where tasks run: plainly one after the other, or in an event loop. One function each, with the same parameters.

A *job* makes the coroutine, or the call, of a share of the items. What runs beside it runs until the last has ended.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter as clock
from typing import Any

from .beside import INTERVAL, Burner, Ticker, burn, tick
from .colours import Function, build, parameters
from .works import KINDS, Work, deal

Share = Sequence[Any]


class CannotError(Exception):
    """This side has not what the work needs."""


@dataclass
class Turn:
    """One turn of one side: what it is to do, and what came of it."""

    work: Work
    items: Share
    operations: Callable[[], dict[str, Any]]
    names: dict[str, Any]  # what loops need beside operations
    verifying: bool
    shares: list[Share] = field(default_factory=list)
    total: int = 0
    seconds: float = 0.0
    ticker: Ticker = field(default_factory=Ticker)
    burner: Burner = field(default_factory=Burner)

    def job(self, awaiting: bool, **own: Any) -> Function:
        found = {**self.names, **own, **self.operations()}
        loop = self.work.loop(found.keys())
        if loop is None:
            raise CannotError
        self.shares = deal(self.items, self.work.tasks, loop)
        needed = {name: found[name] for name in parameters(loop)}
        built = build(loop, awaiting=awaiting, verifying=self.verifying)
        return lambda share: built(share, **needed)

    def beside(self, awaiting: bool, sleep: Any) -> list[Callable[[], Any]]:
        """What is to run beside the job."""
        ticking, burning = build(tick, awaiting=awaiting), build(burn, awaiting=awaiting)
        found = [lambda: ticking(self.ticker, sleep)]
        return [*found, lambda: burning(self.burner, sleep)] if self.work.burning else found

    @property
    def warming(self) -> list[Share]:
        """A small part of the work, to begin with: what starts lazily is started by it."""
        return [] if KINDS[self.work.kind].heavy else [share[:4] for share in self.shares[:64]]

    def begin(self) -> None:
        gc.collect()
        self.ticker.restart()
        self.burner.burned = 0.0
        self.began = clock()

    def end(self, totals: Sequence[int]) -> None:
        self.seconds = clock() - self.began - self.burner.burned
        self.ticker.note()
        self.total = sum(totals)


def plainly(turn: Turn) -> None:
    job = turn.job(awaiting=False)
    for share in turn.warming:
        job(share)
    turn.begin()
    turn.end([job(share) for share in turn.shares])
    turn.ticker.late.clear()


def alone(turn: Turn) -> None:
    """As `plainly`, for those whose calls one after the other say nothing about many at a time."""
    turn.job(awaiting=False)
    if len(turn.shares) > 1:
        raise CannotError
    plainly(turn)


async def in_asyncio(turn: Turn) -> None:
    import asyncio

    async def together(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        return await asyncio.gather(*[function(item) for item in items])

    job = turn.job(awaiting=True, sleep=asyncio.sleep, together=together)
    await asyncio.gather(*[job(share) for share in turn.warming])
    beside = [asyncio.create_task(other()) for other in turn.beside(True, asyncio.sleep)]
    await asyncio.sleep(0)
    turn.begin()
    turn.end(await asyncio.gather(*[job(share) for share in turn.shares]))
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)


def on_asyncio(factory: Callable[[], Any] | None = None) -> Callable[[Turn], None]:
    import asyncio

    runner = asyncio.Runner(loop_factory=factory)
    return lambda turn: runner.run(in_asyncio(turn))


def on_uvloop() -> Callable[[Turn], None]:
    import uvloop

    return on_asyncio(uvloop.new_event_loop)


def on_trio() -> Callable[[Turn], None]:
    import trio

    async def together(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        results: list[Any] = []

        async def call(item: Any) -> None:
            results.append(await function(item))

        async with trio.open_nursery() as nursery:
            for item in items:
                nursery.start_soon(call, item)
        return results

    async def main(turn: Turn) -> None:
        job = turn.job(awaiting=True, sleep=trio.sleep, together=together)
        await together(job, turn.warming)
        async with trio.open_nursery() as nursery:
            for other in turn.beside(True, trio.sleep):
                nursery.start_soon(other)
            await trio.lowlevel.checkpoint()
            turn.begin()
            turn.end(await together(job, turn.shares))
            nursery.cancel_scope.cancel()

    return lambda turn: trio.run(main, turn)


def on_gevent() -> Callable[[Turn], None]:
    import gevent

    def together(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        greenlets = [gevent.spawn(function, item) for item in items]
        gevent.joinall(greenlets, raise_error=True)
        return [greenlet.value for greenlet in greenlets]

    def run(turn: Turn) -> None:
        job = turn.job(awaiting=False, sleep=gevent.sleep, together=together)
        together(job, turn.warming)
        beside = [gevent.spawn(other) for other in turn.beside(False, gevent.sleep)]
        gevent.sleep(0)
        turn.begin()
        turn.end(together(job, turn.shares))
        gevent.killall(beside)

    return run


def on_pyuv() -> Callable[[Turn], None]:
    """Chains of callbacks: each call is begun in the callback of the one before it."""
    import pyuv

    import anyaio.pyuv as aio

    loop = pyuv.Loop()
    aio.use(loop)

    def chain(turn: Turn, share: Share, totals: list[int], ended: Callable[[], None]) -> None:
        begin, look = turn.operations()[turn.work.kind], LOOKS[turn.work.kind]
        fd, items, item, total = turn.names["fd"], iter(share[1:]), share[0], 0

        def done(result: Any) -> None:
            nonlocal item, total
            total += look(result)
            if turn.verifying and isinstance(result, bytes):
                turn.names["verify"](result, item)
            item = next(items, None)
            if item is None:
                totals.append(total)
                ended()
            else:
                begin(loop, fd, item, done)

        begin(loop, fd, item, done)

    def run_all(turn: Turn, shares: list[Share], after: Callable[[], None]) -> list[int]:
        totals: list[int] = []

        def ended() -> None:
            if len(totals) == len(shares):
                after()

        for share in shares:
            chain(turn, share, totals, ended)
        loop.run()
        return totals

    def run(turn: Turn) -> None:
        if turn.work.kind not in LOOKS or turn.work.burning:
            raise CannotError
        turn.shares = deal(turn.items, turn.work.tasks)
        run_all(turn, turn.warming, lambda: None)
        timer = pyuv.Timer(loop)

        def tick(timer: Any) -> None:
            timer.start(tick, max(0.001, turn.ticker.note()), 0.0)  # its timers have milliseconds

        turn.begin()
        timer.start(tick, INTERVAL, 0.0)
        turn.end(run_all(turn, turn.shares, timer.close))

    return run


LOOKS: dict[str, Callable[[Any], int]] = {
    "pread": lambda data: int(data[-1]),
    "stat": lambda status: int(status.st_size),
}


def with_fio() -> Callable[[Turn], None]:
    """What fio, written in C, makes of the same number of reads, in as many threads as anyaio's pool may have."""
    import json
    import subprocess

    import anyaio

    threads = anyaio.Pool().max_parallel

    def run(turn: Turn) -> None:
        if turn.work.kind != "direct":
            raise CannotError
        jobs = min(threads, turn.work.tasks, len(turn.items))
        options = {**FIO, "filename": turn.names["big_path"], "numjobs": jobs, "number_ios": len(turn.items) // jobs}
        command = ["fio", "--thread", "--group_reporting", *[f"--{name}={value}" for name, value in options.items()]]
        done = subprocess.run(command, capture_output=True, check=True)
        (job,) = json.loads(done.stdout)["jobs"]
        turn.seconds = len(turn.items) * job["read"]["runtime"] / 1000 / job["read"]["total_ios"]
        turn.total = KINDS["direct"].total(turn.names["files"], turn.items)  # it shows nobody what it read

    return run


FIO = {
    "name": "reads",
    "ioengine": "psync",
    "rw": "randread",
    "bs": 4096,
    "direct": 1,
    "time_based": 0,
    "output-format": "json",
}

PLACES: dict[str, Callable[[], Callable[[Turn], None]]] = {
    "plain": lambda: plainly,
    "alone": lambda: alone,
    "asyncio": on_asyncio,
    "uvloop": on_uvloop,
    "trio": on_trio,
    "gevent": on_gevent,
    "pyuv": on_pyuv,
    "fio": with_fio,
}

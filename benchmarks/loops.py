"""pread of cached 4 KiB in the pool lane, in flight, on each loop: anyaio beside what the loop's users have without it.

Each result is compared with what was written. Both sides of a loop are written as its users write: tasks in a nursery,
greenlets, coroutines, chains of callbacks.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from .common import Medians, Options, Result, Row, Subject, some_blocks, threads

SIZE = 4096
SLOTS = 1024
Pread = Callable[[int, int, int], Any]


class Work:
    """A file of known blocks; each of the readers makes its part of the reads, one after the other."""

    def __init__(self, options: Options) -> None:
        self.readers = range(options.in_flight)
        self.operations = 0
        self.file = tempfile.TemporaryFile(dir=options.folder)
        self.blocks = some_blocks(SIZE)
        for slot in range(SLOTS):
            self.file.write(self.blocks[slot % len(self.blocks)])
        self.file.flush()
        self.fd = self.file.fileno()
        self.checked = 0

    def offsets(self, reader: int) -> Iterator[int]:
        return (number % SLOTS * SIZE for number in range(reader, self.operations, len(self.readers)))

    def check(self, data: bytes, offset: int) -> None:
        assert data == self.blocks[offset // SIZE % len(self.blocks)], f"wrong bytes at {offset}"
        self.checked += 1

    def measure(self, options: Options, read_all: Callable[[], object]) -> Result:
        """Measure *read_all*, which makes all reads, when it has warmed up."""
        self.operations = options.operations // 10
        read_all()
        self.operations, self.checked = options.operations, 0
        began, processor = time.perf_counter(), time.process_time()
        read_all()
        took, used = time.perf_counter() - began, time.process_time() - processor
        assert self.checked == options.operations, self.checked
        return {
            "us per operation": took / options.operations * 1e6,
            "us of processor per operation": used / options.operations * 1e6,
            "threads": threads() - 1,
        }


async def read(work: Work, pread: Pread, reader: int) -> None:
    for offset in work.offsets(reader):
        work.check(await pread(work.fd, SIZE, offset), offset)


# ---- the loops: each with anyaio or without ----


def on_asyncio(options: Options, with_anyaio: bool) -> Result:
    import asyncio

    import anyaio.asyncio as aio

    work = Work(options)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def without(fd: int, n: int, offset: int) -> Any:
            return loop.run_in_executor(None, os.pread, fd, n, offset)

        pread = aio.current().with_options(lane="pool").pread if with_anyaio else without
        await asyncio.gather(*(read(work, pread, reader) for reader in work.readers))

    with asyncio.Runner() as runner:
        return work.measure(options, lambda: runner.run(main()))


def on_trio(options: Options, with_anyaio: bool) -> Result:
    import trio

    import anyaio.trio as aio

    work = Work(options)

    def without(fd: int, n: int, offset: int) -> Any:
        return trio.to_thread.run_sync(os.pread, fd, n, offset)

    async def main() -> None:
        pread = aio.current().with_options(lane="pool").pread if with_anyaio else without
        async with trio.open_nursery() as nursery:
            for reader in work.readers:
                nursery.start_soon(read, work, pread, reader)

    return work.measure(options, lambda: trio.run(main))


def on_tornado(options: Options, with_anyaio: bool) -> Result:
    from tornado import gen
    from tornado.ioloop import IOLoop

    import anyaio.tornado as aio

    work = Work(options)
    loop = IOLoop()

    def without(fd: int, n: int, offset: int) -> Any:
        return loop.run_in_executor(None, os.pread, fd, n, offset)

    async def main() -> None:
        pread = aio.current().with_options(lane="pool").pread if with_anyaio else without
        await gen.multi([read(work, pread, reader) for reader in work.readers])

    return work.measure(options, lambda: loop.run_sync(main))


def on_gevent(options: Options, with_anyaio: bool) -> Result:
    import gevent

    import anyaio.gevent as aio

    work = Work(options)
    apply = gevent.get_hub().threadpool.apply

    def without(fd: int, n: int, offset: int) -> Any:
        return apply(os.pread, (fd, n, offset))

    pread: Pread = aio.current().with_options(lane="pool").pread if with_anyaio else without

    def run(reader: int) -> None:
        for offset in work.offsets(reader):
            work.check(pread(work.fd, SIZE, offset), offset)

    return work.measure(
        options, lambda: gevent.joinall([gevent.spawn(run, reader) for reader in work.readers], raise_error=True)
    )


def on_pyuv(options: Options, with_anyaio: bool) -> Result:
    import pyuv

    import anyaio.pyuv as aio

    work = Work(options)
    loop = pyuv.Loop()
    front = aio.use(loop).with_options(lane="pool")

    def chain(reader: int) -> None:
        """Begin each read in the callback of the one before it."""
        offsets = work.offsets(reader)
        offset = next(offsets, None)

        def begin() -> None:
            if offset is not None:
                if with_anyaio:
                    front.pread(work.fd, SIZE, offset, lambda request: done(request.result()))
                else:
                    pyuv.fs.read(loop, work.fd, SIZE, offset, lambda request: done(request.result))

        def done(data: bytes) -> None:
            nonlocal offset
            assert offset is not None
            work.check(data, offset)
            offset = next(offsets, None)
            begin()

        begin()

    def run() -> None:
        for reader in work.readers:
            chain(reader)
        loop.run()

    return work.measure(options, run)


LOOPS: dict[str, tuple[Callable[[Options, bool], Result], str, str]] = {
    "asyncio": (on_asyncio, "run_in_executor", ">= 4"),
    "trio": (on_trio, "trio.to_thread.run_sync", ">= 4"),
    "tornado": (on_tornado, "IOLoop.run_in_executor", ">= 3"),
    "gevent": (on_gevent, "hub.threadpool.apply", ">= 3"),
    "pyuv": (on_pyuv, "pyuv.fs.read", ">= 1.5"),
}
"""How a loop is measured, what its users have without anyaio, and the least that anyaio's rate is to be of that."""


def side(loop: str, with_anyaio: bool) -> Callable[[Options], Result]:
    return lambda options: LOOPS[loop][0](options, with_anyaio)


def rows(sides: Medians) -> list[Row]:
    found = []
    for loop, (_, without, target) in LOOPS.items():
        if loop not in sides:
            found.append(Row(f"{loop} is not installed: pread / {without}", None, "", target))
            continue
        ours, theirs = sides[loop], sides[f"{loop}: {without}"]
        found += [Row(f"{loop}, pread: {name}", value, "") for name, value in ours.items()]
        found += [Row(f"{loop}, {without}: {name}", value, "") for name, value in theirs.items()]
        ratio = theirs["us per operation"] / ours["us per operation"]
        found.append(Row(f"{loop}: rate of pread / that of {without}", ratio, "", target))
    return found


SUBJECT = Subject(
    {
        name: side(loop, with_anyaio)
        for loop, (_, without, _) in LOOPS.items()
        if importlib.util.find_spec(loop) is not None
        for name, with_anyaio in ((loop, True), (f"{loop}: {without}", False))
    },
    rows,
)

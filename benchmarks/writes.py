"""asyncio, pwrite of 4 KiB: anyaio against `loop.run_in_executor` with a warm executor; in flight, and one at a time.

What was written is read back and compared.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable

import anyaio.asyncio as aio

from .common import Medians, Options, Result, Row, Subject, some_blocks, threads

SIZE = 4096
Pwrite = Callable[[int, bytes, int], Awaitable[int]]


def executor_pwrite() -> Pwrite:
    loop = asyncio.get_running_loop()

    def pwrite(fd: int, data: bytes, offset: int) -> Awaitable[int]:
        return loop.run_in_executor(None, os.pwrite, fd, data, offset)

    return pwrite


def anyaio_pwrite() -> Pwrite:
    return aio.pwrite


class Work:
    """Numbered writes to a file: a writer takes every n-th of them, in order, so that the end state is known."""

    def __init__(self, pwrite: Pwrite, folder: str, writers: int) -> None:
        self.pwrite = pwrite
        self.writers = writers
        self.slots = 32 * writers  # a multiple: each slot has one writer
        self.file = tempfile.TemporaryFile(dir=folder)
        self.blocks = some_blocks(SIZE)
        self.written = 0

    async def write(self, operations: int) -> float:
        """Make *operations* writes; return the seconds that they took."""
        fd, pwrite, blocks, slots = self.file.fileno(), self.pwrite, self.blocks, self.slots

        async def writer(first: int) -> None:
            for number in range(first, operations, self.writers):
                written = await pwrite(fd, blocks[number % len(blocks)], number % slots * SIZE)
                assert written == SIZE, written

        began = time.perf_counter()
        if self.writers == 1:
            await writer(0)
        else:
            await asyncio.gather(*[writer(first) for first in range(self.writers)])
        self.written = operations
        return time.perf_counter() - began

    def check(self) -> None:
        for slot in range(min(self.slots, self.written)):
            last = (self.written - 1 - slot) // self.slots * self.slots + slot
            found = os.pread(self.file.fileno(), SIZE, slot * SIZE)
            assert found == self.blocks[last % len(self.blocks)], f"slot {slot} has wrong bytes"
        self.file.close()


def side(make_pwrite: Callable[[], Pwrite]) -> Callable[[Options], Result]:
    async def main(options: Options) -> Result:
        result = {}
        for name, writers in ("alone", 1), ("in flight", options.in_flight):
            work = Work(make_pwrite(), options.folder, writers)
            await work.write(max(options.operations // 10, work.slots))
            result[f"us per operation, {name}"] = await work.write(options.operations) / options.operations * 1e6
            work.check()
            result[f"threads, {name}"] = threads() - 1
        return result

    return lambda options: asyncio.run(main(options))


def rows(sides: Medians) -> list[Row]:
    ours, theirs = sides["anyaio"], sides["executor"]
    found = [
        Row(f"pwrite, {side}: {name}", value, "") for side, result in sides.items() for name, value in result.items()
    ]
    flight, alone = "us per operation, in flight", "us per operation, alone"
    return [
        *found,
        Row("pwrite in flight: anyaio's rate / executor's", theirs[flight] / ours[flight], "", ">= 4"),
        Row("pwrite alone: anyaio's time / executor's", ours[alone] / theirs[alone], "", "<= 0.5"),
    ]


SUBJECT = Subject({"anyaio": side(anyaio_pwrite), "executor": side(executor_pwrite)}, rows)

"""The works: tables, and the loops over calls that they consist of.

A loop's first parameter is its share of the items; the others name what it needs: operations, which the side offers,
and what `serve.py` has for all. It returns a sum that each result is part of. Where sides differ in what they offer, a
work has several loops, best first: a side gets the first that it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import O_RDONLY
from typing import Any, NamedTuple

from .colours import Function, parameters
from .files import BLOCK, CHUNK, SLOTS, Files

# ---- the loops ----


async def pread(items: Sequence[int], pread: Any, fd: int, verify: Any) -> int:
    total = 0
    for offset in items:
        data = await pread(fd, 4096, offset)
        total += data[-1]
        verify(data, offset)
    return total


async def pread_file(items: Sequence[int], open_seekable: Any, big_path: str, verify: Any) -> int:
    total = 0
    async with open_seekable(big_path) as file:
        for offset in items:
            await file.seek(offset)
            data = await file.read(4096)
            total += data[-1]
            verify(data, offset)
    return total


async def stat(items: Sequence[str], stat: Any) -> int:
    total = 0
    for path in items:
        total += (await stat(path)).st_size
    return total


async def small(items: Sequence[str], open: Any, pread: Any, close: Any, verify: Any) -> int:
    total = 0
    for path in items:
        fd = await open(path, O_RDONLY)
        data = await pread(fd, 8192, 0)
        await close(fd)
        total += data[-1]
        verify(data, path)
    return total


async def small_file(items: Sequence[str], open_file: Any, verify: Any) -> int:
    total = 0
    for path in items:
        async with open_file(path) as file:
            data = await file.read()
        total += data[-1]
        verify(data, path)
    return total


async def read_bytes(items: Sequence[str], read_bytes: Any, verify: Any) -> int:
    total = 0
    for path in items:
        data = await read_bytes(path)
        total += data[-1]
        verify(data, path)
    return total


async def pwrite(items: Sequence[int], pwrite: Any, written_fd: int, data: bytes) -> int:
    total = 0
    for offset in items:
        total += await pwrite(written_fd, data, offset)
    return total


async def pwrite_each(items: Sequence[int], each: Any, pwrite: Any, written_fd: int, data: bytes) -> int:
    total = 0
    async for _, written in each(partial(pwrite, written_fd, data), items, limit=64):
        total += written
    return total


async def scan(items: Sequence[str], each: Any, scandir: Any) -> int:
    total = 0
    for tree in items:
        level = [tree]
        while level:
            below = []
            async for _, entries in each(partial(scandir, stat=True, resolve=False), level):
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
            level = below
    return total


async def scan_folders(items: Sequence[str], together: Any, read_folder: Any) -> int:
    """With `read_folder(path)`, whose result is the folders in it and the sum of sizes of all else."""
    total = 0
    for tree in items:
        level = [tree]
        while level:
            found = await together(read_folder, level)
            total += sum(size for _, size in found)
            level = [folder for folders, _ in found for folder in folders]
    return total


async def stream(items: Sequence[int], pread: Any, fd: int, verify: Any) -> int:
    total = 0
    for offset in items:
        data = await pread(fd, 1048576, offset)
        total += data[-1]
        verify(data, offset)
    return total


async def stream_each(items: Sequence[int], each: Any, pread: Any, fd: int, verify: Any) -> int:
    total = 0
    async for offset, data in each(partial(pread, fd, 1048576), items, limit=4, ordered=True):
        total += data[-1]
        verify(data, offset)
    return total


async def stream_file(items: Sequence[int], open_seekable: Any, big_path: str, verify: Any) -> int:
    total = 0
    async with open_seekable(big_path) as file:
        for offset in items:
            if offset == 0:
                await file.seek(0)
            data = await file.read(1048576)
            total += data[-1]
            verify(data, offset)
    return total


async def copy(items: Sequence[int], copy: Any, big_path: str, copied_path: str) -> int:
    for _ in items:
        await copy(big_path, copied_path)
    return len(items)


async def direct(items: Sequence[int], preadv: Any, direct_fd: int, aligned: Any, verify: Any) -> int:
    total = 0
    buffer = aligned(4096)
    for offset in items:
        total += await preadv(direct_fd, [buffer], offset) and buffer[4095]
        verify(buffer[:], offset)
    return total


async def idle(items: Sequence[int], sleep: Any) -> int:
    for _ in items:
        await sleep(0.01)
    return len(items)


async def program(items: Sequence[str], list_tree: Any, listing_path: str) -> int:
    for tree in items:
        await list_tree(tree, listing_path)
    return len(items)


# ---- their items: the n-th is the same for all sides ----


def preads(files: Files, count: int) -> list[int]:
    return [number % SLOTS * BLOCK for number in range(count)]


def chunks(files: Files, count: int) -> list[int]:
    return [number * CHUNK % files.big for number in range(count)]


def scattered(files: Files, count: int) -> list[int]:
    slots = files.big // BLOCK
    return [number * 40503 % slots * BLOCK for number in range(count)]  # odd, so that all slots come


def small_paths(files: Files, count: int) -> list[str]:
    return [files.small_paths[number % files.small] for number in range(count)]


def trees(files: Files, count: int) -> list[str]:
    return [files.tree] * count


def listed(files: Files, count: int) -> list[str]:
    return [files.listed] * count


def turns(files: Files, count: int) -> range:
    return range(count)


# ---- the sums that they must give ----


def last_bytes(size: int) -> Callable[[Files, Sequence[int]], int]:
    return lambda files, items: sum(files.block((offset + size) // BLOCK - 1)[-1] for offset in items)


def last_bytes_of_files(files: Files, items: Sequence[str]) -> int:
    return sum(files.small_content(files.numbers[path])[-1] for path in items)


def sizes(files: Files, items: Sequence[str]) -> int:
    return sum(files.small_size(files.numbers[path]) for path in items)


def blocks(files: Files, items: Sequence[int]) -> int:
    return BLOCK * len(items)


def sizes_of_trees(files: Files, items: Sequence[str]) -> int:
    return len(items) * sizes(files, files.small_paths)


def number_of(files: Files, items: Sequence[Any]) -> int:
    return len(items)


class Kind(NamedTuple):
    """What is done, whoever does it: its items, the sum that they must give, and the loops over calls that do it."""

    items: Callable[[Files, int], Sequence[Any]]
    total: Callable[[Files, Any], int]
    loops: tuple[Function, ...]
    heavy: bool = False  # one item is work enough for a turn


KINDS = {
    "pread": Kind(preads, last_bytes(BLOCK), (pread, pread_file)),
    "stat": Kind(small_paths, sizes, (stat,)),
    "small": Kind(small_paths, last_bytes_of_files, (small, small_file)),
    "read_bytes": Kind(small_paths, last_bytes_of_files, (read_bytes, small, small_file)),
    "pwrite": Kind(preads, blocks, (pwrite,)),
    "pwrite each": Kind(preads, blocks, (pwrite_each, pwrite)),
    "scan": Kind(trees, sizes_of_trees, (scan, scan_folders), heavy=True),
    "stream": Kind(chunks, last_bytes(CHUNK), (stream, stream_file)),
    "stream each": Kind(chunks, last_bytes(CHUNK), (stream_each, stream)),
    "copy": Kind(turns, number_of, (copy,), heavy=True),
    "direct": Kind(scattered, last_bytes(BLOCK), (direct,)),
    "idle": Kind(turns, number_of, (idle,)),
    "program": Kind(listed, number_of, (program,), heavy=True),
}


@dataclass(frozen=True)
class Work:
    """A row of the table."""

    title: str
    kind: str
    tasks: int = 1
    burning: bool = False  # Python code keeps the loop's thread busy meanwhile; only the time it leaves counts
    reference: tuple[str, str] = ("", "os")  # the work and the side that are 1; "": the same
    targets: Mapping[str, float] = field(default_factory=dict)  # what sides are to reach of the reference's rate
    unit: str = "operation"
    sides: tuple[str, ...] = ("",)  # the only ones that do it: those whose names begin so

    def loop(self, offered: Collection[str]) -> Function | None:
        """The best loop for who offers these names, if there is any."""
        fitting = (loop for loop in KINDS[self.kind].loops if all(name in offered for name in parameters(loop)))
        return next(fitting, None)


def deal(items: Sequence[Any], tasks: int, loop: Function | None = None) -> list[Sequence[Any]]:
    """Deal the items to the tasks; `each` is one task, and many calls at a time by itself."""
    if loop is not None and "each" in parameters(loop):
        tasks = 1
    return [share for first in range(tasks) if (share := items[first::tasks])]


ASYNCIO = "anyaio, asyncio"
ON_OTHER_LOOPS = {
    "anyaio, trio strict": 0.08,
    "anyaio, trio budget": 0.4,
    "anyaio, gevent": 0.5,
    "anyaio, tornado": 0.25,
}
KNOWN = ("os", "anyaio, asyncio", "run_in", "caio", "anyio.to", "trio.to", "gevent", "IO::AIO", "node, call")
GROWTH = {f"growth{10**power}": 10**power for power in range(6)}

WORKS = {
    "idle": Work("nothing, for the ticker's sake", "idle"),
    "pread1": Work("cached 4 KiB pread, one at a time", "pread", targets={ASYNCIO: 0.6, **ON_OTHER_LOOPS}),
    "pread64": Work("cached 4 KiB pread, 64 tasks", "pread", 64, targets={ASYNCIO: 0.6}),
    "busy64": Work(
        "the same beside Python code that takes 70 %",
        "pread",
        64,
        burning=True,
        reference=("pread64", ""),
        targets={ASYNCIO: 0.9},
    ),
    "stat64": Work("stat of 20,000 files, 64 tasks", "stat", 64, targets={ASYNCIO: 0.55}),
    "small32": Work("open, pread, close of small files, 32 tasks", "small", 32, targets={ASYNCIO: 0.5}),
    "read1": Work("read_bytes of small files, one at a time", "read_bytes", targets={ASYNCIO: 0.7}),
    "read32": Work("read_bytes of small files, 32 tasks", "read_bytes", 32, targets={ASYNCIO: 0.7}),
    "pwrite64": Work("4 KiB pwrite, 64 tasks", "pwrite", 64, targets={ASYNCIO: 0.25}),
    "pwrite_each": Work("4 KiB pwrite, each (others: 64 tasks)", "pwrite each", 64, targets={ASYNCIO: 0.6}),
    "scan": Work("recursive scan of 20,000 files with type and size", "scan", targets={ASYNCIO: 1.3}, unit="tree"),
    "stream": Work("1 MiB chunks of a cached file, one at a time", "stream", targets={ASYNCIO: 1.0}, unit="MiB"),
    "stream_each": Work("the same by each, in order", "stream each", targets={ASYNCIO: 1.0}, unit="MiB"),
    "copy": Work("copy of a cached file of 256 MiB", "copy", targets={ASYNCIO: 1.4}, unit="copy"),
    "direct64": Work(
        "O_DIRECT 4 KiB random pread, 64 tasks", "direct", 64, reference=("", "fio, psync"), targets={ASYNCIO: 0.7}
    ),
    "cli": Work(
        "a program that lists a tree, such as /usr",
        "program",
        reference=("", "find"),
        targets={"anyaio scan": 1 / 1.2},
        unit="run",
    ),
    **{
        name: Work(f"cached 4 KiB pread, {tasks:,} in flight", "pread", tasks, sides=KNOWN)
        for name, tasks in GROWTH.items()
    },
}

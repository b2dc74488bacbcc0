"""Copy files into a folder, all of them side by side: asyncio_copy.py FILE... FOLDER"""

from __future__ import annotations

import asyncio
import os
import sys

import anyaio.asyncio as aio

BLOCK = 1 << 18


async def write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = await aio.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


async def copy(source: str, target: str) -> int:
    """Copy one file; return its size."""
    offset = 0
    source_fd = await aio.open(source, os.O_RDONLY)
    try:
        target_fd = await aio.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            while data := await aio.pread(source_fd, BLOCK, offset):
                await write_all(target_fd, data, offset)
                offset += len(data)
            await aio.fsync(target_fd)
        finally:
            await aio.close(target_fd)
    finally:
        await aio.close(source_fd)
    return offset


async def main(sources: list[str], folder: str) -> None:
    async with asyncio.TaskGroup() as group:
        copies = {
            source: group.create_task(copy(source, os.path.join(folder, os.path.basename(source))))
            for source in sources
        }
    for source, task in copies.items():
        print(f"{source}: {task.result()} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1:-1], sys.argv[-1]))

"""Print the sizes of files as their Futures are done, and the time while they are not: tornado_ioloop.py FILE..."""

from __future__ import annotations

import asyncio
import os
import sys

from tornado.ioloop import PeriodicCallback

import anyaio.tornado as aio


async def size(path: str) -> None:
    try:
        fd = await aio.open(path, os.O_RDONLY)
    except OSError as error:
        print(error)
        return
    try:
        print(f"{path}: {(await aio.fstat(fd)).st_size} bytes")
    finally:
        await aio.close(fd)


async def main(paths: list[str]) -> None:
    clock = PeriodicCallback(lambda: print("the loop goes on"), 20)
    clock.start()
    await aio.busy(0.05)
    async for path, status in aio.each(aio.lstat, paths, ordered=True, errors="return"):
        if isinstance(status, os.stat_result):
            await size(path)
        else:
            print(status)
    clock.stop()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1:]))

"""Print checksums of files, all of them side by side, each within a limit of time: trio_nursery.py SECONDS FILE..."""

from __future__ import annotations

import hashlib
import os
import sys

import trio

import anyaio.trio as aio

BLOCK = 1 << 18


async def checksum(path: str) -> str:
    digest = hashlib.sha256()
    offset = 0
    fd = await aio.open(path, os.O_RDONLY)
    try:
        while data := await aio.pread(fd, BLOCK, offset):
            digest.update(data)
            offset += len(data)
    finally:
        await aio.close(fd)  # also when the time is over
    return digest.hexdigest()


async def report(path: str, seconds: float) -> None:
    try:
        with trio.fail_after(seconds):
            print(f"{path}: {await checksum(path)}")
    except trio.TooSlowError:
        print(f"{path}: it took too long")
    except OSError as error:
        print(error)


async def main(seconds: float, paths: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(report, path, seconds)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    trio.run(main, float(sys.argv[1]), sys.argv[2:])

"""Print checksums of files, all side by side, each within a limit of time: twisted_deferreds.py SECONDS FILE..."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

from twisted.internet import defer, task

import anyaio.twisted as aio

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


async def report(reactor: Any, path: str, seconds: float) -> None:
    try:
        print(f"{path}: {await defer.ensureDeferred(checksum(path)).addTimeout(seconds, reactor)}")
    except defer.TimeoutError:
        print(f"{path}: it took too long")
    except OSError as error:
        print(error)


async def main(reactor: Any, seconds: str, *paths: str) -> None:
    await defer.gatherResults([defer.ensureDeferred(report(reactor, path, float(seconds))) for path in paths])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    task.react(lambda *arguments: defer.ensureDeferred(main(*arguments)), sys.argv[1:])

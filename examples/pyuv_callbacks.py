"""Tell which of some files are the largest, with pyuv, while a timer ticks: pyuv_callbacks.py PATH..."""

from __future__ import annotations

import os
import sys

import pyuv

import anyaio
import anyaio.pyuv as aio

SHOWN = 3


def main(paths: list[str]) -> None:
    loop = pyuv.Loop()
    aio.use(loop)
    sizes: list[tuple[int, str]] = []

    def told(path: str, request: anyaio.Request[os.stat_result]) -> None:
        try:
            sizes.append((request.result().st_size, path))
        except OSError as error:
            print(error)

    def ended(group: anyaio.Group) -> None:
        for size, path in sorted(sizes, reverse=True)[:SHOWN]:
            print(size, path)

    aio.each(aio.stat, paths, told, limit=64).callback = ended
    loop.run()  # until the last callback was called


if __name__ == "__main__":
    main(sys.argv[1:] or ["/etc/passwd"])

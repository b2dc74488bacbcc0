"""Print how many lines files have, a few files at a time, each within a limit: gevent_greenlets.py SECONDS FILE..."""

from __future__ import annotations

import os
import sys

import gevent
from gevent.pool import Pool

import anyaio.gevent as aio

BLOCK = 1 << 18


def count_lines(path: str) -> int:
    count = offset = 0
    fd = aio.open(path, os.O_RDONLY)
    try:
        while data := aio.pread(fd, BLOCK, offset):
            count += data.count(b"\n")
            offset += len(data)
    finally:
        aio.close(fd)  # also when the time is over
    return count


def report(path: str, seconds: float) -> str:
    try:
        with gevent.Timeout(seconds):
            return f"{path}: {count_lines(path)} lines"
    except gevent.Timeout:
        return f"{path}: it took too long"
    except OSError as error:
        return str(error)


def main(seconds: float, paths: list[str]) -> None:
    for line in Pool(8).imap(lambda path: report(path, seconds), paths):
        print(line)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(float(sys.argv[1]), sys.argv[2:])

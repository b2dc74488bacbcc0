"""One large file copied within a file system: anyaio's copy, `cp`, and `shutil.copyfile`. Its content is compared.

Nothing is forced to the disk while the clock runs. Where the file system can share blocks, this says nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable

import anyaio.asyncio as aio

from .common import Medians, Options, Result, Row, Subject, some_blocks

BLOCK = 1 << 20


def with_anyaio(src: str, dst: str) -> None:
    asyncio.run(aio.copy(src, dst, preserve=()))


def with_cp(src: str, dst: str) -> None:
    subprocess.run(["cp", src, dst], check=True)


def with_shutil(src: str, dst: str) -> None:
    shutil.copyfile(src, dst)


def side(copy: Callable[[str, str], None]) -> Callable[[Options], Result]:
    def main(options: Options) -> Result:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            src, dst = f"{folder}/src", f"{folder}/dst"
            blocks = some_blocks(BLOCK)
            count = max(1, options.size // BLOCK)
            with open(src, "wb") as file:
                for number in range(count):
                    file.write(blocks[number % len(blocks)])
            os.sync()  # else the copying would pay for it
            began = time.perf_counter()
            copy(src, dst)
            seconds = time.perf_counter() - began
            with open(dst, "rb") as file:
                for number in range(count):
                    assert file.read(BLOCK) == blocks[number % len(blocks)], f"block {number} has wrong bytes"
                assert file.read(1) == b""
        os.sync()  # the next side starts from a quiet disk
        return {"s": seconds, "GB/s": count * BLOCK / seconds / 1e9}

    return main


def rows(sides: Medians) -> list[Row]:
    found = [Row(f"copy, {side}", result[unit], unit) for side, result in sides.items() for unit in result]
    ratios = [
        Row(f"copy: anyaio's time / {side}'s", sides["anyaio"]["s"] / sides[side]["s"], "", "<= 1.05")
        for side in ("cp", "shutil.copyfile")
    ]
    return [*found, *ratios]


SUBJECT = Subject(
    {"anyaio": side(with_anyaio), "cp": side(with_cp), "shutil.copyfile": side(with_shutil)},
    rows,
)

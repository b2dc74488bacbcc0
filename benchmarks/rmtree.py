"""Removing a tree: `rmtree` in the blocking colour, `shutil.rmtree`, and the program `rm -rf`.

--operations is the number of files, 100 in a directory. The planting is written back before the clock starts. `rm` is
timed with the start of its process, the others without theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable

from .common import Medians, Options, Result, Row, Subject

FILES = 100  # in a directory


def remove_by_anyaio(folder: str) -> None:
    import anyaio.blocking

    anyaio.blocking.rmtree(folder)


def remove_by_rm(folder: str) -> None:
    subprocess.run(["rm", "-rf", folder], check=True)


def processor() -> float:
    """Processor time of this process and those it waited for."""
    return sum(os.times()[:4])


def plant(folder: str, files: int) -> None:
    for number in range(files):
        if number % FILES == 0:
            inside = f"{folder}/{number // FILES}"
            os.mkdir(inside)
        os.close(os.open(f"{inside}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))


def side(remove: Callable[[str], object]) -> Callable[[Options], Result]:
    def run(options: Options) -> Result:
        folder = tempfile.mkdtemp(dir=options.folder)
        plant(folder, options.operations)
        remove(tempfile.mkdtemp(dir=options.folder))  # imports, the engine and its pool: once in a process
        os.sync()
        began, spent = time.perf_counter(), processor()
        remove(folder)
        seconds, spent = time.perf_counter() - began, processor() - spent
        assert not os.path.exists(folder)
        return {"us a file": seconds / options.operations * 1e6, "us of processor": spent / options.operations * 1e6}

    return run


SIDES: dict[str, Callable[[str], object]] = {
    "anyaio": remove_by_anyaio,
    "shutil": shutil.rmtree,
    "rm -rf": remove_by_rm,
}


def rows(sides: Medians) -> list[Row]:
    found = [Row(f"{side}: {name}", value, "us") for side, result in sides.items() for name, value in result.items()]
    ours = sides["anyaio"]["us a file"]
    return [
        *found,
        Row("rmtree: time / shutil's", ours / sides["shutil"]["us a file"], "", "<= 1"),
        Row("rmtree: time / rm's", ours / sides["rm -rf"]["us a file"], "", "<= 1.3"),
    ]


SUBJECT = Subject({name: side(remove) for name, remove in SIDES.items()}, rows)

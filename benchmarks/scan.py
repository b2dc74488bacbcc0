"""Whole programs over a real tree, writing into a pipe: `anyaio scan`, `find`, and Perl's `treescan` if it is here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from .common import Medians, Options, Result, Row, Subject

PROGRAMS = {
    "anyaio scan": [sys.executable, "-m", "anyaio", "scan"],
    "find": ["find"],
    "treescan": ["treescan"],  # Debian: libio-aio-perl
}


def side(program: list[str]) -> Callable[[Options], Result]:
    def run(options: Options) -> Result:
        began = time.perf_counter()
        listing = subprocess.Popen([*program, options.tree], stdout=subprocess.PIPE)
        assert listing.stdout is not None
        counted = subprocess.run(["wc", "-l"], stdin=listing.stdout, capture_output=True, check=True)
        listing.stdout.close()
        assert listing.wait() == 0, program
        return {"ms": (time.perf_counter() - began) * 1000, "lines": int(counted.stdout)}

    return run


def rows(sides: Medians) -> list[Row]:
    found = [Row(f"{side}: {name}", value, "") for side, result in sides.items() for name, value in result.items()]
    ratios = [
        Row(f"{side}: time / find's", sides[side]["ms"] / sides["find"]["ms"], "", target)
        for side, target in (("anyaio scan", "<= 1.5"), ("treescan", ""))
        if side in sides
    ]
    return found + ratios


SUBJECT = Subject({name: side(program) for name, program in PROGRAMS.items() if shutil.which(program[0])}, rows)

"""Measure everybody on the same work; write tables and plots.

    python -m benchmarks.peers                                         everything: about ten minutes
    python -m benchmarks.peers pread1 stat64 --sides os anyaio         two works, sides whose names begin so
    python -m benchmarks.peers --publish                               the figures of README.md and docs/benchmarks.md

The machine should have nothing else to do. ANYAIO_BACKEND=python or native chooses the backend.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..__main__ import machine
from . import report
from .files import Files
from .sides import SIDES
from .turns import Match, Measured, Player
from .works import WORKS

ROOT = Path(__file__).resolve().parent.parent.parent
FIGURES = ROOT / "docs" / "figures"
MIB = 1 << 20


def parse(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help="of: " + ", ".join(WORKS))
    parser.add_argument("--sides", nargs="+", metavar="SIDE", default=[""], help="those whose names begin so")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side at each work (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a turn (%(default)s)")
    parser.add_argument("--folder", default="/tmp", help="where files are written: a local file system (%(default)s)")
    parser.add_argument("--small", type=int, default=20_000, help="how many small files (%(default)s)")
    parser.add_argument("--big", type=int, default=256, help="MiB of the big file (%(default)s)")
    parser.add_argument("--tree", default="/usr", help="what programs list (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one very short turn, few files: to try, not to compare")
    parser.add_argument("--json", metavar="FILE", help="where all figures go")
    parser.add_argument("--markdown", metavar="FILE", help="where the tables go")
    parser.add_argument("--plots", metavar="FOLDER", help="where the plots go; needs matplotlib")
    parser.add_argument("--publish", action="store_true", help="into README.md, docs/benchmarks.md and docs/figures")
    parser.add_argument("--figures", metavar="FILE", help="measure nothing: take what --json wrote")
    arguments = parser.parse_args(given)
    wrong = set(arguments.works) - set(WORKS)
    if wrong:
        parser.error(f"no such work: {', '.join(sorted(wrong))}")
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.small, arguments.big = 1, 0.005, 100, 4
    return arguments


def measure(arguments: argparse.Namespace) -> report.Report:
    chosen = [side for side in SIDES if side.startswith(tuple(arguments.sides))]
    missing = {side: needs for side in chosen if (needs := SIDES[side].missing())}
    if missing:
        print("not installed:", ", ".join(f"{side} ({', '.join(needs)})" for side, needs in missing.items()))
    here = {**machine(), "processors": os.cpu_count(), "file_system": file_system(arguments.folder)}
    folder = tempfile.mkdtemp(dir=arguments.folder)
    try:
        files = Files(folder, arguments.small, arguments.big * MIB, arguments.tree)
        files.make()
        if not arguments.quick:
            os.sync()  # or the first who are measured would pay for it
        results = play(arguments, [side for side in chosen if side not in missing], files)
    finally:
        shutil.rmtree(folder)
    options = {name: getattr(arguments, name) for name in ("rounds", "seconds", "small", "big")}
    return report.make(results, here, options, missing)


def play(arguments: argparse.Namespace, sides: list[str], files: Files) -> dict[str, dict[str, Measured]]:
    players = [Player(side, files) for side in sides]
    results = {}
    try:
        for work in arguments.works or WORKS:
            print(f"{work}: {WORKS[work].title}", file=sys.stderr, flush=True)
            results[work] = Match(work, players, files).play(arguments.rounds, arguments.seconds)
    finally:
        for player in players:
            player.end()
    return results


def file_system(folder: str) -> str:
    """The type of the file system that *folder* is on: of the mounts above it the lowest, and of these the last."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split()[1:3] for line in file]
    above = [(len(where), kind) for where, kind in mounts if Path(where) in [Path(folder), *Path(folder).parents]]
    return max(above, key=lambda mount: mount[0])[1]


def write(found: report.Report, arguments: argparse.Namespace) -> None:
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n")
    if arguments.markdown:
        Path(arguments.markdown).write_text(report.whole(found))
    if arguments.plots:
        draw(found, Path(arguments.plots), "svg", "png")
    if arguments.publish:
        draw(found, FIGURES, "svg")
        (FIGURES / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n")
        report.put(str(ROOT / "README.md"), report.short(found))
        report.put(str(ROOT / "docs/benchmarks.md"), report.page(found))


def draw(found: report.Report, folder: Path, *endings: str) -> None:
    from .plots import draw

    folder.mkdir(exist_ok=True)
    draw(found, str(folder), *endings)


def main() -> None:
    arguments = parse()
    found: Any = json.loads(Path(arguments.figures).read_text()) if arguments.figures else measure(arguments)
    print(report.whole(found))
    print(*report.verdicts(found), sep="\n")
    write(found, arguments)
    failed = [f"{work}, {side}" for work, sides in found["works"].items() for side in sides if sides[side]["failure"]]
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()

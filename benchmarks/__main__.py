"""Run the subjects, interleaved, each side in a new process; print medians, write all figures as JSON.

    python -m benchmarks                                  everything; it takes some minutes
    python -m benchmarks writes lateness --rounds 3       two subjects

`python -m benchmarks.peers` compares with other libraries. The machine should have nothing else to do.
ANYAIO_BACKEND=python or native chooses the backend.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import platform
import subprocess
import sys
from importlib import import_module
from typing import Any

from .common import Options, Result, Row, Subject, medians

SUBJECTS = ("engine", "each", "writes", "lateness", "memory", "scan", "copy", "rmtree", "loops", "stuck")


def subject(name: str) -> Subject:
    found: Subject = import_module(f".{name}", __package__).SUBJECT
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="of: " + ", ".join(SUBJECTS))
    parser.add_argument("--json", metavar="FILE", help="where all figures go")
    parser.add_argument("--side", help=argparse.SUPPRESS)  # run this one side here and print its result
    helps = {
        "rounds": "how often each side runs",
        "operations": "operations of a run; the engine's nops are five times as many",
        "in_flight": "operations under way at a time",
        "requests": "nops that are submitted before the first poll",
        "seconds": "how long the ticker ticks",
        "folder": "where files are written",
        "tree": "what is scanned",
        "size": "bytes of the file that is copied",
    }
    for field in dataclasses.fields(Options):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(
            name, type=type(field.default), default=field.default, help=helps[field.name] + " (%(default)s)"
        )
    arguments = parser.parse_args()
    wrong = set(arguments.subjects) - set(SUBJECTS)
    if wrong:
        parser.error(f"no such subject: {', '.join(wrong)}")
    return arguments


def run_side(name: str, side: str, options: Options) -> Result:
    """Run one side in a process of its own."""
    given = [f"--{field.replace('_', '-')}={value}" for field, value in dataclasses.asdict(options).items()]
    command = [sys.executable, "-m", "benchmarks", name, "--side", side, *given]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: Result = json.loads(done.stdout)
    return result


def run(name: str, options: Options) -> tuple[dict[str, list[Result]], list[Row]]:
    chosen = subject(name)
    results: dict[str, list[Result]] = {side: [] for side in chosen.sides}
    for number in range(options.rounds):
        print(f"{name}: round {number + 1} of {options.rounds}", end="\r", file=sys.stderr, flush=True)
        for side, found in results.items():
            found.append(run_side(name, side, options))
    print(" " * 40, end="\r", file=sys.stderr)
    return results, chosen.rows({side: medians(found) for side, found in results.items()})


def machine() -> dict[str, Any]:
    import anyaio
    from anyaio._backend import backend

    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "anyaio": anyaio.__version__,
        "backend": backend.NAME,
    }


def show(row: Row) -> None:
    verdict = {None: "", True: f"{row.target}: yes", False: f"{row.target}: NO"}[row.met]
    value = "not measured" if row.value is None else f"{row.value:,.2f}"
    print(f"{row.what:60} {value:>12} {row.unit:6} {verdict}".rstrip(), flush=True)


def main() -> None:
    arguments = parse()
    options = Options(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Options)})
    if arguments.side:
        print(json.dumps(subject(arguments.subjects[0]).sides[arguments.side](options)))
        return
    report: dict[str, Any] = {**machine(), "options": dataclasses.asdict(options), "results": {}, "rows": []}
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"medians of {options.rounds} interleaved rounds, {options.in_flight} in flight\n")
    for name in arguments.subjects or SUBJECTS:
        results, rows = run(name, options)
        for row in rows:
            show(row)
        report["results"][name] = results
        report["rows"] += [{**row._asdict(), "met": row.met} for row in rows]
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()

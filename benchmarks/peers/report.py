"""What was measured, as JSON and as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ..common import percentile
from .turns import Measured
from .works import ASYNCIO, GROWTH, WORKS, Work

PERCENTILES = {"p50": 50, "p99": 99, "p99.9": 99.9}
IDLE = "idle"
FAIR = 2.0  # ms that a ticker's p99 may be above that of an idle loop

Results = Mapping[str, Mapping[str, Measured]]  # by work and side


class Cell(TypedDict):
    """One side at one work."""

    us: list[float]  # of an operation, in each turn
    median_us: float
    times: float | None  # the rate, as a multiple of the reference's
    late: dict[str, float]  # ms
    ticks: int
    failure: str


class Report(TypedDict):
    machine: dict[str, Any]
    options: dict[str, Any]
    missing: dict[str, list[str]]  # what sides that did not run would need
    works: dict[str, dict[str, Cell]]


def median_us(results: Results, work: str, side: str) -> float | None:
    found = results.get(work, {}).get(side)
    return statistics.median(found.us) if found is not None and found.us else None


def cell(results: Results, name: str, side: str) -> Cell:
    measured = results[name][side]
    own = median_us(results, name, side)
    work, other = WORKS[name].reference
    reference = median_us(results, work or name, other or side)
    return {
        "us": measured.us,
        "median_us": own or 0.0,
        "times": reference / own if reference and own else None,
        "late": {label: percentile(measured.late, value) for label, value in PERCENTILES.items() if measured.late},
        "ticks": len(measured.late),
        "failure": measured.failure,
    }


def make(results: Results, machine: dict[str, Any], options: dict[str, Any], missing: dict[str, list[str]]) -> Report:
    works = {name: {side: cell(results, name, side) for side in sides} for name, sides in results.items()}
    return {"machine": machine, "options": options, "missing": missing, "works": works}


# ---- targets ----


def verdicts(report: Report) -> list[str]:
    """A line for each target: what was reached."""
    lines = []
    for name, sides in report["works"].items():
        for side, target in WORKS[name].targets.items():
            times = sides[side]["times"] if side in sides else None
            if times is not None:
                lines.append(f"{name}, {side}: {times:.2f}, >= {target:.2f}: {'yes' if times >= target else 'NO'}")
    return lines + [f"{name}, {side}: {late}: NO" for name, side, late in unfair(report)]


def unfair(report: Report) -> Iterable[tuple[str, str, str]]:
    """Where a ticker beside anyaio came later than it may."""
    idle = report["works"].get(IDLE, {})
    for name, sides in report["works"].items():
        for side, found in sides.items():
            allowed = idle[side]["late"].get("p99", 0.0) + FAIR if side in idle else None
            late = found["late"].get("p99")
            held = side.startswith("anyaio") and name not in {IDLE, "busy64", *GROWTH}
            if held and allowed and late and late > allowed:
                yield name, side, f"ticker p99 {late:.1f} ms, <= {allowed:.1f} ms"


# ---- Markdown ----


def number(value: float | None, failure: str = "") -> str:
    if failure:
        return "failed"
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


COLUMNS = {
    "anyaio": ("anyaio scan", ASYNCIO),
    "caio": ("caio",),
    "executor": ("run_in_executor",),
    "aiofiles": ("aiofiles",),
    "anyio": ("anyio.to_thread",),
    "trio": ("trio.to_thread",),
    "IO::AIO": ("treescan", "IO::AIO, EV"),
    "node": ("node, callbacks", "node, promises"),
}
"""The columns of the short table, with the sides that stand in them, best first."""


def find(sides: Mapping[str, Cell], names: Sequence[str]) -> Cell | None:
    return next((sides[name] for name in names if name in sides), None)


def times(found: Cell | None) -> str:
    return "–" if found is None else number(found["times"], found["failure"])


def short_row(name: str, sides: Mapping[str, Cell]) -> list[str]:
    reference = sides.get(WORKS[name].reference[1])
    ours, *others = [find(sides, names) for names in COLUMNS.values()]
    late = "–" if ours is None or not ours["late"] else f"{ours['late']['p99']:.1f}"
    us = "–" if reference is None else number(reference["median_us"])
    return [title(WORKS[name]), us, f"**{times(ours)}**", *map(times, others), late]


def title(work: Work) -> str:
    """With what 1 is, where it is not the same by `os`."""
    other = work.reference[1]
    return work.title + {"os": "", "": " (1 = without, in the time left)"}.get(other, f" (1 = {other})")


def short(report: Report) -> str:
    """The table of the README."""
    head = ["work", "`os`, µs", *COLUMNS, "ticker p99, ms"]
    rows = [short_row(name, sides) for name, sides in report["works"].items() if name not in {IDLE, *GROWTH}]
    return table(head, rows) + "\n" + conditions(report) + image("docs/figures", "speed")


def image(folder: str, name: str) -> str:
    return f"\n![{IMAGES[name]}]({folder}/{name}.svg)\n"


IMAGES = {
    "speed": "Rates of all works, as multiples of plain os",
    "fair": "Rate of reads by 64 tasks, and how late a ticker is beside them",
    "loops": "Rate of reads one at a time, on every loop",
    "growth": "Cost of a read by how many are in flight",
}


def conditions(report: Report) -> str:
    machine, options = report["machine"], report["options"]
    return (
        f"anyaio {machine['anyaio']} ({machine['backend']} backend), Python {machine['python']},"
        f" Linux {machine['kernel']}, {machine['processors']} processors, {machine['file_system']},"
        f" {machine['date'][:10]}; medians of {options['rounds']} interleaved turns of {options['seconds']} s.\n"
    )


def whole_row(side: str, found: Cell) -> list[str]:
    us = found["us"] or [0.0]
    late = [f"{found['late'][label]:.1f}" if found["late"] else "–" for label in PERCENTILES]
    if found["failure"]:
        return [side, f"failed: {found['failure']}", *["–"] * 6]
    return [side, times(found), *map(number, (found["median_us"], min(us), max(us))), *late]


def whole(report: Report) -> str:
    """All tables."""
    parts = [conditions(report)]
    if report["missing"]:
        parts.append("Not installed: " + ", ".join(report["missing"]) + ".\n")
    for name, sides in report["works"].items():
        head = [
            "side",
            "×",
            f"µs a {WORKS[name].unit}",
            "least",
            "most",
            *[f"ticker {label}, ms" for label in PERCENTILES],
        ]
        rows = sorted(sides.items(), key=lambda item: item[1]["median_us"])
        parts.append(f"### {title(WORKS[name])}\n\n" + table(head, [whole_row(*row) for row in rows]))
    return "\n".join(parts)


def page(report: Report) -> str:
    """The figures of the documentation."""
    return "".join(image("figures", name) for name in IMAGES) + "\n" + whole(report)


BEGIN, END = "<!-- figures: python -m benchmarks.peers --publish -->\n", "<!-- end of figures -->"


def put(path: str, text: str) -> None:
    """Put *text* between the two markers of a file."""
    with open(path) as file:
        before, found, rest = file.read().partition(BEGIN)
    if not found or END not in rest:
        raise LookupError(f"{path} has no markers for figures")
    after = rest[rest.index(END) :]
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{after}")

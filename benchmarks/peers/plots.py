"""The plots: SVG by matplotlib, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib

from .report import COLUMNS, IDLE, Cell, Report, find, title
from .works import GROWTH, WORKS

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "anyaio", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True})

from matplotlib import pyplot  # noqa: E402  after the choice of its backend
from matplotlib.ticker import FuncFormatter  # noqa: E402

OURS, THEIRS, LIMIT = "#c0392b", "#5d6d7e", "#1e8449"
HUES = ("#1f77b4", "#17becf", "#9467bd", "#2ca02c", "#8c564b", "#e08b00", "#7f7f7f")
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")  # 0.1, not a power of ten


def colour(side: str) -> str:
    return LIMIT if side == "os" else OURS if side.startswith("anyaio") else THEIRS


def speed(report: Report) -> Any:
    """The works, and how fast the best known sides are at them."""
    names = [name for name in report["works"] if name not in {IDLE, *GROWTH}]
    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(names) + 1.2))
    looks = dict(zip(COLUMNS, zip("oXsDv^<>", [OURS, *HUES], strict=True), strict=True))
    for column, sides in COLUMNS.items():
        found = [(row, find(report["works"][name], sides)) for row, name in enumerate(names)]
        points = [(at["times"], row) for row, at in found if at is not None and at["times"]]
        if points:
            x, y = zip(*points, strict=True)
            size = 70 if column == "anyaio" else 28
            marker, hue = looks[column]
            axes.scatter(x, y, size, color=hue, marker=marker, label=column, zorder=size)
    axes.axvline(1, color=LIMIT, linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [title(WORKS[name]) for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PLAIN)
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.set_xlabel("rate, as a multiple of plain blocking os.* in one thread ")
    axes.legend(loc="upper center", bbox_to_anchor=(0.35, -0.5 / len(names) - 0.05), ncols=len(COLUMNS), frameon=False)
    return figure


def growth(report: Report) -> Any:
    """What an operation costs when more and more are in flight."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    works = {tasks: report["works"][name] for name, tasks in GROWTH.items() if name in report["works"]}
    for side in dict.fromkeys(side for sides in works.values() for side in sides):
        points = [(tasks, sides[side]["median_us"]) for tasks, sides in works.items() if side in sides]
        points = [point for point in points if point[1]]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, marker=".", color=colour(side), alpha=0.9 if colour(side) != THEIRS else 0.5)
            axes.annotate(side, (x[-1], y[-1]), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="cached 4 KiB preads in flight", ylabel="µs a read")
    axes.yaxis.set_major_formatter(PLAIN)
    axes.margins(x=0.15)
    axes.grid(alpha=0.25)
    return figure


def fair(report: Report) -> Any:
    """Fast and fair: the rate of reads with 64 tasks, and how late a ticker is beside them."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for side, found in report["works"].get("pread64", {}).items():
        if found["times"] and found["late"]:
            point = found["times"], max(found["late"]["p99"], 0.05)
            axes.scatter(*point, color=colour(side))
            axes.annotate(side, point, (5, 3), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("rate of cached 4 KiB preads by 64 tasks, as a multiple of os.pread's")
    axes.set_ylabel("lateness of a 5 ms ticker beside them, p99, ms")
    axes.grid(alpha=0.25)
    return figure


def loops(report: Report) -> Any:
    """One read at a time, on every loop."""
    found: dict[str, Cell] = report["works"].get("pread1", {})
    rows = sorted(((at["times"], side) for side, at in found.items() if at["times"]), reverse=True)
    figure, axes = pyplot.subplots(figsize=(8, 0.22 * len(rows) + 1))
    axes.barh([side for _, side in rows], [times for times, _ in rows], color=[colour(side) for _, side in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("rate of cached 4 KiB preads, one at a time, as a multiple of os.pread's")
    axes.grid(axis="x", which="both", alpha=0.25)
    return figure


PLOTS: dict[str, Callable[[Report], Any]] = {"speed": speed, "loops": loops, "growth": growth, "fair": fair}


def draw(report: Report, folder: str, *endings: str) -> None:
    for name, plot in PLOTS.items():
        figure = plot(report)
        for ending in endings:
            metadata = {"Date": None} if ending == "svg" else {}
            figure.savefig(f"{folder}/{name}.{ending}", bbox_inches="tight", dpi=120, metadata=metadata)
        pyplot.close(figure)

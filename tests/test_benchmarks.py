"""The comparison with others: each work on all sides that are installed; a peer that is not is no failure."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKS = """
    idle pread1 pread64 busy64 stat64 small32 read1 pwrite64 pwrite_each scan stream stream_each copy direct64 cli
    growth10
""".split()
QUICK = ["--quick", "--tree", str(ROOT / "benchmarks")]
SIDES = [
    "os",
    "anyaio, asyncio",
    "anyaio, uvloop",
    "anyaio, trio",
    "anyaio, gevent",
    "anyaio, tornado",
    "anyaio, pyuv",
    "anyaio, blocking",
    "run_in_executor",
    "asyncio.to_thread",
    "aiofile",
    "caio",
    "anyio",
    "trio",
    "gevent",
    "pyuv",
    "IO::AIO",
    "Coro::AIO",
    "node",
    "fio",
    "shutil",
    "anyaio scan",
    "find",
    "treescan",
]
"""What the names of sides begin with, all of them."""

EXPECTED = {
    "os": set(WORKS) - {"idle", "cli"},
    "anyaio, asyncio": set(WORKS) - {"cli"},
    "anyaio scan": {"cli"},
    "find": {"cli"},
}


@pytest.fixture
def peers(monkeypatch):
    """The package, which is only found in a checkout."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.peers.{name}")


@pytest.mark.parametrize("side", SIDES)
def test_a_side_does_every_work_it_can_with_right_bytes(tmp_path, side):
    arguments = [*WORKS, *QUICK, "--sides", side, "--folder", tmp_path, "--json", tmp_path / "figures"]
    command = [sys.executable, "-m", "benchmarks.peers", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "figures").read_text())
    cells = {(work, name): cell for work, sides in report["works"].items() for name, cell in sides.items()}
    assert all(cell["median_us"] > 0 and not cell["failure"] for cell in cells.values())
    assert not {name for _, name in cells} & report["missing"].keys()
    assert {work for work, _ in cells} >= EXPECTED.get(side, set())
    assert list(tmp_path.iterdir()) == [tmp_path / "figures"]


def test_all_sides_are_tested(peers):
    assert all(name.startswith(tuple(SIDES)) for name in peers("sides").SIDES)


def test_wrong_bytes_are_a_failure(tmp_path):
    program = """if True:
        import os, sys
        from benchmarks.peers import __main__ as peers, sides
        row = sides.SIDES["anyaio, blocking"]
        sides.SIDES["anyaio, blocking"] = row._replace(command=(sys.executable, "-c", sys.argv.pop()))
        peers.main()
    """
    liar = """if True:
        import json, os, sys
        from benchmarks.peers import serve, sides
        sides.PLAIN["pread"] = lambda fd, n, offset: bytes(n)
        serve.main("os", *sys.argv[1:])
    """
    command = [
        sys.executable,
        "-c",
        program,
        "pread1",
        "--sides",
        "anyaio, blocking",
        *QUICK,
        "--folder",
        tmp_path,
        liar,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "failed: pread1, anyaio, blocking" in done.stderr
    assert "wrong bytes of 0" in done.stderr


def test_figures_are_put_between_the_markers_and_nowhere_else(peers, tmp_path):
    report = peers("report")

    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}old\n{report.END}\nafter\n")
    report.put(str(page), "new\n")
    report.put(str(page), "newer\n")
    assert page.read_text() == f"before\n{report.BEGIN}\nnewer\n\n{report.END}\nafter\n"


def test_a_ticker_that_was_held_up_counts_every_tick_it_missed(peers, monkeypatch):
    beside = peers("beside")

    now = 100.0
    monkeypatch.setattr(beside, "clock", lambda: now)
    ticker = beside.Ticker()
    now = 100.0175
    assert ticker.note() == pytest.approx(0.0025)
    assert ticker.late == pytest.approx([12.5, 7.5, 2.5])


@pytest.mark.parametrize(("awaiting", "verifying"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_loop_is_built_in_every_colour(peers, awaiting, verifying):
    build, works = peers("colours").build, peers("works")

    async def awaited(fd, n, offset):
        return bytes([offset])

    def plain(fd, n, offset):
        return bytes([offset])

    seen = []
    loop = build(works.pread, awaiting=awaiting, verifying=verifying)
    operation = awaited if awaiting else plain
    result = loop([1, 2, 3], pread=operation, fd=0, verify=lambda data, item: seen.append((data, item)))
    assert (asyncio.run(result) if awaiting else result) == 6
    assert seen == ([(b"\1", 1), (b"\2", 2), (b"\3", 3)] if verifying else [])

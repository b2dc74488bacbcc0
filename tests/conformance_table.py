"""The table of docs/testing.md: what does not apply to which loop, and why.

    python tests/conformance_table.py

writes it anew, from the drivers of all loops; every framework must be there.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import drivers

from anyaio.testing import Driver, behaviours, reason_against

PAGE = Path(__file__).resolve().parent.parent / "docs" / "testing.md"
BEGIN, END = "<!-- made by tests/conformance_table.py -->\n", "<!-- end -->\n"

Entry = tuple[str, str, str]  # behaviour, loop, reason


def entries(present: Iterable[Driver]) -> Iterator[Entry]:
    """What does not apply to these loops."""
    for name in behaviours():
        for driver in present:
            reason = reason_against(driver, name)
            if reason is not None:
                yield name, driver.name, reason


def table(found: Iterable[Entry]) -> str:
    """Return the lines: by behaviour, and by reason."""
    loops: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, loop, reason in found:
        loops[name, reason].append(loop)
    rows = (f"| `{name}` | {', '.join(where)} | {reason} |" for (name, reason), where in loops.items())
    return "\n".join(["| behaviour | loops | reason |", "|---|---|---|", *rows, ""])


def read(page: str) -> set[Entry]:
    """Return what the page tells."""
    lines = page.split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {(name.strip("`"), loop, reason) for name, loops, reason in rows for loop in loops.split(", ")}


def main() -> None:
    present, missing = drivers.found()
    if missing:
        sys.exit(f"not there: {missing}")
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(head + BEGIN + "\n" + table(entries(present)) + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()

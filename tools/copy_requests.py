"""Copy the names that the library must have from the list of all requests into tests/data/requests.txt.

    python tools/copy_requests.py REQUESTS.md

The list's tables are read, not its prose: of a request its signature, its class and the heading that it stands under;
of the last table, about requests, groups, engines and pools, each attribute and method; of the sentence after the
composites the functions and the constants that the standard library lacks. tests/test_requests.py wants them all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "requests.txt"

HEAD = """\
# Made by tools/copy_requests.py: do not edit.
# request | heading | class | signature
# control | dotted name
# function | name, maybe with a * in it
# constant | name, maybe with a * in it
"""

CONTROL = "Request, group, priority, control"
CLASSES = ("look", "make", "change", "must")
# What the last table names without its owner.
UNOWNED = {"nreqs": "engine", "nready": "engine", "npending": "engine", "stats": "engine", "with_options": "front"}


class Request(NamedTuple):
    heading: str
    classes: str
    signature: str


def tables(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each row of each table with the heading above it and the table's own head."""
    heading, head = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            heading, head = line[3:].strip(), []
        elif not line.startswith("|"):
            head = []
        elif not set(line) <= set("|-: "):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            if head:
                yield heading, head, cells
            else:
                head = cells


def code(text: str) -> list[str]:
    """What is between backticks, but not where another module's function is meant."""
    return re.findall(r"`([^`]+)`", re.sub(r"\bas in `[^`]+`", "", text))


def requests(text: str) -> Iterator[Request]:
    """Yield each request once, as its first row has it."""
    seen = set()
    for heading, head, cells in tables(text):
        if heading == CONTROL:
            continue
        # Synchronous functions that a row mentions are among the extras.
        names = cells[1].split("with the synchronous")[0]
        for signature in code(names):
            name = re.match(r"[a-z_0-9]+", signature)
            if name is None or "=" in signature.split("(")[0] or name[0] in seen:  # Group; dir_fd=
                continue
            seen.add(name[0])
            told = cells[head.index("class")] if "class" in head else cells[2] if cells[2] in CLASSES else "composite"
            yield Request(re.sub(r" \(.*", "", heading), told or told_behind(names, signature), signature)


def told_behind(cell: str, signature: str) -> str:
    """The class that a cell tells in brackets behind a name, or behind several."""
    match = re.search(rf"\((?:{'|'.join(CLASSES)})\b", cell[cell.index(f"`{signature}`") :])
    assert match is not None, signature
    return match[0].lstrip("(")


def controls(text: str) -> Iterator[str]:
    """Yield the attributes and methods of the last table, each with its owner."""
    for heading, _, cells in tables(text):
        if heading != CONTROL:
            continue
        owner = ""
        names = cells[0] if cells[0].startswith("max_poll_reqs") else ""
        for name in names.split(", "):  # "attributes of the engine", by the names that they have in IO::AIO
            if name:
                yield f"engine.{name.split(' ')[0]}"
        for word in code(cells[1]):
            match = re.match(r"(?:(\w+))?(\.?)(\w+)?(\(.*)?$", word)
            if through_front := re.search(r"current\(\)\.(\w+)", word):
                yield f"front.{through_front[1]}"
            if match is None:
                continue
            first, dot, second, call = match.groups()
            if dot:
                owner = first or owner
                yield f"{owner}.{second}"
            elif first == "Pool":
                yield from (f"pool.{name}" for name in re.findall(r"(\w+)=", call))
            elif first in UNOWNED:
                yield f"{UNOWNED[first]}.{first}"
            elif call and first:
                yield first


def extras(text: str) -> Iterator[tuple[str, str]]:
    """Yield the plain functions and the constants."""
    functions = re.search(r"comes as plain synchronous functions: (.*?); and the constants", text, re.S)
    constants = re.search(r"missing from os/mmap/fcntl/stat \((.*?)\)", text, re.S)
    assert functions is not None
    assert constants is not None
    for name in code(functions[1]):
        yield "function", name
    for name in constants[1].split(","):
        yield "constant", name.strip()


def rows(text: str) -> Iterator[str]:
    for request in requests(text):
        yield " | ".join(("request", request.heading, request.classes, request.signature))
    for name in dict.fromkeys(controls(text)):
        yield f"control | {name}"
    for kind, name in extras(text):
        yield f"{kind} | {name}"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.exit(__doc__)
    found = list(rows(Path(arguments[0]).read_text()))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(HEAD + "".join(row + "\n" for row in found))
    for kind in ("request", "control", "function", "constant"):
        print(f"{sum(row.startswith(kind) for row in found)} {kind}s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""One side, in a process of its own: python -m benchmarks.peers.serve SIDE FOLDER SMALL BIG LISTED

For each line on stdin, a task as JSON, it does the work and prints what came of it: the seconds, the sum, and how late
the ticker was. The programs in other languages do the same, so turns.py has one way for all.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TypedDict

from .files import BLOCK, CHUNK, Files
from .places import PLACES, CannotError, Turn
from .sides import SIDES, aligned
from .works import KINDS, WORKS


class Task(TypedDict):
    work: str
    kind: str  # the work's, as the two that follow: for programs that do not know the table of works
    tasks: int
    burning: bool
    count: int  # of items
    turn: int
    verify: bool


class Outcome(TypedDict):
    total: int
    seconds: float
    late: list[float]  # ms, each tick


class Server:
    def __init__(self, side: str, files: Files) -> None:
        self.side = SIDES[side]
        self.files = files
        self.run = PLACES[self.side.place]()
        read = os.open(files.big_path, os.O_RDONLY)
        self.names: dict[str, Any] = {
            "fd": read,
            "written_fd": os.open(files.written_path, os.O_WRONLY),
            "big_path": files.big_path,
            "copied_path": files.copied_path,
            "listing_path": files.listing_path,
            "files": files,
            "aligned": aligned,
            "verify": self.verify,
        }

        with suppress(OSError):  # not every file system can
            self.names["direct_fd"] = os.open(files.big_path, os.O_RDONLY | os.O_DIRECT)

    def verify(self, data: bytes, item: int | str) -> None:
        if isinstance(item, str):
            right = data == self.files.small_content(self.files.numbers[item])
        else:
            right = len(data) in (BLOCK, CHUNK) and data == self.files.big_content(item, len(data))
        if not right:
            raise AssertionError(f"wrong bytes of {item}")

    def do(self, task: Task) -> Outcome | None:
        work = WORKS[task["work"]]
        items = KINDS[work.kind].items(self.files, task["count"])
        names = {**self.names, "data": self.files.data(task["turn"])}
        turn = Turn(work, items, self.side.operations, names, task["verify"])
        try:
            self.run(turn)
        except CannotError:
            return None
        return {"total": turn.total, "seconds": turn.seconds, "late": turn.ticker.late}


def main(side: str, folder: str, small: str, big: str, listed: str) -> None:
    server = Server(side, Files(folder, int(small), int(big), listed))
    for line in sys.stdin:
        print(json.dumps(server.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

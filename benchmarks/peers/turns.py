"""The sides' processes, and their turns, a work's all interleaved: what disturbs the machine disturbs all sides."""

from __future__ import annotations

import filecmp
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from .files import BLOCK, Files
from .serve import Outcome, Task
from .sides import SIDES
from .works import KINDS, WORKS

ENOUGH = 4  # times the seconds that a side is given for a work: who takes longer has fewer turns


LIMIT = 120  # seconds: no turn takes so long


class WrongError(Exception):
    """A side's results are not what is in the files, or it ended."""


@dataclass
class Measured:
    """What one side's turns of one work gave."""

    us: list[float] = field(default_factory=list)  # per operation, one of each turn
    late: list[float] = field(default_factory=list)  # ms, of all ticks
    seconds: float = 0.0
    failure: str = ""


class Player:
    """A side in its process."""

    def __init__(self, side: str, files: Files) -> None:
        self.side = side
        self.files = files
        python = (sys.executable, "-m", "benchmarks.peers.serve", side)
        command = [*(SIDES[side].command or python), files.folder, str(files.small), str(files.big), files.listed]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream

    def ask(self, task: Task) -> Outcome | None:
        """Have it do a task; None if it cannot do such work."""
        with suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps(task), file=self._stream(self.process.stdin), flush=True)
        stdout = self._stream(self.process.stdout)
        if not select.select([stdout], [], [], LIMIT)[0]:
            self.process.kill()
        line = stdout.readline()
        if not line:
            raise WrongError(f"it ended with status {self.process.wait()}")
        outcome: Outcome | None = json.loads(line)
        return outcome

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self._stream(self.process.stdin).close()
        self._stream(self.process.stdout).close()
        self.process.wait()


class Match:
    """All sides at one work."""

    def __init__(self, work: str, players: Sequence[Player], files: Files) -> None:
        self.name = work
        self.work = WORKS[work]
        self.kind = KINDS[self.work.kind]
        self.players = players
        self.files = files
        self.counts: dict[str, int] = {}
        self.measured: dict[str, Measured] = {}
        self.turn = 0
        self.listing: list[bytes] = []

    def play(self, rounds: int, seconds: float) -> dict[str, Measured]:
        """Give each side *rounds* turns of about so many *seconds*."""
        for player in self.players:
            if player.side.startswith(self.work.sides):
                self.calibrate(player, seconds)
        self.enough = ENOUGH * rounds * seconds
        for _ in range(rounds):
            for player in self.players:
                found = self.measured.get(player.side)
                if found is not None and not found.failure and found.seconds < self.enough:
                    self.note(player, found)
        return self.measured

    def calibrate(self, player: Player, seconds: float) -> None:
        """Verify all bytes of a turn, and find how many operations make one of about *seconds*."""
        least = 1 if self.kind.heavy else min(64, max(self.work.tasks, 4))
        try:
            first = self.do(player, least, verify=True)
            if first is None:
                return
            self.measured[player.side] = Measured()
            self.counts[player.side] = least if self.kind.heavy else self.many(player, least, seconds)
        except WrongError as error:
            self.measured[player.side] = Measured(failure=str(error))

    def many(self, player: Player, count: int, seconds: float) -> int:
        while True:
            outcome = self.do(player, count)
            assert outcome is not None
            needed = max(self.work.tasks, 4, int(count * seconds / outcome["seconds"]))
            if outcome["seconds"] > seconds / 4:
                return needed
            count = min(needed, count * 20)

    def note(self, player: Player, found: Measured) -> None:
        count = self.counts[player.side]
        try:
            outcome = self.do(player, count)
        except WrongError as error:
            found.failure = str(error)
            return
        assert outcome is not None
        found.seconds += outcome["seconds"]
        found.us.append(outcome["seconds"] / count * 1e6)
        found.late += outcome["late"]

    def do(self, player: Player, count: int, verify: bool = False) -> Outcome | None:
        self.turn += 1
        task: Task = {
            "work": self.name,
            "kind": self.work.kind,
            "tasks": self.work.tasks,
            "burning": self.work.burning,
            "count": count,
            "turn": self.turn,
            "verify": verify,
        }
        outcome = player.ask(task)
        if outcome is not None:
            items = self.kind.items(self.files, count)
            if outcome["total"] != self.kind.total(self.files, items):
                raise WrongError(f"{player.side}: wrong results of {self.name}")
            if self.work.kind in AFTER:
                AFTER[self.work.kind](self, items)
        return outcome

    # ---- what is written is looked at when the clock has stopped ----

    def check_written(self, items: Sequence[int]) -> None:
        data = self.files.data(self.turn)
        with open(self.files.written_path, "rb") as file:
            content = file.read()
        if any(content[offset : offset + BLOCK] != data for offset in set(items)):
            raise WrongError("wrong bytes were written")

    def check_copy(self, items: Sequence[int]) -> None:
        if not filecmp.cmp(self.files.big_path, self.files.copied_path, shallow=False):
            raise WrongError("the copy differs")
        os.unlink(self.files.copied_path)

    def check_listing(self, items: Sequence[str]) -> None:
        with open(self.files.listing_path, "rb") as file:
            lines = sorted(line.rstrip(b"/\n") for line in file)  # treescan ends directories with a slash
        self.listing = self.listing or lines
        if lines != self.listing:
            raise WrongError("another listing than that of who came first")


AFTER: dict[str, Callable[[Match, Any], None]] = {
    "pwrite": Match.check_written,
    "pwrite each": Match.check_written,
    "copy": Match.check_copy,
    "program": Match.check_listing,
}

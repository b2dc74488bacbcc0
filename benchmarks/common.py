"""What the subjects share: the options, the rows of the report, a look at this process."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Result = dict[str, float]  # what one run of one side measured
Medians = Mapping[str, Result]  # by side; a side that could not run here is missing


@dataclass(frozen=True)
class Options:
    """The command line; `__main__.py` explains them."""

    rounds: int = 5
    operations: int = 20_000
    in_flight: int = 64
    requests: int = 1_000_000
    seconds: float = 2.0
    folder: str = "/tmp"
    tree: str = "/usr"
    size: int = 1 << 30


class Row(NamedTuple):
    """A line of the report."""

    what: str
    value: float | None  # None: it could not be measured here
    unit: str
    target: str = ""  # such as "<= 0.5"; empty if none is set

    @property
    def met(self) -> bool | None:
        if not self.target or self.value is None:
            return None
        sign, bound = self.target.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)


class Subject(NamedTuple):
    """One thing that is measured, with the sides that are compared: each runs in a process of its own."""

    sides: dict[str, Callable[[Options], Result]]
    rows: Callable[[Medians], list[Row]]


def medians(rounds: list[Result]) -> Result:
    return {name: statistics.median(result[name] for result in rounds) for name in rounds[0]}


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def threads() -> int:
    """How many threads this process has, C ones included."""
    return len(os.listdir("/proc/self/task"))


def memory(field: str) -> int:
    """A field of /proc/self/status, such as VmRSS or its peak, VmHWM, in bytes."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise LookupError(field)


def reset_peak_memory() -> None:
    """Let VmHWM start anew from what is in use now: proc(5), clear_refs."""
    with open("/proc/self/clear_refs", "w") as clear_refs:
        clear_refs.write("5")


def some_blocks(size: int) -> list[bytes]:
    """Blocks that all differ; their number is prime, so that no pattern of offsets repeats them."""
    source = random.Random(0)
    return [source.randbytes(size) for _ in range(61)]

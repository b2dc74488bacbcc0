"""What runs in the loop beside the work: a ticker that notes how late it is, and Python code that keeps it busy."""

from __future__ import annotations

from time import perf_counter as clock
from typing import Any

INTERVAL = 0.005  # of the ticker
SPIN, PAUSE = 0.007, 0.003  # 70 % busy


class Ticker:
    """Due every 5 ms by a fixed plan: who holds the loop for 50 ms makes ten ticks late, not one."""

    def __init__(self) -> None:
        self.late: list[float] = []  # ms
        self.restart()

    def restart(self) -> None:
        self.late.clear()
        self.due = clock() + INTERVAL

    def note(self) -> float:
        """Note all ticks that are due by now; return the seconds until the next."""
        now = clock()
        while self.due <= now:
            self.late.append((now - self.due) * 1000)
            self.due += INTERVAL
        return self.due - now


class Burner:
    """Keeps the loop's thread busy, and knows for how long it has."""

    def __init__(self) -> None:
        self.burned = 0.0

    def spin(self) -> float:
        """Compute for a while; return the seconds of the pause that follows."""
        began = clock()
        while clock() < began + SPIN:
            pass
        self.burned += clock() - began
        return PAUSE


async def tick(ticker: Ticker, sleep: Any) -> None:
    while True:
        await sleep(ticker.note())


async def burn(burner: Burner, sleep: Any) -> None:
    while True:
        await sleep(burner.spin())

"""How many descriptors the composites of one engine have at once, so that a thousand of them do not run out of them.

Each takes what it will need at most before it opens anything; who finds too little left waits, first come, first
served. One alone always goes on, however little there is. A composite takes once: it must not wait for another one
while it has something.
"""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .._strand import Signal, suspend

if TYPE_CHECKING:
    from .._engine import Engine

SHARE = 2  # all of them together have at most one in so many of the process's descriptors
COPY, MOVE, RMTREE = 6, 12, 40  # what each has open at most


class Turn:
    """Somebody's who waits."""

    __slots__ = ("count", "given", "signal")

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = False
        self.signal = Signal()


class Budget:
    """What the composites of one engine have taken."""

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[Turn] = deque()

    def fits(self, count: int) -> bool:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return not self.taken or limit == resource.RLIM_INFINITY or (self.taken + count) * SHARE <= limit

    async def take(self, count: int) -> None:
        if not self.waiting and self.fits(count):
            self.taken += count
            return
        turn = Turn(count)
        self.waiting.append(turn)
        try:
            await suspend(turn.signal)
        except BaseException:  # a cancellation, maybe when the turn had come already
            if turn.given:
                self.give_back(count)
            else:
                self.waiting.remove(turn)
                self.go_on()
            raise

    def give_back(self, count: int) -> None:
        self.taken -= count
        self.go_on()

    def go_on(self) -> None:
        while self.waiting and self.fits(self.waiting[0].count):
            turn = self.waiting.popleft()
            self.taken += turn.count
            turn.given = True
            turn.signal.fire()


_budgets: WeakKeyDictionary[Engine, Budget] = WeakKeyDictionary()


@asynccontextmanager
async def descriptors(engine: Engine, count: int) -> AsyncIterator[None]:
    """Have *count* descriptors set apart, when there are as many."""
    budget = _budgets.setdefault(engine, Budget())
    await budget.take(count)
    try:
        yield
    finally:
        budget.give_back(count)

"""What belongs to this process alone: a forked child starts anew and leaves the parent's pools untouched."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pool import Pool


class Process:
    """The pools of this process."""

    def __init__(self) -> None:
        self.generation = 0  # another one in a forked child
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self.default: Pool | None = None  # that engines share
        self._hooked = False

    def enter(self, pool: Pool) -> None:
        if not self._hooked:
            self._hooked = True
            os.register_at_fork(after_in_child=self._start_anew)
        self.pools.add(pool)

    def _start_anew(self) -> None:
        self.generation += 1
        _abandoned.append((self.pools, self.default))
        self.pools = weakref.WeakSet()
        self.default = None


process = Process()
_abandoned: list[object] = []  # the parent's pools, in a child: never freed, for their locks may be held


def generation() -> int:
    """Return a number that is another one in a forked child."""
    return process.generation


def drain(timeout: float | None = None) -> None:
    """At exit: drop queued looks, wait for changes while completions arrive. Registered with atexit."""
    for pool in list(process.pools):
        pool.drain(timeout)

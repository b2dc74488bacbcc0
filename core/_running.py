"""Which event loop runs in this thread, found without importing any framework."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple


class Loop(NamedTuple):
    """How one framework is asked."""

    name: str
    module: str  # where to look in sys.modules: what was never imported does not run
    function: str  # of that module; true while the loop runs in this thread
    adapter: str | None  # the import that serves there


# trio first: in its guest mode the host's loop runs too.
LOOPS = (
    Loop("trio", "trio.lowlevel", "in_trio_run", None),
    Loop("asyncio", "asyncio.events", "_get_running_loop", "anyaio.asyncio"),
)


def running() -> Loop | None:
    """Return the loop that runs in this thread, or None."""
    modules: dict[str, Any] = sys.modules
    for loop in LOOPS:
        module = modules.get(loop.module)
        # A module that is just being imported may not have its function yet.
        function = getattr(module, loop.function, None) if module is not None else None
        if function is not None and function():
            return loop
    return None

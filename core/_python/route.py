"""Route: from the running loop to its front end's submitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .original import thread

if TYPE_CHECKING:
    from .._fronts import Fronts


class Route:
    """The submitter of whichever loop is running."""

    def __init__(
        self, running: Callable[[], Any], fronts: Fronts[Any], start: Callable[[Any], Any], checks: bool = False
    ) -> None:
        self._running = running
        self._fronts = fronts
        self._start = start

    def __call__(self, operation: int, /, *arguments: Any) -> Any:
        loop = self._running()
        entry = self._fronts.get(id(loop))
        if entry is not None and entry[2] == thread.get_ident():
            return entry[3](operation, *arguments)
        return self._start(loop)._submit(operation, *arguments)

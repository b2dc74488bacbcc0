"""The front ends of loops, for adapters: by the loop's id, and gone with the loop."""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

from ._front import Front

F = TypeVar("F", bound=Front[Any])


class Fronts(dict[int, tuple["weakref.ref[Any]", F]]):
    """Its loops are referred to weakly. An adapter must do that too, or no loop ever goes."""

    def put(self, loop: Any, front: F) -> F:
        key = id(loop)
        self[key] = weakref.ref(loop, lambda _: self.pop(key, None)), front
        return front

    def discard(self, loop: Any) -> None:
        self.pop(id(loop), None)

    def discard_closed(self) -> None:
        """Forget the loops that somebody keeps, but that will not run again: the next may have one's id."""
        for key, (reference, _) in list(self.items()):
            if (loop := reference()) is None or loop.is_closed():
                self.pop(key, None)

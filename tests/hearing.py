"""Has every thread's unhandled exceptions heard, for loops that report with `sys.excepthook`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

_lock = threading.Lock()
_before: list[Hook] = []  # what was there, once for each that hears now


@contextmanager
def hearing(heard: list[BaseException]) -> Iterator[None]:
    """Append to *heard* what `sys.excepthook` is told."""
    with _lock:
        _before.append(_before[0] if _before else sys.excepthook)
        sys.excepthook = lambda kind, error, traceback: heard.append(error)
    try:
        yield
    finally:
        with _lock:
            hook = _before.pop()
            if not _before:  # the last one to leave
                sys.excepthook = hook

"""The display of `--progress`, on stderr, by rich: counts and rates, about twice a second."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .scan import Counts


class Progress:
    """A live line. ImportError if rich is missing."""

    def __init__(self, counts: Counts) -> None:
        from rich.console import Console
        from rich.live import Live

        self._counts = counts
        self._start = monotonic()
        self._console = Console(file=sys.stderr)
        self._live = Live(
            get_renderable=self._line,
            console=self._console,
            refresh_per_second=2,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._shares_terminal = self._console.is_terminal and sys.stdout is not None and sys.stdout.isatty()

    def _line(self) -> str:
        return self._counts.line(monotonic() - self._start)

    def start(self) -> None:
        self._live.start(refresh=self._console.is_terminal)

    def hide(self) -> None:
        """Take the line away, for something else is written to this terminal now."""
        if self._shares_terminal:
            self._live.transient = True
            self._live.stop()
            self._live.transient = False

    def show(self) -> None:
        """Undo `hide`."""
        if self._shares_terminal:
            self._live.start(refresh=True)

    def stop(self) -> None:
        """Leave the last counts where they are."""
        self._live.stop()
        if not self._console.is_terminal:  # there rich ends the line itself
            self._console.line()

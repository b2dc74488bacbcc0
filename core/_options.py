"""The choices of a view: what `with_options` takes."""

from __future__ import annotations

from typing import NamedTuple, TypedDict


class Options(NamedTuple):
    """The choices of one view."""

    priority: int = 0
    patience: float | None = 5.0
    checkpoint: str = "strict"
    lane: str = "auto"


class SomeOptions(TypedDict, total=False):
    """*priority* is from -4 to 4; higher ones run first.

    *patience*, in seconds, is how long a change that was cancelled is waited for; None is for ever.

    *checkpoint* is for trio: with ``"strict"`` each call gives other tasks their turn, with ``"budget"`` one whose
    result is there at once does not.

    *lane* is ``"auto"``, where what the kernel has in memory is answered in the caller, or ``"pool"``, where a worker
    does everything.
    """

    priority: int
    patience: float | None
    checkpoint: str
    lane: str


WORDS = {"checkpoint": ("strict", "budget"), "lane": ("auto", "pool")}


def choose(options: Options, changes: SomeOptions) -> Options:
    """Return *options* with *changes*; TypeError or ValueError if one is wrong."""
    unknown = changes.keys() - Options._fields
    if unknown:
        raise TypeError(f"there is no option {unknown.pop()!r}, only {', '.join(Options._fields)}")
    options = options._replace(**changes)
    if not isinstance(options.priority, int):
        raise TypeError(f"priority must be an int, not {options.priority!r}")
    if not -4 <= options.priority <= 4:
        raise ValueError(f"priority must be from -4 to 4, not {options.priority!r}")
    if options.patience is not None:
        if not isinstance(options.patience, int | float):
            raise TypeError(f"patience must be a number of seconds or None, not {options.patience!r}")
        if not options.patience >= 0:  # nor NaN
            raise ValueError(f"patience must be a number of seconds from 0 on or None, not {options.patience!r}")
    for name, words in WORDS.items():
        word = getattr(options, name)
        if word not in words:
            raise ValueError(f"{name} must be {' or '.join(map(repr, words))}, not {word!r}")
    return options

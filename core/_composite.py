"""The composites: operations made of other operations, each written once for all colours.

A composite is a coroutine function whose *steps* have the operations in the await colour; the trampoline runs it. From
its signature and docstring `tools/generate.py` makes the colours: run it after a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar

from ._opcodes import LSTAT
from ._scope import batch
from ._types import AnyPath

if TYPE_CHECKING:
    from ._steps import Steps

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

COMPOSITES: list[Callable[..., Coroutine[Any, Any, Any]]] = []

DT_UNKNOWN, DT_DIR = 0, 4


def composite(function: F) -> F:
    """Enter the coroutine function below as a composite."""
    COMPOSITES.append(function)
    return function


@composite
async def split_dir(steps: Steps, path: AnyPath[AnyStr], *, limit: int = 4) -> tuple[list[AnyStr], list[AnyStr]]:
    """Return the names of a directory's subdirectories, and its other names.

    A symlink counts as what it is, no directory. Only entries whose type the file system does not tell are stat'ed, at
    most *limit* at once; what cannot be stat'ed is among the others.
    """
    # It solves an overload for all that AnyStr stands for at once, while each of them has one.
    entries = await steps.scandir(path, resolve=False)  # pyright: ignore[reportCallIssue, reportArgumentType]
    directories = [entry.name for entry in entries if entry.type == DT_DIR]
    others = [entry.name for entry in entries if entry.type not in (DT_DIR, DT_UNKNOWN)]
    unknown = [entry for entry in entries if entry.type == DT_UNKNOWN]
    async with batch(limit) as requests:
        while unknown or requests:
            while unknown and requests.room:
                entry = unknown.pop()
                requests.add(entry.name, steps.submit(LSTAT, entry.path, None))
            for name, request in await requests.some():
                (directories if leads_down(request) else others).append(name)
    return directories, others


def leads_down(request: Any) -> bool:
    """Was a directory stat'ed?"""
    try:
        return S_ISDIR(request.result().st_mode)
    except OSError:
        return False

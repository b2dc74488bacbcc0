"""Small programs, each run in a process of its own: what they do may end, hang or crash it.

A program is a function that is entered with `@program`, in a module of this folder, named as a sentence. It makes its
own checks and starts in an empty folder; a test has it run by `runner`, in each backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

PROGRAMS: dict[str, list[str]] = {}  # names, by module


def program(function: F) -> F:
    """Enter the function below as a program."""
    PROGRAMS.setdefault(function.__module__, []).append(function.__name__)
    return function

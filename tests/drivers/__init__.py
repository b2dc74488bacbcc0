"""How the conformance suite drives each loop: one module a loop, with its DRIVERS.

A module that cannot be imported, since its framework is missing, is skipped with that reason.
"""

from __future__ import annotations

import importlib
import pkgutil

from anyaio.testing import Driver

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__))


def found() -> tuple[list[Driver], dict[str, str]]:
    """Return the drivers, and why those of other modules cannot be had."""
    present: list[Driver] = []
    missing = {}
    for name in NAMES:
        try:
            present += importlib.import_module(f"{__name__}.{name}").DRIVERS
        except ImportError as error:
            missing[name] = str(error)
    return present, missing

"""The conformance suite, for every loop of `drivers`."""

from __future__ import annotations

import importlib
import pkgutil

import drivers
import pytest

from anyaio.testing import Driver, conformance

NAMES = sorted(module.name for module in pkgutil.iter_modules(drivers.__path__))


def found() -> tuple[list[Driver], dict[str, str]]:
    """Return the drivers, and why others cannot be had."""
    present: list[Driver] = []
    missing = {}
    for name in NAMES:
        try:
            present += importlib.import_module(f"drivers.{name}").DRIVERS
        except ImportError as error:
            missing[name] = str(error)
    return present, missing


PRESENT, MISSING = found()

test_conformance = pytest.mark.blocks_loop("to bring requests into each state")(conformance(*PRESENT))


@pytest.mark.parametrize("name", NAMES)
def test_the_framework_is_there(name):
    if name in MISSING:
        pytest.skip(f"not there: {MISSING[name]}")

"""What makes tests of the suite."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._driver import Driver
from ._suite import behaviours, check, reason_against

BACKENDS = {"native": "anyaio._engine", "python": "anyaio._python.engine"}


def conformance(*drivers: Driver) -> Callable[..., None]:
    """Return a test for pytest: each behaviour with each driver on each backend."""
    import pytest

    suite = behaviours()
    for driver in drivers:
        unknown = driver.does_not_apply.keys() - suite.keys()
        if unknown:
            raise ValueError(f"{driver.name}: there is no behaviour {unknown.pop()!r}")

    @pytest.mark.parametrize("behaviour", suite)
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("driver", drivers, ids=lambda driver: driver.name)
    def test_conformance(driver: Driver, backend: str, behaviour: str, tmp_path: Path) -> None:
        reason = reason_against(driver, behaviour)
        if reason is not None:
            pytest.skip(reason)
        try:
            module: Any = importlib.import_module(BACKENDS[backend])
        except ImportError as error:
            pytest.skip(f"the {backend} backend is missing: {error}")
        check(driver, module, suite[behaviour], tmp_path)

    return test_conformance

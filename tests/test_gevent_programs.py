"""anyaio.gevent over the whole life of a process: each program of `programs.greenlets`, on each backend and loop."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from programs import PROGRAMS, greenlets, runner

pytest.importorskip("gevent", reason="gevent is not installed")
pytest.importorskip("cffi", reason="gevent's libuv needs cffi, which is not installed")


@pytest.mark.parametrize("loop", ["libev-cext", "libuv-cffi"])
@pytest.mark.parametrize("program", PROGRAMS[greenlets.__name__])
def test_gevent(backend: ModuleType, tmp_path: Path, program: str, loop: str) -> None:
    runner.run(backend, tmp_path, f"greenlets.{program}", loop)

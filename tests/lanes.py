"""By which lane a request goes, for tests of the inline lane: what `stats` counts tells.

A request of an engine says nothing of it: also what was answered at once is told by the next poll. A test module takes
the fixtures: ``backend, lane = lanes.backend, lanes.lane``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from engines import run


@pytest.fixture(params=["native"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """The Python backend has no such lane."""
    return pytest.importorskip("anyaio._engine")


def lane_of(engine: Any, submit: Callable[[], Any]) -> tuple[str, Any]:
    """Return by which lane a request went, and its result or its error."""
    before = engine.stats()["lanes"]
    try:
        result = run(engine, submit())
    except OSError as error:
        result = error
    after = engine.stats()["lanes"]
    return {(1, 0): "inline", (0, 1): "pool"}[
        after["inline"] - before["inline"], after["pool"] - before["pool"]
    ], result


def warm(engine: Any, submit: Callable[[], Any]) -> Any:
    """Repeat a request until it is inline, and return its result: a worker looks at what nobody knows yet."""
    for _ in range(10):
        lane, result = lane_of(engine, submit)
        if lane == "inline":
            return result
    pytest.fail("what is cached goes to the pool")


@pytest.fixture
def lane(engine: Any, tmp_path: Path) -> Iterator[Any]:
    """An engine that knows the mount of *tmp_path*; skips where the kernel or a sandbox forbids one of the calls."""
    if any(lane_of(engine, lambda: engine.stat(tmp_path))[0] == "inline" for _ in range(10)):
        yield engine
        return
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if not os.environ.get("ANYAIO_TEST_SANDBOX") and platform.system() == "Linux" and release >= (6, 8):
        pytest.fail("there is no inline lane, though the kernel has all that it needs")
    pytest.skip("there is no inline lane: the kernel, or a sandbox, lacks openat2, preadv2 or statx")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 1000)
    return path


@pytest.fixture
def fd(file: Path) -> Iterator[int]:
    fd = os.open(file, os.O_RDONLY)
    yield fd
    os.close(fd)


def raised_by(call: Callable[[], Any]) -> OSError:
    try:
        call()
    except OSError as error:
        return error.with_traceback(None)
    raise AssertionError("it raised nothing")


def same_error(ours: Any, theirs: OSError, path: Any = None) -> None:
    assert (type(ours), ours.args) == (type(theirs), theirs.args)
    assert (ours.filename, ours.filename2) == (path, None)

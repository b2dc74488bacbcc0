"""Fixtures for every test: each backend, and an engine of it that must leave nothing behind."""

from __future__ import annotations

import gc
import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from engines import Fifo

from anyaio._front import engine_class

MODULES = {"native": "anyaio._engine", "python": "anyaio._python.engine"}


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the tests and modules themselves: there are thousands of either."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # Hypothesis looks for what refers to an object


@pytest.fixture(params=MODULES)
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """The module of each backend."""
    try:
        return importlib.import_module(MODULES[request.param])
    except ImportError as error:
        pytest.skip(f"the {request.param} backend is missing: {error}")


@pytest.fixture
def pool(backend: ModuleType) -> Any:
    """A pool of the test's own, without a thread yet."""
    return backend.Pool(max_stuck=0)  # who waits behind a call that does not end shall wait


@pytest.fixture
def engine(backend: ModuleType, pool: Any) -> Iterator[Any]:
    """A fresh engine in callback colour; no descriptor and no thread of its pool may stay."""
    before = len(os.listdir("/proc/self/fd"))
    engine = engine_class(backend)(pool)
    yield engine
    pool.max_parallel = max(pool.max_parallel, 4)  # what the test held back
    engine.shutdown()
    deadline = time.monotonic() + 10
    while pool.nthreads or len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline, f"left over: {pool!r}, {_descriptors()}"
        time.sleep(0.001)


def _descriptors() -> dict[str, str]:
    names = os.listdir("/proc/self/fd")
    return {name: os.readlink(f"/proc/self/fd/{name}") for name in names if os.path.lexists(f"/proc/self/fd/{name}")}


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    """A FIFO whose opening holds a worker until `let_go`, which comes at the latest when the test ends."""
    fifo = Fifo(tmp_path / "fifo")
    yield fifo
    fifo.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read from and the end to write to."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)

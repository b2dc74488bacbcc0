"""Many composites at once: they wait for each other rather than run out of descriptors."""

from __future__ import annotations

import os
import resource

import pytest
from engines import descriptors, run, spin

import anyaio
from anyaio._composites.budget import RMTREE


@pytest.fixture
def few():
    """Hardly more descriptors than are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(2 * RMTREE + 20, highest + 60), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def plant(folder, count):
    for number in range(count):
        below = folder / str(number)
        for name in ("a", "b", "c"):
            (below / name / "d").mkdir(parents=True)
            (below / name / "f").write_bytes(b"content")
    return [str(folder / str(number)) for number in range(count)]


@pytest.mark.usefixtures("few")
def test_a_hundred_removals_at_once_do_not_run_out_of_descriptors(engine, tmp_path):
    requests = [engine.rmtree(path) for path in plant(tmp_path, 100)]
    for request in requests:
        run(engine, request)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("few")
def test_a_thousand_copies_at_once_do_not_run_out_of_descriptors(engine, tmp_path):
    (tmp_path / "f").write_bytes(b"content")
    before = descriptors()
    requests = [engine.copy(tmp_path / "f", tmp_path / str(number)) for number in range(1000)]
    for request in requests:
        run(engine, request)
    assert {(tmp_path / str(number)).read_bytes() for number in range(1000)} == {b"content"}
    spin(lambda: descriptors() <= before)


@pytest.mark.usefixtures("few")
def test_one_that_waits_can_be_cancelled_and_the_others_go_on(engine, tmp_path):
    requests = [engine.rmtree(path) for path in plant(tmp_path, 20)]
    for request in requests[1::2]:
        request.cancel()
    for request in requests[::2]:
        run(engine, request)
    for request in requests[1::2]:
        with pytest.raises(anyaio.Cancelled):
            run(engine, request)
    assert sorted(map(int, os.listdir(tmp_path)))[-1] == 19  # it never began
    run(engine, engine.rmtree(tmp_path / "19"))


@pytest.mark.usefixtures("few")
def test_all_that_wait_are_cancelled_by_a_shutdown(engine, tmp_path):
    requests = [engine.rmtree(path) for path in plant(tmp_path, 20)]
    engine.shutdown()
    assert {request.state for request in requests} == {"done"}


def test_what_cannot_be_called_is_refused_before_anything_is_removed(engine, tmp_path):
    (folder,) = plant(tmp_path, 1)
    for start in (
        lambda: engine.rmtree(folder, on_error=3),
        lambda: engine.copy(f"{folder}/a/f", f"{folder}/g", progress=3),
        lambda: engine.move(f"{folder}/a/f", f"{folder}/g", progress=3),
    ):
        with pytest.raises(TypeError, match="must be callable or None, not 'int'"):
            run(engine, start())
    assert sorted(os.listdir(folder)) == ["a", "b", "c"]

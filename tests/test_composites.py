"""The composites that users call, in every colour that both backends have."""

from __future__ import annotations

import os

import pytest
from engines import run

from anyaio._composite import COMPOSITES, split_dir
from anyaio._drive import drive


def call(engine, function, *arguments, **options):
    return run(engine, drive(engine, engine.submitter(), function, arguments, options))


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def test_split_dir_tells_directories_from_the_rest(engine, folder):
    directories, others = call(engine, split_dir, folder)
    assert (sorted(directories), sorted(others)) == (["a", "b"], ["fifo", "file", "link"])


def test_split_dir_of_bytes_returns_bytes(engine, folder):
    directories, others = call(engine, split_dir, os.fsencode(folder))
    assert (sorted(directories), sorted(others)) == ([b"a", b"b"], [b"fifo", b"file", b"link"])


def test_split_dir_stats_what_is_unknown_and_no_more_than_limit_at_once(engine, folder):
    stats, most = [], 0

    class Unknown:
        def __init__(self, entry):
            self.name, self.path = entry.name, entry.path
            self.type = entry.type if entry.name == "b" else 0

    class Steps:
        def __init__(self, steps):
            self.steps = steps

        async def scandir(self, path, resolve):
            return [Unknown(entry) for entry in await self.steps.scandir(path, resolve=resolve)]

        def submit(self, operation, path, dir_fd):
            nonlocal most
            stats.append(os.path.basename(path))
            most = max(most, engine.nreqs)
            return self.steps.submit(operation, path, dir_fd)

    async def split(steps):
        return await split_dir(Steps(steps), str(folder), limit=2)

    directories, others = call(engine, split)
    assert (sorted(directories), sorted(others)) == (["a", "b"], ["fifo", "file", "link"])
    assert sorted(stats) == ["a", "fifo", "file", "link"]
    assert most < 2


def test_split_dir_raises_what_scandir_raises(engine, folder):
    with pytest.raises(NotADirectoryError) as caught:
        call(engine, split_dir, folder / "file")
    assert caught.value.filename == folder / "file"


def test_split_dir_refuses_a_limit_below_one(engine, folder):
    with pytest.raises(ValueError, match="0"):
        call(engine, split_dir, folder, limit=0)


def test_split_dir_is_an_operation_of_the_callback_colour(engine, folder):
    assert sorted(run(engine, engine.split_dir(folder))[0]) == ["a", "b"]


def test_every_composite_is_a_coroutine_function_with_steps():
    for function in COMPOSITES:
        assert function.__code__.co_flags & 0x80, function  # CO_COROUTINE
        assert function.__code__.co_varnames[0] == "steps"

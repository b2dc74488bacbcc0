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

        async def scandir(self, path, resolve, dir_fd):
            return [Unknown(entry) for entry in await self.steps.scandir(path, resolve=resolve, dir_fd=dir_fd)]

        def submit(self, operation, path, dir_fd):
            nonlocal most
            stats.append(os.path.basename(path))
            most = max(most, engine.nreqs)
            return self.steps.submit(operation, path, dir_fd)

    async def split(steps):
        return await split_dir(Steps(steps), "inside", limit=2, dir_fd=fd)

    os.symlink(folder, folder / "inside")
    fd = os.open(folder, os.O_RDONLY)
    try:
        directories, others = call(engine, split)
    finally:
        os.close(fd)
    assert (sorted(directories), sorted(others)) == (["a", "b"], ["fifo", "file", "inside", "link"])
    assert sorted(stats) == ["a", "fifo", "file", "inside", "link"]
    assert most < 2


def test_split_dir_has_what_cannot_be_stated_among_the_others(engine):
    class Gone:
        name, path, type = "gone", "/nowhere/gone", 0

    class Steps:
        def __init__(self, steps):
            self.submit = steps.submit

        async def scandir(self, path, resolve, dir_fd):
            return [Gone]

    async def split(steps):
        return await split_dir(Steps(steps), ".")

    assert call(engine, split) == ([], ["gone"])


def test_split_dir_has_every_name_once(engine, tmp_path):
    for number in range(300):
        os.mkdir(tmp_path / str(number)) if number % 3 else os.symlink(".", tmp_path / str(number))
    directories, others = call(engine, split_dir, tmp_path)
    assert sorted(directories + others) == sorted(os.listdir(tmp_path))
    assert len(others) == 100


def test_split_dir_of_an_empty_directory_is_empty(engine, tmp_path):
    assert call(engine, split_dir, tmp_path) == ([], [])


def test_split_dir_takes_names_from_dir_fd(engine, folder):
    fd = os.open(folder.parent, os.O_PATH)
    try:
        directories, others = call(engine, split_dir, folder.name, dir_fd=fd)
    finally:
        os.close(fd)
    assert (sorted(directories), sorted(others)) == (["a", "b"], ["fifo", "file", "link"])


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

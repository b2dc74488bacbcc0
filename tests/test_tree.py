"""The tree walk, on both backends."""

from __future__ import annotations

import os
import stat
import threading
import time

import pytest
from engines import run
from trees import find, plant_deep, plant_strange, uproot

from anyaio import Cancelled
from anyaio._composites.tree import walk_tree
from anyaio._drive import drive
from anyaio._opcodes import SCANDIR


class Visitor:
    """Collects paths, and whatever else a test wants to know."""

    def __init__(self, on_directory=None):
        self.paths = []
        self.errors = {}
        self.on_directory = on_directory

    def root(self, path, status):
        self.paths.append(path)

    def directory(self, prefix, entries):
        self.paths += [prefix + entry.name for entry in entries]
        if self.on_directory is not None:
            self.on_directory(prefix, entries)

    def error(self, path, error):
        self.errors[path] = error


def start(engine, roots, visitor, **options):
    return drive(engine, engine.submitter(), walk_tree, ([os.fsencode(root) for root in roots], visitor), options)


def walk(engine, *roots, **options):
    visitor = Visitor()
    request = start(engine, roots, visitor, **options)
    if request is not None:  # else it ended at once
        run(engine, request)
    assert len(visitor.paths) == len(set(visitor.paths))
    return visitor


@pytest.fixture
def deep(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    uproot(folder)


def test_it_finds_what_find_finds(engine, tmp_path):
    plant_strange(tmp_path)
    visitor = walk(engine, tmp_path)
    assert set(visitor.paths) == find(os.fsencode(tmp_path))
    assert visitor.errors == {}


def test_a_directory_is_shown_after_its_parent(engine, tmp_path):
    plant_strange(tmp_path)
    seen = {b""}

    def look(prefix, entries):
        assert os.path.dirname(prefix.rstrip(b"/")) in seen or prefix == os.fsencode(tmp_path) + b"/"
        seen.add(prefix.rstrip(b"/"))

    run(engine, start(engine, [tmp_path], Visitor(look)))


def test_paths_beyond_path_max(engine, deep):
    plant_deep(deep, 300, b"n" * 100)
    visitor = walk(engine, deep)
    assert set(visitor.paths) == find(os.fsencode(deep))
    assert visitor.errors == {}
    assert max(map(len, visitor.paths)) > 30_000


def test_many_branches_beyond_path_max_need_few_descriptors(engine, deep):
    plant_deep(deep, 160, b"n" * 250, beside=2)
    before = len(os.listdir("/proc/self/fd"))
    most = 0

    def count(prefix, entries):
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")) - before)

    visitor = Visitor(count)
    run(engine, start(engine, [deep], visitor))
    assert set(visitor.paths) == find(os.fsencode(deep))
    assert visitor.errors == {}
    assert most <= 60
    assert len(os.listdir("/proc/self/fd")) <= before  # what an earlier test has left may go meanwhile


def test_long_names_at_the_border(engine, deep):
    plant_deep(deep, 40, b"n" * 255)
    assert set(walk(engine, deep).paths) == find(os.fsencode(deep))


def test_ten_thousand_entries_in_one_directory(engine, tmp_path):
    for number in range(10_000):
        os.mkdir(tmp_path / str(number)) if number % 10 == 0 else os.symlink("x", tmp_path / str(number))
    assert set(walk(engine, tmp_path).paths) == find(os.fsencode(tmp_path))


def test_max_depth(engine, tmp_path):
    plant_strange(tmp_path)
    for depth in range(4):
        assert set(walk(engine, tmp_path, max_depth=depth).paths) == find(
            os.fsencode(tmp_path), "-maxdepth", str(depth)
        )


def test_one_file_system(engine):
    visitor = walk(engine, "/", max_depth=2, one_file_system=True)
    assert set(visitor.paths) == find("/", "-maxdepth", "2", "-xdev")


def test_symlinked_roots(engine, tmp_path):
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "broken").symlink_to("nowhere")
    link, broken = (os.fsencode(tmp_path / name) for name in ("link", "broken"))
    assert sorted(walk(engine, link, broken).paths) == [broken, link]
    assert sorted(walk(engine, link, broken, follow_roots=True).paths) == [broken, link, link + b"/e"]


def test_what_is_missing_is_reported_and_the_rest_goes_on(engine, tmp_path):
    (tmp_path / "f").touch()
    visitor = walk(engine, tmp_path / "missing", tmp_path / "f", follow_roots=True)
    assert visitor.paths == [os.fsencode(tmp_path / "f")]
    assert {path: type(error) for path, error in visitor.errors.items()} == {
        os.fsencode(tmp_path / "missing"): FileNotFoundError
    }


def test_with_stat_every_entry_has_its_status(engine, tmp_path):
    (tmp_path / "f").write_text("12345")
    sizes = {}

    def look(prefix, entries):
        sizes.update({entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries})

    run(engine, start(engine, [tmp_path], Visitor(look), stat=True))
    assert sizes == {b"f": 5}


def test_sync_forces_files_before_their_directory(engine, tmp_path):
    plant_strange(tmp_path)
    visitor = walk(engine, tmp_path, sync=True)
    assert set(visitor.paths) == find(os.fsencode(tmp_path))
    assert visitor.errors == {}


def test_sync_of_every_regular_file_and_directory(tmp_path):
    plant_strange(tmp_path)
    fake = FakeSteps()
    fake.run(tmp_path, sync=True)
    kinds = (stat.S_IFDIR, stat.S_IFREG)
    expected = [path for path in find(os.fsencode(tmp_path)) if stat.S_IFMT(os.lstat(path).st_mode) in kinds]
    assert sorted(fake.synced) == sorted(expected)
    place = {path: number for number, path in enumerate(fake.synced)}
    for path in expected:
        if os.path.isfile(path):
            assert place[path] < place[os.path.dirname(path)]


def test_types_that_the_file_system_does_not_tell_are_found_out(tmp_path):
    plant_strange(tmp_path)
    fake = FakeSteps(hide_types=True)
    assert set(fake.run(tmp_path).paths) == find(os.fsencode(tmp_path))


class FakeSteps:
    """The blocking calls themselves, answered at once; a file system that tells no types."""

    def __init__(self, hide_types=False):
        self.hide_types = hide_types
        self.synced = []

    def run(self, root, **options):
        import anyaio
        from anyaio import _steps

        engine = anyaio.Engine()
        visitor = Visitor()
        steps = _steps.Steps(engine, engine.submitter())
        steps.submit = self.submit

        async def fake(real):
            await walk_tree(steps, [os.fsencode(root)], visitor, **options)

        drive(engine, engine.submitter(), fake, (), {})
        engine.shutdown()
        return visitor

    def submit(self, operation, *arguments):
        from anyaio._ops import OPERATIONS
        from anyaio._python.listing import read_entries

        if operation == SCANDIR:
            entries = read_entries(*arguments)
            if self.hide_types:
                for entry in entries:
                    entry._type = 0
            return entries
        row = OPERATIONS[operation]
        if row.name == "pathsync":
            self.synced.append(arguments[0])
            return None
        path, dir_fd, *rest = arguments
        return row.body(path, dir_fd=dir_fd, **({"follow_symlinks": rest[0]} if rest else {}))


def test_it_can_be_cancelled_in_the_middle(engine, deep):
    plant_deep(deep, 100, b"n" * 100)
    before = len(os.listdir("/proc/self/fd"))
    composite = None

    def stop(prefix, entries):
        if prefix.count(b"/") > 90:
            composite.cancel()

    visitor = Visitor(stop)
    composite = start(engine, [deep], visitor)
    with pytest.raises(Cancelled):
        run(engine, composite)
    assert len(visitor.paths) < 200
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_error_of_the_visitor_ends_the_walk(engine, tmp_path):
    plant_strange(tmp_path)

    def fail(prefix, entries):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(engine, start(engine, [tmp_path], Visitor(fail)))


def test_no_more_than_the_limit_is_under_way(engine, tmp_path):
    for number in range(50):
        (tmp_path / str(number)).mkdir()
    most = 0

    def look(prefix, entries):
        nonlocal most
        most = max(most, engine.nreqs)

    run(engine, start(engine, [tmp_path], Visitor(look), limit=7))
    assert most <= 7
    assert threading.active_count() < 40

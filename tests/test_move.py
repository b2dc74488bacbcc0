"""move: a rename where it can be one; else everything is copied before anything is removed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

import hooked
import loops
import pytest
from engines import run
from hooked import SUBMIT, Recorder, call, descriptors, failing, needs_root
from loops import on_loops

import anyaio.blocking
from anyaio._composite import move
from anyaio._composites.content import STEP
from anyaio._composites.transplant import remove

aio = loops.aio
loop_factory = loops.loop_factory

PAST = (1_000_000_001_123_456_789, 1_000_000_002_987_654_321)


@pytest.fixture
def other(tmp_path):
    """A folder on another file system."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("/dev/shm cannot be written")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if folder.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is no other file system")
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def src(tmp_path):
    path = tmp_path / "src"
    path.write_bytes(b"content")
    path.chmod(0o640)
    os.utime(path, ns=PAST)
    return path


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "tree")


def make_tree(root):
    """Make one of everything."""
    (root / "a" / "b").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a" / "file").write_bytes(b"content")
    (root / "a" / "b" / "set").write_bytes(b"")
    (root / "a" / "b" / "set").chmod(0o6711)
    os.link(root / "a" / "file", root / "a" / "b" / "same")
    (root / "link").symlink_to("a/file")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo", 0o620)
    with open(root / "sparse", "wb") as file:
        file.truncate(64 << 20)
        file.write(b"data")
    for path in (root / "a" / "file", root / "link", root / "fifo", root / "a" / "b", root / "empty", root):
        os.utime(path, ns=PAST, follow_symlinks=False)
    (root / "empty").chmod(0o1500)
    (root / "a" / "b").chmod(0o711)
    return root


def snapshot(root):
    """Return all that a tree is, by path."""
    found = {}
    same = {}
    for folder, directories, files in os.walk(os.fsencode(root)):
        for path in [folder, *(os.path.join(folder, name) for name in (*directories, *files))]:
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                content = Path(os.fsdecode(path)).read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            name = os.path.relpath(path, os.fsencode(root))
            same.setdefault((status.st_dev, status.st_ino), []).append(name)
            found[name] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_rdev,
                status.st_mtime_ns,
                content,
                sorted(os.listxattr(path, follow_symlinks=False)),
            )
    return found, sorted(sorted(set(names)) for names in same.values() if len(set(names)) > 1)


def across(src):
    """Return a hook that has the file systems differ."""
    return failing("rename", errno.EXDEV, when=lambda path, *rest: path == src)


def names(folder):
    return sorted(os.listdir(folder))


# ---- in one file system ----


@pytest.mark.parametrize("kind", ["src", "tree"])
def test_in_one_file_system_it_is_a_rename(engine, tmp_path, request, kind):
    path = request.getfixturevalue(kind)
    inode = path.stat().st_ino
    recorder, told = Recorder(), []
    call(engine, recorder, move, path, tmp_path / "dst", progress=lambda *bytes: told.append(bytes))
    assert (recorder.names, told) == (["rename"], [])
    assert ((tmp_path / "dst").stat().st_ino, names(tmp_path)) == (inode, ["dst"])


def test_the_errors_of_rename_are_its_errors(engine, tmp_path, tree, src):
    for paths, error in (
        ((tmp_path / "missing", tmp_path / "dst"), FileNotFoundError),
        ((src, tree), IsADirectoryError),
        ((tree, src), NotADirectoryError),
    ):
        with pytest.raises(error) as caught:
            run(engine, engine.move(*paths))
        assert (caught.value.filename, caught.value.filename2) == paths
    with pytest.raises(OSError, match="Invalid argument"):
        run(engine, engine.move(tree, tree / "a" / "dst"))


# ---- to another one ----


def test_a_file_is_moved_with_everything_that_it_has(engine, src, other):
    src.chmod(0o6751)
    os.utime(src, ns=PAST)
    before = snapshot(src)
    assert run(engine, engine.move(src, other / "dst")) is None
    status = (other / "dst").stat()
    assert (other / "dst").read_bytes() == b"content"
    assert (stat.S_IMODE(status.st_mode), status.st_atime_ns, status.st_mtime_ns) == (0o6751, *PAST)
    assert (names(other), src.exists(), before) == (["dst"], False, before)


def test_the_owner_is_moved(engine, src, other):
    needs_root()
    os.chown(src, 12345, 54321)
    run(engine, engine.move(src, other / "dst"))
    assert ((other / "dst").stat().st_uid, (other / "dst").stat().st_gid) == (12345, 54321)


def test_extended_attributes_are_moved(engine, src, tmp_path):
    try:
        os.setxattr(src, "user.one", b"1")
    except OSError as error:
        pytest.skip(f"the file system has no extended attributes: {error}")
    call(engine, across(src), move, src, tmp_path / "dst")
    assert os.getxattr(tmp_path / "dst", "user.one") == b"1"


def test_a_tree_is_moved_with_everything_that_is_in_it(engine, tree, other):
    before = snapshot(tree)
    run(engine, engine.move(tree, other / "dst"))
    assert snapshot(other / "dst") == before
    assert (other / "dst" / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (names(other), tree.exists()) == (["dst"], False)


def test_a_device_is_moved(engine, tmp_path, other):
    needs_root()
    try:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError as error:
        pytest.skip(f"no device can be made: {error}")
    run(engine, engine.move(tmp_path / "device", other / "dst"))
    status = (other / "dst").stat()
    assert (stat.S_ISCHR(status.st_mode), status.st_rdev) == (True, os.makedev(1, 3))


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo"])
def test_what_is_no_file_is_moved_as_it_is(engine, tree, other, kind):
    before = (tree / kind).lstat()
    run(engine, engine.move(tree / kind, other / "dst"))
    after = (other / "dst").lstat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert not os.path.lexists(tree / kind)


def test_an_existing_file_is_replaced_and_nothing_of_it_kept(engine, src, other):
    (other / "dst").write_bytes(b"old")
    (other / "dst").chmod(0o777)
    run(engine, engine.move(src, other / "dst"))
    assert ((other / "dst").read_bytes(), stat.S_IMODE((other / "dst").stat().st_mode)) == (b"content", 0o640)


def test_an_existing_symlink_is_replaced_and_not_followed(engine, src, other):
    (other / "file").write_bytes(b"old")
    (other / "dst").symlink_to("file")
    run(engine, engine.move(src, other / "dst"))
    assert ((other / "dst").is_symlink(), (other / "file").read_bytes()) == (False, b"old")


def test_an_empty_directory_is_replaced_by_a_tree(engine, tree, other):
    before = snapshot(tree)
    (other / "dst").mkdir()
    run(engine, engine.move(tree, other / "dst"))
    assert snapshot(other / "dst") == before


def test_what_rename_would_refuse_is_refused_before_anything_is_copied(engine, tree, src, other):
    (other / "full" / "below").mkdir(parents=True)
    (other / "file").write_bytes(b"old")
    for path, target, message in (
        (tree, other / "full", "Directory not empty"),
        (tree, other / "file", "Not a directory"),
        (src, other / "full", "Is a directory"),
        (f"{src}/", other / "new", "Not a directory"),
        (src, f"{other}/new/", "Not a directory"),
    ):
        recorder = Recorder()
        with pytest.raises(OSError, match=message) as caught:
            call(engine, recorder, move, path, target)
        assert caught.value.filename in (path, target)
        assert not {"mkdir", "symlink", "mknod", "unlink", "ioctl"} & set(recorder.names)
    assert (tree.exists(), src.exists(), names(other)) == (True, True, ["file", "full"])


def test_a_file_is_not_moved_onto_itself_by_way_of_two_mounts(engine, src):
    with pytest.raises(shutil.SameFileError):
        call(engine, failing("rename", errno.EXDEV), move, src, src.parent / "." / "src")
    assert src.read_bytes() == b"content"


def test_a_tree_is_not_moved_into_itself_by_way_of_two_mounts(engine, tree):
    with pytest.raises(OSError, match="Invalid argument"):
        call(engine, failing("rename", errno.EXDEV), move, tree, tree / "a" / "b" / "dst")
    assert names(tree / "a" / "b") == ["same", "set"]


def test_hard_links_that_cannot_be_made_become_files(engine, tree, other):
    call(engine, failing("link", errno.EMLINK), move, tree, other / "dst")
    assert (other / "dst" / "a" / "b" / "same").read_bytes() == b"content"
    assert (other / "dst" / "a" / "file").stat().st_nlink == 1


def test_a_deep_tree_takes_few_descriptors(engine, tmp_path, other):
    depth, name = 40, "n" * 150  # longer than any path may be
    fd = os.open(tmp_path, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(name, dir_fd=fd)
        fd, above = os.open(name, os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
        os.close(os.open(f"file{level}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    before, most = descriptors(), 0

    def count(*step):
        nonlocal most
        most = max(most, descriptors())
        return SUBMIT

    call(engine, count, move, tmp_path / name, other / "dst")
    assert most - before <= 10
    assert (names(tmp_path), names(other / "dst")) == ([], ["file0", name])
    fd = os.open(other / "dst", os.O_RDONLY)
    for level in range(depth):
        assert f"file{level}" in os.listdir(fd)
        if level + 1 < depth:
            fd, above = os.open(name, os.O_RDONLY, dir_fd=fd), fd
            os.close(above)
    os.close(fd)


def test_paths_are_relative_to_their_directories(engine, tree, other):
    before = snapshot(tree)
    a, b = os.open(tree.parent, os.O_PATH), os.open(other, os.O_PATH)
    try:
        run(engine, engine.move("tree", "dst", src_dir_fd=a, dst_dir_fd=b))
    finally:
        os.close(a)
        os.close(b)
    assert snapshot(other / "dst") == before


# ---- progress ----


def test_progress_is_of_the_whole_tree(engine, tmp_path, other):
    (tmp_path / "tree" / "below").mkdir(parents=True)
    sizes = STEP + 5, 0, 7
    for number, size in enumerate(sizes):
        (tmp_path / "tree" / "below" / str(number)).write_bytes(bytes(size))
    told = []
    run(engine, engine.move(tmp_path / "tree", other / "dst", progress=lambda *bytes: told.append(bytes)))
    assert {total for _, total in told} == {sum(sizes)}
    done = [done for done, _ in told]
    assert (done, done[-1]) == (sorted(done), sum(sizes))
    assert len(done) >= 3


def test_progress_of_a_tree_without_bytes_is_told_once(engine, tmp_path, other):
    (tmp_path / "tree").mkdir()
    told = []
    run(engine, engine.move(tmp_path / "tree", other / "dst", progress=lambda *bytes: told.append(bytes)))
    assert told == [(0, 0)]


def test_an_exception_in_progress_leaves_the_source_and_no_copy(engine, tree, other):
    before = snapshot(tree)

    def progress(done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(engine, engine.move(tree, other / "dst", progress=progress))
    assert (snapshot(tree), names(other)) == (before, [])


def test_progress_must_be_callable(engine, src):
    with pytest.raises(TypeError, match="callable"):
        run(engine, engine.move(src, src.parent / "dst", progress=5))
    assert src.exists()


# ---- whatever happens ----


def test_a_source_that_cannot_be_removed_is_reported_and_the_copy_stays(engine, src, other):
    refusing = failing("unlink", errno.EACCES, when=lambda path, *rest: not path.startswith(b".anyaio"))
    with pytest.raises(PermissionError) as caught:
        call(engine, refusing, move, src, other / "dst")
    assert (caught.value.filename, caught.value.__notes__) == (src, ["the copy is complete"])
    assert (src.read_bytes(), (other / "dst").read_bytes()) == (b"content", b"content")


def test_what_came_meanwhile_is_not_removed(engine, tree, other):
    def come(number, name, arguments):
        if name == "rename" and arguments[1] == b"dst":
            (tree / "a" / "new").write_bytes(b"new")
        return SUBMIT

    with pytest.raises(OSError, match="not empty") as caught:
        call(engine, come, move, tree, other / "dst")
    assert os.fspath(caught.value.filename) == os.fspath(tree / "a")
    assert (tree / "a" / "new").read_bytes() == b"new"
    assert (other / "dst" / "a" / "file").read_bytes() == b"content"


class Case:
    """One move, made anew for each step at which something happens to it."""

    def __init__(self, folder, other, with_progress):
        self.folder = folder
        self.other = other
        self.with_progress = with_progress
        self.complete = None

    def begin(self):
        for folder in (self.folder, self.other):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        src = make_small_tree(self.folder / "src")
        self.complete = snapshot(src)
        options = {"progress": lambda done, total: None} if self.with_progress else {}
        return move, (src, self.other / "dst"), options, lambda *step: SUBMIT

    def check(self, failed):
        assert set(names(self.other)) <= {"dst"}
        copied = snapshot(self.other / "dst") == self.complete
        assert copied or (failed and not (self.other / "dst").exists())
        assert failed or not (self.folder / "src").exists()
        assert copied or snapshot(self.folder / "src") == self.complete


def make_small_tree(root):
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"content")
    os.link(root / "a" / "file", root / "same")
    (root / "link").symlink_to("a")
    (root / "empty").mkdir(0o500)
    os.utime(root / "a", ns=PAST)
    return root


@pytest.mark.parametrize("when", ["queued", "running", "finished"])
def test_cancelled_at_any_step_it_leaves_the_source_or_the_whole_copy(engine, tmp_path, other, when):
    case = Case(tmp_path / "case", other / "case", when == "running")
    cancelled = []

    def check(was_cancelled):
        cancelled.append(was_cancelled)
        case.check(was_cancelled)

    assert hooked.cancelled_at_each_step(engine, case.begin, check, when) >= 30
    assert sum(cancelled) >= len(cancelled) // 2


@pytest.mark.parametrize("with_progress", [True, False])
def test_failing_at_any_step_it_leaves_the_source_or_the_whole_copy(engine, tmp_path, other, with_progress):
    case = Case(tmp_path / "case", other / "case", with_progress)
    assert hooked.failed_at_each_step(engine, case.begin, case.check) >= 30


# ---- the colours ----


@pytest.mark.blocks_loop("it looks at both trees in the loop's thread")
@on_loops
async def test_it_is_awaited_in_asyncio(aio, tree, other):
    before = snapshot(tree)
    await aio.move(tree, other / "dst")
    assert snapshot(other / "dst") == before


def test_it_blocks_in_a_script(src, other):
    anyaio.blocking.move(src, other / "dst")
    assert (other / "dst").read_bytes() == b"content"


def test_the_callback_gets_the_request(engine, src, other):
    seen = []
    request = engine.move(src, other / "dst", seen.append)
    engine.flush()
    assert (seen, request.result()) == ([request], None)


def test_what_vanished_from_an_unfinished_copy_is_not_looked_for_beside_it(engine, tmp_path):
    for name in ("docs/x", "zed/y", "top"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious")
    listed = [b"/docs", b"x", b"..", b"/zed", b"y", b"..", b"top"]
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for made in ([], ["zed"], ["docs"]):  # of what was listed
            for name in made:
                (tmp_path / "copy" / name).mkdir(parents=True)
            call(engine, Recorder(), remove, folder, b"copy", listed, "copy", unfinished=True)
            assert not (tmp_path / "copy").exists()
    finally:
        os.close(folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["docs", "top", "x", "y", "zed"]

"""listdir and scandir: names, types, orders, and what an entry can be asked."""

from __future__ import annotations

import os
import socket
import stat

import pytest
from engines import run

DT_FIFO, DT_DIR, DT_REG, DT_LNK, DT_SOCK = 1, 4, 8, 10, 12


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A directory with an entry of each kind."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("text")
    (tmp_path / "to-dir").symlink_to("dir")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("sock")  # its path must be short
    return tmp_path


def entries(engine, path, **options):
    return {entry.name: entry for entry in run(engine, engine.scandir(path, **options))}


# ---- names ----


def test_listdir_returns_the_names(engine, tree):
    names = run(engine, engine.listdir(tree))
    assert sorted(names) == ["broken", "dir", "fifo", "file", "sock", "to-dir", "to-file"]
    assert names == os.listdir(tree)


def test_listdir_of_a_bytes_path_returns_bytes(engine, tree):
    assert run(engine, engine.listdir(os.fsencode(tree))) == os.listdir(os.fsencode(tree))


def test_listdir_without_a_path_lists_the_current_directory(engine, tree):
    assert run(engine, engine.listdir()) == os.listdir(tree)


def test_listdir_below_a_directory_descriptor(engine, tree):
    (tree / "dir" / "inner").touch()
    fd = os.open(tree, os.O_PATH)
    assert run(engine, engine.listdir("dir", dir_fd=fd)) == ["inner"]
    assert run(engine, engine.listdir(b"dir", dir_fd=fd)) == [b"inner"]
    os.close(fd)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_listdir_of_a_descriptor(engine, tree, flags):
    fd = os.open(tree, flags)
    assert sorted(run(engine, engine.listdir(fd))) == sorted(os.listdir(tree))
    os.close(fd)


def test_four_readers_of_one_descriptor_each_see_every_name(engine, tmp_path):
    for number in range(500):
        (tmp_path / f"{number:04}").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    requests = [engine.listdir(fd) for _ in range(4)]
    assert [len(set(run(engine, request))) for request in requests] == [500] * 4
    os.close(fd)


@pytest.mark.parametrize("name", [b"x", b"\xff\xfe", b"new\nline", b" ", b"\xc3\xa4", b"n" * 255])
def test_strange_names_survive(engine, tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    os.close(os.open(path, os.O_CREAT))
    assert run(engine, engine.listdir(tmp_path)) == [os.fsdecode(name)]
    assert run(engine, engine.listdir(os.fsencode(tmp_path))) == [name]
    (entry,) = run(engine, engine.scandir(tmp_path))
    assert (entry.name, os.fsencode(entry.path)) == (os.fsdecode(name), path)


# ---- entries ----


def test_an_entry_knows_its_type(engine, tree):
    types = {name: entry.type for name, entry in entries(engine, tree).items()}
    links = dict.fromkeys(["broken", "to-dir", "to-file"], DT_LNK)
    assert types == {"dir": DT_DIR, "file": DT_REG, "fifo": DT_FIFO, "sock": DT_SOCK, **links}


def test_an_entry_answers_as_os_direntry(engine, tree):
    found = entries(engine, tree)
    with os.scandir(tree) as expected:
        for twin in expected:
            entry = found.pop(twin.name)
            assert (entry.path, entry.inode(), os.fspath(entry)) == (twin.path, twin.inode(), twin.path)
            assert (entry.is_symlink(), entry.is_dir(), entry.is_file()) == (
                twin.is_symlink(),
                twin.is_dir(),
                twin.is_file(),
            )
            assert entry.is_dir(follow_symlinks=False) == twin.is_dir(follow_symlinks=False)
            assert entry.is_file(follow_symlinks=False) == twin.is_file(follow_symlinks=False)
    assert found == {}


def test_the_path_of_an_entry_joins_as_os_does(engine, tree):
    assert entries(engine, ".")["file"].path == "./file"
    assert entries(engine, f"{tree}/")["file"].path == f"{tree}/file"
    assert entries(engine, b".")[b"file"].path == b"./file"


def test_the_path_of_an_entry_of_a_descriptor_is_its_name(engine, tree):
    fd = os.open(tree, os.O_RDONLY)
    assert entries(engine, fd)["file"].path == "file"
    os.close(fd)


def test_stat_gives_each_entrys_own_status(engine, tree):
    found = entries(engine, tree, stat=True)
    for name, entry in found.items():
        assert entry.stat(follow_symlinks=False) == os.lstat(tree / name)


def test_stat_follows_symlinks_if_asked_to(engine, tree):
    found = entries(engine, tree, stat=True, follow_symlinks=True)
    assert found["to-file"].stat() == os.stat(tree / "file")
    assert stat.S_ISDIR(found["to-dir"].stat().st_mode)


def test_the_status_of_a_symlink_that_leads_nowhere_is_an_error(engine, tree):
    found = entries(engine, tree, stat=True, follow_symlinks=True)
    for _ in range(2):
        with pytest.raises(FileNotFoundError) as caught:
            found["broken"].stat()
        assert caught.value.filename == str(tree / "broken")


def test_a_status_that_was_not_fetched_is_an_error_that_says_how(engine, tree):
    with pytest.raises(RuntimeError, match="stat=True"):
        entries(engine, tree)["file"].stat()


def test_the_wrong_status_of_a_symlink_is_an_error_that_says_how(engine, tree):
    found = entries(engine, tree, stat=True)
    with pytest.raises(RuntimeError, match="follow_symlinks=True"):
        found["to-file"].stat()
    assert found["file"].stat() == found["file"].stat(follow_symlinks=False)


def test_what_a_symlink_leads_to_is_unknown_without_resolve(engine, tree):
    found = entries(engine, tree, resolve=False)
    with pytest.raises(RuntimeError, match="resolve=True"):
        found["to-dir"].is_dir()
    assert found["to-dir"].is_dir(follow_symlinks=False) is False
    assert found["dir"].is_dir() is True


def test_a_loop_of_symlinks_is_neither_directory_nor_file(engine, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    entry = entries(engine, tmp_path)["loop"]
    with pytest.raises(OSError, match="Too many levels"):
        entry.is_dir()
    assert entry.is_symlink()


def test_an_entry_says_what_it_is(engine, tree):
    assert "'file'" in repr(entries(engine, tree)["file"])


# ---- order ----


@pytest.fixture
def mixed(tmp_path):
    """Directories and files made in turn, so that neither is first by itself."""
    for number in range(40):
        (tmp_path / f"f{number}").touch()
        (tmp_path / f"d{number}").mkdir()
    return tmp_path


def inodes(found):
    return [entry.inode() for entry in found]


def test_the_kernels_order_is_kept(engine, mixed):
    assert [entry.name for entry in run(engine, engine.scandir(mixed))] == os.listdir(mixed)


def test_stat_order_is_by_inode(engine, mixed):
    found = run(engine, engine.scandir(mixed, order="stat"))
    assert inodes(found) == sorted(os.lstat(mixed / name).st_ino for name in os.listdir(mixed))


def test_directories_come_first_by_inode(engine, mixed):
    found = run(engine, engine.scandir(mixed, order="dirs_first"))
    assert [entry.type for entry in found] == [DT_DIR] * 40 + [DT_REG] * 40
    assert inodes(found[:40]) == sorted(inodes(found[:40]))


def test_directories_first_and_each_half_by_inode(engine, mixed):
    found = run(engine, engine.scandir(mixed, order="dirs_first+stat"))
    assert [entry.type for entry in found] == [DT_DIR] * 40 + [DT_REG] * 40
    assert inodes(found[:40]) == sorted(inodes(found[:40]))
    assert inodes(found[40:]) == sorted(inodes(found[40:]))


def test_an_unknown_order_is_an_error(engine):
    with pytest.raises(ValueError, match="order"):
        engine.scandir(".", order="size")
    assert engine.nreqs == 0


# ---- errors ----


@pytest.mark.parametrize("name", ["listdir", "scandir"])
def test_errors_carry_what_was_given(engine, tree, name):
    function = getattr(engine, name)
    for argument, kind in (
        (tree / "missing", FileNotFoundError),
        (tree / "fifo", NotADirectoryError),
        (99999, OSError),
    ):
        with pytest.raises(kind) as caught:
            run(engine, function(argument))
        assert caught.value.filename is argument


def test_a_listing_leaves_no_descriptor(engine, tree):
    before = len(os.listdir("/proc/self/fd"))
    run(engine, engine.listdir(tree))
    run(engine, engine.scandir(tree, stat=True))
    assert len(os.listdir("/proc/self/fd")) == before

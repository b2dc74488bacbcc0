"""What is special about operations on names: makedirs, realpath, link, mknod."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator

import pytest
from engines import run


@pytest.fixture
def folder(tmp_path) -> Iterator[int]:
    """A descriptor of the directory."""
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


# ---- makedirs ----


@pytest.fixture
def open_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.mark.usefixtures("open_umask")
def test_makedirs_gives_its_mode_to_the_last_one_only(engine, tmp_path):
    run(engine, engine.makedirs(tmp_path / "a/b/c", 0o700))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


@pytest.mark.parametrize(
    "name", ["a", "a/b", "a//b/", "a/./b", "a/.", "a/b/.", "./a", "a/../a/b", "file/a", "a/b/../c", ""]
)
@pytest.mark.parametrize("exist_ok", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_makedirs_does_what_that_of_os_does(engine, tmp_path, folder, monkeypatch, name, exist_ok, times):
    def tree(top):
        return sorted(os.path.relpath(root, top) for root, _, _ in os.walk(top)), outcomes

    results = []
    for world in ("theirs", "ours"):
        top = tmp_path / world
        top.mkdir()
        (top / "file").touch()
        monkeypatch.chdir(top)
        outcomes = []
        for _ in range(times):
            try:
                if world == "ours":
                    run(engine, engine.makedirs(name, exist_ok=exist_ok))
                else:
                    os.makedirs(name, exist_ok=exist_ok)
                outcomes.append(None)
            except OSError as error:
                outcomes.append(error.errno)
        results.append(tree(top))
    assert results[1] == results[0]


def test_makedirs_makes_a_deep_path(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "d/" * 1500
    run(engine, engine.makedirs(name))
    assert os.path.isdir(name)


def test_makedirs_beside_others_that_make_the_same_succeeds(engine, tmp_path):
    for place in range(20):
        last = tmp_path / f"{place}/b/c/d"
        go = threading.Barrier(2)
        other = threading.Thread(target=lambda go=go, last=last: (go.wait(), os.makedirs(last.parent, exist_ok=True)))
        other.start()
        go.wait()
        run(engine, engine.makedirs(last))
        other.join()
        assert last.is_dir()


def test_an_error_of_makedirs_names_what_was_asked_for(engine, tmp_path):
    (tmp_path / "file").touch()
    name = tmp_path / "file/a/b"
    with pytest.raises(NotADirectoryError) as caught:
        run(engine, engine.makedirs(name))
    assert caught.value.filename is name


# ---- realpath ----


@pytest.fixture
def links(tmp_path, monkeypatch):
    """Symlinks of all sorts, in the current directory."""
    top = tmp_path / "top"
    (top / "dir/sub").mkdir(parents=True)
    (top / "dir/file").touch()
    for name, target in {
        "link": "dir/file",
        "up": "dir/sub/../..",
        "absolute": f"{top}/dir",
        "chain": "link2",
        "link2": "absolute/sub",
        "broken": "dir/missing/x",
        "loop": "loop2",
        "loop2": "dir/../loop",
        "self": "self/x",
        "root": "/",
        "dot": ".",
        "dir/back": "../link",
    }.items():
        (top / name).symlink_to(target)
    monkeypatch.chdir(top)
    return top


NAMES = [
    "dir", "link", "up", "absolute/file", "chain", "chain/../file", "dir/back", "up/top/link", "root/dev",
    "dot/dot/link", "./dir/..//link/", "../top/./dir", "..", ".", "", "/", "//dev//null", "/..", "absolute/..",
    "dir/sub/../../link", "missing", "missing/x/../y", "broken", "broken/y", "loop", "loop/x", "loop/../dir", "self",
    "dir/file/x", "../../../../../..",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strict", [False, True])
def test_realpath_returns_what_that_of_os_does(engine, links, name, strict):
    try:
        expected = os.path.realpath(name, strict=strict)
    except OSError as error:
        with pytest.raises(type(error)) as caught:
            run(engine, engine.realpath(name, strict=strict))
        assert (caught.value.errno, caught.value.filename) == (error.errno, name)
    else:
        assert run(engine, engine.realpath(name, strict=strict)) == expected
        assert run(engine, engine.realpath(os.fsencode(name), strict=strict)) == os.fsencode(expected)


@pytest.mark.parametrize("name", ["dir", "link", "up/link", "absolute", "../top/link", "", ".."])
def test_realpath_starts_at_a_directory_descriptor_wherever_it_is_now(engine, links, name):
    fd = os.open(links, os.O_PATH)
    expected = os.path.realpath(name)
    os.chdir("/")
    assert run(engine, engine.realpath(name, dir_fd=fd)) == expected
    if name == "link":
        os.rename(links, links.parent / "moved")
        assert run(engine, engine.realpath(name, dir_fd=fd)) == f"{links.parent}/moved/dir/file"
    os.close(fd)


@pytest.mark.parametrize("strict", [False, True])
def test_realpath_needs_a_directory_to_start_at(engine, links, strict):
    for opened, number in (("dir/file", errno.ENOTDIR), (None, errno.EBADF)):
        fd = os.open(opened, os.O_RDONLY) if opened else 99999
        with pytest.raises(OSError, match=os.strerror(number)):
            run(engine, engine.realpath("x", strict=strict, dir_fd=fd))
        if opened:
            os.close(fd)


def test_realpath_follows_40_symlinks_and_no_more(engine, tmp_path):
    (tmp_path / "0").touch()
    for number in range(1, 42):
        (tmp_path / str(number)).symlink_to(str(number - 1))
    assert run(engine, engine.realpath(tmp_path / "40")) == os.path.realpath(tmp_path / "0")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        run(engine, engine.realpath(tmp_path / "41"))
    assert run(engine, engine.realpath(tmp_path / "41", strict=False)) == os.path.realpath(tmp_path / "0")


# ---- link and mknod ----


def test_link_takes_the_symlink_itself_unless_told_otherwise(engine, tmp_path, folder):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    file, link = os.stat(tmp_path / "file").st_ino, os.lstat(tmp_path / "link").st_ino
    both = {"src_dir_fd": folder, "dst_dir_fd": folder}
    run(engine, engine.link(tmp_path / "link", tmp_path / "1"))
    run(engine, engine.link("link", "2", **both))
    run(engine, engine.link(tmp_path / "link", tmp_path / "3", follow_symlinks=True))
    run(engine, engine.link("link", "4", follow_symlinks=True, **both))
    assert [os.lstat(tmp_path / name).st_ino for name in "1234"] == [link, link, file, file]


def test_an_error_of_link_names_both_paths(engine, tmp_path):
    source, target = tmp_path / "missing", tmp_path / "new"
    for follow in (False, True):
        with pytest.raises(FileNotFoundError) as caught:
            run(engine, engine.link(source, target, follow_symlinks=follow))
        assert caught.value.filename is source
        assert caught.value.filename2 is target


@pytest.mark.usefixtures("open_umask")
def test_mknod_and_mkfifo_obey_mode_and_umask(engine, tmp_path):
    run(engine, engine.mknod(tmp_path / "file", stat.S_IFREG | 0o666))
    run(engine, engine.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o640))
    run(engine, engine.mkfifo(tmp_path / "fifo", 0o622))
    modes = [os.lstat(tmp_path / name).st_mode for name in ("file", "socket", "fifo")]
    assert modes == [stat.S_IFREG | 0o644, stat.S_IFSOCK | 0o640, stat.S_IFIFO | 0o600]

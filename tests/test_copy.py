"""copy: whole or not at all, by the fastest way, with what is asked for and nothing else."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import itertools
import os
import shutil
import stat
import struct
import threading

import hooked
import loops
import pytest
from engines import run
from hooked import SUBMIT, Recorder, call, failing, needs_root, together
from loops import on_loops
from programs import copy_killed, runner

import anyaio.blocking
from anyaio._composite import copy
from anyaio._composites.content import FICLONE, STEP

aio = loops.aio
loop_factory = loops.loop_factory

ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
PAST = (1_000_000_001_123_456_789, 1_000_000_002_987_654_321)
WAYS = ["ioctl", "_copy_range", "sendfile", "pread"]


@pytest.fixture
def src(tmp_path):
    path = tmp_path / "src"
    path.write_bytes(b"new content")
    path.chmod(0o640)
    os.utime(path, ns=PAST)
    return path


@pytest.fixture
def dst(tmp_path):
    """What a copy may be; there is nothing yet."""
    return tmp_path / "dst"


def names(folder):
    return sorted(os.listdir(folder))


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def acl(*entries):
    """Return an ACL of tags and permissions; of the named user 12345 for tag 2."""
    packed = (struct.pack("<HHI", tag, bits, 12345 if tag == 2 else 0xFFFFFFFF) for tag, bits in entries)
    return struct.pack("<I", 2) + b"".join(packed)


READABLE_BY_ONE = acl((1, 6), (2, 4), (4, 0), (0x10, 4), (0x20, 0))  # the mode is 0640, but the group has nothing


def set_attribute(path, name, value):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"the file system has no {name}: {error}")


def has_acl(path):
    return ACL in os.listxattr(path)


# ---- content ----


def test_a_new_file_has_content_mode_and_times_to_the_nanosecond(engine, src, dst):
    assert run(engine, engine.copy(src, dst)) is None
    status = dst.stat()
    assert dst.read_bytes() == b"new content"
    assert (mode_of(dst), (status.st_atime_ns, status.st_mtime_ns)) == (0o640, PAST)
    assert names(dst.parent) == ["dst", "src"]


def test_paths_may_be_bytes_and_str_mixed(engine, src, dst):
    run(engine, engine.copy(os.fsencode(src), str(dst)))
    assert dst.read_bytes() == b"new content"


def test_an_empty_file_is_copied(engine, src, dst):
    src.write_bytes(b"")
    told = []
    run(engine, engine.copy(src, dst, progress=lambda *bytes: told.append(bytes)))
    assert (dst.read_bytes(), told) == (b"", [(0, 0)])


def test_a_file_without_size_is_copied_completely(engine, dst):
    told = []
    run(engine, engine.copy("/proc/version", dst, progress=lambda *bytes: told.append(bytes)))
    with open("/proc/version", "rb") as file:
        content = file.read()
    assert dst.read_bytes() == content
    assert told[-1] == (len(content), len(content))


def test_each_way_is_tried_where_the_one_before_cannot(engine, src, dst):
    for refused in range(len(WAYS)):
        recorder = Recorder()
        refusals = [failing(name, errno.EOPNOTSUPP) for name in WAYS[:refused]]
        call(engine, together(recorder, *refusals), copy, src, dst)
        assert dst.read_bytes() == b"new content"
        tried = [name for name in recorder.names if name in WAYS]
        assert list(dict.fromkeys(tried))[: refused + 1] == WAYS[: refused + 1]
        dst.unlink()


def test_a_reflink_is_all(engine, src, dst):
    requests = []

    def clone(number, name, arguments):
        requests.append((name, *arguments[1:2]))
        if name == "ioctl":
            os.write(arguments[0], os.pread(arguments[2], 100, 0))
            return 0
        return SUBMIT

    told = []
    call(engine, clone, copy, src, dst, progress=lambda *bytes: told.append(bytes))
    assert ("ioctl", FICLONE) in requests
    assert not {"_copy_range", "sendfile", "pread"} & {name for name, *_ in requests}
    assert (dst.read_bytes(), told) == (b"new content", [(11, 11)])


def test_an_error_that_does_not_mean_cannot_is_raised(engine, src, dst):
    with pytest.raises(OSError, match="No space") as caught:
        call(engine, together(failing("ioctl", errno.ENOTTY), failing("_copy_range", errno.ENOSPC)), copy, src, dst)
    assert (caught.value.filename, caught.value.filename2) == (src, dst)
    assert names(dst.parent) == ["src"]


@pytest.mark.parametrize("way", WAYS[1:3])
def test_only_a_read_is_believed_that_a_file_ends_early(engine, src, dst, way):
    hooks = [failing(name, errno.EXDEV) for name in WAYS[: WAYS.index(way)]]
    call(engine, together(*hooks, lambda number, name, arguments: 0 if name == way else SUBMIT), copy, src, dst)
    assert dst.read_bytes() == b"new content"


@pytest.mark.parametrize("refused", range(len(WAYS)))
def test_no_step_is_larger_than_16_mib(engine, src, dst, refused):
    size = 2 * STEP + 12345
    src.write_bytes(os.urandom(1 << 20) * (size >> 20) + os.urandom(size % (1 << 20)))
    told = []
    refusals = [failing(name, errno.EXDEV) for name in WAYS[: max(refused, 1)]]
    call(engine, together(*refusals), copy, src, dst, progress=lambda *bytes: told.append(bytes))
    assert dst.read_bytes() == src.read_bytes()
    assert max(after - before for (before, _), (after, _) in itertools.pairwise([(0, 0), *told])) <= 16 << 20
    assert told[-1] == (size, size)
    assert {total for _, total in told} == {size}


def test_holes_stay_holes(engine, src, dst):
    with open(src, "wb") as file:
        file.truncate(4 << 30)
        for place in 1 << 20, 3 << 30:
            file.seek(place)
            file.write(b"data")
    recorder = Recorder()
    told = []
    call(
        engine,
        together(recorder, failing("ioctl", errno.EOPNOTSUPP)),
        copy,
        src,
        dst,
        progress=lambda *bytes: told.append(bytes),
    )
    assert (dst.stat().st_size, told[-1]) == (4 << 30, (4 << 30, 4 << 30))
    assert dst.stat().st_blocks <= src.stat().st_blocks + 8
    assert len(recorder.names) < 50
    with open(dst, "rb") as file:
        for place in 1 << 20, 3 << 30:
            file.seek(place - 2)
            assert file.read(8) == b"\0\0data\0\0"


@pytest.mark.parametrize("way", WAYS[1:])
def test_holes_stay_holes_whatever_the_way(engine, src, dst, way):
    with open(src, "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    refusals = [failing(name, errno.EXDEV) for name in WAYS[: WAYS.index(way)]]
    call(engine, together(*refusals), copy, src, dst)
    assert dst.read_bytes() == src.read_bytes()
    assert dst.stat().st_blocks * 512 < 1 << 20


def test_a_file_system_that_knows_no_holes_has_its_files_copied(engine, src, dst):
    with open(src, "wb") as file:
        file.truncate(1 << 20)
        file.write(b"data")
    call(engine, together(failing("lseek", errno.EINVAL), failing("ioctl", errno.ENOTTY)), copy, src, dst)
    assert dst.read_bytes() == src.read_bytes()


def test_a_file_that_is_cut_while_it_is_copied_ends_there(engine, src, dst):
    src.write_bytes(bytes(3 * STEP))
    told = []

    def progress(*bytes):
        told.append(bytes)
        if len(told) == 1:
            os.truncate(src, STEP)

    call(engine, failing("ioctl", errno.ENOTTY), copy, src, dst, progress=progress)
    assert dst.stat().st_size == STEP
    assert told[-1] == (STEP, STEP)


def test_what_comes_out_of_a_fifo_is_copied(engine, tmp_path, dst):
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(b"through" * 100_000))
    writer.start()
    run(engine, engine.copy(tmp_path / "fifo", dst))
    writer.join()
    assert dst.read_bytes() == b"through" * 100_000


def test_a_fifo_is_written_through(engine, src, tmp_path):
    src.write_bytes(b"through" * 100_000)
    os.mkfifo(tmp_path / "fifo")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    run(engine, engine.copy(src, tmp_path / "fifo"))
    reader.join()
    assert found == [b"through" * 100_000]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_a_device_is_written_through_and_left_as_it_was(engine, src):
    before = os.stat("/dev/null")
    call(engine, together(failing("chmod", errno.EIO), failing("utime", errno.EIO)), copy, src, "/dev/null")
    after = os.stat("/dev/null")
    assert (after.st_mode, after.st_ino, after.st_uid) == (before.st_mode, before.st_ino, before.st_uid)


def test_a_full_device_says_so(engine, src):
    with pytest.raises(OSError, match="No space") as caught:
        run(engine, engine.copy(src, "/dev/full"))
    assert caught.value.filename2 == "/dev/full"


# ---- what stands at the target ----


def test_an_existing_file_is_replaced_and_who_has_it_open_keeps_the_old_one(engine, src, dst):
    dst.write_bytes(b"old")
    with open(dst, "rb") as old:
        run(engine, engine.copy(src, dst))
        assert (old.read(), dst.read_bytes()) == (b"old", b"new content")


@pytest.mark.parametrize("atomic", [None, True, False])
def test_an_existing_file_keeps_its_mode(engine, src, dst, atomic):
    dst.write_bytes(b"old")
    dst.chmod(0o604)
    run(engine, engine.copy(src, dst, atomic=atomic))
    assert (dst.read_bytes(), mode_of(dst), dst.stat().st_mtime_ns) == (b"new content", 0o604, PAST[1])


@pytest.mark.parametrize("atomic", [None, False])
def test_an_existing_file_keeps_its_owner(engine, src, dst, atomic):
    needs_root()
    dst.write_bytes(b"old")
    os.chown(dst, 12345, 54321)
    dst.chmod(0o4755)
    run(engine, engine.copy(src, dst, atomic=atomic))
    assert (dst.stat().st_uid, dst.stat().st_gid, mode_of(dst)) == (12345, 54321, 0o4755)


@pytest.mark.parametrize("atomic", [None, False])
def test_an_existing_file_keeps_its_acl_and_attributes(engine, src, dst, atomic):
    dst.write_bytes(b"old")
    set_attribute(dst, ACL, READABLE_BY_ONE)
    set_attribute(dst, "user.kept", b"value")
    run(engine, engine.copy(src, dst, atomic=atomic))
    assert dst.read_bytes() == b"new content"
    assert (os.getxattr(dst, ACL), os.getxattr(dst, "user.kept")) == (READABLE_BY_ONE, b"value")


def test_with_the_owner_an_existing_file_gets_the_mode_too(engine, src, dst):
    dst.write_bytes(b"old")
    dst.chmod(0o600)
    run(engine, engine.copy(src, dst, preserve=["owner", "mode"]))
    assert mode_of(dst) == 0o640


def test_the_target_of_a_symlink_is_written(engine, src, dst, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"old")
    dst.symlink_to("below/file")
    run(engine, engine.copy(src, dst))
    assert dst.is_symlink()
    assert (tmp_path / "below" / "file").read_bytes() == b"new content"
    assert names(tmp_path / "below") == ["file"]


@pytest.mark.parametrize("atomic", [None, True, False])
def test_the_target_of_a_dangling_symlink_is_made(engine, src, dst, tmp_path, atomic):
    (tmp_path / "below").mkdir()
    dst.symlink_to("second")
    (tmp_path / "second").symlink_to("below/file")
    run(engine, engine.copy(src, dst, atomic=atomic))
    assert os.readlink(dst) == "second"
    assert (tmp_path / "below" / "file").read_bytes() == b"new content"


def test_a_loop_of_symlinks_is_an_error(engine, src, dst):
    dst.symlink_to("dst")
    with pytest.raises(OSError, match="symbolic links") as caught:
        run(engine, engine.copy(src, dst))
    assert caught.value.filename == dst


def test_a_file_with_two_names_is_written_in_place(engine, src, dst, tmp_path):
    dst.write_bytes(b"old, and longer than the new content")
    os.link(dst, tmp_path / "other")
    run(engine, engine.copy(src, dst))
    assert (tmp_path / "other").read_bytes() == b"new content"
    assert os.path.samefile(dst, tmp_path / "other")


def test_atomic_replaces_one_of_two_names(engine, src, dst, tmp_path):
    dst.write_bytes(b"old")
    os.link(dst, tmp_path / "other")
    run(engine, engine.copy(src, dst, atomic=True))
    assert (dst.read_bytes(), (tmp_path / "other").read_bytes()) == (b"new content", b"old")


@pytest.mark.parametrize("existing", [True, False])
def test_not_atomic_writes_in_place(engine, src, dst, existing):
    if existing:
        dst.write_bytes(b"old, and longer than the new content")
        dst.chmod(0o604)
    inode = existing and dst.stat().st_ino
    recorder = Recorder()
    call(engine, recorder, copy, src, dst, atomic=False)
    assert dst.read_bytes() == b"new content"
    assert not existing or dst.stat().st_ino == inode
    assert "rename" not in recorder.names
    assert mode_of(dst) == (0o604 if existing else 0o640)


def exclusively(path, flags, *rest):
    return bool(flags & os.O_EXCL)


UNREPLACEABLE = {
    "no file can be made beside it": failing("open", errno.EACCES, when=exclusively),
    "its owner cannot be kept": failing("chown", errno.EPERM),
    "its acl cannot be kept": failing("chmod", errno.EPERM),
    "it is mounted": failing("rename", errno.EBUSY),
}


@pytest.fixture(params=UNREPLACEABLE)
def unreplaceable(request, dst):
    dst.write_bytes(b"old, and longer than the new content")
    if "owner" in request.param:
        needs_root()
        os.chown(dst, 12345, -1)
    return UNREPLACEABLE[request.param]


def test_what_cannot_be_replaced_is_written_in_place(engine, src, dst, unreplaceable):
    inode = dst.stat().st_ino
    call(engine, unreplaceable, copy, src, dst)
    assert (dst.read_bytes(), dst.stat().st_ino) == (b"new content", inode)
    assert names(dst.parent) == ["dst", "src"]


def test_what_came_out_of_a_fifo_is_not_lost_for_an_empty_file(engine, tmp_path, dst):
    os.mkfifo(tmp_path / "fifo")
    dst.write_bytes(b"old")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(b"new"))
    writer.start()
    with pytest.raises(OSError, match="busy") as caught:
        call(engine, failing("rename", errno.EBUSY), copy, tmp_path / "fifo", dst)
    writer.join()
    assert (caught.value.filename, dst.read_bytes()) == (dst, b"old")


def test_what_cannot_be_replaced_is_an_error_if_it_must(engine, src, dst, unreplaceable):
    with pytest.raises(OSError, match=r"denied|permitted|busy") as caught:
        call(engine, unreplaceable, copy, src, dst, atomic=True)
    assert dst in (caught.value.filename, caught.value.filename2)
    assert dst.read_bytes() == b"old, and longer than the new content"
    assert names(dst.parent) == ["dst", "src"]


def test_a_new_file_where_none_can_be_made_is_an_error(engine, src, dst):
    with pytest.raises(PermissionError) as caught:
        call(engine, failing("open", errno.EACCES, when=exclusively), copy, src, dst)
    assert caught.value.filename == dst


def test_what_may_not_be_written_is_not_replaced(engine, src, dst):
    dst.write_bytes(b"old")

    def for_writing(path, flags, *rest):
        return flags & os.O_ACCMODE == os.O_WRONLY and not flags & os.O_CREAT

    def no_access(number, name, arguments):
        return False if name == "access" else SUBMIT

    with pytest.raises(PermissionError) as caught:
        call(engine, together(no_access, failing("open", errno.EACCES, when=for_writing)), copy, src, dst)
    assert (caught.value.filename, dst.read_bytes()) == (dst, b"old")


def test_a_device_cannot_be_replaced(engine, src):
    with pytest.raises(OSError, match="not supported") as caught:
        run(engine, engine.copy(src, "/dev/null", atomic=True))
    assert caught.value.filename == "/dev/null"


def test_a_file_that_has_no_name_any_more_is_written_through_its_descriptor(engine, src, dst):
    with open(dst, "w+b") as file:
        dst.unlink()
        run(engine, engine.copy(src, f"/proc/self/fd/{file.fileno()}"))
        assert file.read() == b"new content"
    assert names(dst.parent) == ["src"]


def test_an_open_file_is_written_through_its_descriptor(engine, src, dst, tmp_path):
    with open(dst, "w+b") as file:
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")  # as /dev/stdout
        for path in (f"/proc/self/fd/{file.fileno()}", f"/dev/fd/{file.fileno()}", tmp_path / "link"):
            run(engine, engine.copy(src, path))
            assert os.path.samestat(os.fstat(file.fileno()), dst.stat())
    assert (dst.read_bytes(), names(tmp_path)) == (b"new content", ["dst", "link", "src"])


def test_a_directory_is_refused_as_source(engine, tmp_path, dst):
    dst.write_bytes(b"old")
    with pytest.raises(IsADirectoryError) as caught:
        run(engine, engine.copy(tmp_path, dst))
    assert (caught.value.filename, dst.read_bytes()) == (tmp_path, b"old")


@pytest.mark.parametrize("name", ["directory", "link", "missing/", "directory/"])
@pytest.mark.parametrize("atomic", [None, False])
def test_a_directory_is_refused_as_target(engine, src, tmp_path, name, atomic):
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    target = f"{tmp_path}/{name}"
    with pytest.raises(IsADirectoryError) as caught:
        run(engine, engine.copy(src, target, atomic=atomic))
    assert caught.value.filename == target
    assert names(tmp_path) == ["directory", "link", "src"]


@pytest.mark.parametrize("name", ["src", "hard", "soft", "sub/../src"])
@pytest.mark.parametrize("atomic", [None, True, False])
def test_a_file_is_not_copied_onto_itself(engine, src, tmp_path, name, atomic):
    os.link(src, tmp_path / "hard")
    (tmp_path / "soft").symlink_to("hard")
    (tmp_path / "sub").mkdir()
    with pytest.raises(shutil.SameFileError, match="are the same file"):
        run(engine, engine.copy(src, tmp_path / name, atomic=atomic))
    assert src.read_bytes() == b"new content"


def test_the_last_moment_shows_the_same_file_too(engine, src, dst):
    # The target became the source after it was looked at.
    def swap(number, name, arguments):
        if name == "open" and arguments[1] & os.O_ACCMODE == os.O_WRONLY:
            os.link(src, dst)
        return SUBMIT

    with pytest.raises(shutil.SameFileError):
        call(engine, swap, copy, src, dst, atomic=False)
    assert src.read_bytes() == b"new content"


def test_a_missing_source_is_named(engine, tmp_path, dst):
    dst.write_bytes(b"old")
    with pytest.raises(FileNotFoundError) as caught:
        run(engine, engine.copy(tmp_path / "missing", dst))
    assert (caught.value.filename, dst.read_bytes()) == (tmp_path / "missing", b"old")


@pytest.mark.parametrize("target", ["missing/dst", "src/dst"])
def test_a_missing_directory_is_named_as_the_target(engine, src, tmp_path, target):
    with pytest.raises((FileNotFoundError, NotADirectoryError)) as caught:
        run(engine, engine.copy(src, tmp_path / target))
    assert caught.value.filename == tmp_path / target


def test_an_empty_path_is_no_file(engine, src):
    for paths in (("", src), (src, "")):
        with pytest.raises(FileNotFoundError):
            run(engine, engine.copy(*paths))


def test_paths_are_relative_to_their_directories(engine, tmp_path):
    for name in "a", "b":
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "file").write_bytes(b"new content")
    (tmp_path / "b" / "link").symlink_to("file")
    a, b = (os.open(tmp_path / name, os.O_PATH) for name in "ab")
    try:
        run(engine, engine.copy("file", "link", src_dir_fd=a, dst_dir_fd=b))
        run(engine, engine.copy("file", "other", src_dir_fd=a, dst_dir_fd=b, atomic=False))
    finally:
        os.close(a)
        os.close(b)
    assert names(tmp_path / "b") == ["file", "link", "other"]
    assert (tmp_path / "b" / "file").read_bytes() == b"new content"


def test_a_chdir_meanwhile_does_not_matter(engine, src, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    run(engine, engine.copy("src", "dst", progress=lambda done, total: os.chdir("/")))
    assert (tmp_path / "dst").read_bytes() == b"new content"


# ---- what is preserved ----


def test_an_unknown_word_is_refused_before_anything(engine, tmp_path):
    for wrong in (["mode", "colour"], "colour"):
        with pytest.raises(ValueError, match="'colour'"):
            run(engine, engine.copy(tmp_path / "missing", tmp_path / "dst", preserve=wrong))


def test_one_word_needs_no_tuple(engine, src, dst):
    run(engine, engine.copy(src, dst, preserve="times"))
    assert dst.stat().st_mtime_ns == PAST[1]


@pytest.mark.parametrize("atomic", [None, False])
def test_nothing_is_preserved_without_a_word(engine, src, dst, atomic):
    umask = os.umask(0o027)
    try:
        run(engine, engine.copy(src, dst, preserve=(), atomic=atomic))
    finally:
        os.umask(umask)
    assert mode_of(dst) == 0o640
    assert dst.stat().st_mtime_ns > PAST[1] + 10**9


def test_setuid_does_not_come_without_the_owner(engine, src, dst):
    src.chmod(0o6755)
    run(engine, engine.copy(src, dst))
    assert mode_of(dst) == 0o755


@pytest.mark.parametrize("preserve", [("mode", "owner"), "all"])
def test_setuid_survives_with_the_owner(engine, src, dst, preserve):
    src.chmod(0o6755)
    run(engine, engine.copy(src, dst, preserve=preserve))
    assert mode_of(dst) == 0o6755


def test_the_owner_is_preserved(engine, src, dst):
    needs_root()
    os.chown(src, 12345, 54321)
    src.chmod(0o4711)
    run(engine, engine.copy(src, dst, preserve=("owner", "mode")))
    assert (dst.stat().st_uid, dst.stat().st_gid, mode_of(dst)) == (12345, 54321, 0o4711)


def test_an_owner_that_is_not_allowed_is_an_error(engine, src, dst):
    with pytest.raises(PermissionError) as caught:
        call(engine, failing("chown", errno.EPERM), copy, src, dst, preserve=("owner",))
    assert (caught.value.filename2, names(dst.parent)) == (dst, ["src"])


def test_all_of_an_owner_that_is_not_allowed_is_left_out_with_setuid(engine, src, dst):
    src.chmod(0o6755)
    call(engine, failing("chown", errno.EPERM), copy, src, dst, preserve="all")
    assert mode_of(dst) == 0o755


def test_extended_attributes_are_preserved(engine, src, dst):
    set_attribute(src, "user.one", b"1")
    set_attribute(src, "user.two", bytes(range(256)))
    src.chmod(0o440)
    os.utime(src, ns=PAST)
    run(engine, engine.copy(src, dst, preserve=("mode", "times", "xattr")))
    assert {name: os.getxattr(dst, name) for name in os.listxattr(dst)} == {
        "user.one": b"1",
        "user.two": bytes(range(256)),
    }
    assert (mode_of(dst), dst.stat().st_mtime_ns) == (0o440, PAST[1])


def test_an_attribute_that_is_not_allowed_is_an_error_but_for_all(engine, src, dst):
    set_attribute(src, "user.one", b"1")
    refusing = failing("setxattr", errno.EOPNOTSUPP)
    with pytest.raises(OSError, match="not supported"):
        call(engine, refusing, copy, src, dst, preserve=["xattr"])
    assert names(dst.parent) == ["src"]
    call(engine, refusing, copy, src, dst, preserve="all")
    assert (dst.read_bytes(), os.listxattr(dst)) == (b"new content", [])


def test_the_acl_comes_with_the_mode(engine, src, dst):
    set_attribute(src, ACL, READABLE_BY_ONE)
    run(engine, engine.copy(src, dst))
    assert os.getxattr(dst, ACL) == READABLE_BY_ONE


def test_where_there_are_no_acls_the_group_gets_no_more_than_it_had(engine, src, dst):
    set_attribute(src, ACL, READABLE_BY_ONE)
    assert mode_of(src) == 0o640
    call(engine, failing("setxattr", errno.EOPNOTSUPP), copy, src, dst)
    assert mode_of(dst) == 0o600


def test_an_inherited_acl_does_not_stay_beside_the_mode(engine, src, tmp_path):
    (tmp_path / "below").mkdir()
    set_attribute(tmp_path / "below", DEFAULT_ACL, READABLE_BY_ONE)
    run(engine, engine.copy(src, tmp_path / "below" / "dst"))
    assert (mode_of(tmp_path / "below" / "dst"), has_acl(tmp_path / "below" / "dst")) == (0o640, False)


def test_without_the_mode_an_acl_is_inherited_as_by_any_new_file(engine, src, tmp_path):
    (tmp_path / "below").mkdir()
    set_attribute(tmp_path / "below", DEFAULT_ACL, READABLE_BY_ONE)
    run(engine, engine.copy(src, tmp_path / "below" / "dst", preserve=()))
    (tmp_path / "below" / "any").touch()
    assert os.getxattr(tmp_path / "below" / "dst", ACL) == os.getxattr(tmp_path / "below" / "any", ACL)


# ---- symlinks that are not followed ----


def test_a_symlink_is_made_if_it_is_not_followed(engine, src, dst, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    os.utime(tmp_path / "link", ns=PAST, follow_symlinks=False)
    run(engine, engine.copy(tmp_path / "link", dst, follow_symlinks=False))
    assert (os.readlink(dst), dst.lstat().st_mtime_ns) == ("nowhere", PAST[1])
    assert names(tmp_path) == ["dst", "link", "src"]


def test_a_symlink_is_made_where_rename_cannot_leave_what_is_there(engine, dst, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    call(engine, failing("rename", errno.EINVAL), copy, tmp_path / "link", dst, follow_symlinks=False)
    assert (os.readlink(dst), names(tmp_path)) == ("nowhere", ["dst", "link"])


@pytest.mark.parametrize("existing", ["file", "dangling"])
def test_a_symlink_replaces_nothing(engine, src, dst, tmp_path, existing):
    dst.write_bytes(b"old") if existing == "file" else dst.symlink_to("nothing")
    (tmp_path / "link").symlink_to("src")
    with pytest.raises(FileExistsError) as caught:
        run(engine, engine.copy(tmp_path / "link", dst, follow_symlinks=False))
    assert caught.value.filename == dst
    assert dst.is_symlink() if existing == "dangling" else dst.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["link", "src"])
def test_a_symlink_is_not_copied_onto_itself_or_its_target(engine, src, tmp_path, name):
    (tmp_path / "link").symlink_to("src")
    with pytest.raises(shutil.SameFileError):
        run(engine, engine.copy(tmp_path / "link", tmp_path / name, follow_symlinks=False))
    assert os.readlink(tmp_path / "link") == "src"


def test_a_symlink_is_followed(engine, src, dst, tmp_path):
    (tmp_path / "link").symlink_to("src")
    run(engine, engine.copy(tmp_path / "link", dst))
    assert (dst.is_symlink(), dst.read_bytes()) == (False, b"new content")


def test_a_file_is_copied_all_the_same_if_symlinks_are_not_followed(engine, src, dst):
    run(engine, engine.copy(src, dst, follow_symlinks=False))
    assert dst.read_bytes() == b"new content"


# ---- progress ----


def test_progress_is_told_in_the_callers_thread_and_context(engine, src, dst):
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")
    told = []

    def progress(done, total):
        told.append((done, total, variable.get(), threading.get_ident()))

    request = engine.copy(src, dst, progress=progress)
    variable.set("later")
    run(engine, request)
    assert told == [(11, 11, "mine", threading.get_ident())]


def test_an_exception_in_progress_ends_the_copy(engine, src, dst):
    dst.write_bytes(b"old")

    def progress(done, total):
        raise PermissionError(errno.EPERM, "mine")

    with pytest.raises(PermissionError, match="mine") as caught:
        run(engine, engine.copy(src, dst, progress=progress))
    assert caught.value.filename is None
    assert (dst.read_bytes(), names(dst.parent)) == (b"old", ["dst", "src"])


def test_progress_must_be_callable(engine, src, dst):
    with pytest.raises(TypeError, match="callable"):
        run(engine, engine.copy(src, dst, progress=5))


def test_descriptors_are_no_paths(engine, src, dst):
    for paths in ((0, dst), (src, 1)):
        with pytest.raises(TypeError):
            run(engine, engine.copy(*paths))


# ---- whatever happens ----


OLD = b"old content, and longer than the new one"


class Case:
    """One copy of some kind, made anew for each step at which something happens to it."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.folder = folder

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        src, dst = self.folder / "src", self.folder / "dst"
        src.write_bytes(b"new content")
        options = {"preserve": "all"}
        if self.kind == "existing":
            dst.write_bytes(OLD)
        elif self.kind == "sparse":
            os.truncate(src, 1 << 20)
        elif self.kind == "symlink":
            src.unlink()
            src.symlink_to("nowhere")
            options["follow_symlinks"] = False
        return copy, (src, dst), options, failing("ioctl", errno.ENOTTY)

    def check(self, failed):
        allowed = {"new": [None, b"new content"], "existing": [OLD, b"new content"]}
        allowed["sparse"] = [None, b"new content" + bytes((1 << 20) - 11)]
        allowed["symlink"] = [None, "nowhere"]
        assert set(names(self.folder)) <= {"src", "dst"}
        assert self.found() in (allowed[self.kind] if failed else allowed[self.kind][1:])

    def found(self):
        dst = self.folder / "dst"
        if dst.is_symlink():
            return os.readlink(dst)
        return dst.read_bytes() if dst.exists() else None


KINDS = ["new", "existing", "sparse", "symlink"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["queued", "running", "finished"])
def test_cancelled_at_any_step_it_leaves_the_old_or_the_new_file_and_nothing_else(engine, tmp_path, kind, when):
    case = Case(kind, tmp_path / "case")
    cancelled = []

    def check(was_cancelled):
        cancelled.append(was_cancelled)
        case.check(was_cancelled)

    assert hooked.cancelled_at_each_step(engine, case.begin, check, when) >= 10
    assert sum(cancelled) >= len(cancelled) // 2


@pytest.mark.parametrize("kind", KINDS)
def test_failing_at_any_step_it_leaves_the_old_or_the_new_file_and_nothing_else(engine, tmp_path, kind):
    case = Case(kind, tmp_path / "case")
    assert hooked.failed_at_each_step(engine, case.begin, case.check) >= 10


def test_a_temporary_file_that_cannot_be_removed_is_named(engine, src, dst):
    hooks = together(failing("utime", errno.EIO), failing("unlink", errno.EROFS))
    with pytest.raises(OSError, match="Input/output") as caught:
        call(engine, hooks, copy, src, dst)
    [name] = set(names(dst.parent)) - {"src"}
    assert name.startswith(".anyaio-copy-")
    assert name in caught.value.__notes__[0]


def test_an_error_of_closing_the_temporary_file_is_the_copys(engine, src, dst):
    dst.write_bytes(b"old")

    def hook(number, name, arguments):
        if name == "close" and os.readlink(f"/proc/self/fd/{arguments[0]}").rpartition("/")[2].startswith(".anyaio"):
            os.close(arguments[0])
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return SUBMIT

    with pytest.raises(OSError, match="quota") as caught:
        call(engine, hook, copy, src, dst)
    assert (caught.value.errno, caught.value.filename) == (errno.EDQUOT, dst)
    assert (dst.read_bytes(), names(dst.parent)) == (b"old", ["dst", "src"])


# ---- the colours ----


@on_loops
async def test_it_is_awaited_in_asyncio(aio, src, dst):
    assert await aio.copy(src, dst) is None
    assert dst.read_bytes() == b"new content"


@on_loops
async def test_an_asyncio_task_that_is_cancelled_leaves_nothing(aio, src, dst):
    task = asyncio.current_task()
    with pytest.raises(asyncio.CancelledError):
        await aio.copy(src, dst, progress=lambda done, total: task.cancel())
    task.uncancel()
    assert names(dst.parent) == ["src"]


def test_it_blocks_in_a_script(src, dst):
    anyaio.blocking.copy(src, dst)
    assert dst.read_bytes() == b"new content"


def test_the_callback_gets_the_request(engine, src, dst):
    seen = []
    request = engine.copy(src, dst, seen.append)
    engine.flush()
    assert (seen, request.result()) == ([request], None)


# ---- killed ----


test_killed = runner.each(copy_killed)

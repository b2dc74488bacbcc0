"""Plant defects in the C operations, one at a time, and see that tests/test_differential.py finds each.

    python tools/plant_defects.py [WORD…]     only the defects whose description has one of the words

Each is planted in a copy of the tree, built and tested there; nothing here is changed. The status is 1 if a defect is
not found, if its old text is not in the C sources exactly once, if what is built with it cannot be loaded, or if the
tests fail without any.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("core", "adapters", "tests", "setup.py", "pyproject.toml", "README.md")
TESTS = "tests/test_differential.py"
LIMIT = 600  # seconds for a build, or a run of the tests


class Defect(NamedTuple):
    old: str  # in one of the C files; what is blank in it may be broken into lines otherwise there
    new: str
    description: str


DEFECTS = [
    Defect(
        "pread(request->fd[0], request->out, (size_t)size, request->n[1])",
        "pread(request->fd[0], request->out, (size_t)size, 0)",
        "pread ignores the offset",
    ),
    Defect(
        "if (size < 0) {",
        "if (size < -1) {",
        "read and pread take -1 for a size",
    ),
    Defect(
        "pwrite(request->fd[0], request->iov[0].iov_base, request->iov[0].iov_len, request->n[0])",
        "pwrite(request->fd[0], request->iov[0].iov_base, request->iov[0].iov_len, 0)",
        "pwrite ignores the offset",
    ),
    Defect(
        "preadv2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags)",
        "preadv2(request->fd[0], request->iov, request->iovcnt, request->n[0], 0)",
        "preadv ignores flags",
    ),
    Defect(
        "pwritev2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags)",
        "pwritev2(request->fd[0], request->iov, request->iovcnt, request->n[0], 0)",
        "pwritev ignores flags",
    ),
    Defect(
        "        return readv(fd, iov, count);\n    do {",
        "        return readv(fd, iov, count > 1 ? 1 : count);\n    do {",
        "readv reads only into the first buffer of a file",
    ),
    Defect(
        "writev(fd, request->iov, request->iovcnt)",
        "writev(fd, request->iov, request->iovcnt > 1 ? 1 : request->iovcnt)",
        "writev writes only the first buffer",
    ),
    Defect(
        "lseek(request->fd[0], request->n[0], (int)request->n[1])",
        "lseek(request->fd[0], request->n[0], request->n[1] == SEEK_END ? SEEK_SET : (int)request->n[1])",
        "lseek takes SEEK_END for SEEK_SET",
    ),
    Defect(
        "(int)request->n[0] | O_CLOEXEC",
        "(int)request->n[0]",
        "open without O_CLOEXEC",
    ),
    Defect(
        "openat(request->fd[0], request->path[0], flags, (mode_t)request->n[1])",
        "openat(AT_FDCWD, request->path[0], flags, (mode_t)request->n[1])",
        "open ignores dir_fd",
    ),
    Defect(
        "ops_set_result(request, close(request->fd[0]))",
        "ops_set_result(request, (close(request->fd[0]), 0))",
        "the error of close is lost",
    ),
    Defect(
        "ops_set_result(request, fdatasync(request->fd[0]))",
        "ops_set_result(request, (fdatasync(request->fd[0]), 0))",
        "the error of fdatasync is lost",
    ),
    Defect(
        "ops_set_result(request, fsync(fd));",
        "fsync(fd);",
        "the error of pathsync is lost",
    ),
    Defect(
        "request->n[0] ? 0 : AT_SYMLINK_NOFOLLOW",
        "0",
        "stat follows symlinks, told not to",
    ),
    Defect(
        "status(request, request->fd[0], request->path[0], AT_SYMLINK_NOFOLLOW)",
        "status(request, request->fd[0], request->path[0], 0)",
        "lstat follows symlinks",
    ),
    Defect(
        "mkdirat(request->fd[0], request->path[0], (mode_t)request->n[0])",
        "mkdirat(request->fd[0], request->path[0], 0777)",
        "mkdir ignores the mode",
    ),
    Defect(
        "ops_set_result(request, unlinkat(request->fd[0], request->path[0], 0));",
        "ops_set_result(request, unlinkat(request->fd[0], request->path[0], 0));\n    if (request->error == EISDIR)\n"
        "        ops_set_result(request, unlinkat(request->fd[0], request->path[0], AT_REMOVEDIR));",
        "unlink removes directories",
    ),
    Defect(
        "unlinkat(request->fd[0], request->path[0], AT_REMOVEDIR)",
        "unlinkat(request->fd[0], request->path[0], 0)",
        "rmdir unlinks",
    ),
    Defect(
        "renameat(request->fd[0], request->path[0], request->fd[1], request->path[1])",
        "renameat(request->fd[1], request->path[0], request->fd[0], request->path[1])",
        "rename swaps the directories",
    ),
    Defect(
        "SYS_renameat2, request->fd[0], request->path[0], request->fd[1], request->path[1], flags)",
        "SYS_renameat2, request->fd[0], request->path[0], request->fd[1], request->path[1], 0)",
        "rename ignores flags",
    ),
    Defect(
        "if (request->value < (int64_t)size)",
        "if (request->value <= (int64_t)size)",
        "readlink truncates what fills its first buffer",
    ),
    Defect(
        "int error = add(growing, entry->name, entry->inode, entry->type);",
        "int error = at + entry->size < size ? add(growing, entry->name, entry->inode, entry->type) : 0;",
        "listdir loses the last entry of a block",
    ),
    Defect(
        "length == 1 || (length == 2 && name[1] == '.')",
        "length == 1",
        'listdir shows ".."',
    ),
    Defect(
        "(length == 2 && name[1] == '.')",
        "name[1] == '.'",
        "listdir hides names that begin with two dots",
    ),
    Defect(
        ".own_type = type,",
        ".own_type = type == DT_DIR ? DT_REG : type,",
        "scandir: a directory is a file",
    ),
    Defect(
        ".type = type,",
        ".type = type == DT_FIFO ? DT_REG : type,",
        "scandir: the type of a FIFO is wrong",
    ),
    Defect(
        "int flags = follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW;",
        "int flags = follow_symlinks ? AT_SYMLINK_NOFOLLOW : 0;",
        "scandir follows symlinks when it should not",
    ),
    Defect(
        "order == ORDER_STAT ? 0 : score(",
        "order == ORDER_DIRS_FIRST_STAT ? 0 : score(",
        "scandir takes one order for the other",
    ),
    Defect(
        "ST_TIME(st, m), ST_TIME(st, c)",
        "ST_TIME(st, c), ST_TIME(st, m)",
        "stat swaps mtime and ctime",
    ),
    Defect(
        "PyLong_FromLongLong(st->st_blocks)",
        "PyLong_FromLongLong(st->st_blksize)",
        "stat tells st_blksize for st_blocks",
    ),
    Defect(
        "result = PyBytes_Check(path);",
        "result = PyBytes_Check(argument);",
        "a path-like object of bytes gives names as str",
    ),
    Defect(
        "if (strlen(text) != (size_t)size)",
        "if (0)",
        "a path is cut at its NUL",
    ),
    Defect(
        "second = PyTuple_GET_ITEM(paths, 1);",
        "second = NULL;",
        "the second file name of an error is lost",
    ),
    Defect(
        "fallocate(request->fd[0], (int)request->n[0],",
        "fallocate(request->fd[0], 0,",
        "fallocate ignores the mode",
    ),
    Defect(
        "fchown(request->fd[0], (uid_t)request->n[0], (gid_t)request->n[1])",
        "fchown(request->fd[0], (uid_t)request->n[1], (gid_t)request->n[0])",
        "fchown swaps user and group",
    ),
    Defect(
        "faccessat(request->fd[0], request->path[0], (int)request->n[0], flags) == 0",
        "faccessat(AT_FDCWD, request->path[0], (int)request->n[0], flags) == 0",
        "access ignores dir_fd",
    ),
    Defect(
        "{ (time_t)request->n[0], (long)request->n[1] },",
        "{ (time_t)request->n[0], 0 },",
        "utime loses the nanoseconds of atime",
    ),
    Defect(
        "fchmodat(request->fd[1], request->path[0], mode, nofollow_unless(request->n[1]))",
        "fchmodat(request->fd[1], request->path[0], mode, 0)",
        "chmod follows symlinks, told not to",
    ),
    Defect(
        "fchownat(request->fd[0], request->path[0], uid, gid, AT_SYMLINK_NOFOLLOW)",
        "fchownat(request->fd[0], request->path[0], uid, gid, 0)",
        "lchown follows symlinks",
    ),
    Defect(
        "statx(request->fd[1], request->path[0], flags, (unsigned)request->n[0], st)",
        "statx(request->fd[1], request->path[0], 0, (unsigned)request->n[0], st)",
        "statx ignores flags",
    ),
    Defect(
        "result = truncate(link, length);",
        "result = truncate(link, 0);",
        "truncate with a dir_fd ignores the length",
    ),
    Defect(
        "setxattr(target.path, name, value, size, flags));\n    else\n",
        "setxattr(target.path, name, value, size, 0));\n    else\n",
        "setxattr ignores flags",
    ),
    Defect(
        "target->follow ? getxattr(target->path, name, out, size) : lgetxattr(target->path, name, out, size)",
        "getxattr(target->path, name, out, size)",
        "getxattr follows symlinks, told not to",
    ),
    Defect(
        "linkat(request->fd[0], request->path[0], request->fd[1], request->path[1], flags)",
        "linkat(request->fd[0], request->path[0], request->fd[1], request->path[1], 0)",
        "link follows no symlinks, told to",
    ),
    Defect(
        "count == 0 ? (mode_t)request->n[0] : 0777,",
        "(mode_t)request->n[0],",
        "makedirs gives the mode to all directories",
    ),
    Defect(
        "(mode_t)request->n[0], (dev_t)request->n[1])",
        "(mode_t)request->n[0], 0)",
        "mknod ignores the device",
    ),
    Defect(
        "return pread(transfer->in, buffer, size, transfer->offset);",
        "return pread(transfer->in, buffer, size, 0);",
        "an emulated sendfile ignores the offset",
    ),
    Defect(
        "int64_t src = request->n[1], dst = request->n[2];",
        "int64_t src = request->n[2], dst = request->n[1];",
        "copy_file_range swaps the offsets",
    ),
    Defect(
        "operation & LOCK_SH ? F_RDLCK : F_WRLCK",
        "F_WRLCK",
        "a shared lock of a range is exclusive",
    ),
    Defect(
        "O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY",
        "O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY",
        "write_bytes leaves the end of what was there",
    ),
    Defect(
        "if (start != 0 && lseek(content->fd, start, SEEK_SET) < 0)",
        "if (0 && lseek(content->fd, start, SEEK_SET) < 0)",
        "read_bytes ignores the offset",
    ),
    Defect(
        "ops_set_result(request, msync(range.start, range.size, (int)request->n[2]));",
        "ops_set_result(request, msync(range.start, range.size, MS_SYNC));",
        "msync ignores flags",
    ),
    Defect(
        "modify ? POPULATE_WRITE : POPULATE_READ) < 0 ? errno : 0",
        "modify ? POPULATE_WRITE : POPULATE_READ) < 0 ? 0 : 0",
        "mtouch loses errors",
    ),
    Defect(
        "map->head.fm_start = before;",
        "map->head.fm_start = 0;",
        "fiemap ignores the start",
    ),
]


def prepare(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                folder / name,
                ignore=shutil.ignore_patterns("*.so", "__pycache__"),
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / "lib").mkdir()
    shutil.copytree(
        folder / "core",
        folder / "lib" / "anyaio",
        ignore=shutil.ignore_patterns("_native"),
    )


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "lib"),
        "CFLAGS": "-O0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        timeout=LIMIT,
        text=True,
        capture_output=True,
    )


def build(folder: Path) -> None:
    for old in (folder / "lib" / "anyaio").glob("*.so"):
        old.unlink()
    done = run(
        folder,
        "setup.py",
        "-q",
        "build_ext",
        "--build-lib",
        "lib",
        "--build-temp",
        "build",
    )
    if not list((folder / "lib" / "anyaio").glob("*.so")):
        sys.exit(f"the extension cannot be built:\n{done.stdout}{done.stderr}")


def run_tests(folder: Path, *which: str) -> str | None:
    """The first test that fails, or None if none does."""
    done = run(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *which)
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"signal {-done.returncode}"
    failed = re.search(r"^(?:FAILED|ERROR) \S*::(\S+)", done.stdout, re.M)
    return failed[1] if failed else f"status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def first_failure(folder: Path) -> str | None:
    """The first test that fails, and fails again: what a busy machine does is no finding."""
    for _ in range(3):
        failed = run_tests(folder, "-k", "native", TESTS)
        if failed is None or "[" not in failed or run_tests(folder, f"{TESTS}::{failed}") is not None:
            return failed
    return None


def loads(folder: Path) -> bool:
    """Whether it is the extension built here that will be tested: without one the tests would be skipped."""
    loaded = run(folder, "-c", "import anyaio._engine as engine; print(engine.__file__)").stdout
    return loaded.startswith(str(folder))


def places(folder: Path, old: str) -> list[tuple[Path, re.Match[str]]]:
    pattern = re.compile(r"\s+".join(map(re.escape, old.split())))
    sources = sorted((folder / "core" / "_native").glob("*.c"))
    return [(source, match) for source in sources for match in pattern.finditer(source.read_text())]


def plant(folder: Path, defect: Defect) -> tuple[bool, str]:
    """Return whether a test finds the defect, and which, or why not."""
    found = places(folder, defect.old)
    if len(found) != 1:
        return False, f"DOES NOT APPLY: {', '.join(source.name for source, _ in found) or 'nowhere'}"
    source, match = found[0]
    text = source.read_text()
    source.write_text(text[: match.start()] + defect.new.strip() + text[match.end() :])
    try:
        build(folder)
        if not loads(folder):
            return False, "CANNOT BE LOADED"
        failure = first_failure(folder)
    finally:
        source.write_text(text)
    return failure is not None, failure or "NOT FOUND"


def main(words: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="defects-") as name:
        folder = Path(name)
        prepare(folder)
        build(folder)
        if not loads(folder):
            sys.exit("another extension would be tested")
        if (failed := first_failure(folder)) is not None:
            sys.exit(f"without a defect there fails: {failed}")
        missed = 0
        for defect in DEFECTS:
            if words and not any(word in defect.description for word in words):
                continue
            began = time.monotonic()
            found, verdict = plant(folder, defect)
            missed += not found
            print(f"{defect.description}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{missed} not found" if missed else "all found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

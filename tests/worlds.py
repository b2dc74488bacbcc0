"""Worlds: small trees with descriptors and buffers, made alike for each of those whose calls are compared.

A call gets a world of its own, or all share one if the call only looks. What the call did is what `World.seen` tells
afterwards, in words that are equal for equal worlds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

UNUSED = 900  # descriptors from here on are nobody else's: one that was closed stays closed

CONTENT = b"abcdefghijklmnopqrstuvwxyz"
BAD_NAME = b"bad\xff\xfename"
LONG_NAME = "n" * 255
BIG = 700  # entries with long names in the big directory: three blocks of getdents64(2)
LINK_LENGTHS = (255, 256, 257, 511, 512, 4000)  # of the targets of the shared world's long links
ATTRIBUTE = "user.anyaio"  # that "file" and "dir" have in a world with attributes
PAGE = mmap.PAGESIZE


class World:
    """A directory that is the current one, two of its own around it, and what was opened in it.

    So that a call may change "..", and nothing of it is ever outside.
    """

    def __init__(self, place: str) -> None:
        self._around = tempfile.mkdtemp(dir=place)
        self.root = os.path.join(self._around, "middle", "top")
        os.makedirs(self.root)
        self._opened: dict[str, int] = {}
        self._buffers: list[Any] = []
        self._maps: list[mmap.mmap] = []
        self.attributes = False  # whether it has extended attributes, and they are looked at
        os.chdir(self.root)
        self._plant()

    def _plant(self) -> None:
        for name, content, mode in (("file", CONTENT, 0o640), ("empty", b"", 0o600), ("secret", b"secret", 0)):
            self.write(name, content, mode)
        os.utime("file", ns=(4_000_000_000_123_456_789, 1_000_000_000_987_654_321))
        os.mkdir("dir")
        self.write("dir/inner", b"inner", 0o604)
        os.mkdir("empty_dir", 0o750)
        os.mkdir("locked", 0)
        for name, target in (("link", "file"), ("dirlink", "dir"), ("broken", "missing"), ("loop", "loop2")):
            os.symlink(target, name)
        os.symlink("loop", "loop2")
        os.mkfifo("fifo", 0o620)
        # Somebody has it open for reading and writing, so that no open of it waits.
        self._opened["fifo"] = os.open("fifo", os.O_RDWR | os.O_NONBLOCK)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
        self.write(BAD_NAME, b"bad name", 0o644)

    def plant_more(self) -> None:
        """What only looks need, and takes time."""
        os.mkdir("big")
        for number in range(BIG):
            os.mknod(f"big/{number:0200d}")
        os.mkdir("links")
        for length in LINK_LENGTHS:
            os.symlink("/".join(["x" * 199] * 20 + ["y" * 99])[:length], f"links/{length}")
        os.mkdir("odd")
        for name in (b"new\nline", b"\xc3\xa9", b"\xff", b".hidden", b"...", b" ", os.fsencode(LONG_NAME)):
            self.write(os.path.join(b"odd", name), b"", 0o644)
        # Blocks that were not written yet have no number, and st_blocks would change when they get one.
        os.sync()

    def plant_attributes(self) -> None:
        """What is seen only by those who ask."""
        self.attributes = True
        for name in ("file", "dir"):
            os.setxattr(name, ATTRIBUTE, b"value")

    def write(self, name: str | bytes, content: bytes, mode: int) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, content)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    # ---- descriptors and buffers: each is made once ----

    def descriptor(self, name: str, make: Callable[[], int]) -> int:
        if name not in self._opened:
            self._opened[name] = make()
        return self._opened[name]

    def open(self, path: str, flags: int, position: int = 0) -> int:
        def make() -> int:
            fd = os.open(path, flags)
            if position:
                os.lseek(fd, position, os.SEEK_SET)
            return fd

        return self.descriptor(f"{path} {flags} {position}", make)

    def made(self, name: str, content: bytes, flags: int, position: int = 0) -> int:
        """A file that only those worlds have that need it."""
        if not os.path.lexists(name):
            self.write(name, content, 0o640)
        return self.open(name, flags, position)

    def device(self, name: str, minor: int) -> int:
        """A memory device of the world's own; a file where making one is not allowed."""

        def make() -> int:
            try:
                os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
                return os.open(name, os.O_RDWR)
            except OSError:
                return self.made("no device", b"", os.O_RDWR)

        return self.descriptor(name, make)

    def map(self, pages: int, protection: int, *, truncated_to: int | None = None) -> mmap.mmap:
        """A file mapped, of which then only so many pages are left."""
        name = f"mapped {len(self._maps)}"
        self.write(name, b"m" * pages * PAGE, 0o600)
        fd = os.open(name, os.O_RDWR)
        try:
            memory = mmap.mmap(fd, pages * PAGE, prot=protection)
            if truncated_to is not None:
                os.ftruncate(fd, truncated_to * PAGE)
        finally:
            os.close(fd)
        self._maps.append(memory)
        return memory

    def pipe(self, end: int, content: bytes = b"", *, blocking: bool = True, close_other: bool = False) -> int:
        """One end of a pipe with *content* in it; 0 is the reading one."""
        ends = os.pipe()
        for fd in ends:
            os.set_blocking(fd, blocking)
        if content:
            os.write(ends[1], content)
        if close_other:
            os.close(ends[1 - end])
        else:
            self._opened[f"other end {len(self._opened)}"] = ends[1 - end]
        return ends[end]

    def full_pipe(self, *, blocking: bool = False) -> int:
        fd = self.pipe(1, blocking=False)
        size = fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
        os.write(fd, b"f" * size)
        os.set_blocking(fd, blocking)
        return fd

    def socket(self, kind: int, content: bytes) -> int:
        ours, other = socket.socketpair(socket.AF_UNIX, kind)
        other.send(content)
        self._opened[f"other socket {len(self._opened)}"] = other.detach()
        return ours.detach()

    def closed(self) -> int:
        fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, UNUSED)
        os.close(fd)
        return fd

    def buffer(self, buffer: Any) -> Any:
        """Remember a buffer, whose content is looked at in the end."""
        self._buffers.append(buffer)
        return buffer

    def is_here(self) -> bool:
        """Whether relative paths start in it: else a call would change what is anybody's."""
        return os.path.samefile(".", self.root)

    # ---- what is seen of it ----

    def seen(self) -> dict[str, Any]:
        """All that a call could have changed."""
        return {
            "tree": list(self._tree(b"..")),
            "descriptors": {name: _descriptor(fd) for name, fd in self._opened.items()},
            "buffers": [bytes(buffer) for buffer in self._buffers],
        }

    def _tree(self, folder: bytes) -> Iterator[tuple[Any, ...]]:
        if not os.access(folder, os.R_OK | os.X_OK):
            return
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            times = [_time(each) for each in (status.st_atime_ns, status.st_mtime_ns)]
            yield path, oct(status.st_mode), status.st_nlink, (status.st_uid, status.st_gid), times
            content = _content(path, status)
            if isinstance(content, bytes):  # of a symlink
                content = content.replace(os.fsencode(self._around), b"around")
            yield content, _attributes(path) if self.attributes else None
            if stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK | os.X_OK):
                yield from self._tree(path)

    def remove(self) -> None:
        for fd in self._opened.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        for memory in self._maps:
            with contextlib.suppress(BufferError):  # a specimen is a view of it
                memory.close()
        os.chdir("/")
        _unlock(self._around)
        for folder, names, _ in os.walk(self._around):
            for name in names:
                _unlock(os.path.join(folder, name))
        shutil.rmtree(self._around)


def _time(nanoseconds: int) -> int | str:
    """A time that was set; what is done now has another time in each world."""
    return "now" if abs(nanoseconds / 1e9 - time.time()) < 3600 else nanoseconds


def _attributes(path: bytes) -> list[tuple[str, bytes]]:
    try:
        return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in _attribute_names(path)]
    except PermissionError:
        return []


def _attribute_names(path: bytes) -> list[str]:
    return sorted(name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("security."))


def _unlock(path: str) -> None:
    if not os.path.islink(path):
        os.chmod(path, 0o700)


def _content(path: bytes, status: os.stat_result) -> Any:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        return None
    fd = os.open(path, os.O_RDONLY)
    try:
        return status.st_size, _data(fd, status.st_size)
    finally:
        os.close(fd)


def _data(fd: int, size: int) -> list[tuple[int, bytes]]:
    """The parts of a file that are no holes: it may be very large."""
    parts, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        parts.append((start, os.pread(fd, at - start, start)))
    return parts


def _descriptor(fd: int) -> Any:
    """Position and status flags, or what is still to be read."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError as error:
        return error.errno
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        try:
            return os.lseek(fd, 0, os.SEEK_CUR), fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError as error:
            return error.errno
    left = []
    try:
        os.set_blocking(fd, False)
        while data := os.read(fd, 1 << 16):
            left.append(data)
    except OSError as error:
        return left, error.errno
    return left

"""A file, or whatever else, or a tree of it, on its way to another file system with everything that it has.

A tree is worked through by descriptors, two at any depth: of the directory here and of the one there. The way up is
"..", and must lead to where one came from. What is copied is listed, in the order of the walk, so that exactly that is
removed: from the source when the copy is complete, from the target when something fails.

The list: ``/name`` goes down into a directory, ``name`` is anything else, ``..`` goes up.
"""

from __future__ import annotations

import errno
import os
from stat import S_IFMT, S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from .content import Progress, copy_content, naming
from .preserve import EVERYTHING, Node, take_over, take_over_default_acl
from .target import fail, is_same

if TYPE_CHECKING:
    from .._steps import Steps
    from .._types import StrOrBytesPath

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
UP = b".."


class Descent:
    """A directory, and the way down from where it started: one descriptor at any depth."""

    def __init__(self, steps: Steps, folder: int) -> None:
        self.steps = steps
        self.folder = folder  # somebody else's
        self.fd = folder
        self.names: list[bytes] = []
        self.statuses: list[os.stat_result] = []  # of each directory on the way; the last is where we are

    async def down(self, name: bytes) -> None:
        old, self.fd = self.fd, await self.steps.open(name, DIRECTORY, dir_fd=self.fd)
        if old != self.folder:
            await self.steps.close(old)
        self.statuses.append(await self.steps.fstat(self.fd))
        self.names.append(name)

    async def rise(self) -> int:
        """Go up, and return the descriptor of the directory that was left, to be closed."""
        left = self.fd
        if len(self.names) > 1:
            # Before the caller takes away the rights to search it.
            self.fd = await self.steps.open(UP, DIRECTORY, dir_fd=left)
        else:
            self.fd = self.folder
        self.names.pop()
        self.statuses.pop()
        try:
            if self.names and not is_same(await self.steps.fstat(self.fd), self.statuses[-1]):
                fail(errno.ESTALE, os.fsdecode(self.names[-1]))  # a directory was moved meanwhile
        except BaseException:
            await self.steps.close(left)
            raise
        return left

    async def up(self) -> None:
        await self.steps.close(await self.rise())

    async def close(self) -> None:
        old, self.fd = self.fd, self.folder
        if old != self.folder:
            await self.steps.close(old)

    def path(self, root: StrOrBytesPath, name: bytes | None = None) -> StrOrBytesPath:
        """Return the path, below *root*, of the directory, or of *name* in it."""
        names = self.names[1:] if name is None else [*self.names[1:], name] if self.names else []
        if not names:
            return root
        path = os.path.join(os.fsencode(root), *names)
        return path if isinstance(os.fspath(root), bytes) else os.fsdecode(path)


class Transplant:
    """The copying of one tree, or of what is no directory."""

    def __init__(
        self,
        steps: Steps,
        source: int,
        target: int,
        paths: tuple[StrOrBytesPath, StrOrBytesPath],
        progress: Progress | None,
    ) -> None:
        self.steps = steps
        self.source = Descent(steps, source)
        self.target = Descent(steps, target)
        self.paths = paths
        self.progress = progress
        self.listed: list[bytes] | None = None  # what is in the root, if that is a directory
        self.links: dict[tuple[int, int], bytes] = {}  # what has several names: where the first one is
        self.done = self.total = 0  # bytes
        self.told = (-1, -1)

    async def copy(self, name: bytes, new: bytes, status: os.stat_result) -> None:
        """Copy the entry *name* of the source's directory to *new* in the target's."""
        if not S_ISDIR(status.st_mode):
            await self.copy_entry(name, new, status)
            return
        self.listed = []
        if self.progress is not None:
            self.total = await self.measure(name)
        try:
            await self.copy_tree(name, new)
        finally:
            try:
                await self.source.close()
            finally:
                await self.target.close()
        if self.progress is not None and self.told != (self.done, self.done):
            self.progress(self.done, self.done)

    async def discard(self, new: bytes, error: BaseException) -> None:
        """Remove what was made of the copy, because of *error*."""
        try:
            await remove(self.steps, self.target.folder, new, self.listed, os.fsdecode(new), unfinished=True)
        except OSError as failure:
            error.add_note(f"{os.fsdecode(new)} is left behind: {failure}")

    async def measure(self, name: bytes) -> int:
        """Return the sum of the sizes of the files in the tree."""
        total = 0
        walk = Descent(self.steps, self.source.folder)
        try:
            left = [[name]]  # directories, a row for each level
            while left:
                if not left[-1]:
                    left.pop()
                    if left:
                        await walk.up()
                    continue
                name = left[-1].pop()
                with naming(walk.path(self.paths[0], name)):
                    await walk.down(name)
                    entries = await read(self.steps, walk.fd)
                total += sum(status.st_size for _, status in entries if S_ISREG(status.st_mode))
                left.append([name for name, status in entries if S_ISDIR(status.st_mode)])
        finally:
            await walk.close()
        return total

    # ---- directories ----

    async def copy_tree(self, name: bytes, new: bytes) -> None:
        assert self.listed is not None
        left = [await self.enter(name, new)]  # directories, a row for each level
        while True:
            if left[-1]:
                name = left[-1].pop()
                self.listed.append(b"/" + name)
                left.append(await self.enter(name, name))
                continue
            left.pop()
            await self.leave()
            if not left:
                return
            self.listed.append(UP)

    async def enter(self, name: bytes, new: bytes) -> list[bytes]:
        """Make a directory and copy what is in it; return the names of those in it."""
        assert self.listed is not None
        with naming(self.source.path(self.paths[0], name), self.target.path(self.paths[1], new)):
            await self.steps.mkdir(new, 0o700, dir_fd=self.target.fd)
            await self.source.down(name)
            await self.target.down(new)
            entries = await read(self.steps, self.source.fd)
        directories = []
        for entry, status in entries:
            if S_ISDIR(status.st_mode):
                directories.append(entry)
            else:
                self.listed.append(entry)
                await self.copy_entry(entry, entry, status)
        return directories

    async def leave(self) -> None:
        status = self.source.statuses[-1]
        with naming(self.source.path(self.paths[0]), self.target.path(self.paths[1])):
            left = await self.target.rise()
            try:
                new, source = Node(self.steps, left), Node(self.steps, self.source.fd)
                await take_over_default_acl(new, source)
                await take_over(new, source, status, EVERYTHING, mode=True)
            finally:
                await self.steps.close(left)
            await self.source.up()

    # ---- what is in them ----

    async def copy_entry(self, name: bytes, new: bytes, status: os.stat_result) -> None:
        key = status.st_dev, status.st_ino
        if status.st_nlink > 1 and key in self.links and await self.link(self.links[key], new):
            self.done += status.st_size if S_ISREG(status.st_mode) else 0
            return
        if S_ISREG(status.st_mode):
            await self.copy_file(name, new, status)
        else:
            await self.copy_special(name, new, status)
        if status.st_nlink > 1:
            self.links[key] = b"/".join([*self.target.names, new])

    async def link(self, first: bytes, new: bytes) -> bool:
        """Make another name of what was copied already; False if that cannot be."""
        try:
            await self.steps.link(first, new, src_dir_fd=self.target.folder, dst_dir_fd=self.target.fd)
        except OSError as error:
            if error.errno in (errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENAMETOOLONG):
                return False
            with naming(self.target.path(self.paths[1], new)):
                raise
        return True

    async def copy_file(self, name: bytes, new: bytes, status: os.stat_result) -> None:
        steps = self.steps
        paths = self.source.path(self.paths[0], name), self.target.path(self.paths[1], new)
        with naming(paths[0]):
            source = await steps.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOCTTY, dir_fd=self.source.fd)
        try:
            with naming(*paths):
                opened = await steps.fstat(source)
                if not is_same(opened, status):
                    fail(errno.ESTALE, paths[0])
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                target = await steps.open(new, flags, 0o600, dir_fd=self.target.fd)
            try:
                progress = None if self.progress is None else self.tell
                self.done += await copy_content(steps, source, opened, target, paths, plain=True, progress=progress)
                with naming(*paths):
                    await take_over(Node(steps, target), Node(steps, source), opened, EVERYTHING, mode=True)
            finally:
                with naming(paths[1]):
                    await steps.close(target)
        finally:
            await steps.close(source)

    def tell(self, done: int, total: int) -> None:
        assert self.progress is not None
        self.told = self.done + done, max(self.done + total, self.total)
        self.progress(*self.told)

    async def copy_special(self, name: bytes, new: bytes, status: os.stat_result) -> None:
        """Copy a symlink, FIFO, socket or device: the thing itself."""
        steps, is_link = self.steps, S_ISLNK(status.st_mode)
        with naming(self.source.path(self.paths[0], name), self.target.path(self.paths[1], new)):
            if is_link:
                text = await steps.readlink(name, dir_fd=self.source.fd)
                await steps.symlink(text, new, dir_fd=self.target.fd)
            else:
                await steps.mknod(new, S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=self.target.fd)
            source = Node(steps, name, self.source.fd)
            await take_over(Node(steps, new, self.target.fd), source, status, EVERYTHING, mode=not is_link)


async def read(steps: Steps, fd: int) -> list[tuple[bytes, os.stat_result]]:
    """Return the names in a directory, with their status."""
    entries = await steps.scandir(fd, stat=True, resolve=False)
    return [(os.fsencode(entry.name), entry.stat(follow_symlinks=False)) for entry in entries]


async def remove(
    steps: Steps,
    folder: int,
    name: bytes,
    listed: list[bytes] | None,
    path: StrOrBytesPath,
    *,
    unfinished: bool = False,
) -> None:
    """Remove *name*, and in it what is *listed*: nothing else, so that what is not is an error.

    If it is *unfinished*, entries may be missing, and directories may lack the right to change them.
    """
    walk = Descent(steps, folder)

    async def down(name: bytes) -> None:
        if unfinished:
            await steps.chmod(name, 0o700, dir_fd=walk.fd, follow_symlinks=False)
        await walk.down(name)

    async def up() -> None:
        name = walk.names[-1]
        await walk.up()
        with naming(walk.path(path, name)):
            await steps.rmdir(name, dir_fd=walk.fd)

    missing = 0  # levels below a directory that is not there: what is listed in it would be looked for beside it
    try:
        for entry in [name] if listed is None else [b"/" + name, *listed]:
            if missing:
                missing += -1 if entry == UP else entry.startswith(b"/")
                continue
            try:
                if entry == UP:
                    await up()
                elif entry.startswith(b"/"):
                    with naming(walk.path(path, entry[1:])):
                        await down(entry[1:])
                else:
                    with naming(walk.path(path, entry)):
                        await steps.unlink(entry, dir_fd=walk.fd)
            except FileNotFoundError:
                if not unfinished:
                    raise
                missing = int(entry.startswith(b"/"))
        while walk.names:
            await up()
    finally:
        await walk.close()

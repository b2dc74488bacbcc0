"""`copy`: a file's content, and what else is asked for, into another file: whole or not at all.

A new file, and a plain one that is there, is made as a temporary file in the same directory, complete with its
metadata, closed, and renamed. Whenever the process dies, the target is the old or the new one. What cannot be replaced
without a loss is written in place: other names of the file would keep the old content, a device would become a file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from .._request import Cancelled
from .content import Progress, copy_content, naming
from .preserve import Node, Preserve, keep, keep_owner, take_over
from .target import Place, Target, commit, discard, fail, is_same, new_name, same_file

if TYPE_CHECKING:
    from .._steps import Steps

NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV, errno.EOPNOTSUPP)
RENAME_NOREPLACE = 1  # <linux/fs.h>


class Irreplaceable(Exception):
    """An existing file cannot be replaced by another one; it could be written in place."""


async def copy(
    steps: Steps,
    src: Place,
    dst: Place,
    *,
    follow_symlinks: bool,
    words: Preserve,
    atomic: bool | None,
    progress: Progress | None,
) -> None:
    for path, _ in (src, dst):
        os.fspath(path)  # no descriptors
    if follow_symlinks:
        status = await steps.stat(src.path, dir_fd=src.dir_fd)
    else:
        status = await steps.lstat(src.path, dir_fd=src.dir_fd)
    if S_ISDIR(status.st_mode):
        fail(errno.EISDIR, src.path)
    target = await Target.find(steps, dst)
    if S_ISLNK(status.st_mode):
        await copy_link(steps, src, status, target, words)
        return
    target.check(src, status)
    flags = os.O_RDONLY | os.O_NOCTTY | (0 if follow_symlinks else os.O_NOFOLLOW)
    source = await steps.open(src.path, flags, dir_fd=src.dir_fd)
    try:
        status = await steps.fstat(source)  # of what was opened
        if S_ISDIR(status.st_mode):
            fail(errno.EISDIR, src.path)
        target.check(src, status)
        await Copying(steps, src, source, status, target, words, progress).run(atomic)
    finally:
        await steps.close(source)


class Copying:
    """The copying of one open file."""

    def __init__(
        self,
        steps: Steps,
        src: Place,
        source: int,
        status: os.stat_result,
        target: Target,
        words: Preserve,
        progress: Progress | None,
    ) -> None:
        self.steps = steps
        self.source = source
        self.status = status
        self.target = target
        self.words = words
        self.progress = progress
        self.names = (src.path, target.dst.path)
        self.src = src
        self.in_place_instead = False  # if it cannot be replaced
        existing = target.status
        # An existing file keeps its mode with its owner: the bits of another's file would mean other people.
        self.takes_mode = words.mode and (existing is None or words.owner)
        self.first_mode = 0o600 if existing is not None or self.takes_mode else 0o666

    async def run(self, atomic: bool | None) -> None:
        existing, path = self.target.status, self.target.dst.path
        if existing is not None and not (S_ISREG(existing.st_mode) and not self.target.direct):
            if atomic:
                fail(errno.EOPNOTSUPP, path)
            atomic = False
        if atomic is None and existing is not None and existing.st_nlink > 1:
            atomic = False
        if atomic is False:
            await self.write_in_place()
            return
        self.in_place_instead = atomic is None and existing is not None
        try:
            await self.replace()
        except Irreplaceable:
            await self.write_in_place()

    async def fill(self, fd: int, plain: bool) -> None:
        await copy_content(self.steps, self.source, self.status, fd, self.names, plain=plain, progress=self.progress)

    async def take_over(self, fd: int) -> None:
        with naming(*self.names):
            new, source = Node(self.steps, fd), Node(self.steps, self.source)
            await take_over(new, source, self.status, self.words, mode=self.takes_mode)

    # ---- in place ----

    async def write_in_place(self) -> None:
        steps, dst = self.steps, self.target.dst
        flags = os.O_WRONLY | os.O_NOCTTY | (os.O_CREAT if self.target.status is None else 0)
        fd = await steps.open(dst.path, flags, self.first_mode, dir_fd=dst.dir_fd)
        try:
            status = await steps.fstat(fd)
            if is_same(status, self.status):
                raise same_file(self.src.path, dst.path)
            plain = S_ISREG(status.st_mode)
            if plain and status.st_size:
                with naming(dst.path):
                    await steps.ftruncate(fd, 0)
            await self.fill(fd, plain)
            if plain:
                await self.take_over(fd)
        finally:
            with naming(dst.path):
                await steps.close(fd)

    # ---- by another file ----

    async def replace(self) -> None:
        folder = await self.target.open_folder(self.steps)
        try:
            await self.replace_in(folder)
        finally:
            await self.steps.close(folder)

    async def replace_in(self, folder: int) -> None:
        steps, name, existing = self.steps, self.target.name, self.target.status
        if existing is not None:
            await self.check_writable(folder)
        temporary = new_name()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with self.telling_replaceable():
                fd = await steps.open(temporary, flags, self.first_mode, dir_fd=folder)
        except Cancelled as cancelled:
            await discard(steps, temporary, folder, cancelled)
            raise
        try:
            try:
                new, old = Node(steps, fd), Node(steps, name, folder)
                if existing is not None:
                    with self.telling_replaceable():
                        await keep_owner(new, existing)  # the likeliest refusal, before much is copied
                await self.fill(fd, plain=True)
                if not S_ISREG(self.status.st_mode):
                    self.in_place_instead = False  # a stream cannot be read a second time
                if existing is not None:
                    with self.telling_replaceable():
                        await keep(new, old, existing)
                await self.take_over(fd)
            finally:
                with naming(self.target.dst.path):
                    await steps.close(fd)
            with self.telling_replaceable():
                await commit(steps, temporary, name, folder)
        except BaseException as error:
            await discard(steps, temporary, folder, error)
            raise

    async def check_writable(self, folder: int) -> None:
        """Raise what writing to the file would: a folder's rights are no leave to overwrite a file in it."""
        steps, name = self.steps, self.target.name
        if await steps.access(name, os.W_OK, dir_fd=folder, effective_ids=True):
            return
        with naming(self.target.dst.path):
            await steps.close(await steps.open(name, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=folder))

    @contextmanager
    def telling_replaceable(self) -> Iterator[None]:
        """Have an error be Irreplaceable where the file can be written in place instead."""
        try:
            yield
        except OSError as error:
            if self.in_place_instead and error.errno in NOT_REPLACEABLE:
                raise Irreplaceable from None
            error.filename = self.target.dst.path
            if error.filename2 is not None:
                error.filename, error.filename2 = self.names
            raise


async def copy_link(steps: Steps, src: Place, status: os.stat_result, target: Target, words: Preserve) -> None:
    """Make a symlink like the one at *src*, where nothing is yet."""
    dst = target.dst
    if target.found is not None:
        await refuse_link(steps, src, status, target)
    if not target.name:
        fail(errno.ENOENT, dst.path)
    with naming(src.path):
        text = await steps.readlink(os.fsencode(src.path), dir_fd=src.dir_fd)
    folder = await target.open_folder(steps)
    temporary = new_name()
    try:
        with naming(src.path, dst.path):
            await steps.symlink(text, temporary, dir_fd=folder)
            new, source = Node(steps, temporary, folder), Node(steps, src.path, src.dir_fd)
            await take_over(new, source, status, words, mode=False)
            await rename_to_free(steps, temporary, target.name, folder)
    except BaseException as error:
        await discard(steps, temporary, folder, error)
        raise
    finally:
        await steps.close(folder)


async def refuse_link(steps: Steps, src: Place, status: os.stat_result, target: Target) -> None:
    if target.status is not None and S_ISDIR(target.status.st_mode):
        fail(errno.EISDIR, target.dst.path)
    try:
        followed = await steps.stat(src.path, dir_fd=src.dir_fd)
    except OSError:  # it leads nowhere
        followed = status
    if is_same(status, target.found) or is_same(followed, target.status):
        raise same_file(src.path, target.dst.path)
    fail(errno.EEXIST, target.dst.path)


async def rename_to_free(steps: Steps, temporary: bytes, name: bytes, folder: int) -> None:
    """Rename, but replace nothing."""
    try:
        await commit(steps, temporary, name, folder, RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        await steps.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        await steps.unlink(temporary, dir_fd=folder)

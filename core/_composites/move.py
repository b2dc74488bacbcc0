"""`move`: rename, or between file systems copy everything and then remove the source.

A copy is made as a temporary file or tree beside the target, and renamed. Until that is done the source is only read.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR
from typing import TYPE_CHECKING

from .._request import Cancelled
from .content import Progress, naming
from .target import Place, commit, fail, is_same, new_name, same_file
from .transplant import Transplant, remove

if TYPE_CHECKING:
    from .._steps import Steps
    from .._types import StrOrBytesPath


async def move(steps: Steps, src: Place, dst: Place, *, progress: Progress | None) -> None:
    try:
        await steps.rename(src.path, dst.path, src_dir_fd=src.dir_fd, dst_dir_fd=dst.dir_fd)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    except Cancelled as cancelled:
        if cancelled.outcome is not None and cancelled.outcome.status == "done":
            return
        raise
    source = await open_name(steps, src)
    try:
        target = await open_name(steps, dst)
        try:
            await Moving(steps, source, target, (src.path, dst.path), progress).run()
        finally:
            await steps.close(target.folder)
    finally:
        await steps.close(source.folder)


class Name:
    """A name in an open directory."""

    __slots__ = ("folder", "must_be_directory", "name")

    def __init__(self, folder: int, name: bytes, must_be_directory: bool) -> None:
        self.folder = folder
        self.name = name
        self.must_be_directory = must_be_directory  # it ended in a slash


async def open_name(steps: Steps, place: Place) -> Name:
    """Open the directory that the path's last name is in; the name is not followed."""
    path = os.fsencode(place.path)
    stripped = path.rstrip(b"/")
    head, name = os.path.split(stripped)
    with naming(place.path):
        folder = await steps.open(head or b".", os.O_PATH | os.O_DIRECTORY, dir_fd=place.dir_fd)
    return Name(folder, name, stripped != path)


class Moving:
    """One move between file systems."""

    def __init__(
        self,
        steps: Steps,
        source: Name,
        target: Name,
        paths: tuple[StrOrBytesPath, StrOrBytesPath],
        progress: Progress | None,
    ) -> None:
        self.steps = steps
        self.source = source
        self.target = target
        self.paths = paths
        self.progress = progress

    async def run(self) -> None:
        steps, source, target = self.steps, self.source, self.target
        with naming(self.paths[0]):
            status = await steps.lstat(source.name, dir_fd=source.folder)
        await self.check(status)
        temporary = new_name()
        transplant = Transplant(steps, source.folder, target.folder, self.paths, self.progress)
        try:
            await transplant.copy(source.name, temporary, status)
            with naming(*self.paths):
                await commit(steps, temporary, target.name, target.folder)
        except BaseException as error:
            await transplant.discard(temporary, error)
            raise
        try:
            await remove(steps, source.folder, source.name, transplant.listed, self.paths[0])
        except OSError as error:
            error.add_note("the copy is complete")
            raise

    async def check(self, status: os.stat_result) -> None:
        """Refuse what rename(2) would, before much is copied."""
        steps, target = self.steps, self.target
        src, dst = self.paths
        is_directory = S_ISDIR(status.st_mode)
        if not is_directory and (self.source.must_be_directory or target.must_be_directory):
            fail(errno.ENOTDIR, src if self.source.must_be_directory else dst)
        if is_directory:
            await self.check_not_inside(status)
        with naming(dst):
            try:
                existing = await steps.lstat(target.name, dir_fd=target.folder)
            except FileNotFoundError:
                return
        if is_same(status, existing):  # by way of two mounts: the source to be removed would be the copy
            raise same_file(src, dst)
        if is_directory and not S_ISDIR(existing.st_mode):
            fail(errno.ENOTDIR, dst)
        if not is_directory and S_ISDIR(existing.st_mode):
            fail(errno.EISDIR, dst)
        if is_directory:
            await self.check_empty()

    async def check_empty(self) -> None:
        steps, target = self.steps, self.target
        with naming(self.paths[1]):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            fd = await steps.open(target.name, flags, dir_fd=target.folder)
            try:
                names = await steps.listdir(fd)
            finally:
                await steps.close(fd)
        if names:
            fail(errno.ENOTEMPTY, self.paths[1])

    async def check_not_inside(self, status: os.stat_result) -> None:
        """EINVAL if the target is below the source: on another file system, mounted there."""
        path, below = b".", None
        with naming(*self.paths):
            while True:
                above = await self.steps.stat(path, dir_fd=self.target.folder)
                if is_same(status, above):
                    fail(errno.EINVAL, self.paths[0])
                if is_same(above, below):  # the root's ".." is itself
                    return
                path, below = path + b"/..", above

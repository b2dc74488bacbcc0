"""Where a copy goes: what stands there, and the temporary file that takes its place.

The directory is opened once and all is done from there, so that nobody's chdir or rename comes in between.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISLNK
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from .._request import Cancelled
from .content import naming

if TYPE_CHECKING:
    from .._steps import Steps
    from .._types import StrOrBytesPath

PREFIX = b".anyaio-copy-"  # of temporary files


class Place(NamedTuple):
    """A path of the caller's."""

    path: StrOrBytesPath
    dir_fd: int | None


def fail(number: int, path: StrOrBytesPath) -> NoReturn:
    raise OSError(number, os.strerror(number), path)


def is_same(status: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and (status.st_dev, status.st_ino) == (other.st_dev, other.st_ino)


def same_file(src: StrOrBytesPath, dst: StrOrBytesPath) -> OSError:
    import shutil  # which takes long to import, and is there for this alone

    return shutil.SameFileError(f"{src!r} and {dst!r} are the same file")


class Target:
    """What is to be written, as it was found."""

    def __init__(
        self,
        dst: Place,
        path: StrOrBytesPath,
        found: os.stat_result | None,
        status: os.stat_result | None,
        direct: bool = False,
    ) -> None:
        self.dst = dst
        self.found = found  # maybe a symlink
        self.path = path  # without symlinks
        self.status = status  # None: there is no such file
        self.direct = direct  # it can only be opened as the caller said: in /proc/self/fd
        self.head, self.name = os.path.split(os.fsencode(path))

    @staticmethod
    async def find(steps: Steps, dst: Place) -> Target:
        path, dir_fd = dst
        try:
            found = await steps.lstat(path, dir_fd=dir_fd)
        except FileNotFoundError:
            if not os.fspath(path):
                raise
            return Target(dst, path, None, None)
        if not S_ISLNK(found.st_mode):
            return Target(dst, path, found, found)
        try:
            status = await steps.stat(path, dir_fd=dir_fd)
        except FileNotFoundError:
            status = None  # it leads nowhere yet
        with naming(path):
            real, direct = await resolve(steps, os.fsencode(path), dir_fd)
            if status is not None and not direct:
                try:
                    direct = not is_same(status, await steps.lstat(real))
                except FileNotFoundError:
                    direct = True
        return Target(dst, real, found, status, direct)

    def check(self, src: Place, status: os.stat_result) -> None:
        """Refuse what must not be touched."""
        if is_same(status, self.status):
            raise same_file(src.path, self.dst.path)
        if not self.name or (self.status is not None and S_ISDIR(self.status.st_mode)):
            fail(errno.EISDIR, self.dst.path)

    async def open_folder(self, steps: Steps) -> int:
        with naming(self.dst.path):
            return await steps.open(self.head or b".", os.O_PATH | os.O_DIRECTORY, dir_fd=self.dst.dir_fd)


async def resolve(steps: Steps, path: bytes, dir_fd: int | None) -> tuple[bytes, bool]:
    """Follow symlinks; return where they lead, and whether that is no more than an open file's name, as /dev/stdout's.

    Whoever has a file open as his output would lose what he writes, if it were replaced.
    """
    for _ in range(40):
        head, name = os.path.split(path)
        head = await steps.realpath(head or b".", dir_fd=dir_fd)
        if head.startswith(b"/proc/"):
            return path, True
        path, dir_fd = os.path.join(head, name), None
        try:
            text = await steps.readlink(path)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
            return path, False
        path = os.path.join(head, text)
    fail(errno.ELOOP, path)


async def discard(steps: Steps, name: bytes, folder: int, error: BaseException) -> None:
    """Remove the temporary file *name*, if it was made, because of *error*."""
    try:
        await steps.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as failure:
        error.add_note(f"{os.fsdecode(name)} is left behind: {failure}")


def new_name() -> bytes:
    return PREFIX + os.urandom(8).hex().encode()


async def commit(steps: Steps, temporary: bytes, name: bytes, folder: int, flags: int = 0) -> None:
    """Rename the temporary file. Who is cancelled when that has happened has completed all the same."""
    try:
        await steps.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, flags=flags)
    except Cancelled as cancelled:
        if cancelled.outcome is None or cancelled.outcome.status != "done":
            raise

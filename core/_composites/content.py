"""The bytes of a file on their way into another: reflink, copy_file_range, sendfile, read and write.

Each is tried where the one before cannot. A step moves at most STEP bytes, so that a cancellation is felt. Holes stay
holes. A file is copied up to its end, whatever its size was said to be: one of /proc is said to have none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from stat import S_ISREG
from typing import TYPE_CHECKING, TypeAlias

from .._opcodes import _COPY_RANGE
from .._request import Request
from .._strand import suspend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._steps import Steps
    from .._types import StrOrBytesPath

Progress: TypeAlias = Callable[[int, int], object]

STEP = 16 << 20
FOR_EVER = 1 << 62  # bytes
BLOCK = 256 << 10  # of a read, whose bytes come to Python
FICLONE = 0x40049409  # <linux/fs.h>

# One or both file systems, or the kernel, cannot do it for these files; as `cp` has it.
CANNOT = (
    errno.ENOSYS,
    errno.ENOTTY,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EBADF,
    errno.EXDEV,
    errno.ETXTBSY,
    errno.EPERM,
    errno.EACCES,
)


@contextmanager
def naming(path: StrOrBytesPath, second: StrOrBytesPath | None = None) -> Iterator[None]:
    """Have an OSError name the caller's own paths, instead of none or of those that are made here."""
    try:
        yield
    except OSError as error:
        error.filename = path
        if second is not None:
            error.filename2 = second
        raise


async def copy_content(
    steps: Steps,
    source: int,
    status: os.stat_result,
    target: int,
    names: tuple[StrOrBytesPath, StrOrBytesPath],
    *,
    plain: bool,
    progress: Progress | None,
) -> int:
    """Copy all of *source*, an open file with that *status*, to *target*: if it is *plain*, an empty regular file.

    Returns the number of bytes, with the holes.
    """
    transfer = Transfer(steps, source, status, target, names, plain, progress)
    if not (plain and S_ISREG(status.st_mode)):
        await transfer.copy_rest()
    elif not await transfer.clone():
        await transfer.copy_data()
    transfer.tell_end()
    return transfer.position


class Transfer:
    """One copying under way. The target's position is where the next byte goes."""

    def __init__(
        self,
        steps: Steps,
        source: int,
        status: os.stat_result,
        target: int,
        names: tuple[StrOrBytesPath, StrOrBytesPath],
        plain: bool,
        progress: Progress | None,
    ) -> None:
        self.steps = steps
        self.source = source
        self.target = target
        self.names = names
        self.progress = progress
        self.position = 0  # in the source
        self.told: int | None = None  # what `progress` was last told
        self.size = status.st_size if S_ISREG(status.st_mode) else 0
        self.sparse = status.st_blocks * 512 < self.size or self.size > STEP
        # The bytes go the first of these ways that can.
        self.ways: list[Callable[[int], Awaitable[int]]] = [self.read_and_write]
        if not S_ISREG(status.st_mode):
            self.ways = [self.stream]
        elif plain and self.size:
            self.ways = [self.copy_range, self.sendfile, self.read_and_write]
        # Who is told nothing needs no step: a worker looks for a cancellation after each STEP by itself.
        self.at_once = STEP if progress is not None else FOR_EVER

    async def clone(self) -> bool:
        """Have the target share the source's blocks; False if the file system cannot."""
        if not self.size:
            return False
        with naming(*self.names):
            try:
                await self.steps.ioctl(self.target, FICLONE, self.source)
            except OSError as error:
                if error.errno in CANNOT:
                    return False
                raise
        self.position = self.size
        return True

    async def copy_data(self) -> None:
        """Copy from one hole to the next."""
        if not self.sparse:
            await self.copy_rest()
            return
        while True:
            hole = await self.next_data()
            if hole is None:
                break
            if hole < 0:
                await self.copy_rest()
                return
            while self.position < hole:
                if not await self.copy_some(min(self.at_once, hole - self.position)):
                    return  # it was cut meanwhile
        size = (await self.steps.fstat(self.source)).st_size
        if size > self.position:
            with naming(*self.names):
                await self.steps.ftruncate(self.target, size)
            self.position = size

    async def next_data(self) -> int | None:
        """Go to the next data and return where it ends: None if there is none, -1 if the file system does not tell."""
        with naming(*self.names):
            try:
                data = await self.steps.lseek(self.source, self.position, os.SEEK_DATA)
                hole = await self.steps.lseek(self.source, data, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return None
                if error.errno in CANNOT:
                    return -1
                raise
            if data != self.position:
                await self.steps.lseek(self.target, data, os.SEEK_SET)
                self.position = data
        return hole

    async def copy_rest(self) -> None:
        """Copy all that follows."""
        while await self.copy_some(self.at_once):
            pass

    async def copy_some(self, count: int) -> int:
        """Copy at most *count* bytes and return how many; 0 at the end."""
        with naming(*self.names):
            moved = await self.move_some(count)
        if moved:
            self.position += moved
            self.tell()
        return moved

    async def move_some(self, count: int) -> int:
        while len(self.ways) > 1:
            try:
                moved = await self.ways[0](count)
            except OSError as error:
                if error.errno not in CANNOT:
                    raise
            else:
                # Some kernels say so of files that they make up (copy_file_range(2)); only a read is believed.
                if moved or self.position >= self.size:
                    return moved
            self.ways.pop(0)
        return await self.ways[0](count)

    async def copy_range(self, count: int) -> int:
        answer: int | Request[int] = self.steps.submit(_COPY_RANGE, self.source, self.target, self.position, count)
        return await suspend(answer) if isinstance(answer, Request) else answer

    async def sendfile(self, count: int) -> int:
        return await self.steps.sendfile(self.target, self.source, self.position, min(count, STEP))

    async def read_and_write(self, count: int) -> int:
        return await self.write_all(await self.steps.pread(self.source, min(count, BLOCK), self.position))

    async def stream(self, count: int) -> int:
        return await self.write_all(await self.steps.read(self.source, min(count, BLOCK)))

    async def write_all(self, data: bytes) -> int:
        view = memoryview(data)
        written = 0
        while written < len(data):
            written += await self.steps.write(self.target, view[written:])
        return len(data)

    def tell(self) -> None:
        if self.progress is not None:
            self.told = self.position
            self.progress(self.position, max(self.position, self.size))

    def tell_end(self) -> None:
        """Have the last call say that all is done, also of an empty file."""
        if self.told != self.position or self.position < self.size:
            self.size = self.position
            self.tell()

"""fiemap in the Python backend: where on the disk a file is."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys

from .._results import Extent
from .listing import stop_if_abandoned
from .paths import check

_FS_IOC_FIEMAP = 0xC020660B
_HEAD = struct.Struct("=QQLLLL")  # start, length, flags, how many were found, for how many there is room, reserved
_EXTENT = struct.Struct("=QQQ16xL12x")  # logical, physical, length, flags
_EXTENT_LAST = 1
_TO_THE_END = (1 << 64) - 1
_FIRST_BATCH, _BATCH = 8, 256  # most files have few extents


def read_extents(fd: int, start: int, length: int | None, flags: int, count: int | None) -> list[Extent]:
    """Return the extents of a range, at most *count*."""
    check(fd)
    end = _TO_THE_END if length is None else start + length
    found: list[Extent] = []
    while True:
        room = _BATCH if found else _FIRST_BATCH
        if count is not None:
            room = min(room, count - len(found))
        batch = _ask(fd, start, end - start, flags, room)
        found += batch
        if not batch or (count is not None and len(found) >= count):
            return found
        before, start = start, batch[-1].logical + batch[-1].length
        # A kernel that does not get on would be asked for ever.
        if any(extent.flags & _EXTENT_LAST for extent in batch) or not before < start < end:
            return found
        stop_if_abandoned()


def _ask(fd: int, start: int, length: int, flags: int, room: int) -> list[Extent]:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    memory = bytearray(_HEAD.size + room * _EXTENT.size)
    _HEAD.pack_into(memory, 0, start, length, flags, 0, room, 0)
    fcntl.ioctl(fd, _FS_IOC_FIEMAP, memory, True)
    mapped = min(_HEAD.unpack_from(memory)[3], room)
    return [Extent(*_EXTENT.unpack_from(memory, _HEAD.size + place * _EXTENT.size)) for place in range(mapped)]

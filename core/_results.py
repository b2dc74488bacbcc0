"""What some operations return."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """A run of a file's bytes on the disk: offsets and length in bytes, *flags* ``anyaio.FIEMAP_EXTENT_*``."""

    logical: int
    physical: int
    length: int
    flags: int


class Statx(NamedTuple):
    """What statx(2) tells of a file. Of a field that *stx_mask* does not name the value means nothing."""

    stx_mask: int
    stx_blksize: int
    stx_attributes: int
    stx_nlink: int
    stx_uid: int
    stx_gid: int
    stx_mode: int
    stx_ino: int
    stx_size: int
    stx_blocks: int
    stx_attributes_mask: int
    stx_atime_ns: int
    stx_btime_ns: int
    stx_ctime_ns: int
    stx_mtime_ns: int
    stx_rdev: int
    stx_dev: int
    stx_mnt_id: int
    stx_dio_mem_align: int
    stx_dio_offset_align: int

    @property
    def stx_atime(self) -> float:
        """Of the last access, in seconds."""
        return self.stx_atime_ns * 1e-9

    @property
    def stx_btime(self) -> float:
        """Of the file's birth, in seconds."""
        return self.stx_btime_ns * 1e-9

    @property
    def stx_ctime(self) -> float:
        """Of the last change of the file's status, in seconds."""
        return self.stx_ctime_ns * 1e-9

    @property
    def stx_mtime(self) -> float:
        """Of the last modification, in seconds."""
        return self.stx_mtime_ns * 1e-9

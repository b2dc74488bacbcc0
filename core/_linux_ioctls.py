"""Linux' ioctls on files, directories and block devices, and their flags; see `_constants`.

A request encodes the direction and the size of its argument, and its number; how, depends on the architecture.
"""

import os
import sys
from typing import Final

if os.uname().machine.startswith(("alpha", "mips", "ppc", "sparc")):
    _SIZE_BITS, _NONE, _READ, _WRITE = 13, 1, 2, 4
elif os.uname().machine.startswith("parisc"):
    _SIZE_BITS, _NONE, _READ, _WRITE = 14, 0, 1, 2
else:
    _SIZE_BITS, _NONE, _READ, _WRITE = 14, 0, 2, 1

_LONG = 8 if sys.maxsize > 2**32 else 4  # and a size_t


def _request(direction: int, kind: int | str, number: int, size: int) -> int:
    code = kind if isinstance(kind, int) else ord(kind)
    return direction << 16 + _SIZE_BITS | size << 16 | code << 8 | number


def _io(kind: int | str, number: int) -> int:
    return _request(_NONE, kind, number, 0)


def _ior(kind: int | str, number: int, size: int) -> int:
    return _request(_READ, kind, number, size)


def _iow(kind: int | str, number: int, size: int) -> int:
    return _request(_WRITE, kind, number, size)


def _iowr(kind: int | str, number: int, size: int) -> int:
    return _request(_READ | _WRITE, kind, number, size)


# ---- any file ----

FIBMAP: Final = _io(0, 1)
FIGETBSZ: Final = _io(0, 2)
FIFREEZE: Final = _iowr("X", 119, 4)
FITHAW: Final = _iowr("X", 120, 4)
FITRIM: Final = _iowr("X", 121, 24)
FICLONE: Final = _iow(0x94, 9, 4)
FICLONERANGE: Final = _iow(0x94, 13, 32)
FIDEDUPERANGE: Final = _iowr(0x94, 54, 24)

FS_IOC_FIEMAP: Final = _iowr("f", 11, 32)
FIEMAP_MAX_OFFSET: Final = 2**64 - 1
FIEMAP_FLAG_SYNC: Final = 0x1
FIEMAP_FLAG_XATTR: Final = 0x2
FIEMAP_FLAG_CACHE: Final = 0x4
FIEMAP_FLAGS_COMPAT: Final = 0x3
FIEMAP_EXTENT_LAST: Final = 0x0001
FIEMAP_EXTENT_UNKNOWN: Final = 0x0002
FIEMAP_EXTENT_DELALLOC: Final = 0x0004
FIEMAP_EXTENT_ENCODED: Final = 0x0008
FIEMAP_EXTENT_DATA_ENCRYPTED: Final = 0x0080
FIEMAP_EXTENT_NOT_ALIGNED: Final = 0x0100
FIEMAP_EXTENT_DATA_INLINE: Final = 0x0200
FIEMAP_EXTENT_DATA_TAIL: Final = 0x0400
FIEMAP_EXTENT_UNWRITTEN: Final = 0x0800
FIEMAP_EXTENT_MERGED: Final = 0x1000
FIEMAP_EXTENT_SHARED: Final = 0x2000

# ---- attributes: chattr(1) ----

FS_IOC_GETFLAGS: Final = _ior("f", 1, _LONG)
FS_IOC_SETFLAGS: Final = _iow("f", 2, _LONG)
FS_IOC_GETVERSION: Final = _ior("v", 1, _LONG)
FS_IOC_SETVERSION: Final = _iow("v", 2, _LONG)
FS_IOC32_GETFLAGS: Final = _ior("f", 1, 4)
FS_IOC32_SETFLAGS: Final = _iow("f", 2, 4)
FS_IOC32_GETVERSION: Final = _ior("v", 1, 4)
FS_IOC32_SETVERSION: Final = _iow("v", 2, 4)
FS_IOC_FSGETXATTR: Final = _ior("X", 31, 28)
FS_IOC_FSSETXATTR: Final = _iow("X", 32, 28)
FS_IOC_GETFSLABEL: Final = _ior(0x94, 49, 256)
FS_IOC_SETFSLABEL: Final = _iow(0x94, 50, 256)

FS_SECRM_FL: Final = 0x00000001
FS_UNRM_FL: Final = 0x00000002
FS_COMPR_FL: Final = 0x00000004
FS_SYNC_FL: Final = 0x00000008
FS_IMMUTABLE_FL: Final = 0x00000010
FS_APPEND_FL: Final = 0x00000020
FS_NODUMP_FL: Final = 0x00000040
FS_NOATIME_FL: Final = 0x00000080
FS_DIRTY_FL: Final = 0x00000100
FS_COMPRBLK_FL: Final = 0x00000200
FS_NOCOMP_FL: Final = 0x00000400
FS_ENCRYPT_FL: Final = 0x00000800
FS_BTREE_FL: Final = 0x00001000
FS_INDEX_FL: Final = 0x00001000
FS_IMAGIC_FL: Final = 0x00002000
FS_JOURNAL_DATA_FL: Final = 0x00004000
FS_NOTAIL_FL: Final = 0x00008000
FS_DIRSYNC_FL: Final = 0x00010000
FS_TOPDIR_FL: Final = 0x00020000
FS_HUGE_FILE_FL: Final = 0x00040000
FS_EXTENT_FL: Final = 0x00080000
FS_VERITY_FL: Final = 0x00100000
FS_EA_INODE_FL: Final = 0x00200000
FS_EOFBLOCKS_FL: Final = 0x00400000
FS_NOCOW_FL: Final = 0x00800000
FS_DAX_FL: Final = 0x02000000
FS_INLINE_DATA_FL: Final = 0x10000000
FS_PROJINHERIT_FL: Final = 0x20000000
FS_CASEFOLD_FL: Final = 0x40000000
FS_RESERVED_FL: Final = 0x80000000

FS_XFLAG_REALTIME: Final = 0x00000001
FS_XFLAG_PREALLOC: Final = 0x00000002
FS_XFLAG_IMMUTABLE: Final = 0x00000008
FS_XFLAG_APPEND: Final = 0x00000010
FS_XFLAG_SYNC: Final = 0x00000020
FS_XFLAG_NOATIME: Final = 0x00000040
FS_XFLAG_NODUMP: Final = 0x00000080
FS_XFLAG_RTINHERIT: Final = 0x00000100
FS_XFLAG_PROJINHERIT: Final = 0x00000200
FS_XFLAG_NOSYMLINKS: Final = 0x00000400
FS_XFLAG_EXTSIZE: Final = 0x00000800
FS_XFLAG_EXTSZINHERIT: Final = 0x00001000
FS_XFLAG_NODEFRAG: Final = 0x00002000
FS_XFLAG_FILESTREAM: Final = 0x00004000
FS_XFLAG_DAX: Final = 0x00008000
FS_XFLAG_COWEXTSIZE: Final = 0x00010000
FS_XFLAG_HASATTR: Final = 0x80000000

# ---- encryption and verity ----

FS_IOC_SET_ENCRYPTION_POLICY: Final = _ior("f", 19, 12)
FS_IOC_GET_ENCRYPTION_PWSALT: Final = _iow("f", 20, 16)
FS_IOC_GET_ENCRYPTION_POLICY: Final = _iow("f", 21, 12)
FS_IOC_GET_ENCRYPTION_POLICY_EX: Final = _iowr("f", 22, 9)
FS_IOC_ADD_ENCRYPTION_KEY: Final = _iowr("f", 23, 80)
FS_IOC_REMOVE_ENCRYPTION_KEY: Final = _iowr("f", 24, 64)
FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS: Final = _iowr("f", 25, 64)
FS_IOC_GET_ENCRYPTION_KEY_STATUS: Final = _iowr("f", 26, 128)
FS_IOC_GET_ENCRYPTION_NONCE: Final = _ior("f", 27, 16)
FS_IOC_ENABLE_VERITY: Final = _iow("f", 133, 128)
FS_IOC_MEASURE_VERITY: Final = _iowr("f", 134, 4)
FS_IOC_READ_VERITY_METADATA: Final = _iowr("f", 135, 40)

# ---- block devices ----

BLKROSET: Final = _io(0x12, 93)
BLKROGET: Final = _io(0x12, 94)
BLKRRPART: Final = _io(0x12, 95)
BLKGETSIZE: Final = _io(0x12, 96)
BLKFLSBUF: Final = _io(0x12, 97)
BLKRASET: Final = _io(0x12, 98)
BLKRAGET: Final = _io(0x12, 99)
BLKFRASET: Final = _io(0x12, 100)
BLKFRAGET: Final = _io(0x12, 101)
BLKSECTSET: Final = _io(0x12, 102)
BLKSECTGET: Final = _io(0x12, 103)
BLKSSZGET: Final = _io(0x12, 104)
BLKBSZGET: Final = _ior(0x12, 112, _LONG)
BLKBSZSET: Final = _iow(0x12, 113, _LONG)
BLKGETSIZE64: Final = _ior(0x12, 114, _LONG)
BLKDISCARD: Final = _io(0x12, 119)
BLKIOMIN: Final = _io(0x12, 120)
BLKIOOPT: Final = _io(0x12, 121)
BLKALIGNOFF: Final = _io(0x12, 122)
BLKPBSZGET: Final = _io(0x12, 123)
BLKDISCARDZEROES: Final = _io(0x12, 124)
BLKSECDISCARD: Final = _io(0x12, 125)
BLKROTATIONAL: Final = _io(0x12, 126)
BLKZEROOUT: Final = _io(0x12, 127)
BLKGETDISKSEQ: Final = _ior(0x12, 128, 8)
BLKREPORTZONE: Final = _iowr(0x12, 130, 16)
BLKRESETZONE: Final = _iow(0x12, 131, 16)
BLKGETZONESZ: Final = _ior(0x12, 132, 4)
BLKGETNRZONES: Final = _ior(0x12, 133, 4)
BLKOPENZONE: Final = _iow(0x12, 134, 16)
BLKCLOSEZONE: Final = _iow(0x12, 135, 16)
BLKFINISHZONE: Final = _iow(0x12, 136, 16)

del Final, os, sys

"""Constants of Linux' system calls that `os`, `mmap`, `fcntl` and `time` lack; see `_constants`.

Where architectures have different values, they have the names that agree with the kernel's asm-generic headers; on the
others such a name is absent.
"""

import os
from typing import Final

# ---- fallocate ----

FALLOC_FL_KEEP_SIZE: Final = 0x01
FALLOC_FL_PUNCH_HOLE: Final = 0x02
FALLOC_FL_NO_HIDE_STALE: Final = 0x04
FALLOC_FL_COLLAPSE_RANGE: Final = 0x08
FALLOC_FL_ZERO_RANGE: Final = 0x10
FALLOC_FL_INSERT_RANGE: Final = 0x20
FALLOC_FL_UNSHARE_RANGE: Final = 0x40

# ---- rename, sync_file_range, splice ----

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
RENAME_WHITEOUT: Final = 4

SYNC_FILE_RANGE_WAIT_BEFORE: Final = 1
SYNC_FILE_RANGE_WRITE: Final = 2
SYNC_FILE_RANGE_WAIT_AFTER: Final = 4
SYNC_FILE_RANGE_WRITE_AND_WAIT: Final = 7

SPLICE_F_GIFT: Final = 8

# ---- *at calls ----

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EACCESS: Final = 0x200  # of faccessat
AT_REMOVEDIR: Final = 0x200  # of unlinkat
AT_SYMLINK_FOLLOW: Final = 0x400
AT_NO_AUTOMOUNT: Final = 0x800
AT_EMPTY_PATH: Final = 0x1000
AT_STATX_SYNC_TYPE: Final = 0x6000
AT_STATX_SYNC_AS_STAT: Final = 0x0000
AT_STATX_FORCE_SYNC: Final = 0x2000
AT_STATX_DONT_SYNC: Final = 0x4000
AT_RECURSIVE: Final = 0x8000

# ---- statx ----

STATX_TYPE: Final = 0x0001
STATX_MODE: Final = 0x0002
STATX_NLINK: Final = 0x0004
STATX_UID: Final = 0x0008
STATX_GID: Final = 0x0010
STATX_ATIME: Final = 0x0020
STATX_MTIME: Final = 0x0040
STATX_CTIME: Final = 0x0080
STATX_INO: Final = 0x0100
STATX_SIZE: Final = 0x0200
STATX_BLOCKS: Final = 0x0400
STATX_BASIC_STATS: Final = 0x07FF
STATX_BTIME: Final = 0x0800
STATX_ALL: Final = 0x0FFF
STATX_MNT_ID: Final = 0x1000
STATX_DIOALIGN: Final = 0x2000
STATX_MNT_ID_UNIQUE: Final = 0x4000

STATX_ATTR_COMPRESSED: Final = 0x000004
STATX_ATTR_IMMUTABLE: Final = 0x000010
STATX_ATTR_APPEND: Final = 0x000020
STATX_ATTR_NODUMP: Final = 0x000040
STATX_ATTR_ENCRYPTED: Final = 0x000800
STATX_ATTR_AUTOMOUNT: Final = 0x001000
STATX_ATTR_MOUNT_ROOT: Final = 0x002000
STATX_ATTR_VERITY: Final = 0x100000
STATX_ATTR_DAX: Final = 0x200000

# ---- mount and umount ----

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_SYNCHRONOUS: Final = 16
MS_REMOUNT: Final = 32
MS_MANDLOCK: Final = 64
MS_DIRSYNC: Final = 128
MS_NOSYMFOLLOW: Final = 256
MS_NOATIME: Final = 1024
MS_NODIRATIME: Final = 2048
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MS_REC: Final = 16384
MS_SILENT: Final = 1 << 15
MS_VERBOSE: Final = 1 << 15
MS_POSIXACL: Final = 1 << 16
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_RELATIME: Final = 1 << 21
MS_KERNMOUNT: Final = 1 << 22
MS_I_VERSION: Final = 1 << 23
MS_STRICTATIME: Final = 1 << 24
MS_LAZYTIME: Final = 1 << 25
MS_ACTIVE: Final = 1 << 30
MS_NOUSER: Final = 1 << 31
MS_RMT_MASK: Final = MS_RDONLY | MS_SYNCHRONOUS | MS_MANDLOCK | MS_I_VERSION | MS_LAZYTIME
MS_MGC_VAL: Final = 0xC0ED0000
MS_MGC_MSK: Final = 0xFFFF0000

MNT_FORCE: Final = 1
MNT_DETACH: Final = 2
MNT_EXPIRE: Final = 4
UMOUNT_NOFOLLOW: Final = 8

# ---- timers ----

TFD_CLOEXEC: Final = os.O_CLOEXEC
TFD_NONBLOCK: Final = os.O_NONBLOCK
TFD_TIMER_ABSTIME: Final = 1
TFD_TIMER_CANCEL_ON_SET: Final = 2
CLOCK_REALTIME_ALARM: Final = 8
CLOCK_BOOTTIME_ALARM: Final = 9

# ---- fcntl ----

F_GET_RW_HINT: Final = 1035
F_SET_RW_HINT: Final = 1036
F_GET_FILE_RW_HINT: Final = 1037
F_SET_FILE_RW_HINT: Final = 1038
RWH_WRITE_LIFE_NOT_SET: Final = 0
RWH_WRITE_LIFE_NONE: Final = 1
RWH_WRITE_LIFE_SHORT: Final = 2
RWH_WRITE_LIFE_MEDIUM: Final = 3
RWH_WRITE_LIFE_LONG: Final = 4
RWH_WRITE_LIFE_EXTREME: Final = 5

F_SEAL_FUTURE_WRITE: Final = 0x10
F_SEAL_EXEC: Final = 0x20
MFD_NOEXEC_SEAL: Final = 0x8
MFD_EXEC: Final = 0x10

# ---- mmap ----

MAP_FILE: Final = 0
MAP_SHARED_VALIDATE: Final = 0x03
MAP_FIXED: Final = 0x10
MAP_HUGE_SHIFT: Final = 26
MAP_HUGE_MASK: Final = 0x3F
PROT_GROWSDOWN: Final = 0x01000000
PROT_GROWSUP: Final = 0x02000000

if not os.uname().machine.startswith(("alpha", "mips", "parisc", "ppc", "sparc", "xtensa")):
    MAP_GROWSDOWN: Final = 0x000100
    MAP_LOCKED: Final = 0x002000
    MAP_NORESERVE: Final = 0x004000
    MAP_NONBLOCK: Final = 0x010000
    MAP_HUGETLB: Final = 0x040000
    MAP_SYNC: Final = 0x080000
    MAP_FIXED_NOREPLACE: Final = 0x100000
if os.uname().machine in ("x86_64", "i386", "i486", "i586", "i686"):
    MAP_32BIT: Final = 0x40

del Final, os

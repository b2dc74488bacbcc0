"""Which specimens each parameter of each operation is given.

By the annotation in the table, or for one parameter. What changes a file is kept from the machine's own: it gets no
path that leads out of the world, no descriptor of a device, and none of an inode that the kernel shares.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import struct
from typing import Any

from hostile import (
    DATA,
    DATUM,
    DESCRIPTORS,
    DIR_FD,
    FD,
    INT,
    MORE_NAMES,
    NAMES,
    NOTHING,
    OFFSET,
    OPEN_FLAGS,
    ORDER,
    OWN_PATH,
    PATH,
    PATH_OR_FD,
    READ_FLAGS,
    READABLES,
    RENAME_FLAGS,
    SECONDS,
    SIZE,
    TOO_LONG,
    TRUTH,
    WHENCE,
    WRITABLE,
    WRITABLES,
    WRITE_FLAGS,
    WRONG_BUFFERS,
    WRONG_INTS,
    WRONG_PATHS,
    Index,
    Kind,
    Path,
    Specimen,
    Text,
    collected,
    flags,
    literal,
    literals,
    numbers,
    opened,
    path,
    paths,
)
from hypothesis import strategies as st
from worlds import ATTRIBUTE, CONTENT, PAGE, World

from anyaio import _constants

# ---- descriptors that may be changed, and those that bytes go between ----

# The kernel has one inode for all event counters.
OUTSIDE = ("a file of /proc", "/dev/null", "/dev/zero", "/dev/full", "an event counter")


def made(name: str, content: bytes, mode: int, position: int = 0) -> Any:
    return lambda world: world.made(name, content, mode, position)


def named(*names: str) -> list[Specimen]:
    return [specimen for specimen in DESCRIPTORS if specimen.name in names]


DEVICES = [
    Specimen("a device of its own", lambda world: world.device("own null", 3)),
    Specimen("another device of its own", lambda world: world.device("own zero", 5)),
    Specimen("a file of its process", opened("/proc/self/status", os.O_RDONLY)),
]
NO_DESCRIPTORS = [specimen for specimen in FD.good if specimen not in DESCRIPTORS]
OWN_FD = FD._replace(good=[*(specimen for specimen in FD.good if specimen.name not in OUTSIDE), *DEVICES])
OWN_PATH_OR_FD = Kind(
    [*paths(NAMES), *OWN_FD.good],
    [*WRONG_PATHS, literal(1 << 31), literal(-(1 << 100)), Specimen("an index that fails", WRONG_INTS[-1].make)],
    MORE_NAMES,
)
# Endless ones would fill the disk, and those with somebody at the other end make the call wait for more.
SOURCE = FD._replace(
    good=[
        specimen
        for specimen in FD.good
        if specimen.name not in ("/dev/zero", "/dev/full", "a pipe to read", "a stream socket", "a datagram socket")
    ]
)
PIPE_SOURCE = SOURCE._replace(good=[*named("a pipe to read"), *SOURCE.good, *named("a stream socket")])
# Other files than the sources: who reads what he writes comes to no end.
DESTINATION = FD._replace(
    good=[
        Specimen("another file", made("other", CONTENT[::-1], os.O_RDWR)),
        Specimen("another file past its end", made("other", CONTENT[::-1], os.O_RDWR, 100)),
        Specimen("another file to read", made("other", CONTENT[::-1], os.O_RDONLY)),
        Specimen("another file to append", made("other", CONTENT[::-1], os.O_RDWR | os.O_APPEND)),
        Specimen("another file to write", made("other", CONTENT[::-1], os.O_WRONLY)),
        *named(
            "a directory", "the path of a file", "the path of a FIFO", "/dev/null", "/dev/full", "a pipe to read",
            "a pipe to write", "a pipe with data to write", "a pipe that nobody reads", "a full pipe", "a FIFO",
            "a stream socket", "a datagram socket", "an unconnected socket", "an event counter", "a closed descriptor",
        ),
        *NO_DESCRIPTORS[1:],
    ]
)  # fmt: skip
PIPE_DESTINATION = DESTINATION._replace(good=[*named("a pipe to write"), *DESTINATION.good])
BLOCKS = DATA * 3000
WITH_BLOCKS = OWN_FD._replace(
    good=[Specimen("a file of blocks", made("blocks", BLOCKS, os.O_RDWR)), *OWN_FD.good],
)

# ---- numbers ----


def without_none(specimens: list[Specimen]) -> list[Specimen]:
    return [specimen for specimen in specimens if specimen.name != "None"]


FLAGS = flags(0, 1, 2, 4, 1 << 30, -1)
UNSIGNED = numbers(0, 1, 2, 4, 8, 1 << 30, -1, (1 << 32) - 1, -(1 << 31), wrong=(1 << 32, -(1 << 31) - 1, 1 << 64))
ID = numbers(
    -1, 0, 12345, (1 << 31) - 1, 1 << 31, (1 << 32) - 2, (1 << 32) - 1, wrong=(-2, 1 << 32, 1 << 64, -(1 << 31))
)
DEVICE = numbers(0, os.makedev(1, 3), 1 << 32, (1 << 63) - 1, wrong=(-2, 1 << 64, -(1 << 63)))
OPTIONAL_OFFSET = Kind([literal(None), *OFFSET.good], without_none(OFFSET.wrong), OFFSET.more)
SMALL = st.integers(0, 40).map(literal)
# Between these the disk would be filled.
ALLOCATED = Kind(literals(4096, 1, 26, 12288, 1 << 20, 0, -1, 1 << 62, (1 << 63) - 1), OFFSET.wrong, SMALL)
ALLOCATED_FROM = Kind(literals(0, 4096, 3, 8192, 24000, 1 << 40, -1, (1 << 63) - 1), OFFSET.wrong, SMALL)
LENGTH = Kind(literals(10, 0, 26, 4097, 1 << 31, 1 << 40, (1 << 63) - 1, -1, -(1 << 63)), OFFSET.wrong, SMALL)
FALLOCATE_MODE = flags(0, 1, 3, 2, 8, 9, 16, 17, 32, 64, 1 << 30, -1, combined=False)
ADVICE = flags(0, 1, 2, 3, 4, 5, 6, 99, -1, combined=False)
SPLICE_FLAGS = Kind(
    literals(0, 1, 2, 4, 8, 15, 16, 1 << 31, (1 << 32) - 1, -1), UNSIGNED.wrong, st.sampled_from(literals(2, 3, 6))
)
RANGE_FLAGS = Kind(literals(7, 0, 1, 2, 4, 3, 8, 1 << 31, -1), UNSIGNED.wrong)
FIEMAP_FLAGS = Kind(literals(0, 1, 2, 4, 8, 1 << 31, -1), UNSIGNED.wrong)
STATX_MASK = Kind(literals(0xFFF, 0, 0x7FF, 1, 0x1000, 0x3FFF, 1 << 31, -1, (1 << 32) - 1), UNSIGNED.wrong)
STATX_FLAGS = Kind(literals(0, 0x100, 0x800, 0x1000, 0x2000, 0x4000, 0x6000, 1, 1 << 31, -1), UNSIGNED.wrong)
ACCESS_MODE = flags(os.R_OK, os.F_OK, os.W_OK, os.X_OK, 7, 8, -1)
PERMISSIONS = numbers(0o640, 0o4755, 0, 0o7777, 0o777, -1, 0o200644, (1 << 31) - 1, wrong=(1 << 31, -(1 << 31) - 1))
KIND_OF_NODE = flags(
    stat.S_IFREG | 0o644, stat.S_IFIFO | 0o777, 0o600, stat.S_IFSOCK | 0o600, stat.S_IFCHR | 0o600, stat.S_IFDIR, -1,
    stat.S_IFLNK, combined=False,
)  # fmt: skip
XATTR_FLAGS = flags(0, os.XATTR_CREATE, os.XATTR_REPLACE, 3, 4, -1, combined=False)

# ---- locks: nobody else has these files, so that none waits ----

LOCK = flags(
    *(word | fcntl.LOCK_NB for word in (fcntl.LOCK_EX, fcntl.LOCK_SH)), fcntl.LOCK_UN, fcntl.LOCK_EX, fcntl.LOCK_SH,
    fcntl.LOCK_UN | fcntl.LOCK_NB, fcntl.LOCK_NB, 0, 3, 32, 99, -1, combined=False,
)  # fmt: skip
LOCK_FROM = numbers(3, 0, 1 << 40, (1 << 63) - 1, -1, -(1 << 63), wrong=TOO_LONG)
LOCK_WHENCE = flags(0, 1, 2, 3, 99, -1, (1 << 31) - 1, combined=False)

# ---- fcntl and ioctl: commands that harm nobody, whatever their argument ----

COMMAND = flags(
    fcntl.F_GETFL, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETPIPE_SZ, fcntl.F_GETOWN, fcntl.F_GETLEASE, 99, -1,
    combined=False,
)  # fmt: skip
FIOCLEX, FIONCLEX, FIONREAD, FIGETBSZ, FS_IOC_GETFLAGS = 0x5451, 0x5450, 0x541B, 2, 0x80086601
REQUEST = Kind(literals(FIOCLEX, FIONCLEX), [*UNSIGNED.wrong, literal("r")])
ARGUMENT = Kind(
    [
        *literals(0, 1, 10, -1, (1 << 31) - 1, -(1 << 31), DATA, b"", bytes(1024)),
        Specimen("an index of 1", lambda world: Index(1)),
        *WRITABLE,
        Specimen("a fixed view", lambda world: memoryview(DATA)),
    ],
    [
        *(each for each in WRONG_BUFFERS if each.name not in ("5", "'text'", "''")),
        *literals(1 << 32, -(1 << 31) - 1, 1 << 64, 1.5),
    ],
)


def free_lock(kind: int = fcntl.F_WRLCK) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 10, 0)


# ---- times ----

NOW, OMIT = _constants.UTIME_NOW, _constants.UTIME_OMIT
WRONG_PAIRS = [
    *literals(5, "ab", [1, 2], (1,), (1, 2, 3), (), NOTHING, ("1", "2"), (None, 1), (1, None), {1: 2}, b"12"),
    literal((1 << 100, 1)),
    Specimen("a pair of an index that fails", lambda world: (1, Index(ArithmeticError("no number")))),
]
TIMES = Kind(
    [
        *literals(None, (1, 2), (0, 0), (1.5, 2.25), (-1.5, 3), (1, 1e9), (True, 2), (1e-9, -1e-9), (5e-10, 0.1)),
        *literals((1 << 33, 1 << 34), (-5, -(1 << 33)), (1.000000001, 4e9 + 0.999999999)),
        Specimen("a pair of an index", lambda world: (Index(1), 2)),
    ],
    [*WRONG_PAIRS, *literals((float("nan"), 1), (1, float("inf")), (1e300, 1))],
    st.tuples(st.floats(-1e9, 1e10), st.integers(-(10**9), 10**10)).map(literal),
)
NANOSECONDS = Kind(
    [
        *literals((1, 2), (0, 0), (10**9, -1), (-(10**9), -999_999_999), (10**18, 10**19), (-(10**18), 10**18 + 1)),
        *literals((NOW, OMIT), (OMIT, NOW), (OMIT, OMIT), (NOW, NOW), (7, OMIT), (OMIT, 7)),
    ],
    [
        *WRONG_PAIRS,
        *literals((1.0, 2), (1, 2.5), (1, 1 << 100)),
        Specimen("a pair of an index", lambda world: (Index(1), 2)),  # it has no divmod
    ],
    st.tuples(st.integers(-(10**18), 10**19), st.integers(-(10**18), 10**19)).map(literal),
)

# ---- attributes ----

ATTRIBUTES = Kind(
    [
        *literals(ATTRIBUTE, ATTRIBUTE.encode(), "user.new", "user.", "user", "", "none.such", "user.é", b"user.\xff"),
        *literals("user." + "n" * 250, "user." + "n" * 251, "n" * 5000, "system.posix_acl_access", "user.\udcff"),
        Specimen("path-like", lambda world: Path(ATTRIBUTE)),
        Specimen("subclass", lambda world: Text(ATTRIBUTE)),
    ],
    [*WRONG_PATHS, *literals(5, -1)],
)
VALUE = Kind(
    [*DATUM.good[:4], *WRITABLE, *literals(bytes(300), bytes(65536), bytes(65537))],
    WRONG_BUFFERS,
    DATUM.more,
)

# ---- memory ----


def map_of(pages: int, protection: int, **options: Any) -> Any:
    return lambda world: world.map(pages, protection, **options)


BOTH = mmap.PROT_READ | mmap.PROT_WRITE
MEMORY = Kind(
    [
        Specimen("a map of a file", map_of(3, BOTH)),
        Specimen("a map to read", map_of(3, mmap.PROT_READ)),
        Specimen("a view of a map", lambda world: memoryview(world.map(3, BOTH))[100 : PAGE + 100]),
        Specimen("the end of a map", lambda world: memoryview(world.map(3, BOTH))[-1:]),
        Specimen("an empty view of a map", lambda world: memoryview(world.map(3, BOTH))[5:5]),
        Specimen("a map beyond the end of its file", map_of(3, BOTH, truncated_to=1)),
        Specimen("a map of an empty file", map_of(3, BOTH, truncated_to=0)),
        *WRITABLE,
        *literals(b"", DATA, DATA * 2000),
    ],
    WRONG_BUFFERS,
)
IN_MEMORY = Kind(literals(0, 1, 10, PAGE, -1, -PAGE, -3 * PAGE), OFFSET.wrong, st.integers(-20, 20).map(literal))
OUT_OF_MEMORY = literals(3 * PAGE, 3 * PAGE + 1, -3 * PAGE - 1, (1 << 63) - 1, -(1 << 63))
FROM = IN_MEMORY._replace(good=[*IN_MEMORY.good, *OUT_OF_MEMORY])
FOR = Kind(
    [*literals(None, 0, 1, PAGE, 3 * PAGE, 3 * PAGE + 1, (1 << 63) - 1, -1, -(1 << 63))],
    without_none(OFFSET.wrong),
)
SYNC_FLAGS = flags(4, 1, 2, 6, 3, 5, 0, 8, -1, combined=False)
TOUCH_FLAGS = flags(0, 1, combined=False)
LOCK_ALL_FLAGS = flags(1, 5, 0, 4, 8, 99, -1, combined=False)  # never MCL_FUTURE: it outlives the call

# ---- whole files: of a FIFO that somebody has open there is no end ----

WHOLE = Kind([each for each in PATH.good if "fifo" not in each.name and "exe" not in each.name], PATH.wrong, PATH.more)
WHOLE_FROM = Kind(literals(0, 3, 25, 26, 100, 1 << 40, (1 << 63) - 1, -1, -26, -27, -(1 << 63)), OFFSET.wrong, SMALL)
WHOLE_LENGTH = Kind(
    literals(None, 0, 5, 26, 4096, 1 << 31, 1 << 62, (1 << 63) - 1, -1, -(1 << 63)),
    without_none(OFFSET.wrong),
    SMALL,
)

# ---- by the annotation in the table, or for one parameter ----

KINDS = {
    "Fd": FD,
    "DirFd": DIR_FD,
    "StrOrBytesPath": OWN_PATH,
    "AnyPath[AnyStr]": PATH,
    "PathOrFd": OWN_PATH_OR_FD,
    "AnyPathOrFd": PATH_OR_FD,
    "PathOrFdOrNone": Kind(
        [*PATH_OR_FD.good, literal(None)], [each for each in PATH_OR_FD.wrong if each.name != "None"]
    ),
    "Attribute": ATTRIBUTES,
    "Int": INT,
    "Flags": FLAGS,
    "Unsigned": UNSIGNED,
    "Id": ID,
    "Device": DEVICE,
    "OptionalOffset": OPTIONAL_OFFSET,
    "Times": TIMES,
    "Nanoseconds": NANOSECONDS,
    "Argument": ARGUMENT,
    "Size": SIZE,
    "Offset": OFFSET,
    "Seconds": SECONDS,
    "Truth": TRUTH,
    "Order": ORDER,
    "ReadableBuffer": DATUM,
    "ReadableBuffers": READABLES,
    "WriteableBuffers": WRITABLES,
}
LOOKS_AT_ONE = ("stat", "statx", "statvfs", "getxattr")
LOOKS_AT_PATH = ("lstat", "pathsync", "access")
CHANGES_ONE = ("ftruncate", "fchmod", "fchown", "fcntl", "ioctl", "flock", "lockf", "ofd_lock")
PARAMETERS = {
    **{(operation, "path"): PATH_OR_FD for operation in LOOKS_AT_ONE},
    **{(operation, "path"): PATH for operation in LOOKS_AT_PATH},
    **{(operation, "fd"): OWN_FD for operation in CHANGES_ONE},
    **{(operation, "src"): PIPE_SOURCE for operation in ("splice", "tee")},
    **{(operation, "dst"): PIPE_DESTINATION for operation in ("splice", "tee")},
    **{(operation, "flags"): SPLICE_FLAGS for operation in ("splice", "tee")},
    ("copy_file_range", "src"): SOURCE,
    ("copy_file_range", "dst"): DESTINATION,
    ("sendfile", "in_fd"): SOURCE,
    ("sendfile", "out_fd"): DESTINATION,
    ("fallocate", "fd"): WITH_BLOCKS,
    ("fallocate", "mode"): FALLOCATE_MODE,
    ("fallocate", "offset"): ALLOCATED_FROM,
    ("fallocate", "length"): ALLOCATED,
    ("ftruncate", "length"): LENGTH,
    ("truncate", "length"): LENGTH,
    ("posix_fadvise", "advice"): ADVICE,
    ("sync_file_range", "flags"): RANGE_FLAGS,
    ("fiemap", "flags"): FIEMAP_FLAGS,
    ("statx", "mask"): STATX_MASK,
    ("statx", "flags"): STATX_FLAGS,
    ("access", "mode"): ACCESS_MODE,
    ("chmod", "mode"): PERMISSIONS,
    ("fchmod", "mode"): PERMISSIONS,
    ("mknod", "mode"): KIND_OF_NODE,
    ("setxattr", "flags"): XATTR_FLAGS,
    ("setxattr", "value"): VALUE,
    ("flock", "operation"): LOCK,
    ("lockf", "cmd"): LOCK,
    ("lockf", "len"): LOCK_FROM,
    ("lockf", "start"): LOCK_FROM,
    ("lockf", "whence"): LOCK_WHENCE,
    ("ofd_lock", "operation"): LOCK,
    ("ofd_lock", "length"): LOCK_FROM,
    ("ofd_lock", "start"): LOCK_FROM,
    ("ofd_lock", "whence"): LOCK_WHENCE,
    ("fcntl", "cmd"): COMMAND,
    ("ioctl", "request"): REQUEST,
    **{(operation, "buffer"): MEMORY for operation in ("msync", "mtouch", "mlock")},
    **{(operation, "offset"): FROM for operation in ("msync", "mtouch", "mlock")},
    **{(operation, "length"): FOR for operation in ("msync", "mtouch", "mlock")},
    ("msync", "flags"): SYNC_FLAGS,
    ("mtouch", "flags"): TOUCH_FLAGS,
    ("mlockall", "flags"): LOCK_ALL_FLAGS,
    ("realpath", "filename"): PATH,
    ("read_bytes", "path"): WHOLE,
    ("read_bytes", "offset"): WHOLE_FROM,
    ("read_bytes", "length"): WHOLE_LENGTH,
    ("open", "flags"): OPEN_FLAGS,
    ("lseek", "whence"): WHENCE,
    ("preadv", "flags"): READ_FLAGS,
    ("pwritev", "flags"): WRITE_FLAGS,
    ("rename", "flags"): RENAME_FLAGS,
}
FOLLOWS = ("statx", "access", "utime", "chmod", "chown", "getxattr", "listxattr", "setxattr", "removexattr")
# What makes the rest of the call succeed, where the first of the kind would not.
PLAIN = {
    ("listdir", "path"): path("dir"),
    ("scandir", "path"): path("odd"),
    ("readlink", "path"): path("link"),
    ("mkdir", "path"): path("missing"),
    ("rmdir", "path"): path("empty_dir"),
    ("rename", "dst"): path("missing"),
    ("stat", "follow_symlinks"): literal(True),
    ("scandir", "stat"): literal(True),
    ("scandir", "resolve"): literal(True),
    **{(operation, "follow_symlinks"): literal(True) for operation in FOLLOWS},
    ("access", "effective_ids"): literal(False),
    ("utime", "times"): literal(None),
    ("sendfile", "offset"): literal(3),
    ("link", "dst"): path("missing"),
    ("symlink", "dst"): path("missing"),
    ("replace", "dst"): path("missing"),
    ("makedirs", "name"): path("missing/name"),
    ("mknod", "path"): path("missing"),
    ("mkfifo", "path"): path("missing"),
    ("realpath", "filename"): path("dirlink/inner"),
    ("realpath", "strict"): literal(True),
}


def kind_of(operation: str, parameter: str, annotation: str) -> Kind:
    """The arguments to try for a parameter, the plain one first."""
    kind = PARAMETERS.get((operation, parameter)) or KINDS[annotation]
    plain = PLAIN.get((operation, parameter))
    return kind if plain is None else kind._replace(good=[plain, *kind.good])


GETS_LOCK = (fcntl.F_GETLK, 36)  # F_OFD_GETLK
LOCK_BUFFERS = [
    literal(free_lock()),
    Specimen("a lock to fill in", lambda world: world.buffer(bytearray(free_lock()))),
]
GETS = (FIONREAD, FIGETBSZ, FS_IOC_GETFLAGS)
REQUEST_BUFFERS = [
    Specimen(f"{size} bytes to fill in", lambda world, size=size: world.buffer(bytearray(size)))  # type: ignore[misc]  # as in hostile
    for size in (8, 4, 1, 0, 1024, 1025, 5000)
] + literals(bytes(8), bytes(4), bytes(1), b"", bytes(1024))


def locked(world: World) -> int:
    other = os.open("file", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    fcntl.fcntl(other, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 5, 1, 0))  # F_OFD_SETLK
    world.descriptor("who has locked the file", lambda: other)
    return world.open("file", os.O_RDWR)


LOCKED = Specimen("a file that another has locked", locked)
made_large = Specimen("a large file", made("large", DATA * 40_000, os.O_RDONLY))


def descriptor(name: str) -> Specimen:
    return next(specimen for specimen in DESCRIPTORS if specimen.name == name)


# What only shows when several arguments are special. The others are the plain ones.
TOGETHER: list[tuple[str, dict[str, Specimen]]] = [
    ("open", {"path": path("."), "flags": literal(os.O_RDWR | os.O_TMPFILE), "mode": literal(0o600)}),
    ("open", {"path": path("missing"), "flags": literal(os.O_RDWR | os.O_CREAT), "mode": literal(0o4701)}),
    ("open", {"path": path("inner"), "dir_fd": DIR_FD.good[1]}),
    ("read", {"fd": descriptor("a pipe to read"), "n": literal((1 << 63) - 1)}),
    ("read", {"fd": descriptor("a file of /proc"), "n": literal((1 << 63) - 1)}),
    ("pread", {"n": literal((1 << 63) - 1), "offset": literal(25)}),
    ("pread", {"n": literal((1 << 63) - 1), "offset": literal(-1)}),
    ("pread", {"n": literal(1 << 31), "offset": literal((1 << 63) - 1)}),
    ("preadv", {"offset": literal(-1), "flags": literal(os.RWF_NOWAIT)}),
    ("write", {"fd": descriptor("a datagram socket"), "data": literal(b"")}),
    ("write", {"fd": descriptor("a full pipe"), "data": literal(b"")}),
    ("writev", {"fd": descriptor("a datagram socket"), "buffers": literal([b""])}),
    ("readv", {"fd": descriptor("a pipe to read"), "buffers": collected("a list", *WRITABLE[-2:])}),
    ("writev", {"fd": descriptor("a pipe to write"), "buffers": collected("a list", *WRITABLE[-2:])}),
    ("pwritev", {"offset": literal(0), "flags": literal(os.RWF_APPEND)}),
    ("stat", {"path": descriptor("a file"), "dir_fd": DIR_FD.good[1]}),
    ("stat", {"path": descriptor("a file"), "follow_symlinks": literal(False)}),
    ("stat", {"path": path("link"), "follow_symlinks": literal(False)}),
    ("stat", {"path": path("inner", "bytes"), "dir_fd": DIR_FD.good[1]}),
    ("listdir", {"path": descriptor("a directory"), "dir_fd": DIR_FD.good[1]}),
    *(
        (
            "scandir",
            {"path": path("."), "stat": literal(stat), "follow_symlinks": literal(follow), "resolve": literal(resolve)},
        )
        for stat in (False, True)
        for follow in (False, True)
        for resolve in (False, True)
    ),
    *(("scandir", {"path": path("."), "order": order}) for order in ORDER.good),
    ("scandir", {"path": path("../dir", "bytes"), "dir_fd": DIR_FD.good[1]}),
    ("mkdir", {"path": path("new"), "dir_fd": DIR_FD.good[1]}),
    ("rename", {"src": path("inner"), "src_dir_fd": DIR_FD.good[1]}),
    ("rename", {"src": path("file"), "dst_dir_fd": DIR_FD.good[1]}),
    *(("rename", {"dst": path("dir/inner"), "flags": literal(flag)}) for flag in (0, 1, 2, 4)),
    ("rename", {"src": path("inner"), "src_dir_fd": DIR_FD.good[1], "dst": path("new"), "flags": literal(1)}),
    ("replace", {"src": path("inner"), "src_dir_fd": DIR_FD.good[1]}),
    ("replace", {"src": path("file"), "dst_dir_fd": DIR_FD.good[1]}),
    *(("sendfile", {"offset": literal(None), "out_fd": DESTINATION.good[3], "count": count}) for count in SIZE.good),
    *(("sendfile", {"offset": literal(None), "in_fd": each}) for each in SOURCE.good),
    *(("sendfile", {"out_fd": each, "count": literal(1 << 40)}) for each in DESTINATION.good),
    *(
        ("sendfile", {"in_fd": made_large, "out_fd": each, "offset": literal(5), "count": literal((1 << 18) + 7)})
        for each in (*DESTINATION.good[:5], *named("/dev/full", "a full pipe", "a pipe that nobody reads"))
    ),
    ("copy_file_range", {"src": descriptor("a file"), "dst": descriptor("a file")}),
    ("copy_file_range", {"offset_src": literal(0), "offset_dst": literal(100), "dst": descriptor("a file")}),
    *(
        ("splice", {"src": one, "dst": other, "offset_src": offset})
        for one in PIPE_SOURCE.good[:3]
        for other in (*named("a pipe to write", "/dev/null", "a stream socket"), *DESTINATION.good[:5])
        for offset in literals(None, 3)
    ),
    *(
        ("splice", {"src": descriptor("a file"), "offset_dst": literal(3), "dst": each})
        for each in DESTINATION.good[:3]
    ),
    *(("fcntl", {"cmd": literal(command), "arg": each}) for command in GETS_LOCK for each in LOCK_BUFFERS),
    *(("ioctl", {"request": literal(request), "arg": each}) for request in GETS for each in REQUEST_BUFFERS),
    *(("ioctl", {"request": literal(request), "arg": literal(0)}) for request in GETS),
    *(("ioctl", {"request": literal(FIONREAD), "fd": each, "arg": REQUEST_BUFFERS[0]}) for each in OWN_FD.good),
    *(("fcntl", {"cmd": literal(fcntl.F_GETPIPE_SZ), "fd": each}) for each in OWN_FD.good),
    *(("fallocate", {"mode": mode, "offset": literal(4096)}) for mode in FALLOCATE_MODE.good),
    *(("fallocate", {"mode": mode, "length": literal(5)}) for mode in FALLOCATE_MODE.good),
    *(("lockf", {"cmd": literal(fcntl.LOCK_SH | fcntl.LOCK_NB), "fd": each}) for each in OWN_FD.good),
    *(("ofd_lock", {"operation": literal(fcntl.LOCK_SH | fcntl.LOCK_NB), "fd": each}) for each in OWN_FD.good),
    *(("flock", {"operation": literal(word), "fd": LOCKED}) for word in (5, 6, 8)),
    *(("ofd_lock", {"operation": literal(word), "fd": LOCKED}) for word in (5, 6, 8)),
    ("utime", {"times": literal((1, 2)), "ns": literal((3, 4))}),
    ("utime", {"times": literal((1, 2)), "path": path("link"), "follow_symlinks": literal(False)}),
    ("utime", {"path": path("inner"), "dir_fd": DIR_FD.good[1]}),
    *(
        (operation, {"path": descriptor("a file"), "dir_fd": DIR_FD.good[1]})
        for operation in (
            "statx",
            "statvfs",
            "utime",
            "chmod",
            "chown",
            "truncate",
            "getxattr",
            "listxattr",
            "setxattr",
        )
    ),
    *((operation, {"path": descriptor("a file"), "follow_symlinks": literal(False)}) for operation in FOLLOWS[:1]),
    *((operation, {"path": descriptor("a file"), "follow_symlinks": literal(False)}) for operation in FOLLOWS[2:]),
    *(
        (operation, {"path": path(name), "follow_symlinks": literal(follow), "dir_fd": DIR_FD.good[place]})
        for operation in FOLLOWS
        for name in ("link", "broken", "dirlink", "file", "inner")
        for follow in (False, True)
        for place in (0, 2)
    ),
    *(("mknod", {"mode": KIND_OF_NODE.good[4], "device": each}) for each in DEVICE.good),
    *(("makedirs", {"name": path("a/b/c"), "mode": mode}) for mode in literals(0o700, 0, 0o7777)),
    *(("makedirs", {"name": path("a/b", "bytes"), "dir_fd": each}) for each in DIR_FD.good),
    *(("makedirs", {"name": path(name), "exist_ok": literal(True)}) for name in NAMES),
    *(
        ("link", {"src": path(name), "follow_symlinks": literal(follow), "src_dir_fd": place, "dst_dir_fd": place})
        for name in ("link", "broken", "dirlink", "file")
        for follow in (False, True)
        for place in (DIR_FD.good[0], DIR_FD.good[2])
    ),
    ("symlink", {"src": path("anything"), "dst": path("new"), "dir_fd": DIR_FD.good[1]}),
    *(("realpath", {"filename": path(name), "strict": literal(False)}) for name in NAMES),
    *(("realpath", {"filename": path("inner"), "dir_fd": each}) for each in DIR_FD.good),
    *(("read_bytes", {"path": path("/proc/version"), "offset": each}) for each in WHOLE_FROM.good[:5]),
    *(("read_bytes", {"offset": literal(offset), "length": literal(5)}) for offset in (0, 20, 24, -5, -3)),
    *(
        ("access", {"path": path(name), "effective_ids": literal(True)})
        for name in ("file", "secret", "link", "missing")
    ),
    *(("mtouch", {"buffer": each, "flags": literal(1)}) for each in MEMORY.good),
    *(("msync", {"offset": literal(PAGE), "length": literal(1), "buffer": each}) for each in MEMORY.good),
]

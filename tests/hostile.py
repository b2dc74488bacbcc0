"""Specimens of arguments: good ones, odd ones and wrong ones.

A specimen is a recipe: each world gets its own descriptor, path or buffer of it. The first of a kind is the plain one.
Which operation gets which is in `kinds.py`.
"""

from __future__ import annotations

import array
import collections
import ctypes
import mmap
import os
import socket
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st
from worlds import BAD_NAME, CONTENT, LINK_LENGTHS, LONG_NAME, World

MOST = 0x7FFFF000  # bytes that read(2) moves at most
DATA = b"written "


class Specimen(NamedTuple):
    name: str
    make: Callable[[World], Any]

    def __repr__(self) -> str:
        return self.name


def literal(value: Any) -> Specimen:
    return Specimen(repr(value), lambda world: value)


def literals(*values: Any) -> list[Specimen]:
    return [literal(value) for value in values]


class Kind(NamedTuple):
    """The arguments that one kind of parameter is given."""

    good: list[Specimen]  # of the right type; the call may fail
    wrong: list[Specimen]
    more: st.SearchStrategy[Any] | None = None  # values beyond the list


class Path:
    """An os.PathLike, as a rule."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        if isinstance(self.path, Exception):
            raise self.path
        return self.path


class Text(str):
    """A str of a class of its own."""


class Index:
    """What is an int by `__index__` only."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class HasFileno:
    """`os.fsync` takes such, other calls of `os` do not."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd


class Truth:
    """What cannot say whether it is true."""

    def __bool__(self) -> bool:
        raise ArithmeticError("neither true nor false")


class Several:
    """A sequence that is none by inheritance."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


NOTHING = object()  # has no property that a parameter could want

# ---- descriptors ----


def opened(path: str, flags: int, position: int = 0) -> Callable[[World], int]:
    return lambda world: world.open(path, flags, position)


DESCRIPTORS = [
    Specimen(name, lambda world, name=name, make=make: world.descriptor(name, lambda: make(world)))  # type: ignore[misc]  # mypy takes no defaults in such a lambda
    for name, make in {
        "a file": opened("file", os.O_RDWR),
        "a file from 5 on": opened("file", os.O_RDWR, 5),
        "a file past its end": opened("file", os.O_RDWR, 100),
        "a file to read": opened("file", os.O_RDONLY),
        "a file to write": opened("file", os.O_WRONLY),
        "a file to append": opened("file", os.O_RDWR | os.O_APPEND),
        "an empty file": opened("empty", os.O_RDWR),
        "a directory": opened("dir", os.O_RDONLY),
        "the path of a file": opened("file", os.O_PATH),
        "the path of a link": opened("link", os.O_PATH | os.O_NOFOLLOW),
        "the path of a directory": opened("dir", os.O_PATH),
        "the path of a FIFO": opened("fifo", os.O_PATH),
        "a file of /proc": opened("/proc/sys/kernel/ostype", os.O_RDONLY),
        "/dev/null": opened("/dev/null", os.O_RDWR),
        "/dev/zero": opened("/dev/zero", os.O_RDWR),
        "/dev/full": opened("/dev/full", os.O_RDWR),
        "a pipe to read": lambda world: world.pipe(0, CONTENT),
        "a pipe to read at its end": lambda world: world.pipe(0, close_other=True),
        "the rest of a pipe": lambda world: world.pipe(0, CONTENT, close_other=True),
        "an empty pipe": lambda world: world.pipe(0, blocking=False),
        "a pipe to write": lambda world: world.pipe(1),
        "a pipe with data to write": lambda world: world.pipe(1, CONTENT),
        "a pipe that nobody reads": lambda world: world.pipe(1, close_other=True),
        "a full pipe": lambda world: world.full_pipe(),
        "a FIFO": opened("fifo", os.O_RDWR | os.O_NONBLOCK),
        "a stream socket": lambda world: world.socket(socket.SOCK_STREAM, CONTENT),
        "a datagram socket": lambda world: world.socket(socket.SOCK_DGRAM, CONTENT),
        "an unconnected socket": lambda world: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach(),
        "an event counter": lambda world: os.eventfd(3, os.EFD_NONBLOCK),
        "a closed descriptor": lambda world: world.closed(),
    }.items()
]
WRONG_INTS = [
    *literals(None, "1", b"1", 1.0, NOTHING, [], 1 << 31, -(1 << 31) - 1, 1 << 32, 1 << 64, -(1 << 100)),
    Specimen("an index that is too large", lambda world: Index(1 << 70)),
    Specimen("an index that fails", lambda world: Index(ArithmeticError("no number"))),
]
FD = Kind(
    [
        *DESCRIPTORS,
        Specimen("an index", lambda world: Index(world.open("file", os.O_RDWR))),
        *literals(-1, -2, -100, (1 << 31) - 1, -(1 << 31)),
    ],
    [*WRONG_INTS, Specimen("what has a fileno", lambda world: HasFileno(world.open("file", os.O_RDWR)))],
)
DIR_FD = Kind(
    [
        literal(None),
        Specimen("a directory", opened("dir", os.O_RDONLY)),
        Specimen("the top", opened(".", os.O_RDONLY)),
        Specimen("the path of a directory", opened("empty_dir", os.O_PATH)),
        Specimen("an index of the top", lambda world: Index(world.open(".", os.O_RDONLY))),
        Specimen("a file", opened("file", os.O_RDONLY)),
        Specimen("a closed descriptor", lambda world: world.closed()),
        *literals(-1, -100, (1 << 31) - 1),
    ],
    [wrong for wrong in WRONG_INTS if wrong.name != "None"],
)

# ---- paths: relative ones start in the world ----

NAMES = [
    "file", "missing", "dir", "dir/inner", "inner", "../file", "empty", "empty_dir", "secret", "locked", "link",
    "dirlink", "dirlink/inner", "broken", "loop", "fifo", "socket", "missing/name", "file/name", "loop/name", "", ".",
    "..", "dir/", "dirlink/", "file/", "missing/", "empty_dir/", "./file", "dir//..//file", os.fsdecode(BAD_NAME),
    "new\nline", "é☃", LONG_NAME, LONG_NAME + "n", "p" * 5000, "./" * 2500 + "file", "dir/../" * 10 + "file",
]  # fmt: skip
# Not for calls that change something: an absolute name might be removed.
OUTSIDE = [
    "/", "/dev/null", "/proc/version", "/proc/sys/kernel/random", "/proc/self/missing", "/proc/self/exe",
    "big", "odd", *(f"links/{length}" for length in LINK_LENGTHS),
]  # fmt: skip
FORMS: dict[str, Callable[[World, str], Any]] = {
    "str": lambda world, name: Text(name).__str__(),  # an object of its own, to be known again in an error
    "bytes": lambda world, name: os.fsencode(name),
    "path-like str": lambda world, name: Path(name),
    "path-like bytes": lambda world, name: Path(os.fsencode(name)),
    "subclass": lambda world, name: Text(name),
    "absolute": lambda world, name: name if name.startswith("/") else f"{world.root}/{name}",
}


def path(name: str, form: str = "str") -> Specimen:
    return Specimen(
        f"{form} {name!r}" if len(name) < 300 else f"{form} {name[:9]!r}… ({len(name)})",
        lambda world: FORMS[form](world, name),
    )


def paths(names: list[str]) -> list[Specimen]:
    return [path(name) for name in names] + [
        path(name, form) for form in FORMS for name in (names[0], "missing", "link", os.fsdecode(BAD_NAME))
    ]


WRONG_PATHS = [
    *literals(None, 1.5, NOTHING, [], ("file",), bytearray(b"file"), memoryview(b"file"), {}, Path),
    *literals("fi\0le", b"fi\0le", "\0", b"\0", "file\0", "\ud800", "file\udfff\ud801"),
    Specimen("path-like with a NUL", lambda world: Path("fi\0le")),
    Specimen("path-like that is none", lambda world: Path(5)),
    Specimen("path-like of a path-like", lambda world: Path(Path("file"))),
    Specimen("path-like that fails", lambda world: Path(ArithmeticError("no path"))),
]
NO_PATHS = [*literals(3, -1, 1 << 100), Specimen("an index", lambda world: Index(3))]
MORE_NAMES = st.builds(
    path,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
    | st.binary(min_size=1, max_size=20).filter(lambda name: not {*b"/\0"} & {*name}).map(os.fsdecode),
    st.sampled_from(sorted(FORMS)),
)
EVERYWHERE = [*paths(NAMES), *paths(OUTSIDE)[: len(OUTSIDE)], path("odd", "bytes"), path("odd/", "absolute")]
PATH = Kind(EVERYWHERE, [*WRONG_PATHS, *NO_PATHS], MORE_NAMES)
OWN_PATH = Kind(paths(NAMES), [*WRONG_PATHS, *NO_PATHS], MORE_NAMES)
# -1 is os's own word for "no descriptor was given".
PATH_OR_FD = Kind(
    [*EVERYWHERE, *FD.good, Specimen("the top", opened(".", os.O_RDONLY))],
    [*WRONG_PATHS, literal(1 << 31), literal(-(1 << 100)), Specimen("an index that fails", WRONG_INTS[-1].make)],
    MORE_NAMES,
)

# ---- numbers ----


def numbers(*values: int, wrong: tuple[int, ...]) -> Kind:
    small = [specimen for specimen in WRONG_INTS if not specimen.name.lstrip("-").isdecimal()]
    return Kind(
        [*literals(*values), Specimen(f"an index of {values[0]}", lambda world: Index(values[0]))],
        [*small, *literals(*wrong)],
        st.integers(-3, 40).map(literal),
    )


TOO_LONG = (1 << 63, -(1 << 63) - 1, 1 << 100)
INT = numbers(0o750, 0, 0o777, 0o644, 0o7777, 0o1000, -1, 0o200644, (1 << 31) - 1, wrong=(1 << 31, -(1 << 31) - 1))
SIZE = numbers(
    10, 0, 1, 25, 26, 27, 4096, 1 << 20, (1 << 20) + 1, 1 << 31, MOST, 1 << 62, (1 << 63) - 1, -1, -(1 << 63),
    wrong=TOO_LONG,
)  # fmt: skip
OFFSET = numbers(
    3, 0, 1, 25, 26, 1000, 4097, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -1, -2, -(1 << 63), wrong=TOO_LONG
)


def flags(*values: int, combined: bool = True) -> Kind:
    some = st.sets(st.sampled_from(values), max_size=4).map(lambda chosen: literal(_union(chosen)))
    return Kind(
        [*literals(*values), Specimen(f"an index of {values[0]}", lambda world: Index(values[0]))],
        [*WRONG_INTS, literal("r")],
        some if combined else None,
    )


def _union(values: set[int]) -> int:
    union = 0
    for value in values:
        union |= value
    return union


OPEN_FLAGS = flags(
    os.O_RDONLY, os.O_RDWR, os.O_WRONLY, 3, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL,
    os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_NONBLOCK, os.O_DIRECTORY,
    os.O_NOFOLLOW, os.O_PATH, os.O_PATH | os.O_NOFOLLOW, os.O_RDWR | os.O_TMPFILE, os.O_CLOEXEC, os.O_TRUNC,
    os.O_RDWR | os.O_SYNC, 0o100000000, -1, (1 << 31) - 1,
)  # fmt: skip
WHENCE = flags(os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_DATA, os.SEEK_HOLE, 5, 99, -1, combined=False)
READ_FLAGS = flags(0, os.RWF_HIPRI, os.RWF_NOWAIT, os.RWF_DSYNC, 1 << 30, -1)
WRITE_FLAGS = flags(0, os.RWF_DSYNC, os.RWF_SYNC, os.RWF_APPEND, os.RWF_HIPRI, 1 << 30, -1)
RENAME_FLAGS = flags(0, 1, 2, 4, 5, 3, 8, 1 << 30, -1, combined=False)
SECONDS = Kind(
    [*literals(0.001, 0, 0.0, 1e-9, -1.0, -5, float("-inf")), Specimen("an index", lambda world: Index(0))],
    [
        *literals(
            None, "0", b"0", bytearray(b"0"), memoryview(b"0"), Fraction(0), NOTHING, [], 1j, float("nan"), 1 << 2000
        )
    ],
    st.floats(-2, 0.002).map(literal),
)
TRUTH = Kind([*literals(False, True, 0, 1, "", "no", None, [], [0])], [Specimen("neither", lambda world: Truth())])
ORDER = Kind(
    literals("kernel", "dirs_first", "stat", "dirs_first+stat"),
    literals(None, "", "Kernel", "dirs_first ", b"kernel", 0, "kernel\0", "\ud800", NOTHING, []),
)

# ---- buffers ----


def buffer(name: str, make: Callable[[], Any]) -> Specimen:
    return Specimen(name, lambda world: world.buffer(make()))


def released() -> memoryview:
    view = memoryview(bytearray(5))
    view.release()
    return view


def anonymous_map() -> mmap.mmap:
    memory = mmap.mmap(-1, 4096)
    memory[: len(DATA)] = DATA
    return memory


def cast() -> memoryview:
    return memoryview(bytearray(b"abcdef")).cast("B", (2, 3))


def integers() -> array.array[int]:
    return array.array("i", [1, 2, 3])


def chars() -> Any:
    return ctypes.create_string_buffer(DATA)


WRONG_BUFFERS = [
    *literals(None, "text", "", 5, 1.5, NOTHING),
    Specimen("every other byte", lambda world: memoryview(bytearray(b"abcdef"))[::2]),
    Specimen("backwards", lambda world: memoryview(bytearray(b"abcdef"))[::-1]),
    Specimen("a released view", lambda world: released()),
    *literals([], [b"a"]),
]
WRITABLE = [
    buffer("a bytearray", lambda: bytearray(10)),
    buffer("an empty bytearray", bytearray),
    buffer("a large bytearray", lambda: bytearray(5000)),
    Specimen("a slice", lambda world: memoryview(world.buffer(bytearray(b".........")))[2:5]),
    Specimen("an empty slice", lambda world: memoryview(world.buffer(bytearray(b"....")))[2:2]),
    buffer("an array", integers),
    buffer("a view of two dimensions", cast),
    buffer("a map", anonymous_map),
    buffer("chars", chars),
    buffer("a view without dimensions", lambda: memoryview(ctypes.c_int(77))),
    buffer("an int", lambda: ctypes.c_int(77)),
]
DATUM = Kind(
    [
        *literals(DATA, b"", b"x", b"long " * 1000, memoryview(DATA)[2:5]),
        *WRITABLE,
    ],
    WRONG_BUFFERS,
    st.binary(max_size=60).map(literal),
)


def collected(name: str, *specimens: Specimen, into: Callable[..., Any] = lambda *items: list(items)) -> Specimen:
    return Specimen(f"{name} of {list(specimens)}", lambda world: into(*(each.make(world) for each in specimens)))


def buffers(plain: list[Specimen], wrong: list[Specimen]) -> Kind:
    one, two, three = plain[:3]
    shapes: dict[str, Callable[..., Any]] = {
        "a tuple": lambda *items: items,
        "a deque": lambda *items: collections.deque(items),
        "a sequence": Several,
    }
    no_sequences: dict[str, Callable[..., Any]] = {
        "a generator": lambda *items: (item for item in items),
        "a dict": lambda *items: dict(enumerate(items)),
        "an iterator": lambda *items: iter(items),
    }
    return Kind(
        [
            collected("a list", one, two, three),
            collected("a list"),
            collected("a list", one),
            collected("a list", two),
            *(
                Specimen(f"{count} buffers", lambda world, count=count: [world.buffer(bytearray(b"123"))] * count)  # type: ignore[misc]  # as above
                for count in (1024, 1025)
            ),
            *(collected(name, one, three, into=into) for name, into in shapes.items()),
            *(collected("a list", one, each, three) for each in plain[3:]),
        ],
        [
            *(collected("a list", each) for each in wrong),
            *(collected("a list", one, each) for each in wrong),
            *(collected(name, one, into=into) for name, into in no_sequences.items()),
            *literals(None, 5, NOTHING, "text", b"bytes", {}, {b"set"}, range(3)),
            Specimen("a buffer", lambda world: bytearray(3)),
            Specimen("a view", lambda world: memoryview(bytearray(3))),
        ],
        st.lists(st.sampled_from(plain), max_size=6).map(lambda chosen: collected("a list", *chosen)),
    )


READABLES = buffers([literal(DATA), *WRITABLE, literal(b"")], WRONG_BUFFERS)
WRITABLES = buffers(
    WRITABLE, [*WRONG_BUFFERS, literal(b"bytes"), Specimen("a fixed view", lambda world: memoryview(DATA))]
)

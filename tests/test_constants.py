"""The constants are those of the headers that this machine has: a C program prints them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import anyaio
from anyaio import _constants

OURS = {"MT_MODIFY", "UTIME_NOW", "UTIME_OMIT"}
NAMES = sorted(name for name in vars(_constants) if not name.startswith("_"))

HEADERS = [  # those of glibc and those of the kernel exclude each other
    "dirent.h fcntl.h stdio.h sys/mman.h sys/stat.h sys/timerfd.h time.h",
    "sys/mount.h",
    "linux/falloc.h linux/fcntl.h linux/memfd.h linux/mount.h linux/stat.h",
    "linux/fiemap.h linux/fs.h linux/fscrypt.h",
    "linux/fsverity.h",
    "linux/blkzoned.h",
]
NEWER = {  # than the headers of Debian 12
    "F_SEAL_EXEC",
    "MFD_EXEC",
    "MFD_NOEXEC_SEAL",
    "STATX_MNT_ID_UNIQUE",
}


def printed(compiler: str, folder: Path, headers: str) -> dict[str, int]:
    """Return what a C program says of the names that these headers know."""
    includes = "".join(f"#include <{header}>\n" for header in headers.split())
    lines = "".join(
        f'#ifdef {name}\nprintf("{name} %llu\\n", (unsigned long long)({name}));\n#endif\n' for name in NAMES
    )
    program = f"#define _GNU_SOURCE\n#include <stdio.h>\n{includes}int main(void)\n{{\n{lines}return 0;\n}}\n"
    (folder / "names.c").write_text(program)
    subprocess.run([compiler, "-w", "names.c", "-o", "names"], cwd=folder, check=True)
    done = subprocess.run([folder / "names"], capture_output=True, text=True, check=True)
    return {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """Every name that a header knows, and its values."""
    if sys.platform != "linux":
        pytest.skip("the headers are Linux'")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("headers")
    found: dict[str, set[int]] = {}
    for headers in HEADERS:
        for name, value in printed(compiler, folder, headers).items():
            found.setdefault(name, set()).add(value)
    return found


def same(ours: int, theirs: int) -> bool:
    """Whether they are equal, also if C has a negative int: (1 << 31)."""
    return theirs in (ours, ours % 2**64) or (theirs >= 2**63 and theirs % 2**32 == ours)


def test_every_constant_has_the_value_of_the_headers(known: dict[str, set[int]]) -> None:
    compared = {name: values for name, values in known.items() if name not in OURS}
    wrong = {
        name: values for name, values in compared.items() if not all(same(getattr(_constants, name), v) for v in values)
    }
    assert wrong == {}


def test_the_headers_know_every_constant(known: dict[str, set[int]]) -> None:
    assert set(NAMES) - OURS - known.keys() <= NEWER


def test_the_two_times_that_are_none_end_in_the_kernels_numbers(known: dict[str, set[int]]) -> None:
    assert {_constants.UTIME_NOW - 2**63 * 10**9} == known["UTIME_NOW"]
    assert {_constants.UTIME_OMIT - 2**63 * 10**9} == known["UTIME_OMIT"]


def test_every_family_is_there() -> None:
    families = """
        AT_ BLK CLOCK_ DT_ F_ FALLOC_FL_ FICLONE FIDEDUPERANGE FIEMAP_EXTENT_ FIEMAP_FLAG_ FIFREEZE FITHAW FITRIM
        FS_IOC_ FS_XFLAG_ MAP_ MCL_ MNT_ MS_ MT_ PROT_ RENAME_ SPLICE_F_ STATX_ATTR_ STATX_ SYNC_FILE_RANGE_ TFD_
        UMOUNT_ UTIME_
    """.split()
    assert [family for family in families if not any(name.startswith(family) for name in NAMES)] == []
    assert sum(name.startswith("FS_") and name.endswith("_FL") for name in NAMES) > 20


def test_nothing_but_constants_is_exported() -> None:
    assert [name for name in NAMES if not name.isupper() or type(getattr(_constants, name)) is not int] == []
    assert [name for name in NAMES if getattr(anyaio, name, None) != getattr(_constants, name)] == []


def test_the_size_in_an_ioctl_is_that_of_a_long() -> None:
    assert _constants.FS_IOC_GETFLAGS >> 16 & 0x1FFF == ctypes.sizeof(ctypes.c_long)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (
            "x86_64",
            {"FS_IOC_SETFLAGS": 0x40086602, "FIFREEZE": 0xC0045877, "FIBMAP": 0x1, "MCL_CURRENT": 1, "MS_SYNC": 4},
        ),
        (
            "ppc64le",
            {"FS_IOC_SETFLAGS": 0x80086602, "FIBMAP": 0x20000001, "MCL_CURRENT": 0x2000},
        ),
        ("mips64", {"FS_IOC_SETFLAGS": 0x80086602, "BLKROGET": 0x2000125E, "MCL_CURRENT": 1, "MAP_LOCKED": None}),
        ("aarch64", {"FICLONE": 0x40049409, "MAP_LOCKED": 0x2000, "MAP_32BIT": None}),
        ("alpha", {"MS_SYNC": 2, "MS_INVALIDATE": 4, "MCL_ONFAULT": 0x8000, "FICLONE": 0x80049409}),
    ],
)
@pytest.mark.skipif(sys.platform != "linux" or sys.maxsize < 2**32, reason="the numbers are those of 64-bit Linux")
def test_another_architecture_has_its_own_values(machine: str, expected: dict[str, int | None]) -> None:
    program = (
        "import os, sys, types\n"
        f"os.uname = lambda: types.SimpleNamespace(machine={machine!r})\n"
        "from anyaio import _constants\n"
        f"print({{name: getattr(_constants, name, None) for name in {list(expected)!r}}})\n"
    )
    environment = {**os.environ, "ANYAIO_BACKEND": "python"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{expected}\n"

"""A pytest plugin: the tests run in a sandbox that forbids preadv2, openat2 and statx, as containers of old do.

    ANYAIO_TEST_SANDBOX=EPERM pytest        or ENOSYS: what the forbidden calls fail with

A seccomp filter cannot be taken off again, and every child of the process has it too: programs that tests run, and the
workers of pytest-xdist. Without the variable this does nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import ClassVar

import pytest

ERRORS = {"EPERM": errno.EPERM, "ENOSYS": errno.ENOSYS}
FORBIDDEN = {  # by the machine: what the kernel calls it, and the numbers of preadv2, openat2, statx
    "x86_64": (0xC000003E, (327, 437, 332)),
    "aarch64": (0xC00000B7, (286, 437, 291)),
}
OPENAT2 = 437
PR_SET_NO_NEW_PRIVS = 38  # without it only root may have a filter
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: load a word; compare; end
NUMBER, MACHINE = 0, 4  # where struct seccomp_data has them
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # the latter with an errno in its low bits

# Tests that ask for what is forbidden: file, and a part of the name. If EPERM is the answer, os.preadv fails whatever
# its flags, and so does statx; for ENOSYS the C library makes up by older calls.
ABOUT_FORBIDDEN = {
    "EPERM": (
        ("test_operations.py", "[python-preadv-"),
        ("test_operations.py", "-stx_size]"),
        ("test_operations.py", "-statx-"),
        ("test_operations_status.py", "test_statx_"),
        ("test_arguments.py", "test_bytes_are_counted_whatever_the_items_of_a_buffer_are[python]"),
        ("test_perl_suite.py", "test_a_read_goes_into_the_middle_of_a_buffer[python]"),
        ("test_requests.py", "[native-preadv]"),
        ("test_requests.py", "[python-preadv]"),
        ("test_benchmarks.py", "test_"),
        ("test_examples.py", "test_qt_window"),  # Qt looks for its plug-ins by statx
        ("test_differential.py", "-preadv]"),
        ("test_differential.py", "-statx]"),
    ),
    "ENOSYS": (),
}

WANTED = os.environ.get("ANYAIO_TEST_SANDBOX", "")

libc = ctypes.CDLL(None, use_errno=True)


class Instruction(ctypes.Structure):
    _fields_: ClassVar = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    ]


class Program(ctypes.Structure):
    _fields_: ClassVar = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction))]


def rules(error: int) -> list[tuple[int, int, int, int]]:
    """Return the filter: each jump skips so many instructions."""
    machine, numbers = FORBIDDEN[platform.machine()]
    count = len(numbers)
    return [
        (LOAD, 0, 0, MACHINE),
        (JUMP_IF_EQUAL, 0, count + 1, machine),
        (LOAD, 0, 0, NUMBER),
        *((JUMP_IF_EQUAL, count - place, 0, number) for place, number in enumerate(numbers)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL | error),
    ]


def install(error: int) -> None:
    program = rules(error)
    instructions = (Instruction * len(program))(*(Instruction(*rule) for rule in program))
    if (
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(program), instructions)), 0, 0) != 0
    ):
        raise OSError(ctypes.get_errno(), "no sandbox can be had here")


def what_openat2_fails_with() -> int:
    """Return the errno of a wrong call: EINVAL where there is nothing in its way."""
    libc.syscall(OPENAT2, -1, None, None, ctypes.c_size_t(0))
    return ctypes.get_errno()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    forbidden = pytest.mark.skip(f"the sandbox forbids it: {WANTED}")
    for item in items:
        if any(item.path.name == file and part in item.name for file, part in ABOUT_FORBIDDEN.get(WANTED, ())):
            item.add_marker(forbidden)


if WANTED and what_openat2_fails_with() != ERRORS[WANTED]:  # else it is inherited
    install(ERRORS[WANTED])
    assert what_openat2_fails_with() == ERRORS[WANTED]

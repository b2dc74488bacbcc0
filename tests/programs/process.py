"""What the programs see of their process: its descriptors, threads and children, and what they wait for.

Each starts in an empty folder of its own.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable

LIMIT = 10.0  # seconds that nothing here should ever take


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Hold the thread until others have made the condition true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.001)


def descriptors() -> dict[int, str]:
    """The open descriptors, and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # that of the listing itself
            pass
    return found


def threads() -> int:
    """The threads of the process, not only those that Python knows."""
    return len(os.listdir("/proc/self/task"))


def expect(
    kind: type[BaseException] | tuple[type[BaseException], ...], call: Callable[..., object], *arguments: object
) -> BaseException:
    """Return what *call* raises, which must be of this kind."""
    try:
        call(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised no {kind}")


def in_child(check: Callable[[], object]) -> None:
    """Fork; the child makes its checks and leaves at once."""
    child = os.fork()
    if child == 0:
        me = os.getpid()
        try:
            check()
            status = 0
        except BaseException:
            if os.getpid() != me:  # a child of its own leaves
                raise
            traceback.print_exc()
            status = 1
        sys.stderr.flush()
        os._exit(status)
    ended_well(child)


def in_leaving_child(check: Callable[[], object]) -> None:
    """Fork; the child makes its checks and leaves as a program does: with atexit, and the end of the interpreter."""
    child = os.fork()
    if child == 0:
        check()
        sys.exit(0)
    ended_well(child)


def ended_well(child: int) -> None:
    """Wait for a child; it must have left with status 0."""
    _, status = os.waitpid(child, 0)  # the test has a time limit
    assert os.waitstatus_to_exitcode(status) == 0, f"the child ended with {status}"

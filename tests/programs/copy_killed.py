"""copy and move, killed: the target is the old file or the new one, and a source is not gone before its copy is there.

A child of the program dies before its first step, the next one before its second, until one is not killed.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyaio
from anyaio._composite import copy, move
from anyaio._drive import Composite, drive
from anyaio._opcodes import RENAME
from programs import program

OLD, NEW = b"old content, and longer than the new one", b"new content" + bytes(1 << 20)


class Deadly:
    """A submitter that kills the process before the step of that number.

    The first rename meets two file systems: `move` has to copy.
    """

    def __init__(self, submitter: Any, step: int) -> None:
        self.submitter = submitter
        self.step = step

    def __call__(self, *arguments: Any) -> Any:
        if self.step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.step -= 1
        if arguments[0] == RENAME and not os.fspath(arguments[1]).startswith(b".anyaio"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return self.submitter(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.submitter, name)


def run_until(step: int, function: Any, *arguments: Any, **options: Any) -> bool:
    """Run the composite in a child that dies before that step; return whether it did."""
    child = os.fork()
    if child == 0:
        try:
            engine = anyaio.Engine()
            composite = drive(engine, Deadly(engine.submitter(), step), function, arguments, options)  # type: ignore[arg-type]  # it has the face
            if isinstance(composite, Composite):
                engine.flush()
                composite.result()
            engine.shutdown()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"at step {step} it ended with {status}"
    return status != 0


def killed_at_each_step(begin: Callable[[], tuple[Any, ...]], **options: Any) -> Iterator[None]:
    """Kill a composite, which *begin* makes, at each of its steps; yield after each, and when it was not killed."""
    step = 0
    while run_until(step, *begin(), **options):
        yield
        step += 1
    assert step > 10
    yield


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def check_left_over(folder: Path, *names: str) -> None:
    """Besides these there may be one temporary file, whose name tells what it is."""
    left = set(os.listdir(folder)) - set(names)
    assert len(left) <= 1
    assert all(name.startswith(".anyaio-copy-") for name in left)
    for name in left:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@program
def a_killed_copy_leaves_the_old_or_the_new_file() -> None:
    src, dst = Path("src"), Path("dst")
    src.write_bytes(NEW)

    def begin() -> tuple[Any, ...]:
        dst.write_bytes(OLD)
        return copy, src, dst

    seen = []
    for _ in killed_at_each_step(begin, preserve="all"):
        seen.append(dst.read_bytes())
        check_left_over(Path(), "src", "dst")
    assert seen == sorted(seen, key=[OLD, NEW].index)
    assert {*seen} == {OLD, NEW}


@program
def a_killed_copy_leaves_no_file_or_the_new_one() -> None:
    src, dst = Path("src"), Path("dst")
    src.write_bytes(NEW)

    def begin() -> tuple[Any, ...]:
        dst.unlink(missing_ok=True)
        return copy, src, dst

    seen = []
    for _ in killed_at_each_step(begin):
        seen.append(read(dst))
        check_left_over(Path(), "src", "dst")
    assert {*seen} == {None, NEW}


@program
def a_killed_move_leaves_the_source_until_the_copy_is_there() -> None:
    src, dst = Path("tree"), Path("dst")

    def begin() -> tuple[Any, ...]:
        for path in (src, dst):
            shutil.rmtree(path, ignore_errors=True)
        (src / "below").mkdir(parents=True)
        (src / "below" / "file").write_bytes(NEW)
        return move, os.fsencode(src), os.fsencode(dst)

    seen = []
    for _ in killed_at_each_step(begin):
        copied = read(dst / "below" / "file")
        seen.append(copied)
        assert dst.exists() == (copied == NEW)
        assert copied == NEW or read(src / "below" / "file") == NEW
        check_left_over(Path(), "tree", "dst")
    assert {*seen} == {None, NEW}
    assert not src.exists()

"""The composites: operations made of other operations, each written once for all colours.

A composite is a coroutine function whose *steps* have the operations in the await colour; the trampoline runs it. From
its signature and docstring `tools/generate.py` makes the colours: run it after a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar

from ._composites import budget
from ._composites import copy as copying
from ._composites import move as moving
from ._composites.preserve import read_words
from ._composites.rmtree import remove_tree
from ._composites.target import Place
from ._opcodes import LSTAT
from ._scope import batch
from ._types import AnyPath, StrOrBytesPath

if TYPE_CHECKING:
    from ._steps import Steps

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

COMPOSITES: list[Callable[..., Coroutine[Any, Any, Any]]] = []

DT_UNKNOWN, DT_DIR = 0, 4


def composite(function: F) -> F:
    """Enter the coroutine function below as a composite."""
    COMPOSITES.append(function)
    return function


@composite
async def split_dir(
    steps: Steps, path: AnyPath[AnyStr], *, limit: int = 4, dir_fd: int | None = None
) -> tuple[list[AnyStr], list[AnyStr]]:
    """Return the names of a directory's subdirectories, and its other names.

    A symlink counts as what it is, no directory. Only entries whose type the file system does not tell are stat'ed, at
    most *limit* at once; what cannot be stat'ed is among the others.
    """
    # It solves an overload for all that AnyStr stands for at once, while each of them has one.
    entries = await steps.scandir(  # pyright: ignore[reportCallIssue]
        path,  # pyright: ignore[reportArgumentType]
        resolve=False,
        dir_fd=dir_fd,
    )
    directories = [entry.name for entry in entries if entry.type == DT_DIR]
    others = [entry.name for entry in entries if entry.type not in (DT_DIR, DT_UNKNOWN)]
    unknown = [entry for entry in entries if entry.type == DT_UNKNOWN]
    async with batch(limit) as requests:
        while unknown or requests:
            while unknown and requests.room:
                entry = unknown.pop()
                requests.add(entry.name, steps.submit(LSTAT, entry.path, dir_fd))
            for name, request in await requests.some():
                (directories if leads_down(request) else others).append(name)
    return directories, others


def check_callable(what: str, function: object) -> None:
    """TypeError unless *function* is None or can be called; *what* names it."""
    if function is not None and not callable(function):
        raise TypeError(f"{what} must be callable or None, not {type(function).__name__!r}")


def leads_down(request: Any) -> bool:
    """Was a directory stat'ed?"""
    try:
        return S_ISDIR(request.result().st_mode)
    except OSError:
        return False


@composite
async def rmtree(
    steps: Steps,
    path: AnyPath[AnyStr],
    *,
    ignore_errors: bool = False,
    on_error: Callable[[str, AnyStr, OSError], object] | None = None,
    dir_fd: int | None = None,
) -> None:
    """Remove a directory and all that is in it, never following a symlink: given as *path*, it is an OSError.

    The first failure is raised, when what was under way has ended. With *on_error* each failure is told to
    ``on_error(operation, path, error)``, in the caller's thread and context, and the rest goes on; an exception in it
    ends this. *operation* names the call that failed ("open", "scandir", "unlink", "rmdir"), *path* begins with the one
    given. With *ignore_errors* nothing is told or raised. What somebody else removed meanwhile is no failure.

    File systems mounted in the tree are emptied. However deep it is, it takes some 40 descriptors at most; many at once
    wait for each other rather than take more than half of what the process may have.
    """
    check_callable("rmtree: on_error", on_error)
    async with budget.descriptors(steps.engine, budget.RMTREE):
        await remove_tree(steps, path, ignore_errors, on_error, dir_fd)


@composite
async def copy(
    steps: Steps,
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    follow_symlinks: bool = True,
    preserve: Iterable[str] = ("mode", "times"),
    atomic: bool | None = None,
    progress: Callable[[int, int], object] | None = None,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
) -> None:
    """Copy a file: *dst*, new or a plain file that exists, is complete or as it was, whenever this is stopped.

    It is written as ``.anyaio-copy-`` and 16 hexadecimal digits in the same directory, and renamed; only a killed
    process leaves that behind. If *dst* is a symlink, that which it points to is written; with not *follow_symlinks*, a
    symlink *src* is made anew as *dst*, which must not exist. A device or FIFO is written through. A file with several
    names, or in a directory that cannot be written, is written in place. *atomic* True replaces it all the same (other
    names keep the old content) or is an OSError; False writes in place always. A directory is IsADirectoryError; two
    names of one file are `shutil.SameFileError`.

    *preserve* names what *dst* gets of *src*: "mode" (with the ACL), "times", "owner", "xattr"; or "all" of it that the
    file system and the user's rights allow. setuid and setgid only come with "owner". An existing file keeps its owner,
    mode and ACL, whatever "mode" says; with "owner" it gets the source's owner, and its mode.

    The kernel copies or shares the blocks where it can; holes stay holes. *progress* is called with the bytes done and
    the size (both 0 of an empty file), here, after each of the steps, of at most 16 MiB; an exception in it ends the
    copy. A FIFO as *src* is read to its end; until somebody opens it for writing, that holds a worker. Nothing is
    forced to the disk: see `fsync` and `pathsync`.
    """
    words = read_words(preserve)
    check_callable("copy: progress", progress)
    async with budget.descriptors(steps.engine, budget.COPY):
        await copying.copy(
            steps,
            Place(src, src_dir_fd),
            Place(dst, dst_dir_fd),
            follow_symlinks=follow_symlinks,
            words=words,
            atomic=atomic,
            progress=progress,
        )


@composite
async def move(
    steps: Steps,
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    progress: Callable[[int, int], object] | None = None,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
) -> None:
    """Rename *src* to *dst*, as `rename` does, also to another file system: then copy it and remove it.

    *dst* is the new name, not a directory to move into; what it names is replaced, a directory only if it is empty. A
    tree is copied beside *dst*, with symlinks, FIFOs, devices and hard links, and everything `copy` preserves with
    "all", and renamed: *dst* appears complete or not at all. Only then is removed what was copied, and nothing that
    came meanwhile; if that fails, the error is raised, the copy stays, and so may a part of the source.

    *progress* is called with the bytes done and in all, as in `copy`; not for a rename. Cancelled while it removes
    the source, the copy stays as well.
    """
    check_callable("move: progress", progress)
    async with budget.descriptors(steps.engine, budget.MOVE):
        await moving.move(steps, Place(src, src_dir_fd), Place(dst, dst_dir_fd), progress=progress)

"""rmtree: a tree is removed by descriptors, so that nobody can lead it out of the tree.

1. A directory is opened by its name in the one above, never through a symlink. What is in it is removed by name from
   that descriptor. Who swaps a directory for a symlink gets the symlink removed; who moves one away finds it emptied
   at most, and nothing beside it touched.
2. At most BRANCHES directories are being opened, read, emptied of files or removed at once: more workers than that in
   few directories would wait for their locks. What is to be entered stands on a stack, depth first.
3. About MOST_OPEN directories are open. Of those that only wait for what is below them, the one that was opened first
   is closed when a further one is needed. It is opened anew by ".." from below, or by name from above, and is used only
   if device and inode are the same. If not, it is *lost*: it is no longer in the tree, and nor is what is in it.
4. A name may change its nature meanwhile, and a directory may get new entries: MOST_TRIES times it is tried again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable
from errno import EBUSY, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, ESTALE
from stat import S_ISLNK
from typing import TYPE_CHECKING, Any, AnyStr, Generic, TypeAlias

from .._opcodes import _SWEEP, CLOSE, OPEN, RMDIR, UNLINK
from .._request import Request
from .._scope import Batch, batch
from .._types import AnyPath

if TYPE_CHECKING:
    from .._direntry import DirEntry
    from .._steps import Steps

    Job: TypeAlias = "tuple[Ended, Folder, bytes, int]"  # and its folder, name and tries
    Ended: TypeAlias = Callable[[Any, "Folder", bytes, int, Any, OSError | None], Awaitable[None]]
    Row: TypeAlias = "tuple[Folder, list[bytes], int]"  # names in a folder that were tried so often

DT_DIR = 4

IN_FLIGHT = 32
BRANCHES = 8
MOST_OPEN = 24  # with those that the requests under way open for a moment, and the engine's own, under 64
MOST_TRIES = 4

ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NO_DIRECTORY = (ENOTDIR, ELOOP)
NOT_EMPTY = (ENOTEMPTY, EEXIST)


class Folder:
    """A directory that was entered."""

    __slots__ = ("above", "busy", "failed", "fd", "files", "identity", "left", "lost", "name", "tries", "unread")

    def __init__(self, above: Folder | None, name: bytes, tries: int) -> None:
        self.above = above
        self.name = name  # in the one above
        self.tries = tries  # how often something unexpected was found there
        self.fd: int | None = None
        self.identity: tuple[int, int] | None = None  # device and inode, since it was closed to be opened anew
        self.busy = 0  # why it must stay open: requests under way, and files
        self.left = 0  # entries to be removed
        self.files = 0  # those of them that are to be unlinked
        self.failed = False  # something in it could not be removed
        self.lost = False  # the name leads to something else
        self.unread: OSError | None = None  # why it could not be listed

    @property
    def dir_fd(self) -> int:
        """The descriptor, for names in it: with None they would be looked for in the current directory."""
        if self.fd is None:
            raise RuntimeError(f"the directory {self.name!r} is not open")
        return self.fd


async def remove_tree(
    steps: Steps,
    path: AnyPath[AnyStr],
    ignore_errors: bool,
    on_error: Callable[[str, AnyStr, OSError], object] | None,
    dir_fd: int | None,
) -> None:
    """Remove the directory *path* and all that is in it."""
    removal = Removal(steps, path, ignore_errors, on_error)
    try:
        async with batch(IN_FLIGHT) as requests:
            removal.requests = requests
            await removal.run(dir_fd)
    finally:  # not before the requests that use them have ended
        await removal.close_all()
    error, removal.error = removal.error, None
    try:
        if error is not None:
            raise error
    finally:
        del error  # it holds this frame


class Removal(Generic[AnyStr]):
    """The state of one rmtree."""

    requests: Batch[Job]

    def __init__(
        self,
        steps: Steps,
        path: AnyPath[AnyStr],
        ignore_errors: bool,
        on_error: Callable[[str, AnyStr, OSError], object] | None,
    ) -> None:
        self.steps = steps
        self.given: AnyPath[AnyStr] = path
        self.path: AnyStr = os.fspath(path)
        self.ignore_errors = ignore_errors
        self.on_error: Callable[[str, AnyStr, OSError], object] | None = on_error
        self.error: OSError | None = None  # what ends it
        self.outside = Folder(None, b"", 0)  # the directory that the root is in
        self.open: dict[Folder, None] = {}  # those inside that have a descriptor, in the order of their opening
        self.active = 0  # directories being opened, read, emptied of files, or removed
        self.folders: list[Row] = []  # to be entered; the last is worked first
        self.files: deque[Row] = deque()  # to be unlinked, in turn

    async def run(self, dir_fd: int | None) -> None:
        if not await self.begin(dir_fd):
            return
        requests = self.requests
        while self.error is None:
            await self.start_some()
            if not requests:
                return
            done = await requests.some()
            for job, request in done:  # before anything here can fail
                if job[0] is Removal.opened:
                    self.adopt(job[1], request)
            for job, request in done:
                await self.end(job, request)
                if self.error is not None:
                    return

    async def end(self, job: Job, request: Request[Any]) -> None:
        ended, folder, name, tries = job
        try:
            result = request.result()
        except OSError as error:
            await ended(self, folder, name, tries, None, error.with_traceback(None))
        else:
            await ended(self, folder, name, tries, result, None)

    async def begin(self, dir_fd: int | None) -> bool:
        """Open the directory that the root is in; False if there is nothing that can be removed."""
        stripped = os.fsencode(self.path).rstrip(b"/")  # a slash at the end would have the kernel follow a symlink
        head, name = os.path.split(stripped)
        refusal = EBUSY if self.path and not stripped else EINVAL if name in (b".", b"..") else None
        if refusal is not None:  # what rmdir would say when all else was gone
            self.report("rmdir", self.outside, name, OSError(refusal, os.strerror(refusal)))
            return False
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            self.outside.fd = await self.steps.open(head or b".", flags, dir_fd=dir_fd)
        except OSError as error:
            self.report("open", self.outside, name, error.with_traceback(None))
            return False
        self.outside.left = 1
        self.folders.append((self.outside, [name], 0))
        return True

    async def start_some(self) -> None:
        """Start as many requests as there is room for."""
        while self.error is None and (room := self.requests.room) > 0:
            if self.files:
                self.start_files(room)
            elif self.folders and self.active < BRANCHES:
                await self.enter()
            else:
                return

    def start_files(self, room: int) -> None:
        add, submit, files = self.requests.add, self.steps.submit, self.files
        for _ in range(room):
            folder, names, tries = files[0]
            name = names.pop()
            add((Removal.unlinked, folder, name, tries), submit(UNLINK, name, folder.dir_fd))
            if names:
                files.rotate(-1)
                continue
            files.popleft()
            if not files:
                return

    # ---- a directory's way: opened, read, emptied, removed ----

    async def enter(self) -> None:
        above, names, tries = self.folders[-1]
        if above.fd is None and not await self.reach(above):
            self.folders.pop()
            above.left -= len(names) - 1
            await self.leave(above)
            return
        name = names.pop()
        if not names:
            self.folders.pop()
        folder = Folder(above, name, tries)
        self.active += 1
        above.busy += 1
        await self.make_room()
        answer = self.steps.submit(OPEN, name, ENTER, 0o777, above.dir_fd)
        self.requests.add((Removal.opened, folder, name, tries), answer)
        if not isinstance(answer, Request):
            self.own(folder, answer)

    def adopt(self, folder: Folder, request: Request[int]) -> None:
        try:
            self.own(folder, request.result())
        except OSError:
            pass  # `opened` tells

    def own(self, folder: Folder, fd: int) -> None:
        folder.fd = fd
        self.open[folder] = None

    async def opened(self, folder: Folder, name: bytes, tries: int, fd: int | None, error: OSError | None) -> None:
        above = folder.above
        assert above is not None
        above.busy -= 1
        if error is None:
            self.sweep(folder)
            return
        self.active -= 1
        if above is self.outside:
            self.report("open", above, name, await self.not_entered(name, error))
        elif error.errno in NO_DIRECTORY and tries < MOST_TRIES:
            self.unlink(above, [name], tries + 1)
            return
        elif error.errno != ENOENT:
            self.report("open", above, name, error)
        await self.leave(above)

    def sweep(self, folder: Folder) -> None:
        folder.busy += 1
        answer = self.steps.submit(_SWEEP, b".", folder.dir_fd)
        self.requests.add((Removal.swept, folder, folder.name, folder.tries), answer)

    async def swept(
        self, folder: Folder, name: bytes, tries: int, entries: list[DirEntry[bytes]] | None, error: OSError | None
    ) -> None:
        folder.busy -= 1
        self.active -= 1
        if error is not None and error.errno == ENOENT:
            folder.lost = True
        else:
            folder.unread = error  # if it is empty, it need not be readable
        below = [entry.name for entry in entries or () if entry.type == DT_DIR]
        files = [entry.name for entry in entries or () if entry.type != DT_DIR]
        folder.left = len(below) + len(files)
        if below:
            self.folders.append((folder, below, 0))
        if files:
            self.unlink(folder, files, 0)
        if not folder.left:
            folder.left = 1
            await self.leave(folder)

    def unlink(self, folder: Folder, names: list[bytes], tries: int) -> None:
        if not folder.files:
            folder.busy += 1
            self.active += 1
        folder.files += len(names)
        self.files.append((folder, names, tries))

    async def unlinked(self, folder: Folder, name: bytes, tries: int, nothing: None, error: OSError | None) -> None:
        folder.files -= 1
        if not folder.files:
            folder.busy -= 1
            self.active -= 1
        if error is not None and error.errno != ENOENT:
            if error.errno == EISDIR and tries < MOST_TRIES:
                self.folders.append((folder, [name], tries + 1))
                return
            self.report("unlink", folder, name, error)
        await self.leave(folder)

    async def leave(self, folder: Folder) -> None:
        """One entry less is left in *folder*: after the last it is removed."""
        folder.left -= 1
        while not folder.left and folder.above is not None and not await self.remove(folder):
            folder = folder.above
            folder.left -= 1

    async def remove(self, folder: Folder) -> bool:
        """Start the removal of a directory that should be empty; False if nothing is left to be done with it."""
        above = folder.above
        assert above is not None
        if above.fd is None and not (await self.climb(folder, above) or await self.reach(above)):
            self.close(folder)
            return False
        if above is self.outside and not await self.is_the_same(folder):
            self.close(folder)
            return False
        self.active += 1
        above.busy += 1
        folder.busy += 1
        answer = self.steps.submit(RMDIR, folder.name, above.dir_fd)
        self.requests.add((Removal.removed, folder, folder.name, folder.tries), answer)
        return True

    async def removed(self, folder: Folder, name: bytes, tries: int, nothing: None, error: OSError | None) -> None:
        above = folder.above
        assert above is not None
        self.active -= 1
        above.busy -= 1
        folder.busy -= 1
        if error is not None and tries < MOST_TRIES and self.try_again(folder, above, error):
            return
        self.close(folder)
        if error is not None and error.errno != ENOENT:
            if folder.unread is None:
                self.report("rmdir", above, name, error)
            else:
                self.report("scandir", above, name, folder.unread)
        await self.leave(above)

    def try_again(self, folder: Folder, above: Folder, error: OSError) -> bool:
        """If *folder* could not be removed since somebody else was there, start anew with what is there now."""
        is_known = folder.failed or folder.unread is not None
        if error.errno in NOT_EMPTY and not is_known and folder.fd is not None and not folder.lost:
            folder.tries += 1
            self.active += 1
            self.sweep(folder)
            return True
        if above is self.outside:
            return False
        if error.errno in NOT_EMPTY and not is_known:
            self.folders.append((above, [folder.name], folder.tries + 1))
        elif error.errno in NO_DIRECTORY:
            self.unlink(above, [folder.name], folder.tries + 1)
        else:
            return False
        self.close(folder)
        return True

    # ---- descriptors ----

    async def make_room(self) -> None:
        """Close the directory that was opened first, of those that only wait for what is below them."""
        if len(self.open) < MOST_OPEN:
            return
        for folder in self.open:
            if not folder.busy and folder.fd is not None:
                status = await self.steps.fstat(folder.fd)
                folder.identity = status.st_dev, status.st_ino
                self.close(folder)
                return

    def close(self, folder: Folder) -> None:
        if folder.fd is not None:
            del self.open[folder]
            fd, folder.fd = folder.fd, None
            self.requests.add((Removal.closed, folder, b"", 0), self.steps.submit(CLOSE, fd))

    async def closed(self, folder: Folder, name: bytes, tries: int, nothing: None, error: OSError | None) -> None:
        """A descriptor that only leads to a directory has nothing to tell."""

    async def climb(self, folder: Folder, above: Folder) -> bool:
        """Open anew the directory above *folder* by ".."; False if that leads to another."""
        if folder.fd is None or above.lost:
            return False
        folder.busy += 1
        try:
            return await self.reopen(above, b"..", folder.fd)
        except OSError:  # no right to search a directory that is empty, say
            return False
        finally:
            folder.busy -= 1

    async def reach(self, folder: Folder) -> bool:
        """Open *folder* anew by names from the next open one above; False if another or none is there."""
        closed = []
        above = folder
        while above.fd is None:
            closed.append(above)
            assert above.above is not None, "that one is never closed"
            above = above.above
        for below in reversed(closed):
            if below.lost or above.lost or not await self.step_down(above, below):
                below.lost = True
            above = below
        return not folder.lost

    async def step_down(self, above: Folder, below: Folder) -> bool:
        above.busy += 1
        try:
            return await self.reopen(below, below.name, above.dir_fd)
        except OSError as error:
            if error.errno not in (ENOENT, *NO_DIRECTORY):
                below.failed = True
                self.report("open", above, below.name, error.with_traceback(None))
            return False
        finally:
            above.busy -= 1

    async def reopen(self, folder: Folder, name: bytes, dir_fd: int) -> bool:
        await self.make_room()
        fd = await self.steps.open(name, ENTER, dir_fd=dir_fd)
        self.own(folder, fd)
        status = await self.steps.fstat(fd)
        if (status.st_dev, status.st_ino) == folder.identity:
            return True
        self.close(folder)
        return False

    async def close_all(self) -> None:
        for folder in (*self.open, self.outside):
            if folder.fd is not None:
                await self.steps.close(folder.fd)

    # ---- errors ----

    async def not_entered(self, name: bytes, error: OSError) -> OSError:
        """Return why the root was not entered; of a symlink the kernel only says that it is no directory."""
        if error.errno in NO_DIRECTORY:
            try:
                status = await self.steps.lstat(name, dir_fd=self.outside.dir_fd)
            except OSError:
                return error
            if S_ISLNK(status.st_mode):
                return symbolic_link()
        return error

    async def is_the_same(self, root: Folder) -> bool:
        """Has what was emptied still the root's name? If something else has, that is reported."""
        try:
            there = await self.steps.lstat(root.name, dir_fd=self.outside.dir_fd)
            if root.fd is not None and os.path.samestat(there, await self.steps.fstat(root.fd)):
                return True
        except OSError as error:
            if error.errno != ENOENT:
                self.report("rmdir", self.outside, root.name, error.with_traceback(None))
            return False
        stale = OSError(ESTALE, "Replaced while it was removed")
        self.report("rmdir", self.outside, root.name, symbolic_link() if S_ISLNK(there.st_mode) else stale)
        return False

    def report(self, operation: str, folder: Folder, name: bytes, error: OSError) -> None:
        """Tell why *name* in *folder* was not removed."""
        folder.failed = True
        if self.ignore_errors:
            return
        is_root = folder is self.outside
        path = self.path if is_root else self.path_of(folder, name)
        error.filename = self.given if is_root else path
        if self.on_error is not None:
            self.on_error(operation, path, error)
        elif self.error is None:
            self.error = error

    def path_of(self, folder: Folder, name: bytes) -> AnyStr:
        names = [name]
        while folder.above is not None and folder.above.above is not None:
            names.append(folder.name)
            folder = folder.above
        below = os.path.join(*reversed(names))
        path = self.path
        if isinstance(path, bytes):
            return os.path.join(path, below)
        return os.path.join(path, os.fsdecode(below))


def symbolic_link() -> OSError:
    return OSError(ENOTDIR, "Cannot call rmtree on a symbolic link")

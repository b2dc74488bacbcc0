"""The tree walk: one composite with many directories under way.

What is to be read stands on a stack, a row for each directory with subdirectories left. It is worked depth first, so
its size is that of the path down, and of the names beside it.

A path that the kernel would find too long (PATH_MAX) is reached from an *anchor*, a descriptor of a directory on the
way. At most MOST_OPEN anchors are open. The one that was opened first is closed when a further one is needed; it is
opened anew, from the next open one above it, when the walk comes back to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from stat import S_IFMT, S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Protocol

from .._opcodes import CLOSE, LSTAT, PATHSYNC, SCANDIR, STAT
from .._request import Request
from .._scope import Batch, batch

if TYPE_CHECKING:
    from .._direntry import DirEntry
    from .._steps import Steps

DT_UNKNOWN, DT_DIR, DT_REG = 0, 4, 8

IN_FLIGHT = 32
MOST_OPEN = 24  # anchors: with IN_FLIGHT directories being read and the engine's own descriptors, under 64
LONGEST = 3072  # of a path given to the kernel, without a last name: the longest names are of some 1,000 bytes


class Visitor(Protocol):
    """Who hears of what the walk finds. Plain functions, called on the caller's thread."""

    def root(self, path: bytes, status: os.stat_result) -> None:
        """One of the paths to start from exists."""

    def directory(self, prefix: bytes, entries: list[DirEntry[bytes]]) -> None:
        """A directory was read: *prefix* and an entry's name are its path. Called for a directory after its parent."""

    def error(self, path: bytes, error: OSError) -> None:
        """Something about *path* failed; the walk goes on without it."""


class Anchor:
    """A directory from which those below it are reached."""

    __slots__ = ("above", "busy", "fd", "path", "skip", "users")

    def __init__(self, above: Anchor | None, path: bytes, skip: int) -> None:
        self.above = above  # itself reached from there
        self.path = path
        self.skip = skip  # so many bytes of a path below stand for this directory
        self.fd: int | None = None
        self.users = 0  # jobs that start here, waiting ones too
        self.busy = 0  # those under way


class Directory:
    """What the jobs in one directory share."""

    __slots__ = ("anchor", "depth", "device", "parent", "path", "prefix", "unsynced")

    def __init__(
        self, parent: Directory | None, path: bytes, prefix: bytes, depth: int, anchor: Anchor | None, device: int
    ) -> None:
        self.parent = parent
        self.path = path
        self.prefix = prefix  # of the paths of its entries
        self.depth = depth  # of a root: 0
        self.anchor = anchor  # for what is in it
        self.device = device
        self.unsynced = 0  # its files


TOP = Directory(None, b"", b"", -1, None, 0)  # what the roots are in


class KnownEntry:
    """An entry whose type the file system did not tell, but its status."""

    __slots__ = ("_entry", "name", "type")

    def __init__(self, entry: DirEntry[bytes]) -> None:
        self._entry = entry
        self.name = entry.name
        try:
            self.type = S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12  # IFTODT of <dirent.h>
        except OSError:
            self.type = DT_UNKNOWN

    def inode(self) -> int:
        return self._entry.inode()

    def stat(self, *, follow_symlinks: bool = False) -> os.stat_result:
        return self._entry.stat(follow_symlinks=follow_symlinks)


async def walk_tree(
    steps: Steps,
    roots: Sequence[bytes],
    visitor: Visitor,
    *,
    max_depth: int | None = None,
    stat: bool = False,
    one_file_system: bool = False,
    follow_roots: bool = False,
    sync: bool = False,
    limit: int = IN_FLIGHT,
) -> None:
    """Show *visitor* every directory in and below *roots*, a directory before those in it.

    Symlinks are not followed, those in *roots* only with *follow_roots*. *max_depth* is 0 for the roots alone. With
    *stat* the entries have their status. With *one_file_system* what is mounted in the tree is not entered. With *sync*
    each regular file, then its directory, is forced to the disk. At most *limit* requests are under way.
    """
    async with batch(limit) as requests:
        walk = Walk(steps, visitor, requests)
        walk.most_depth = max_depth
        walk.sync = sync
        walk.root_kind = ROOT_FOLLOWED if follow_roots else ROOT
        walk.read_kind = READ_WITH_STAT if stat else READ
        walk.below_kind = CHECK if one_file_system else walk.read_kind
        try:
            await walk.run(roots)
        finally:
            await walk.close_all()


class Walk:
    """The state of one walk."""

    most_depth: int | None
    sync: bool
    root_kind: Kind
    read_kind: Kind
    below_kind: Kind  # what is done first with a subdirectory

    def __init__(self, steps: Steps, visitor: Visitor, requests: Batch[Job]) -> None:
        self.steps = steps
        self.visitor = visitor
        self.requests = requests
        # Jobs of one kind in one directory. The last is worked first, and its last name.
        self.stack: list[tuple[Kind, list[bytes], Directory]] = []
        self.open: dict[Anchor, None] = {}  # anchors with a descriptor, in the order of their opening

    async def run(self, roots: Sequence[bytes]) -> None:
        self.push(self.root_kind, list(reversed(roots)), TOP)
        requests = self.requests
        while True:
            for _ in range(requests.room):
                if not self.stack:
                    break
                anchor = self.stack[-1][2].anchor
                if anchor is None:
                    self.start()
                elif self.has_room(anchor):
                    await self.start_anchored(anchor)
                else:  # until jobs under way have ended
                    break
            if requests:
                for job, request in await requests.some():
                    self.end(job, request)
            elif not self.stack:
                return

    def start(self) -> None:
        kind, path, _ = job = self.take_job()
        self.requests.add(job, self.steps.submit(kind.operation, path, *kind.before, None, *kind.after))

    async def start_anchored(self, anchor: Anchor) -> None:
        kind, path, _ = job = self.take_job()
        if anchor.fd is None and not await self.reopen(anchor, path):
            self.leave(anchor)
            return
        anchor.busy += 1
        name = path[anchor.skip :]
        self.requests.add(job, self.steps.submit(kind.operation, name, *kind.before, anchor.fd, *kind.after))

    def take_job(self) -> Job:
        kind, names, directory = self.stack[-1]
        path = directory.prefix + names.pop()
        if not names:
            self.stack.pop()
        return kind, path, directory

    def end(self, job: Job, request: Request[Any]) -> None:
        kind, path, directory = job
        try:
            result = request.result()
        except OSError as error:
            kind.failed(self, path, directory, error)
        else:
            kind.ended(self, path, directory, result)
        anchor = directory.anchor
        if anchor is not None:
            anchor.busy -= 1
            self.leave(anchor)

    def push(self, kind: Kind, names: list[bytes], directory: Directory) -> None:
        if not names:
            return
        self.stack.append((kind, names, directory))
        if directory.anchor is not None:
            directory.anchor.users += len(names)

    # ---- what is done with a name ----

    def root_found(self, path: bytes, top: Directory, status: os.stat_result) -> None:
        self.visitor.root(path, status)
        is_directory = S_ISDIR(status.st_mode)
        if is_directory and self.most_depth != 0:
            self.push(self.read_kind, [path], Directory(None, b"", b"", -1, None, status.st_dev))
        elif self.sync and (is_directory or S_ISREG(status.st_mode)):
            self.push(SYNC, [path], TOP)

    def failed(self, path: bytes, directory: Directory, error: OSError) -> None:
        self.visitor.error(path, error)

    def followed_root_failed(self, path: bytes, top: Directory, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a loop of symlinks, say
            self.visitor.error(path, error)
            return
        self.push(ROOT, [path], top)  # a symlink that leads nowhere is there all the same

    def read(self, path: bytes, parent: Directory, entries: list[DirEntry[bytes]]) -> None:
        types = [entry.type for entry in entries]
        if DT_UNKNOWN in types:
            self.push(READ_UNKNOWN, [path[len(parent.prefix) :]], parent)
            return
        prefix = path if path.endswith(b"/") else path + b"/"
        self.visitor.directory(prefix, entries)
        if self.sync or DT_DIR in types:
            self.go_down(path, prefix, parent, entries)

    def read_unknown(self, path: bytes, parent: Directory, entries: list[DirEntry[bytes]]) -> None:
        prefix = path if path.endswith(b"/") else path + b"/"
        known: list[Any] = [KnownEntry(entry) for entry in entries]
        self.visitor.directory(prefix, known)
        self.go_down(path, prefix, parent, known)

    def go_down(self, path: bytes, prefix: bytes, parent: Directory, entries: list[DirEntry[bytes]]) -> None:
        depth = parent.depth + 1
        below = [entry.name for entry in entries if entry.type == DT_DIR]
        if depth + 1 == self.most_depth:
            below = []
        anchor = parent.anchor
        if len(prefix) - (0 if anchor is None else anchor.skip) > LONGEST:
            anchor = Anchor(anchor, path, len(prefix))
        directory = Directory(parent, path, prefix, depth, anchor, parent.device)
        self.push(self.below_kind, below, directory)
        if self.sync:
            files = [entry.name for entry in entries if entry.type == DT_REG]
            directory.unsynced = len(files) + 1
            self.push(SYNC_FILE, files, directory)
            self.count_synced(directory)

    def checked(self, path: bytes, directory: Directory, status: os.stat_result) -> None:
        if status.st_dev == directory.device:
            self.push(self.read_kind, [path[len(directory.prefix) :]], directory)

    def file_synced(self, path: bytes, directory: Directory, nothing: None) -> None:
        self.count_synced(directory)

    def file_not_synced(self, path: bytes, directory: Directory, error: OSError) -> None:
        self.visitor.error(path, error)
        self.count_synced(directory)

    def count_synced(self, directory: Directory) -> None:
        directory.unsynced -= 1
        parent = directory.parent
        if directory.unsynced == 0 and parent is not None:
            self.push(SYNC, [directory.path[len(parent.prefix) :]], parent)

    def synced(self, path: bytes, directory: Directory, nothing: None) -> None:
        pass

    def closed(self, path: bytes, directory: Directory, nothing: None) -> None:
        pass

    # ---- anchors ----

    def leave(self, anchor: Anchor) -> None:
        """One job less starts from *anchor*: after the last it is closed."""
        anchor.users -= 1
        if anchor.users == 0 and anchor.fd is not None:
            del self.open[anchor]
            fd, anchor.fd = anchor.fd, None
            self.requests.add((CLOSED, anchor.path, TOP), self.steps.submit(CLOSE, fd))

    async def reopen(self, anchor: Anchor, path: bytes) -> bool:
        """Open *anchor*, and those above it that this takes; False if it failed, which is reported for *path*."""
        closed = []
        above: Anchor | None = anchor
        while above is not None and above.fd is None:
            closed.append(above)
            above = above.above
        try:
            for anchor in reversed(closed):
                if above is not None:
                    above.busy += 1
                try:
                    await self.make_room()
                    await self.open_anchor(anchor, above)
                finally:
                    if above is not None:
                        above.busy -= 1
                above = anchor
        except OSError as error:
            self.visitor.error(path, error)
            return False
        return True

    async def open_anchor(self, anchor: Anchor, above: Anchor | None) -> None:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        path = anchor.path if above is None else anchor.path[above.skip :]
        anchor.fd = await self.steps.open(path, flags, dir_fd=None if above is None else above.fd)
        self.open[anchor] = None

    def has_room(self, anchor: Anchor) -> bool:
        """Can *anchor* be opened, and those above it, two at a time?"""
        if anchor.fd is not None or len(self.open) < MOST_OPEN - 1:
            return True
        return sum(not other.busy for other in self.open) >= 2

    async def make_room(self) -> None:
        """Close the anchor that was opened first, of those that nothing under way starts from."""
        if len(self.open) < MOST_OPEN:
            return
        for anchor in self.open:
            if not anchor.busy:
                await self.close_anchor(anchor)
                return

    async def close_anchor(self, anchor: Anchor) -> None:
        del self.open[anchor]
        fd, anchor.fd = anchor.fd, None
        if fd is not None:
            await self.steps.close(fd)

    async def close_all(self) -> None:
        for anchor in list(self.open):
            await self.close_anchor(anchor)


class Kind:
    """What is done with a name, and with its result or error."""

    __slots__ = ("after", "before", "ended", "failed", "operation")

    def __init__(
        self,
        operation: int,
        ended: Callable[[Walk, bytes, Directory, Any], None],
        failed: Callable[[Walk, bytes, Directory, OSError], None] = Walk.failed,
        before: tuple[object, ...] = (),
        after: tuple[object, ...] = (),
    ) -> None:
        self.operation = operation
        self.ended = ended
        self.failed = failed
        self.before = before  # arguments between the path and dir_fd
        self.after = after  # and behind it


Job = tuple[Kind, bytes, Directory]

ROOT = Kind(LSTAT, Walk.root_found)
ROOT_FOLLOWED = Kind(STAT, Walk.root_found, Walk.followed_root_failed, after=(True,))
READ = Kind(SCANDIR, Walk.read, before=("kernel", False, False, False))
READ_WITH_STAT = Kind(SCANDIR, Walk.read, before=("kernel", True, False, False))
READ_UNKNOWN = Kind(SCANDIR, Walk.read_unknown, before=("kernel", True, False, False))
CHECK = Kind(LSTAT, Walk.checked)
SYNC_FILE = Kind(PATHSYNC, Walk.file_synced, Walk.file_not_synced)
SYNC = Kind(PATHSYNC, Walk.synced)
CLOSED = Kind(CLOSE, Walk.closed)

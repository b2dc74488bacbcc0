"""What a file has beside its bytes, and how a copy gets it: owner, mode, ACL, other extended attributes, times.

The order matters. A chown drops setuid and file capabilities, a chmod may forbid setting attributes, and everything
but the times sets a time: so owner, attributes, ACL, mode, times.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from stat import S_IMODE, S_ISDIR, S_ISLNK
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .._steps import Steps

WORDS = ("mode", "times", "owner", "xattr", "all")

ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"  # of a directory, for what is made in it
CONTENT_BOUND = ("security.capability", "security.ima", "security.evm")  # they speak of the bytes that were there

NO_SUCH = (errno.ENODATA, errno.EOPNOTSUPP)
REFUSED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)  # by rights, or the file system


class Preserve(NamedTuple):
    """What is taken over from the source."""

    mode: bool
    times: bool
    owner: bool
    xattr: bool
    lenient: bool  # what rights or the target's file system do not allow is left out


EVERYTHING = Preserve(mode=True, times=True, owner=True, xattr=True, lenient=True)


def read_words(preserve: Iterable[str]) -> Preserve:
    """Return what *preserve* means; ValueError for an unknown word."""
    if not isinstance(preserve, Iterable) or isinstance(preserve, bytes | bytearray):
        raise TypeError(f"copy: preserve must be words such as ('mode', 'times') or 'all', not {preserve!r}")
    words = {preserve} if isinstance(preserve, str) else set(preserve)
    unknown = sorted(map(repr, words.difference(WORDS)))
    if unknown:
        raise ValueError(f"preserve takes {', '.join(map(repr, WORDS))}, not {', '.join(unknown)}")
    if "all" in words:
        return EVERYTHING
    return Preserve("mode" in words, "times" in words, "owner" in words, "xattr" in words, False)


class Node:
    """A file whose metadata is read or set: an open one, or a name that is not followed."""

    __slots__ = ("path", "steps", "where")

    def __init__(self, steps: Steps, path: Any, dir_fd: int | None = None) -> None:
        self.steps = steps
        self.path = path
        self.where: Any = {} if isinstance(path, int) else {"dir_fd": dir_fd, "follow_symlinks": False}

    async def attributes(self) -> list[str]:
        try:
            return await self.steps.listxattr(self.path, **self.where)
        except OSError as error:
            if error.errno in NO_SUCH:
                return []
            raise

    async def attribute(self, name: str) -> bytes | None:
        try:
            return await self.steps.getxattr(self.path, name, **self.where)
        except OSError as error:
            if error.errno in NO_SUCH:
                return None
            raise

    async def set_attribute(self, name: str, value: bytes) -> None:
        await self.steps.setxattr(self.path, name, value, **self.where)

    async def remove_attribute(self, name: str) -> None:
        try:
            await self.steps.removexattr(self.path, name, **self.where)
        except OSError as error:
            if error.errno not in NO_SUCH:
                raise

    async def set_owner(self, status: os.stat_result) -> None:
        await self.steps.chown(self.path, status.st_uid, status.st_gid, **self.where)

    async def set_mode(self, mode: int, acl: bytes | None) -> None:
        """Set the permission bits and the ACL; without one, what the file inherited goes."""
        if acl is None:
            await self.remove_attribute(ACL)
        else:
            try:
                await self.set_attribute(ACL, acl)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                mode = without_acl(mode, acl)
        await self.steps.chmod(self.path, mode, dir_fd=self.where.get("dir_fd"))

    async def set_times(self, status: os.stat_result) -> None:
        await self.steps.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns), **self.where)


def without_acl(mode: int, acl: bytes) -> int:
    """Return the mode for a file that cannot have the ACL: its group bits are the mask, more than the group may do."""
    group_entry, mask_entry = 0x04, 0x10  # <linux/posix_acl.h>
    entries: dict[int, int] = {tag: permissions for tag, permissions, _ in struct.iter_unpack("<HHI", acl[4:])}
    allowed = entries.get(group_entry, 0) & entries.get(mask_entry, 7)
    return mode & ~0o070 | allowed << 3


async def keep_owner(new: Node, status: os.stat_result) -> None:
    """Give the file that will replace another one its owner. OSError if that is not allowed."""
    made = await new.steps.fstat(new.path)
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        await new.set_owner(status)


async def keep(new: Node, old: Node, status: os.stat_result) -> None:
    """Give the file that will replace *old* its attributes, ACL and mode. OSError if that is not allowed."""
    names = await old.attributes()
    await copy_attributes(new, old, [name for name in names if name not in CONTENT_BOUND], lenient=False)
    await new.set_mode(S_IMODE(status.st_mode), await old.attribute(ACL) if ACL in names else None)


async def take_over(new: Node, source: Node, status: os.stat_result, preserve: Preserve, *, mode: bool) -> None:
    """Give *new* what *preserve* says, the permission bits only with *mode*."""
    bits = S_IMODE(status.st_mode)
    owned = preserve.owner and await give_owner(new, status, preserve.lenient)
    if not owned and not S_ISDIR(status.st_mode):
        bits &= 0o1777  # setuid and setgid mean another user now
    if preserve.xattr:
        await copy_attributes(new, source, await source.attributes(), preserve.lenient)
    if mode and not S_ISLNK(status.st_mode):
        await new.set_mode(bits, await source.attribute(ACL))
    if preserve.times:
        await new.set_times(status)


async def give_owner(new: Node, status: os.stat_result, lenient: bool) -> bool:
    try:
        await new.set_owner(status)
    except OSError as error:
        if not lenient or error.errno not in REFUSED:
            raise
        return False
    return True


async def copy_attributes(new: Node, source: Node, names: list[str], lenient: bool) -> None:
    """Copy extended attributes but for ACLs. Only of the user's own is a refusal an error, and not if *lenient*."""
    for name in names:
        if name in (ACL, DEFAULT_ACL):
            continue
        try:
            value = await source.attribute(name)
            if value is not None:
                await new.set_attribute(name, value)
        except OSError as error:
            if error.errno not in REFUSED or not (lenient or not name.startswith("user.")):
                raise


async def take_over_default_acl(new: Node, source: Node) -> None:
    """Give a directory the source's default ACL, or none."""
    acl = await source.attribute(DEFAULT_ACL)
    try:
        if acl is None:
            await new.remove_attribute(DEFAULT_ACL)
        else:
            await new.set_attribute(DEFAULT_ACL, acl)
    except OSError as error:
        if error.errno not in REFUSED:
            raise

"""The face of a directory entry, as os.DirEntry's; each backend has its own."""

from __future__ import annotations

import os
from typing import AnyStr, Generic


class DirEntry(Generic[AnyStr]):
    """One entry of a directory, with what the worker learnt of it. No method makes a system call.

    A question whose answer was not fetched is a RuntimeError that names the argument of ``scandir`` to give.
    """

    __slots__ = ()

    @property
    def name(self) -> AnyStr:
        """The entry's name, without its directory; str or bytes as the path given to ``scandir``."""
        raise NotImplementedError

    @property
    def path(self) -> AnyStr:
        """The path given to ``scandir`` joined with the name; the name alone if a descriptor was given."""
        raise NotImplementedError

    @property
    def type(self) -> int:
        """The d_type as the kernel gave it: ``DT_DIR``, ``DT_REG``, …, also ``DT_UNKNOWN``."""
        raise NotImplementedError

    def inode(self) -> int:
        """The inode number."""
        raise NotImplementedError

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Is it a directory, or by default a symlink to one?"""
        raise NotImplementedError

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Is it a regular file, or by default a symlink to one?"""
        raise NotImplementedError

    def is_symlink(self) -> bool:
        """Is it a symbolic link, even a broken one?"""
        raise NotImplementedError

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """The entry's status, if ``scandir`` was called with ``stat=True`` and the same *follow_symlinks*.

        Raises the OSError of the worker's own attempt, as for a symlink that leads nowhere.
        """
        raise NotImplementedError

    def __fspath__(self) -> AnyStr:
        raise NotImplementedError

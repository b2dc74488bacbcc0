"""Directory trees with all that makes trouble, and what `find` says of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

STRANGE = (b"new\nline", b"\xff\xfe\x80", b"tab\tand space ", b"-dash", b"\xe4", "ä€".encode(), b"\x01\x7f", b"\\")


def find(*arguments: str | bytes, cwd: str | os.PathLike[str] | None = None, user: int | None = None) -> set[bytes]:
    """Return the paths that `find` prints."""
    done = subprocess.run(
        ["find", *arguments, "-print0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        user=user,
        check=False,
    )
    return set(done.stdout.split(b"\0")[:-1])


def plant_strange(folder: Path) -> Path:
    """Fill *folder* with names that are no text, symlinks that go round, and what is no file."""
    top = os.fsencode(folder)
    for name in STRANGE:
        os.makedirs(top + b"/" + name + b"/" + name)
        os.close(os.open(top + b"/" + name + b"/file\n\xff", os.O_CREAT | os.O_WRONLY, 0o600))
    os.symlink(b".", top + b"/loop")
    os.symlink(b"..", top + b"/" + STRANGE[0] + b"/up")
    os.symlink(b"nowhere", top + b"/broken")
    os.mkfifo(top + b"/fifo")
    return folder


def plant_deep(folder: Path, levels: int, name: bytes, beside: int = 0) -> Path:
    """Nest *levels* directories, each with a file, and *beside* further directories with a directory in each."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(levels):
            for number in range(beside):
                os.mkdir(b"side%d" % number, dir_fd=fd)
                os.mkdir(b"side%d/below" % number, dir_fd=fd)
            os.mkdir(name, dir_fd=fd)
            os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
            deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = deeper
    finally:
        os.close(fd)
    return folder


def uproot(folder: Path) -> None:
    """Remove a tree that is too deep for others."""
    subprocess.run(["rm", "-rf", folder], check=True)

"""Print the largest files below a folder, without an event loop: blocking_script.py [FOLDER]"""

from __future__ import annotations

import heapq
import sys

import anyaio.blocking as aio


def sizes(root: str) -> list[tuple[int, str]]:
    """The size and path of every regular file below *root*, each folder being one request that stats its entries."""
    found = []
    folders = [root]
    while folders:
        folder = folders.pop()
        for entry in aio.scandir(folder, order="stat", stat=True, resolve=False):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                found.append((entry.stat(follow_symlinks=False).st_size, entry.path))
    return found


def main(root: str) -> None:
    for size, path in heapq.nlargest(10, sizes(root)):
        print(f"{size:12} {path}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["."]))

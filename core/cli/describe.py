"""An entry as a JSON object, in pure ASCII.

A path is text in UTF-8. A byte that is none becomes a lone surrogate, as Python's ``surrogateescape`` makes it:
``json.loads(line)["path"].encode("utf-8", "surrogateescape")`` is the very path. Such an object has ``path_base64``
too, the bytes for everybody else.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from json.encoder import encode_basestring_ascii as quote
from typing import Any

TYPES = {1: "fifo", 2: "char", 4: "directory", 6: "block", 8: "file", 10: "symlink", 12: "socket", 14: "whiteout"}


def describe(path: bytes, entry: Any, status: os.stat_result | None) -> bytes:
    """Return the object of *path*, with size and times if its *status* is given."""
    text = path.decode("utf-8", "surrogateescape")
    inode = entry.inode() if status is None else status.st_ino
    fields = f'{{"path": {quote(text)}, "type": "{TYPES.get(entry.type, "unknown")}", "inode": {inode}'
    if status is not None:
        fields += f', "size": {status.st_size}, "atime_ns": {status.st_atime_ns}'
        fields += f', "mtime_ns": {status.st_mtime_ns}, "ctime_ns": {status.st_ctime_ns}'
    if not text.isascii() and path.decode("utf-8", "replace") != text:
        fields += f', "path_base64": "{b2a_base64(path, newline=False).decode()}"'
    return f"{fields}}}".encode()

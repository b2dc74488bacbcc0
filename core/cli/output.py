"""What the program writes: bytes, in large pieces to stdout, in whole lines to stderr."""

from __future__ import annotations

import os
from time import monotonic

STDOUT, STDERR = 1, 2

ENOUGH = 1 << 16  # bytes to write at once: what a pipe holds
LONGEST = 0.1  # seconds that written text is held back


class WriteError(Exception):
    """Stdout does not take what is written; the text says why."""


class Output:
    """Stdout, buffered. BrokenPipeError when nobody reads it any more; else WriteError."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._flushed = monotonic()

    def write(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= ENOUGH or monotonic() - self._flushed > LONGEST:
            self.flush()

    def flush(self) -> None:
        text = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        try:
            write_all(STDOUT, text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WriteError(error.strerror) from error
        self._flushed = monotonic()


def write_all(fd: int, text: bytes) -> None:
    """Write *text*, however often that takes; also where the descriptor was set to O_NONBLOCK by who shares it."""
    rest = memoryview(text)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])


def complain(message: str, *, command: str = "anyaio", before: bytes = b"") -> None:
    """Write a message to stderr."""
    write_stderr(before + os.fsencode(f"{command}: {message}\n"))


SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: bytes) -> bytes:
    """Return *text* with ``\\xNN`` for each byte that a terminal might obey instead of showing it."""
    characters = text.decode("utf-8", "surrogateescape")
    return text if characters.isprintable() else "".join(map(escape, characters)).encode()


def escape(character: str) -> str:
    if character.isprintable():
        return character
    code = character.encode("utf-8", "surrogateescape")
    return SHORT.get(character) or "".join(f"\\x{byte:02x}" for byte in code)


def write_stderr(text: bytes) -> None:
    """Write *text* to stderr, if there is any."""
    try:
        write_all(STDERR, text)
    except OSError:  # there is nobody left to tell
        return

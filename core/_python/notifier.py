"""A descriptor that can be made readable: how workers reach a loop, and how a worker in poll(2) is reached."""

from __future__ import annotations

import os


class Notifier:
    """An eventfd, or a pipe where there is none. Closed when nobody holds it any more."""

    __slots__ = ("fd", "_other")

    fd: int  # readable between `set` and `clear`; -1 once it was closed
    _other: int  # the end to write to, the same descriptor for an eventfd

    def __init__(self) -> None:
        self.fd = self._other = -1
        try:
            self.fd = self._other = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except (AttributeError, OSError):  # no such call here, or a sandbox forbids it
            self.fd, self._other = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._other, False)

    def set(self) -> None:
        """Make the descriptor readable. Not twice without a `clear` between."""
        os.write(self._other, b"\1\0\0\0\0\0\0\0")

    def clear(self) -> None:
        """Make it not readable."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            pass  # a signal's handler came between and has cleared it

    def close(self) -> None:
        fd, other, self.fd, self._other = self.fd, self._other, -1, -1
        if fd >= 0:
            os.close(fd)
        if other != fd:
            os.close(other)

    def __del__(self) -> None:
        if hasattr(self, "_other"):  # not if a signal's handler raised before it was set
            self.close()

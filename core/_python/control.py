"""fcntl and ioctl in the Python backend.

What the kernel writes it writes into memory of our own with room for more than any command is known to take: a buffer
that is too small is never written past its end.
"""

from __future__ import annotations

import fcntl as _module

from .memory import address
from .paths import check

_ROOM = 1024  # as the module `fcntl` gives


def fcntl(fd: int, cmd: int, arg: int | memoryview) -> int | bytes:
    """Do what `fcntl.fcntl` does; a writable buffer is changed in place."""
    from .libc import fcntl as call

    if isinstance(arg, int):
        return call(fd, cmd, arg)
    memory = _copy(arg, 0)
    return _give_back(arg, memory, call(fd, cmd, memory))


def ioctl(fd: int, request: int, arg: int | memoryview) -> int | bytes:
    """Do what `fcntl.ioctl` does; a writable buffer is changed in place."""
    check(fd)
    if isinstance(arg, int):
        return _module.ioctl(fd, request, arg)
    # More than 1024 bytes are handed to the driver as they are.
    memory = _copy(arg, 1 + (request >> 16 & 0x3FFF))  # _IOC_SIZE of <asm-generic/ioctl.h>; at most that of the others
    return _give_back(arg, memory, _module.ioctl(fd, request, memory, True))


def _copy(arg: memoryview, least: int) -> bytearray:
    memory = bytearray(max(arg.nbytes, least, _ROOM + 1))
    memory[: arg.nbytes] = arg.tobytes()
    return memory


def _give_back(arg: memoryview, memory: bytearray, result: int) -> int | bytes:
    if arg.readonly:
        return bytes(memory[: arg.nbytes])
    if arg.nbytes:
        import ctypes

        ctypes.memmove(address(arg), bytes(memory[: arg.nbytes]), arg.nbytes)
    return result

"""Which features of the kernel work here: each is tried, none concluded from a version.

A probe returns True or False, or None if Python or the C library gives no way to ask. What has no wrapper in Python is
called through ctypes.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

MISSING = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)  # EPERM: forbidden by a container's filter

SYS_OPENAT2 = 437  # the same on all architectures
AT_FDCWD = -100
RESOLVE_CACHED = 0x20
STATX_BASIC_STATS = 0x7FF
RENAME_NOREPLACE = 1


def works(call: Callable[[], object], *, fine: tuple[int, ...] = ()) -> bool:
    """Did *call* reach a kernel that knows it? Errors in *fine* come from one that does."""
    try:
        call()
    except OSError as error:
        if error.errno in fine:
            return True
        if error.errno in MISSING:
            return False
        raise
    return True


def c_function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library that raises OSError, or None if there is no such."""
    try:
        import ctypes
    except ImportError:
        return None
    function: Any = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None

    def call(*arguments: Any) -> int:
        result: int = function(*arguments)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    return call


def probe_eventfd() -> bool | None:
    if not hasattr(os, "eventfd"):
        return None
    return works(lambda: os.close(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)))


def probe_preadv2() -> bool | None:
    """RWF_NOWAIT, on regular files that Python itself was read from."""
    flag = getattr(os, "RWF_NOWAIT", None)
    if flag is None or not hasattr(os, "preadv"):
        return None
    paths = (os.__file__, sys.executable)
    return any(works(partial(read_nowait, path, flag), fine=(errno.EAGAIN,)) for path in paths)


def read_nowait(path: str, flag: int) -> None:
    with open(path, "rb", buffering=0) as file:
        os.preadv(file.fileno(), [bytearray(1)], 0, flag)


def probe_openat2() -> bool | None:
    call = c_function("syscall")
    if call is None:
        return None
    import ctypes

    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_CACHED)
    at, size = ctypes.c_long(AT_FDCWD), ctypes.c_size_t(ctypes.sizeof(how))
    number = ctypes.c_long(SYS_OPENAT2)
    return works(lambda: os.close(call(number, at, b"/", how, size)), fine=(errno.EAGAIN,))


def probe_statx() -> bool | None:
    call = c_function("statx")
    if call is None:
        return None
    import ctypes

    buffer = ctypes.create_string_buffer(512)
    return works(lambda: call(AT_FDCWD, b"/", 0, ctypes.c_uint(STATX_BASIC_STATS), buffer))


def probe_renameat2() -> bool | None:
    call = c_function("renameat2")
    if call is None:
        return None
    import ctypes

    # A rename of what is not there changes nothing: ENOENT is the answer of a kernel that knows the call.
    with tempfile.TemporaryDirectory() as folder:
        names = (os.fsencode(folder) + b"/from", os.fsencode(folder) + b"/to")
        flags = ctypes.c_uint(RENAME_NOREPLACE)
        return works(lambda: call(AT_FDCWD, names[0], AT_FDCWD, names[1], flags), fine=(errno.ENOENT,))


def probe_getdents64() -> bool | None:
    call = c_function("getdents64")
    if call is None:
        return None
    import ctypes

    buffer = ctypes.create_string_buffer(4096)
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return works(lambda: call(fd, buffer, ctypes.c_size_t(len(buffer))))
    finally:
        os.close(fd)


FEATURES: dict[str, Callable[[], bool | None]] = {
    "eventfd": probe_eventfd,
    "preadv2 RWF_NOWAIT": probe_preadv2,
    "openat2": probe_openat2,
    "statx": probe_statx,
    "renameat2": probe_renameat2,
    "getdents64": probe_getdents64,
}

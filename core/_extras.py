"""Plain synchronous functions, for what IO::AIO has and Python's library lacks; the same with both backends.

None of them goes through a worker: they return at once, but for `mount` and `umount`. A function that libc lacks is an
OSError with ENOSYS.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from ._foreign import (
    C_INT,
    C_UNSIGNED,
    addressed,
    call,
    descriptor,
    fail,
    function,
    integer,
    kind,
    load,
    part,
    text,
    whole_pages,
)
from ._types import ReadableBuffer, StrOrBytesPath

if TYPE_CHECKING:
    import mmap

if sys.platform == "linux" and sys.version_info >= (3, 13):
    from os import timerfd_create as timerfd_create
    from os import timerfd_gettime as timerfd_gettime
    from os import timerfd_gettime_ns as timerfd_gettime_ns
    from os import timerfd_settime as timerfd_settime
    from os import timerfd_settime_ns as timerfd_settime_ns
else:
    from ._timerfd import timerfd_create as timerfd_create
    from ._timerfd import timerfd_gettime as timerfd_gettime
    from ._timerfd import timerfd_gettime_ns as timerfd_gettime_ns
    from ._timerfd import timerfd_settime as timerfd_settime
    from ._timerfd import timerfd_settime_ns as timerfd_settime_ns

PIDFD_GETFD = 438  # the system call's number on all architectures but Alpha


# ---- memory ----


def munlock(buffer: ReadableBuffer, offset: int = 0, length: int | None = None) -> None:
    """Undo `mlock` for *length* bytes from *offset* on (None: the rest), widened to whole pages.

    A negative *offset* counts from the end.
    """
    with addressed(buffer) as (address, size):
        start, length = part("munlock", size, offset, length)
        if length:
            call("munlock", *whole_pages(address + start, length))


def munlockall() -> None:
    """Undo `mlock` and `mlockall` for all pages of the process."""
    call("munlockall")


def mprotect(buffer: mmap.mmap | memoryview, prot: int, offset: int = 0, length: int | None = None) -> None:
    """Protect *length* bytes of a mapping from *offset* on (None: the rest), widened to whole pages.

    *prot* is ``anyaio.PROT_NONE``, or a sum of ``mmap.PROT_READ``, ``PROT_WRITE`` and ``PROT_EXEC`` (mprotect(2));
    *buffer* an `mmap.mmap` or a memoryview of one: whole pages of anything else would be others' memory too. A
    negative *offset* counts from the end.

    Python does not know of the protection: whatever then reads what is not readable, or writes what is not writable,
    kills the process (SIGSEGV).
    """
    import mmap

    mapping = buffer.obj if isinstance(buffer, memoryview) else buffer
    if not isinstance(mapping, mmap.mmap):
        raise TypeError(f"mprotect: buffer must be an mmap or a memoryview of one, not {kind(buffer)}")
    prot = integer("mprotect: prot", prot, C_INT)
    with addressed(buffer) as (address, size):
        start, length = part("mprotect", size, offset, length)
        if length:
            call("mprotect", *whole_pages(address + start, length), prot)


# ---- descriptors ----


def pipesize(fd: int, size: int | None = None) -> int:
    """Return how many bytes a pipe can hold, after having it hold at least *size* if that is given.

    The kernel rounds up; over /proc/sys/fs/pipe-max-size it is a PermissionError without privileges.
    """
    number = descriptor("pipesize: fd", fd)
    if sys.platform != "linux":
        fail(errno.ENOSYS)
    import fcntl

    if size is None:
        return fcntl.fcntl(number, fcntl.F_GETPIPE_SZ)
    return fcntl.fcntl(number, fcntl.F_SETPIPE_SZ, integer("pipesize: size", size, C_INT))


def pidfd_getfd(pidfd: int, targetfd: int, flags: int = 0) -> int:
    """Return a duplicate of the descriptor *targetfd* of the process that *pidfd* is of: see `os.pidfd_open`.

    It is not inherited by other programs. It needs the permission to trace that process (pidfd_getfd(2)).
    """
    numbers = descriptor("pidfd_getfd: pidfd", pidfd), integer("pidfd_getfd: targetfd", targetfd, C_INT)
    flags = integer("pidfd_getfd: flags", flags, C_UNSIGNED)
    if function("pidfd_getfd") is not None or sys.platform != "linux" or os.uname().machine == "alpha":
        return call("pidfd_getfd", *numbers, load().c_uint(flags))
    return call("syscall", PIDFD_GETFD, *numbers, load().c_uint(flags))  # glibc has the function from 2.36 on


# ---- file systems ----


def mount(
    source: StrOrBytesPath | None,
    target: StrOrBytesPath,
    fstype: str | bytes | None,
    flags: int = 0,
    data: str | bytes | None = None,
) -> None:
    """Mount *source* on *target*, or change a mount, as *flags*, ``anyaio.MS_*``, say (mount(2)).

    *data* is the file system's; None stands for what the kernel does not look at. It needs privileges.
    """
    names = {"source": source, "target": target, "fstype": fstype, "data": data}
    texts = {name: text(f"mount: {name}", value, optional=name != "target") for name, value in names.items()}
    number = integer("mount: flags", flags, C_UNSIGNED)
    call(
        "mount",
        *(texts[name] for name in ("source", "target", "fstype")),
        load(source, target).c_ulong(number),
        texts["data"],
        filenames=(source, target),
    )


def umount(target: StrOrBytesPath, flags: int = 0) -> None:
    """Undo a mount; *flags* are ``anyaio.MNT_*`` and UMOUNT_NOFOLLOW (umount2(2)). It needs privileges."""
    path = text("umount: target", target, optional=False)
    call("umount2", path, integer("umount: flags", flags, C_INT), filenames=(target,))


# ---- the limit of descriptors ----


def fdlimit() -> int:
    """Return how many descriptors the process may have: the soft limit, or ``sys.maxsize`` if there is none."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def min_fdlimit(n: int = 2**31 - 1) -> bool:
    """Have the process's limit of descriptors be at least *n*, and return whether it is.

    The hard limit is raised with it, as far as the process may; neither limit is ever lowered. Where *n* is not allowed
    they are raised as high as they can be. Beware: what uses select(2) cannot watch descriptors from 1024 on.
    """
    import resource

    n = integer("min_fdlimit: n", n, (-(2**63), 2**63 - 1))
    if fdlimit() >= n:
        return True
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= n:
        return _set_limits(n, hard)
    if _set_limits(n, n):
        return True
    refused = n
    while refused - hard > 1:  # the kernel does not tell how much is allowed
        middle = (hard + refused) // 2
        if _set_limits(soft, middle):
            hard = middle
        else:
            refused = middle
    _set_limits(hard, hard)
    return False


def _set_limits(soft: int, hard: int) -> bool:
    """Set both limits of descriptors, and return whether that is allowed."""
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (OSError, ValueError):  # setrlimit makes ValueErrors of EPERM and EINVAL
        return False
    return True

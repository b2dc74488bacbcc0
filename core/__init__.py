"""Asynchronous files and directories on every event loop.

Here are the engine in the callback colour and what all colours share. Each loop has a package with the operations as
plain functions, such as `anyaio.asyncio`; `anyaio.any` is for libraries, `anyaio.blocking` for scripts without a loop.
"""

import atexit
from typing import TYPE_CHECKING

from ._backend import backend
from ._constants import *  # noqa: F403  # nothing but constants
from ._direntry import DirEntry as DirEntry
from ._extras import fdlimit as fdlimit
from ._extras import min_fdlimit as min_fdlimit
from ._extras import mount as mount
from ._extras import mprotect as mprotect
from ._extras import munlock as munlock
from ._extras import munlockall as munlockall
from ._extras import pidfd_getfd as pidfd_getfd
from ._extras import pipesize as pipesize
from ._extras import timerfd_create as timerfd_create
from ._extras import timerfd_gettime as timerfd_gettime
from ._extras import timerfd_gettime_ns as timerfd_gettime_ns
from ._extras import timerfd_settime as timerfd_settime
from ._extras import timerfd_settime_ns as timerfd_settime_ns
from ._extras import umount as umount
from ._front import Engine as Engine
from ._group import Group as Group
from ._request import Cancelled as Cancelled
from ._request import Outcome as Outcome
from ._request import Request as Request
from ._request import outcome as outcome
from ._results import Extent as Extent
from ._results import Statx as Statx
from ._running import current as current
from ._running import register as register
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._engine import Pool as Pool
    from ._engine import default_pool as default_pool
else:
    Pool = backend.Pool
    default_pool = backend.default_pool
atexit.register(backend.drain)

__all__ = [
    "Cancelled",
    "DirEntry",
    "Engine",
    "Extent",
    "Group",
    "Outcome",
    "Pool",
    "Request",
    "Statx",
    "__version__",
    "current",
    "default_pool",
    "fdlimit",
    "min_fdlimit",
    "mount",
    "mprotect",
    "munlock",
    "munlockall",
    "outcome",
    "pidfd_getfd",
    "pipesize",
    "register",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_gettime_ns",
    "timerfd_settime",
    "timerfd_settime_ns",
    "umount",
]

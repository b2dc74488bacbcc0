"""The operations for Twisted: functions that return Deferreds, for the reactor.

    import anyaio.twisted as aio
    aio.stat("/etc/passwd").addCallback(lambda status: print(status.st_size))

There is nothing to open or to close: the engine starts with the first request and ends with the reactor.
"""

from . import _functions
from ._adapter import current as current
from ._functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _functions.__all__

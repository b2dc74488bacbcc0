"""The operations for gevent: functions that block the calling greenlet only.

    import anyaio.gevent as aio
    status = aio.stat("/etc/passwd")

There is nothing to open or to close: a hub's engine starts with its first request and ends with the hub's thread.
"""

from . import _functions
from ._adapter import current as current
from ._functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _functions.__all__

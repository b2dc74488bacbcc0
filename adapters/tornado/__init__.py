"""The operations for tornado: functions that return Futures, for the current IOLoop.

    import anyaio.tornado as aio
    IOLoop.current().add_future(aio.stat("/etc/passwd"), lambda future: print(future.result()))

There is nothing to open or to close: a loop's engine starts with its first request and ends with the loop.
"""

from . import _functions
from ._adapter import current as current
from ._functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _functions.__all__

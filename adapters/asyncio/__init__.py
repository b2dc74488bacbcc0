"""The operations for asyncio and uvloop: coroutine functions, for whichever loop is running.

    import anyaio.asyncio as aio
    status = await aio.stat("/etc/passwd")

There is nothing to open or to close: a loop's engine starts with its first request and ends with the loop.
"""

from . import _functions
from ._adapter import current as current
from ._functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _functions.__all__

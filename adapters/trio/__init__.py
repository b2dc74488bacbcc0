"""The operations for trio: coroutine functions, for tasks and nurseries of the running loop.

    import anyaio.trio as aio
    status = await aio.stat("/etc/passwd")

There is nothing to open or to close: a run's engine starts with its first request and ends with the run.
"""

from . import _functions
from ._adapter import current as current
from ._functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _functions.__all__

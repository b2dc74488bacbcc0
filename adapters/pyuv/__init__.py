"""The operations for pyuv: functions that take a callback, for the loop that the thread uses.

    import anyaio.pyuv as aio
    aio.use(loop)
    aio.pread(fd, 4096, 0, callback)

A request keeps its loop running until its callback was called. There is nothing to close.
"""

from . import _functions
from ._adapter import current as current
from ._adapter import use as use
from ._functions import *  # noqa: F403

__all__ = ["current", "use"]
__all__ += _functions.__all__

"""The operations for a thread that runs no event loop: each call returns when its result is there.

    import anyaio.blocking as aio
    status = aio.stat("/etc/passwd")

They go through an engine, as everywhere: what was submitted through ``aio.current().engine`` goes on meanwhile. Inside
a running event loop every call is a RuntimeError.
"""

from . import _blocking_functions
from ._blocking import current as current
from ._blocking_functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _blocking_functions.__all__

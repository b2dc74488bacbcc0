"""The operations for libraries whose users choose the event loop: coroutine functions, for asyncio's and trio's tasks.

    import anyaio.any as aio
    status = await aio.stat("/etc/passwd")

Which loop runs the task is looked up at each call, so one function may serve both at once; neither is imported for it.
"""

from . import _any_functions
from ._any import current as current
from ._any_functions import *  # noqa: F403

__all__ = ["current"]
__all__ += _any_functions.__all__

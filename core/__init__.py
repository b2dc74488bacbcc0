"""Asynchronous files and directories on every event loop.

Here are the engine in the callback colour and what all colours share; `anyaio.asyncio` and `anyaio.blocking` have the
same operations as plain functions.
"""

import atexit
from typing import TYPE_CHECKING

from ._backend import backend
from ._direntry import DirEntry as DirEntry
from ._front import Engine as Engine
from ._request import Cancelled as Cancelled
from ._request import Outcome as Outcome
from ._request import Request as Request
from ._request import outcome as outcome
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._engine import Pool as Pool
    from ._engine import default_pool as default_pool
else:
    Pool = backend.Pool
    default_pool = backend.default_pool
atexit.register(backend.drain)

__all__ = ["Cancelled", "DirEntry", "Engine", "Outcome", "Pool", "Request", "__version__", "default_pool", "outcome"]

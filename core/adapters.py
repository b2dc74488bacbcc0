"""What an adapter for a loop is made of, also one of another package: the methods it has, and the front ends it starts.

docs/internals.md has the rules. `anyaio.register` makes the loop known, `anyaio.testing` tests the adapter.
"""

from ._front import Adapter as Adapter
from ._front import AwaitAdapter as AwaitAdapter
from ._front import AwaitFront as AwaitFront
from ._front import BlockingAdapter as BlockingAdapter
from ._front import BlockingFront as BlockingFront
from ._front import CallbackFront as CallbackFront
from ._front import FutureAdapter as FutureAdapter
from ._front import FutureFront as FutureFront
from ._fronts import CallbackAdapter as CallbackAdapter
from ._fronts import Chosen as Chosen
from ._fronts import Fronts as Fronts

__all__ = [
    "Adapter",
    "AwaitAdapter",
    "AwaitFront",
    "BlockingAdapter",
    "BlockingFront",
    "CallbackAdapter",
    "CallbackFront",
    "Chosen",
    "Fronts",
    "FutureAdapter",
    "FutureFront",
]

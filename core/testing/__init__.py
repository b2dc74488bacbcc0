"""The conformance suite: the behaviours that every loop's adapter has, and what runs them. For pytest.

from anyaio.testing import AwaitLoop, conformance

class MyLoop(AwaitLoop): ...  # how the suite runs a program and starts a task there

test_conformance = conformance(MyLoop())
"""

from ._driver import AwaitLoop as AwaitLoop
from ._driver import BlockingLoop as BlockingLoop
from ._driver import CallbackLoop as CallbackLoop
from ._driver import Driver as Driver
from ._driver import FutureLoop as FutureLoop
from ._driver import ThreadLocal as ThreadLocal
from ._pytest import conformance as conformance
from ._suite import behaviours as behaviours
from ._suite import check as check
from ._trial import Ending as Ending
from ._trial import Task as Task
from ._trial import Trial as Trial

__all__ = [
    "AwaitLoop",
    "BlockingLoop",
    "CallbackLoop",
    "Driver",
    "Ending",
    "FutureLoop",
    "Task",
    "ThreadLocal",
    "Trial",
    "behaviours",
    "check",
    "conformance",
]

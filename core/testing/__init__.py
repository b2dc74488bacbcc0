"""The conformance suite: the behaviours that every loop's adapter has, and what runs them. For pytest.

from anyaio.testing import AwaitLoop, conformance

class MyLoop(AwaitLoop): ...  # how the suite runs a program and starts a task there

test_conformance = conformance(MyLoop())
"""

import pkgutil
import sys

if "pytest" in sys.modules:  # its assertions tell what they compared
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{row.name}" for row in pkgutil.iter_modules(__path__)))

from ._driver import AwaitLoop as AwaitLoop
from ._driver import BlockingLoop as BlockingLoop
from ._driver import CallbackLoop as CallbackLoop
from ._driver import Driver as Driver
from ._driver import FutureLoop as FutureLoop
from ._driver import ThreadLocal as ThreadLocal
from ._driver import Trap as Trap
from ._pytest import conformance as conformance
from ._suite import behaviours as behaviours
from ._suite import check as check
from ._suite import reason_against as reason_against
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
    "Trap",
    "Trial",
    "behaviours",
    "check",
    "conformance",
    "reason_against",
]

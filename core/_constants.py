"""Constants that `os`, `mmap`, `fcntl` and `stat` lack. One that the platform lacks is absent.

Here is what other systems than Linux have too, and what is ours; `_linux_constants` and `_linux_ioctls` have the rest.
All public names are exported, so what else is needed is deleted at the end.
"""

import os
import sys
from typing import Final

if sys.platform == "linux":
    from ._linux_constants import *  # noqa: F403  # public names
    from ._linux_ioctls import *  # noqa: F403

_machine = "" if sys.platform == "win32" else os.uname().machine

# ---- ours ----

MT_MODIFY: Final = 1
"""For *flags* of `mtouch`."""

UTIME_NOW: Final = (1 << 63) * 10**9 + 0x3FFFFFFF
UTIME_OMIT: Final = (1 << 63) * 10**9 + 0x3FFFFFFE
"""For *ns* of `utime`. No time: as seconds they are beyond what time_t holds."""

# ---- memory ----

PROT_NONE: Final = 0

_ms = {"alpha": (1, 4, 2), "parisc": (2, 4, 1), "parisc64": (2, 4, 1)}.get(_machine, (1, 2, 4))
MS_ASYNC: Final = _ms[0]
MS_INVALIDATE: Final = _ms[1]
MS_SYNC: Final = 0x10 if sys.platform == "darwin" else _ms[2]

_mcl = 0x2000 if _machine.startswith(("alpha", "ppc", "sparc")) else 1
MCL_CURRENT: Final = _mcl
MCL_FUTURE: Final = 2 * _mcl
if sys.platform == "linux":
    MCL_ONFAULT: Final = 4 * _mcl

# ---- the type of a directory's entry: `DirEntry.type` ----

DT_UNKNOWN: Final = 0
DT_FIFO: Final = 1
DT_CHR: Final = 2
DT_DIR: Final = 4
DT_BLK: Final = 6
DT_REG: Final = 8
DT_LNK: Final = 10
DT_SOCK: Final = 12
DT_WHT: Final = 14

del Final, os, sys

"""Constants that `os`, `mmap`, `fcntl` and `stat` lack. One that the platform lacks is absent."""

from __future__ import annotations

import sys
from typing import Final

MT_MODIFY: Final = 1
MS_SYNC: Final = 0x10 if sys.platform == "darwin" else 4

UTIME_NOW: Final = (1 << 63) * 10**9 + 0x3FFFFFFF
UTIME_OMIT: Final = (1 << 63) * 10**9 + 0x3FFFFFFE
"""For *ns* of `utime`. No time: as seconds they are beyond what time_t holds."""

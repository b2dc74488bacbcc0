"""uvloop: asyncio's adapter serves it."""

from __future__ import annotations

import uvloop

from .asyncio import Asyncio

DRIVERS = [Asyncio("uvloop", uvloop.new_event_loop)]

"""anyaio.any, in asyncio and in trio."""

from __future__ import annotations

import asyncio as framework
from typing import Any

import anyaio.any

from .asyncio import Asyncio
from .trio import Guest


class AnyInAsyncio(Asyncio):
    @property
    def aio(self) -> Any:
        return anyaio.any

    def styles(self) -> dict[str, Any]:
        return {"await aio.stat(path)": lambda name, *arguments: getattr(anyaio.any, name)(*arguments)}


class AnyInTrio(Guest):
    """As a guest of asyncio: two loops run, and trio's is to be found."""

    name = "anyaio.any in trio in asyncio"

    @property
    def aio(self) -> Any:
        return anyaio.any

    def styles(self) -> dict[str, Any]:
        return {"await aio.stat(path)": lambda name, *arguments: getattr(anyaio.any, name)(*arguments)}


DRIVERS = [AnyInAsyncio("anyaio.any in asyncio", framework.new_event_loop), AnyInTrio()]

"""The front end that `anyaio.any` uses, looked up at each call: the next task may be of another loop."""

from ._running import current_await as current

__all__ = ["current"]

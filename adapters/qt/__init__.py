"""The operations for Qt (PySide6), with callbacks.

    import anyaio.qt
    aio = anyaio.qt.current()  # of the event loop of this thread
    aio.stat("/etc/passwd", callback)

There is nothing to close: the engine goes with the application or thread.
"""

from ._adapter import current as current

__all__ = ["current"]

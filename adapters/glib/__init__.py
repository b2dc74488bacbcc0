"""The operations for GLib and GTK (PyGObject), with callbacks.

    import anyaio.glib
    aio = anyaio.glib.current()  # of the main context that this thread runs
    aio.stat("/etc/passwd", callback)

There is nothing to close: the engine goes with the context.
"""

from ._adapter import current as current

__all__ = ["current"]

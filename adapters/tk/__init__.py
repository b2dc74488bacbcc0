"""The operations for Tk (tkinter), with callbacks.

    import anyaio.tk
    aio = anyaio.tk.use(root)
    aio.stat("/etc/passwd", callback)

There is nothing to close: the engine goes with the window.
"""

from ._adapter import current as current
from ._adapter import use as use

__all__ = ["current", "use"]

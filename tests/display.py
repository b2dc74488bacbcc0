"""A display for programs with windows: the one that there is, or an Xvfb for the rest of this process."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess


def lacking() -> str:
    """Why no window can be shown; "" if one can."""
    if os.environ.get("DISPLAY") or shutil.which("Xvfb"):
        return ""
    return "no display, and Xvfb is not installed"


@functools.cache
def show() -> None:
    """See that DISPLAY names a display."""
    if os.environ.get("DISPLAY"):
        return
    reader, writer = os.pipe()
    with open(reader) as tells:  # the number of a display that was free, when it is ready
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp", "-screen", "0", "320x200x8"],
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        number = tells.readline().strip()
    if not number:
        raise RuntimeError(f"Xvfb ended with status {server.wait()}")
    owner = os.getpid()

    def stop() -> None:
        if os.getpid() == owner:  # a fork's child leaves it alone
            server.terminate()
            server.wait()

    atexit.register(stop)
    os.environ["DISPLAY"] = f":{number}"

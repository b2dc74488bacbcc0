"""Count the lines of files in a GLib main loop: glib_mainloop.py PATH..."""

from __future__ import annotations

import sys

from gi.repository import GLib

import anyaio
import anyaio.glib


def main(paths: list[str]) -> None:
    loop = GLib.MainLoop()
    aio = anyaio.glib.current()

    def told(path: str, request: anyaio.Request[bytes]) -> None:
        try:
            print(path, request.result().count(b"\n"))
        except OSError as error:
            print(error)

    group = aio.each(aio.read_bytes, paths, told, ordered=True)
    group.callback = lambda group: loop.quit()
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1:] or ["/etc/passwd"])

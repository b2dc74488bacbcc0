"""Show the entries of a folder in a Qt window, as they are found out, with their sizes: qt_window.py FOLDER

With --close the window closes when they are all there.
"""

from __future__ import annotations

import os
import sys

from PySide6.QtWidgets import QApplication, QListWidget

import anyaio
import anyaio.qt


def main(folder: str, close: bool) -> None:
    application = QApplication([])
    aio = anyaio.qt.current()
    entries = QListWidget()
    entries.show()

    def listed(request: anyaio.Request[list[str]]) -> None:
        paths = [os.path.join(folder, name) for name in sorted(request.result())]
        aio.each(aio.lstat, paths, told, limit=64, ordered=True).callback = ended

    def told(path: str, request: anyaio.Request[os.stat_result]) -> None:
        entries.addItem(f"{os.path.basename(path)}: {request.result().st_size} bytes")

    def ended(group: anyaio.Group) -> None:
        print(entries.count(), "entries shown")
        if close:
            entries.close()

    aio.listdir(folder, listed)
    application.exec()
    aio.shutdown()


if __name__ == "__main__":
    close = "--close" in sys.argv
    main(next((word for word in sys.argv[1:] if word != "--close"), "."), close)

"""Copy a large file behind a window with a progress bar that can cancel it: tk_window.py SOURCE TARGET

With --close the window closes when the file is copied.
"""

from __future__ import annotations

import sys
import tkinter
from tkinter import ttk

import anyaio
import anyaio.tk


def main(source: str, target: str, close: bool) -> None:
    root = tkinter.Tk()
    aio = anyaio.tk.use(root)
    text = tkinter.StringVar(root, "0 bytes")
    bar = ttk.Progressbar(root, length=300)
    bar.pack()
    tkinter.Label(root, textvariable=text).pack()

    def progress(done: int, size: int) -> None:
        text.set(f"{done} of {size} bytes")
        bar["value"] = 100 * done // max(size, 1)

    def copied(request: anyaio.Request[None]) -> None:
        try:
            request.result()
        except OSError as error:
            text.set(str(error))
        else:
            text.set("copied")
        print(text.get())
        if close:
            root.destroy()

    copying = aio.copy(source, target, copied, progress=progress)
    tkinter.Button(root, text="Cancel", command=copying.cancel).pack()
    root.mainloop()


if __name__ == "__main__":
    source, target = [word for word in sys.argv[1:] if word != "--close"]
    main(source, target, "--close" in sys.argv)

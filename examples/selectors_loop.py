"""A loop of one's own that counts the entries of folders while a clock ticks: selectors_loop.py FOLDER..."""

from __future__ import annotations

import selectors
import sys
import time

import anyaio

TICK = 0.05


def main(folders: list[str]) -> None:
    engine = anyaio.Engine()
    ticks = 0

    def counted(request: anyaio.Request[list[str]]) -> None:
        try:
            print(len(request.result()), "entries")
        except OSError as error:
            print(error)

    with selectors.DefaultSelector() as selector:
        selector.register(engine.fileno(), selectors.EVENT_READ)
        for folder in folders:
            engine.listdir(folder, callback=counted)
        engine.busy(3 * TICK)
        next_tick = time.monotonic() + TICK
        while engine.nreqs:
            if selector.select(max(0.0, next_tick - time.monotonic())):
                engine.poll()
            if time.monotonic() >= next_tick:
                ticks += 1
                next_tick += TICK
    engine.shutdown()
    print("the clock ticked" if ticks else "the clock did not tick")


if __name__ == "__main__":
    main(sys.argv[1:] or ["/"])

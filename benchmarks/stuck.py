"""What calls that do not end leave to others: preads in the pool lane beside opens of FIFOs that nobody writes to.

As many as the pool may have threads, and twice as many; one pread at a time, and some in flight.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable

import anyaio

from .common import Medians, Options, Result, Row, Subject

SIZE = 4096
MANY = {"none": 0, "as many as threads": 1, "twice as many": 2}


def rate(engine: anyaio.Engine, fd: int, in_flight: int, seconds: float) -> float:
    """Preads a second."""
    pread = engine.with_options(lane="pool").pread
    done = 0
    ending = False

    def again(request: anyaio.Request[bytes]) -> None:
        nonlocal done
        assert request.result() == bytes(SIZE)
        done += 1
        if not ending:
            pread(fd, SIZE, 0, again)

    began = time.perf_counter()
    for _ in range(in_flight):
        pread(fd, SIZE, 0, again)
    while (now := time.perf_counter()) < began + seconds:
        engine.wait(0.1)
        engine.poll()
    result = done / (now - began)
    ending = True
    return result


def get_stuck(engine: anyaio.Engine, folder: str, count: int) -> list[str]:
    """Open *count* FIFOs that have no writer; return when all that will run do."""
    paths = [f"{folder}/{number}" for number in range(count)]
    for path in paths:
        os.mkfifo(path)
        engine.open(path, os.O_RDONLY)
    settled = time.perf_counter() + 0.5
    while time.perf_counter() < settled:
        engine.wait(0.01)
        engine.poll()
    return paths


def side(times: int, in_flight: Callable[[Options], int]) -> Callable[[Options], Result]:
    def run(options: Options) -> Result:
        engine = anyaio.Engine(anyaio.Pool())
        with tempfile.TemporaryDirectory(dir=options.folder) as folder, tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(SIZE)
            rate(engine, file.fileno(), in_flight(options), 0.1)
            paths = get_stuck(engine, folder, times * engine.pool.max_parallel)
            result = rate(engine, file.fileno(), in_flight(options), options.seconds)
            writers = [os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in paths]
            engine.shutdown()
            for writer in writers:
                os.close(writer)
        return {"preads a second": result}

    return run


FLIGHTS: dict[str, Callable[[Options], int]] = {"alone": lambda _: 1, "in flight": lambda options: options.in_flight}


def rows(sides: Medians) -> list[Row]:
    found = [Row(f"{name}: {unit}", value, "") for name, result in sides.items() for unit, value in result.items()]
    free = {flight: sides[f"{flight}, stuck: none"]["preads a second"] for flight in FLIGHTS}
    ratios = [
        Row(f"{name}: share of the rate", sides[name]["preads a second"] / free[name.split(",")[0]], "", ">= 0.8")
        for name in sides
        if not name.endswith("none")
    ]
    return found + ratios


SUBJECT = Subject(
    {
        f"{flight}, stuck: {many}": side(times, in_flight)
        for flight, in_flight in FLIGHTS.items()
        for many, times in MANY.items()
    },
    rows,
)

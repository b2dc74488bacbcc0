"""The engine alone: a nop there and back, a fixed number in flight, poll whenever the descriptor is readable."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

import anyaio

from .common import Medians, Options, Result, Row, Subject, threads


def measure(options: Options, wait: Callable[[int], Callable[[], object]]) -> Result:
    engine = anyaio.Engine()
    nop = engine.with_options().nop
    until_readable = wait(engine.fileno())

    def run(operations: int) -> float:
        left = operations - options.in_flight
        done = 0

        def callback(request: anyaio.Request[None]) -> None:
            nonlocal left, done
            done += 1
            if left:
                left -= 1
                nop(callback=callback)

        began = time.perf_counter()
        for _ in range(options.in_flight):
            nop(callback=callback)
        while engine.nreqs:
            until_readable()
            engine.poll()
        took = time.perf_counter() - began
        assert done == operations, done
        return took

    run(options.operations // 10)
    took = run(options.operations * 5)
    used = threads() - 1
    engine.shutdown()
    return {"us per operation": took / (options.operations * 5) * 1e6, "threads": used}


def with_poll(options: Options) -> Result:
    def wait(fd: int) -> Callable[[], object]:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return poller.poll

    return measure(options, wait)


def with_epoll(options: Options) -> Result:
    def wait(fd: int) -> Callable[[], object]:
        poller = select.epoll()
        poller.register(fd, select.EPOLLIN)
        return poller.poll

    return measure(options, wait)


def rows(sides: Medians) -> list[Row]:
    return [
        row
        for side, result in sides.items()
        for row in (
            Row(f"nop, {side}", result["us per operation"], "us"),
            Row(f"nop, {side}: worker threads", result["threads"], ""),
        )
    ]


SUBJECT = Subject({"poll": with_poll, "epoll": with_epoll}, rows)

"""What requests cost in memory: many nops before the first poll; queued reads, which hold no result."""

from __future__ import annotations

import tempfile

import anyaio

from .common import Medians, Options, Result, Row, Subject, memory, reset_peak_memory

READS, READ_SIZE = 1000, 1 << 20


def nops(options: Options) -> Result:
    engine = anyaio.Engine()
    done = 0

    def callback(request: anyaio.Request[None]) -> None:
        nonlocal done
        done += 1

    nop = engine.with_options().nop
    nop(callback=callback)
    engine.flush()
    reset_peak_memory()
    before = memory("VmRSS")
    for _ in range(options.requests):
        nop(callback=callback)
    grown = memory("VmHWM") - before
    engine.flush()
    assert done == options.requests + 1, done
    engine.shutdown()
    return {"bytes a request": grown / options.requests}


def queued_reads(options: Options) -> Result:
    pool = anyaio.Pool(max_parallel=0)
    engine = anyaio.Engine(pool)
    with tempfile.TemporaryFile(dir=options.folder) as file:
        file.truncate(READ_SIZE)
        before = memory("VmRSS")
        requests = [engine.pread(file.fileno(), READ_SIZE, 0) for _ in range(READS)]
        grown = memory("VmRSS") - before
        assert engine.nready == READS, engine.nready
        requests[0].cancel()
        engine.shutdown()
    return {"bytes a request": grown / READS}


def rows(sides: Medians) -> list[Row]:
    return [
        Row("memory: a nop before the first poll", sides["nops"]["bytes a request"], "bytes", "<= 400"),
        Row("memory: a queued pread of 1 MiB", sides["queued reads"]["bytes a request"], "bytes", "<= 4096"),
    ]


SUBJECT = Subject({"nops": nops, "queued reads": queued_reads}, rows)

"""anyaio.asyncio over the whole life of a process: each program of `programs.life`, on each backend and loop."""

from __future__ import annotations

from programs import life, runner

test_life = runner.each_on_loops(life)

"""fork: each program of `programs.fork`, on each backend."""

from __future__ import annotations

from programs import fork, runner

test_fork = runner.each(fork)

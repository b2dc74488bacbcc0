"""What the C sources include: what runs on workers must not know of Python."""

import re
from pathlib import Path

import pytest

NATIVE = Path(__file__).parent.parent / "core" / "_native"

# The files whose functions run on worker threads, and are tested as plain C programs.
OPERATIONS = {path.name for path in NATIVE.glob("ops*.c")}
THREADS = {
    "alarms.c",
    "notifier.c",
    "pool.c",
    "requests.c",
    "spin.c",
    "stuck.c",
    "waiting.c",
    "wakefd.c",
    "workers.c",
}
PLAIN = {"inline.c", "listing.c", "mounts.c", *OPERATIONS, *THREADS}


def includes(name: str) -> set[str]:
    """All that a file includes, by way of our own headers too."""
    found: set[str] = set()
    left = [name]
    while left:
        text = (NATIVE / left.pop()).read_text()
        for header in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.M):
            if header not in found:
                found.add(header)
                if (NATIVE / header).exists():
                    left.append(header)
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in NATIVE.glob("*.c")))
def test_exactly_the_cpython_part_includes_python(name):
    assert ("Python.h" in includes(name)) == (name not in PLAIN)


def test_the_files_of_the_workers_are_there():
    assert {path.name for path in NATIVE.glob("*.c")} > PLAIN


def test_operations_know_of_threads_only_the_wait_that_can_be_cancelled():
    calls = {call for name in OPERATIONS for call in re.findall(r"\b(pool_\w+)\(", (NATIVE / name).read_text())}
    assert calls == {"pool_wait_ready", "pool_wanted"}


def test_the_pool_knows_nothing_of_files():
    text = "".join((NATIVE / name).read_text() for name in THREADS)
    assert not re.search(r"\b(openat|fstatat|pread|pwrite|unlinkat|getdents64)\b", text)

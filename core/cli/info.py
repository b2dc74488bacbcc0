"""`anyaio info`: what serves here, and with what."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable

from .. import _backend, default_pool
from .._version import __version__
from .options import COMMON, Option, UsageError, help_text, parse
from .output import Output
from .probe import FEATURES

USAGE = """\
Usage: anyaio info [OPTION]...

Tell the version, the backend, limits, and which features of the kernel work here."""

OPTIONS = (Option("json", "", "print a JSON object"), *COMMON)

Facts = dict[str, "str | int | float | bool | None"]


class Chosen:
    """What the options say."""

    json = help = version = False


def info(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    chosen = Chosen()
    operands = parse("anyaio info", OPTIONS, arguments, chosen)
    if operands:
        raise UsageError(f"it takes no argument: {operands[0]!r}", "anyaio info")
    if chosen.help:
        text = help_text(USAGE, OPTIONS)
    elif chosen.version:
        text = f"anyaio {__version__}\n"
    elif chosen.json:
        import json

        text = json.dumps(gather(), indent=2) + "\n"
    else:
        text = "".join(f"{name:<22} {show(value)}\n" for name, value in gather().items())
    output = Output()
    output.write(os.fsencode(text))
    output.flush()
    return 0


def gather() -> Facts:
    pool = default_pool()
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes = resource.getrlimit(resource.RLIMIT_NPROC)
    facts: Facts = {
        "version": __version__,
        "backend": _backend.backend.NAME,
        "native missing": _backend.missing,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "pool max_parallel": pool.max_parallel,
        "pool max_idle": pool.max_idle,
        "pool idle_timeout": pool.idle_timeout,
        "processors": os.cpu_count(),
        "threads of the user": limit(processes[0]),
        "threads of the system": read_number("/proc/sys/kernel/threads-max"),
        "descriptors": limit(descriptors[0]),
        "descriptors at most": limit(descriptors[1]),
    }
    for name, probe in FEATURES.items():
        facts[name] = outcome(probe)
    return facts


def outcome(probe: Callable[[], bool | None]) -> bool | str:
    """Return what a probe finds: True, False, or the error that is no clear answer; "unknown": it cannot be tried."""
    try:
        found = probe()
        return "unknown" if found is None else found
    except OSError as error:
        return error.strerror or str(error)


def limit(value: int) -> int | str:
    return "unlimited" if value == resource.RLIM_INFINITY else value


def read_number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return None


WORDS = {"True": "yes", "False": "no", "None": "-"}


def show(value: object) -> str:
    return WORDS.get(str(value), str(value))

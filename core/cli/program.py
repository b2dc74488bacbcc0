"""The command line: which command, and how the program ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from .._version import __version__
from .options import UsageError
from .output import WriteError, complain, printable

HELP = """\
Usage: anyaio COMMAND [OPTION]... [ARGUMENT]...

Commands:
  scan   list the files in and below directories, many directories at once
  info   tell what serves here: backend, threads, kernel features

Options:
  -h, --help  show this text; 'anyaio COMMAND --help' shows a command's options
  --version   show the version
"""

INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with *arguments*, by default those of the process; return its exit status.

    An interrupt and a closed pipe end the process at once.
    """
    occupy_standard_descriptors()
    arguments = sys.argv[1:] if arguments is None else arguments
    restore = catch_interrupt()
    try:
        return run(list(arguments))
    except UsageError as error:
        message = os.fsdecode(printable(os.fsencode(str(error))))
        complain(f"{message}\nTry '{error.command} --help'.", command=error.command)
        return 2
    except BrokenPipeError:
        die_of_closed_pipe()
    except WriteError as error:
        complain(f"write error: {error}")
        return 1
    finally:
        restore()


def run(arguments: list[str]) -> int:
    from .output import Output

    command = arguments[0] if arguments else None
    if command == "scan":
        from .scan import scan

        return scan(arguments[1:])
    if command == "info":
        from .info import info

        return info(arguments[1:])
    if command in ("-h", "--help", "--version"):
        output = Output()
        output.write(f"anyaio {__version__}\n".encode() if command == "--version" else HELP.encode())
        output.flush()
        return 0
    what = "a command is missing: scan or info" if command is None else f"there is no command {command!r}"
    raise UsageError(what, "anyaio")


def occupy_standard_descriptors() -> None:
    """Keep 0, 1 and 2 from being given to files of ours, if the caller has closed them."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # becomes *fd*; writing to it fails, as it must


def catch_interrupt() -> Callable[[], object]:
    """Have an interrupt end the process at once; return what undoes that."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a job in the background
            return lambda: None
        previous = signal.signal(signal.SIGINT, end_at_once)
    except ValueError:  # not the main thread
        return lambda: None
    return lambda: signal.signal(signal.SIGINT, previous)


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Exit without waiting for what is running: a directory read can be stuck for ever."""
    show_cursor = b"\x1b[?25h\n" if os.isatty(2) else b""  # a progress display hides it
    complain("interrupted", before=show_cursor)
    os._exit(INTERRUPTED)


def die_of_closed_pipe() -> NoReturn:
    """End as programs do that leave SIGPIPE alone: silently, with status 141 in a shell."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(128 + signal.SIGPIPE)  # it was blocked

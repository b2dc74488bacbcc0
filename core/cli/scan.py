"""`anyaio scan`: list what is in and below directories, with many directories under way at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from stat import S_IFMT, S_ISDIR
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._blocking import current
from .._composites.tree import walk_tree
from .._version import __version__
from .options import COMMON, Option, UsageError, help_text, parse
from .output import STDOUT, Output, printable, write_stderr

if TYPE_CHECKING:
    from re import Pattern

    from .._direntry import DirEntry
    from .progress import Progress

DT_DIR = 4

USAGE = """\
Usage: anyaio scan [OPTION]... [PATH]...

Print each PATH (default: .) and, if it is a directory, all that is below it, as find does."""


def depth(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise ValueError(f"a number from 0 on is needed, not {word!r}")
    return int(word)


def expression(word: str) -> Pattern[str]:
    import re

    try:
        return re.compile(word, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{word!r} is no regular expression: {error}") from None


OPTIONS = (
    Option("quiet", "q", "print no paths"),
    Option("print0", "0", "end each path with a NUL instead of a newline"),
    Option("stat", "s", "lstat everything that is found"),
    Option("dirs", "d", "print only directories"),
    Option("files", "f", "print only what is no directory"),
    Option("progress", "p", "show counts and rates on stderr meanwhile (needs rich)"),
    Option("sync", "", "fsync every regular file, then its directory"),
    Option("grep", "g", "print only paths in which RE, a regular expression of Python's, is found", "RE", expression),
    Option("slash", "", "end directories with a slash"),
    Option("follow-roots", "", "follow a PATH that is a symlink; others are never followed"),
    Option("max-depth", "", "go down at most N levels; 0 prints the PATHs alone", "N", depth),
    Option("one-file-system", "", "do not enter what is mounted below a PATH"),
    Option("json", "", "print a JSON object a line: path, type, inode; with --stat also size and times"),
    Option("stats", "", "tell counts and rates on stderr at the end"),
    *COMMON,
)


class Chosen:
    """What the options say."""

    quiet = print0 = stat = dirs = files = progress = sync = slash = False
    follow_roots = one_file_system = json = stats = help = version = False
    grep: Pattern[str] | None = None
    max_depth: int | None = None


class Counts:
    """How much was found."""

    directories = others = errors = 0

    def line(self, seconds: float) -> str:
        rates = seconds or 1.0
        directories = number(self.directories, "directory", "directories")
        others = number(self.others, "other", "others")
        return (
            f"{directories} ({self.directories / rates:,.0f}/s), {others} ({self.others / rates:,.0f}/s), "
            f"{number(self.errors, 'error', 'errors')}, {seconds:.2f} s"
        )


def number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def scan(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    start = monotonic()
    chosen = Chosen()
    paths = [os.fsencode(path) for path in parse("anyaio scan", OPTIONS, arguments, chosen)] or [b"."]
    output = Output()
    if chosen.help or chosen.version:
        output.write((help_text(USAGE, OPTIONS) if chosen.help else f"anyaio {__version__}\n").encode())
        output.flush()
        return 0
    if chosen.dirs and chosen.files:
        raise UsageError("--dirs and --files together: nothing would be printed", "anyaio scan")
    if chosen.slash:
        paths = [path.rstrip(b"/") + b"/" if path.endswith(b"/") else path for path in paths]
    printer = Printer(chosen, output)
    front = current()
    walk = front._drive(
        walk_tree,
        paths,
        printer,
        max_depth=chosen.max_depth,
        stat=chosen.stat,
        one_file_system=chosen.one_file_system,
        follow_roots=chosen.follow_roots,
        sync=chosen.sync,
    )
    with printer:
        front.wait(walk)
        output.flush()
    if chosen.stats:
        write_stderr(f"anyaio: {printer.counts.line(monotonic() - start)}\n".encode())
    return 1 if printer.counts.errors else 0


class Printer:
    """The visitor of the walk: counts, prints, reports errors. Open it while the walk runs."""

    def __init__(self, chosen: Chosen, output: Output) -> None:
        self.counts: Counts = Counts()
        self._counting = chosen.progress or chosen.stats
        self._output = output
        self._end = b"\0" if chosen.print0 else b"\n"
        self._slash = chosen.slash
        self._progress: Progress | None = make_progress(self.counts) if chosen.progress else None
        self._wanted = [kind for kind, out in ((True, chosen.files), (False, chosen.dirs)) if not out]
        self._grep = chosen.grep
        self._describe = make_describe(chosen.stat, self.error) if chosen.json else None
        self._silent = chosen.quiet
        self._escapes = not chosen.print0 and os.isatty(STDOUT)  # as find does: elsewhere a path is what it is
        self._plain = len(self._wanted) == 2 and not (self._slash or self._grep or self._describe)

    def __enter__(self) -> None:
        if self._progress is not None:
            self._progress.start()

    def __exit__(self, *exception: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    # ---- what the walk finds ----

    def root(self, path: bytes, status: os.stat_result) -> None:
        """Print one of the arguments."""
        self._count(int(S_ISDIR(status.st_mode)), 1)
        if not self._silent:
            self._print_entries(b"", [Root(path, status)])

    def directory(self, prefix: bytes, entries: list[DirEntry[bytes]]) -> None:
        """Print the contents of a directory."""
        if self._counting:
            self._count([entry.type for entry in entries].count(DT_DIR), len(entries))
        if self._silent or not entries:
            return
        if self._plain:
            self._print(prefix, [entry.name for entry in entries])
        else:
            self._print_entries(prefix, entries)

    def error(self, path: bytes, error: OSError) -> None:
        """Report what failed."""
        self.counts.errors += 1
        self._output.flush()
        reason = os.fsencode(error.strerror or str(error))
        self._write(write_stderr, b"anyaio: %b: %b\n" % (printable(path) or b"''", reason))

    def _count(self, directories: int, entries: int) -> None:
        self.counts.directories += directories
        self.counts.others += entries - directories

    # ---- how it is printed ----

    def _print(self, prefix: bytes, names: list[bytes]) -> None:
        if self._escapes:
            prefix, names = printable(prefix), [printable(name) for name in names]
        self._write(self._output.write, prefix + (self._end + prefix).join(names) + self._end)

    def _print_entries(self, prefix: bytes, entries: list[Any]) -> None:
        entries = [entry for entry in entries if (entry.type == DT_DIR) in self._wanted]
        names = [entry.name for entry in entries]
        if self._slash:
            names = [with_slash(entry.name) if entry.type == DT_DIR else entry.name for entry in entries]
        if self._grep is not None:
            search = self._grep.search
            found = [search(os.fsdecode(prefix + name)) is not None for name in names]
            names = [name for name, is_found in zip(names, found, strict=True) if is_found]
            entries = [entry for entry, is_found in zip(entries, found, strict=True) if is_found]
        if self._describe is not None:
            names = [self._describe(prefix, name, entry) for name, entry in zip(names, entries, strict=True)]
            prefix = b""
        if names:
            self._print(prefix, names)

    def _write(self, write: Callable[[bytes], None], text: bytes) -> None:
        if self._progress is None:
            write(text)
            return
        self._progress.hide()
        write(text)
        self._progress.show()


class Root:
    """An argument, with as much of the face of an entry as is needed here."""

    def __init__(self, path: bytes, status: os.stat_result) -> None:
        self.name = path
        self.type: int = S_IFMT(status.st_mode) >> 12  # IFTODT of <dirent.h>
        self._status = status

    def inode(self) -> int:
        return self._status.st_ino

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        return self._status


def with_slash(path: bytes) -> bytes:
    return path if path.endswith(b"/") else path + b"/"


def make_progress(counts: Counts) -> Progress:
    from .progress import Progress

    try:
        return Progress(counts)
    except ImportError:
        message = "--progress needs the package rich: python3 -m pip install rich"
        raise UsageError(message, "anyaio scan") from None


def make_describe(stat: bool, report: Callable[[bytes, OSError], None]) -> Callable[[bytes, bytes, Any], bytes]:
    """Return a function that makes an entry's JSON object."""
    from .describe import describe

    def make(prefix: bytes, name: bytes, entry: Any) -> bytes:
        status = None
        if stat:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                report(prefix + name, error)
        return describe(prefix + name, entry, status)

    return make

"""The sides: who does the work. Each is a row: what must be installed, where its tasks run, what operations it has."""

from __future__ import annotations

import importlib.util
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

Operations = dict[str, Any]

OURS = ("close", "each", "open", "pread", "preadv", "pwrite", "read_bytes", "scandir", "stat")


class Side(NamedTuple):
    """*needs*: modules, "perl" and one of Perl's, programs after a slash. *place*: where its tasks run, of `PLACES`."""

    needs: tuple[str, ...]
    place: str
    operations: Callable[[], Operations]
    command: tuple[str, ...] = ()  # of a side that is no Python

    def missing(self) -> list[str]:
        return [need for need in self.needs if not is_there(need)]


def is_there(need: str) -> bool:
    if need.startswith("/"):
        return shutil.which(need[1:]) is not None
    language, _, module = need.rpartition(" ")
    if language == "perl":
        return is_there("/perl") and subprocess.run(["perl", f"-M{module}", "-e1"], capture_output=True).returncode == 0
    return importlib.util.find_spec(module) is not None


# ---- what blocking functions offer, called as they are or handed to threads ----


def read_whole(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    data = os.pread(fd, 8192, 0)
    os.close(fd)
    return data


def read_folder(path: str) -> tuple[list[str], int]:
    folders, size = [], 0
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_size
    return folders, size


def copy_blocks(src: str, dst: str) -> None:
    source, target = os.open(src, os.O_RDONLY), os.open(dst, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    while data := os.read(source, 1 << 20):
        os.write(target, data)
    os.close(source)
    os.close(target)


PLAIN: Operations = {
    "open": os.open,
    "close": os.close,
    "pread": os.pread,
    "preadv": os.preadv,
    "pwrite": os.pwrite,
    "stat": os.stat,
}


def handed(to_thread: Callable[..., Any]) -> Operations:
    """What users of threads have: each call is handed over, and what belongs together is one call."""
    whole: Operations = {"read_bytes": read_whole, "copy": shutil.copyfile}
    given = {name: partial(to_thread, function) for name, function in {**PLAIN, **whole}.items()}
    return {**given, "read_folder": partial(to_thread, read_folder)}


def files(open_file: Callable[[str], Any]) -> Operations:
    """What users of file objects have; `seek` of these is awaited."""
    return {"open_file": open_file, "open_seekable": open_file}


def aligned(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size)


# ---- the sides' operations ----


def plain() -> Operations:
    def together(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        return [function(item) for item in items]

    return {**PLAIN, "copy": copy_blocks, "read_folder": read_folder, "together": together}


def anyaio_of(module: str, **options: Any) -> Callable[[], Operations]:
    def operations() -> Operations:
        source = import_module(module)
        if options:
            source = source.current().with_options(**options)
        return {**{name: getattr(source, name) for name in OURS}, "copy": partial(source.copy, preserve=())}

    return operations


def executor() -> Operations:
    import asyncio

    return handed(partial(asyncio.get_running_loop().run_in_executor, None))


def to_thread() -> Operations:
    import asyncio

    return handed(asyncio.to_thread)


def aiofiles_() -> Operations:
    import aiofiles
    import aiofiles.os

    return {**files(partial(aiofiles.open, mode="rb")), "stat": aiofiles.os.stat}


@cache  # a kernel's context, of which there are not many
def caio_() -> Operations:
    from caio import AsyncioContext

    context = AsyncioContext()

    def read(fd: int, n: int, offset: int) -> Any:
        return context.read(n, fd, offset)

    def write(fd: int, data: bytes, offset: int) -> Any:
        return context.write(data, fd, offset)

    return {"pread": read, "pwrite": write}


def aiofile_() -> Operations:
    import aiofile

    return {"open_file": partial(aiofile.async_open, mode="rb")}


def anyio_threads() -> Operations:
    import anyio.to_thread

    return handed(anyio.to_thread.run_sync)


class Opened:
    """A file that is opened by an awaited call, as an `async with` wants it."""

    def __init__(self, open_file: Callable[..., Any], path: str) -> None:
        self.open_file = open_file
        self.path = path

    async def __aenter__(self) -> Any:
        self.file = await self.open_file(self.path, "rb")
        return self.file

    async def __aexit__(self, *exception: object) -> None:
        await self.file.aclose()


def anyio_files() -> Operations:
    import anyio

    async def stat(path: str) -> os.stat_result:
        return await anyio.Path(path).stat()

    return {**files(partial(Opened, anyio.open_file)), "stat": stat}


def trio_threads() -> Operations:
    import trio

    return handed(trio.to_thread.run_sync)


def trio_files() -> Operations:
    import trio

    async def stat(path: str) -> os.stat_result:
        return await trio.Path(path).stat()

    return {**files(partial(Opened, trio.open_file)), "stat": stat}


def gevent_threads() -> Operations:
    import gevent

    apply = gevent.get_hub().threadpool.apply

    def to_thread(function: Callable[..., Any], *arguments: Any) -> Any:
        return apply(function, arguments)

    return handed(to_thread)


def pyuv_ours() -> Operations:
    """Calls of one shape: the loop, a descriptor, the item, and who gets the result."""
    import anyaio.pyuv as aio

    def pread(loop: Any, fd: int, offset: int, done: Callable[[Any], None]) -> None:
        aio.pread(fd, 4096, offset, lambda request: done(request.result()))

    def stat(loop: Any, fd: int, path: str, done: Callable[[Any], None]) -> None:
        aio.stat(path, lambda request: done(request.result()))

    return {"pread": pread, "stat": stat}


def pyuv_fs() -> Operations:
    from pyuv import fs

    def pread(loop: Any, fd: int, offset: int, done: Callable[[Any], None]) -> None:
        fs.read(loop, fd, 4096, offset, lambda request: done(request.result))

    def stat(loop: Any, fd: int, path: str, done: Callable[[Any], None]) -> None:
        fs.stat(loop, path, lambda request: done(request.result))

    return {"pread": pread, "stat": stat}


def listing(*command: str) -> Callable[[], Operations]:
    def list_tree(tree: str, path: str) -> None:
        with open(path, "wb") as file:
            subprocess.run([*command, tree], stdout=file, check=True)

    return lambda: {"list_tree": list_tree}


def shutil_copy() -> Operations:
    return {"copy": shutil.copyfile}


def nothing() -> Operations:
    return {}


HERE = os.path.dirname(__file__)

SIDES = {
    "os": Side((), "plain", plain),
    "anyaio, asyncio": Side((), "asyncio", anyaio_of("anyaio.asyncio")),
    "anyaio, uvloop": Side(("uvloop",), "uvloop", anyaio_of("anyaio.asyncio")),
    "anyaio, trio strict": Side(("trio",), "trio", anyaio_of("anyaio.trio")),
    "anyaio, trio budget": Side(("trio",), "trio", anyaio_of("anyaio.trio", checkpoint="budget")),
    "anyaio, gevent": Side(("gevent",), "gevent", anyaio_of("anyaio.gevent")),
    "anyaio, tornado": Side(("tornado",), "asyncio", anyaio_of("anyaio.tornado")),
    "anyaio, pyuv": Side(("pyuv",), "pyuv", pyuv_ours),
    "anyaio, blocking": Side((), "alone", anyaio_of("anyaio.blocking")),
    "run_in_executor": Side((), "asyncio", executor),
    "asyncio.to_thread": Side((), "asyncio", to_thread),
    "aiofiles": Side(("aiofiles",), "asyncio", aiofiles_),
    "caio": Side(("caio",), "asyncio", caio_),
    "aiofile": Side(("aiofile",), "asyncio", aiofile_),
    "anyio.to_thread": Side(("anyio",), "asyncio", anyio_threads),
    "anyio.open_file": Side(("anyio",), "asyncio", anyio_files),
    "trio.to_thread": Side(("trio",), "trio", trio_threads),
    "trio.open_file": Side(("trio",), "trio", trio_files),
    "gevent threadpool": Side(("gevent",), "gevent", gevent_threads),
    "pyuv.fs": Side(("pyuv",), "pyuv", pyuv_fs),
    "IO::AIO, EV": Side(("perl IO::AIO", "perl EV"), "", nothing, ("perl", f"{HERE}/io_aio.pl", "callbacks")),
    "Coro::AIO, EV": Side(("perl Coro::AIO", "perl EV"), "", nothing, ("perl", f"{HERE}/io_aio.pl", "coro")),
    "node, callbacks": Side(("/node",), "", nothing, ("node", f"{HERE}/node.mjs", "callbacks")),
    "node, promises": Side(("/node",), "", nothing, ("node", f"{HERE}/node.mjs", "promises")),
    "fio, psync": Side(("/fio",), "fio", nothing),
    "shutil.copyfile": Side((), "alone", shutil_copy),
    "anyaio scan": Side((), "alone", listing(sys.executable, "-m", "anyaio", "scan")),
    "find": Side(("/find",), "alone", listing("find")),
    "treescan": Side(("/treescan",), "alone", listing("treescan")),
}

"""Each operation against its twin in `os`, on each backend: equal results, equal errors, equal effects.

Good, odd and wrong arguments of every parameter's kind (`hostile.py`), first one at a time beside plain ones, then in
combinations that Hypothesis chooses. The twins, and where ours differ on purpose, are in `oracle.py`. More examples:
``ANYAIO_DIFFERENTIAL_EXAMPLES=10000 pytest tests/test_differential.py``.
"""

from __future__ import annotations

import fcntl
import importlib
import inspect
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hostile import Specimen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kinds import TOGETHER, kind_of
from oracle import Arguments, Outcome, asked_for, expected, plain, twin_of, words
from twins import CHECKED_TWINS, libc
from worlds import World

from anyaio._front import engine_class
from anyaio._ops import public_operations
from anyaio._table import Operation

PUBLIC = public_operations()

EXAMPLES = int(os.environ.get("ANYAIO_DIFFERENTIAL_EXAMPLES", "0"))
TMPFS = "/dev/shm"
LIMIT = 5.0  # seconds after which a call hangs

# All may look at the same world.
LOOKS_AT_NAMES = (
    "stat", "lstat", "fstat", "listdir", "scandir", "readlink", "statx", "statvfs", "access", "getxattr", "listxattr",
    "realpath", "read_bytes", "fiemap",
)  # fmt: skip
SLOW = ("fsync", "fdatasync", "pathsync", "busy", "syncfs", "sync_file_range")  # the disk, or the clock, has its time
INLINE = ("stat", "lstat", "fstat", "open", "close", "lseek", "pread", "read_bytes")  # what may never see a worker
NOT_IN_MEMORY = ("fiemap", "getxattr", "listxattr", "setxattr", "removexattr")  # tmpfs has none, or had none for long

PAGE = 4096  # bytes that these give at once in any case
ENDLESS = ("/dev/zero", "/dev/full")

MODULES = {"native": "anyaio._engine", "python": "anyaio._python.engine"}

Call = dict[str, Specimen]


class Hung(BaseException):
    """A call did not end. Not an Exception: there is nothing to shrink, and no next example."""


@pytest.fixture(autouse=True, scope="module")
def devices_stay_as_they_are():
    """Root's calls on the machine's own devices succeed: what a new operation changes there is undone, and told."""
    before = {path: os.stat(path) for path in ("/dev/null", "/dev/zero", "/dev/full")}
    yield
    for path, status in before.items():
        now = os.stat(path)
        if (now.st_mode, now.st_uid, now.st_gid) != (status.st_mode, status.st_uid, status.st_gid):
            os.chown(path, status.st_uid, status.st_gid)
            os.chmod(path, status.st_mode & 0o7777)
            pytest.fail(f"{path} was changed, and is as before again: keep this operation away from it")


@pytest.fixture(scope="module", params=MODULES)
def shared(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One engine of each backend for all tests here."""
    try:
        backend = importlib.import_module(MODULES[request.param])
    except ImportError as error:
        pytest.skip(f"the {request.param} backend is missing: {error}")
    engine = engine_class(backend)(backend.Pool())
    yield engine
    engine.shutdown()


@pytest.fixture(params=["tmpfs", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on that file system; "disk" is whatever the temporary directory is on."""
    if request.param == "disk":
        yield str(tmp_path)
        return
    if not os.access(TMPFS, os.W_OK):
        pytest.skip(f"no {TMPFS} here")
    with tempfile.TemporaryDirectory(dir=TMPFS) as folder:
        yield folder


@pytest.fixture
def at_home() -> Iterator[None]:
    """The tests change the current directory and the umask."""
    home, umask = os.getcwd(), os.umask(0o027)
    yield
    os.chdir(home)
    os.umask(umask)


def finish(engine: Any, request: Any) -> Any:
    deadline = time.monotonic() + LIMIT
    while request.state != "done":
        if not engine.wait(LIMIT) and time.monotonic() > deadline:
            request.cancel()
            request.abandon()
            raise Hung(f"{request.operation} did not end within {LIMIT} s")
        engine.poll()
    return request.result()


def ways(engine: Any, operation: Operation) -> list[Any]:
    """What to submit by: each lane must do the same."""
    return [engine, engine.with_options(lane="pool")] if operation.name in INLINE else [engine]


def outcome(engine: Any, operation: Operation, arguments: Arguments, *by_place: Any, way: Any = None) -> Outcome:
    """What ours does, told as `oracle.expected` tells what it must do; *way* is a view of the engine."""

    def same(name: Any, argument: Any) -> bool:
        return name is argument  # the caller's own object

    try:
        request = getattr(way or engine, operation.name)(*by_place, **arguments)
    except Exception as error:
        if isinstance(error, OSError) or engine.nreqs:
            raise AssertionError("what is raised at once is no OSError, and nothing is queued then") from error
        return Outcome("raised", words(error, arguments, same))
    try:
        return Outcome("returned", plain(operation, finish(engine, request)))
    except Exception as error:
        if not isinstance(error, OSError):
            raise AssertionError("an argument's error should have been raised at once") from error
        return Outcome("raised", words(error, arguments, same))


def new_world(operation: Operation, place: str) -> World:
    world = World(place)
    if "xattr" in operation.name:
        try:
            world.plant_attributes()
        except OSError as error:
            world.remove()
            pytest.skip(f"no extended attributes here: {error}")
    return world


def compare(engine: Any, operation: Operation, call: Call, place: str, shared_world: World | None) -> None:
    seen = []
    for way in (None, *ways(engine, operation)):
        world = shared_world or new_world(operation, place)
        try:
            arguments = {name: specimen.make(world) for name, specimen in call.items()}
            if "fd" in call and call["fd"].name in ENDLESS and asked_for(arguments) > PAGE:
                return  # a read that must not wait, as ours, may get less than all of it
            assert world.is_here()
            done = expected(operation, arguments) if way is None else outcome(engine, operation, arguments, way=way)
            seen.append((done, world.seen() if shared_world is None else None))
        finally:
            if operation.name == "mlockall":
                libc.munlockall()
            if shared_world is None:
                world.remove()
    for ours in seen[1:]:
        if ours != seen[0] and not tells_another_error(operation, call, place, seen[0], ours):
            assert ours == seen[0], f"{operation.name}({call})"


def tells_another_error(operation: Operation, call: Call, place: str, theirs: Any, ours: Any) -> bool:
    """Whether several arguments are wrong, and ours tell the error of another one: the kernel has no rule for that."""
    (twin, effects), (done, own_effects) = theirs, ours
    told = (twin.how, done.how) == ("raised", "raised") and all(
        issubclass(each.value[0], OSError) for each in (twin, done)
    )
    if operation.name not in CHECKED_TWINS or not told or effects != own_effects:
        return False
    kinds = parameters(operation)
    home = os.getcwd() if os.path.exists(".") else "/"  # a world of its own is gone
    for name, specimen in call.items():
        world = new_world(operation, place)
        try:
            alone = {
                each: specimen if each == name else kind.good[0]
                for each, (kind, optional) in kinds.items()
                if each == name or not optional
            }
            found = expected(operation, {each: one.make(world) for each, one in alone.items()})
        finally:
            world.remove()
            os.chdir(home)
        if found.how == "raised" and found.value[:2] == done.value[:2]:
            return True
    return False


def parameters(operation: Operation) -> dict[str, tuple[Any, bool]]:
    """The kind of each, and whether it can be left out."""
    return {
        name: (kind_of(operation.name, name, parameter.annotation), parameter.default is not parameter.empty)
        for name, parameter in inspect.signature(operation.body).parameters.items()
    }


def one_at_a_time(operation: Operation) -> Iterator[Call]:
    kinds = parameters(operation)
    plain_call = {name: kind.good[0] for name, (kind, _) in kinds.items()}
    yield plain_call
    yield {name: kind.good[0] for name, (kind, optional) in kinds.items() if not optional}
    for name, (kind, _) in kinds.items():
        for specimen in (*kind.good[1:], *kind.wrong):
            yield {**plain_call, name: specimen}
    for special, specimens in TOGETHER:
        if special == operation.name:
            yield {**plain_call, **specimens}


def combined(operation: Operation) -> st.SearchStrategy[Call]:
    required: dict[str, st.SearchStrategy[Specimen]] = {}
    optional: dict[str, st.SearchStrategy[Specimen]] = {}
    for name, (kind, may_lack) in parameters(operation).items():
        good = st.sampled_from(kind.good)
        more = good if kind.more is None else kind.more
        chosen = st.one_of(good, good, good, more, st.sampled_from(kind.wrong or kind.good))
        (optional if may_lack else required)[name] = chosen
    return st.fixed_dictionaries(required, optional=optional)


def name_of(operation: Operation) -> str:
    return operation.name


ROWS = pytest.mark.parametrize("operation", PUBLIC, ids=name_of)


@ROWS
def test_every_operation_has_a_twin(operation: Operation) -> None:
    assert callable(twin_of(operation))


@contextmanager
def world_to_look_at(operation: Operation, place: str) -> Iterator[World | None]:
    """The world that all calls share, if they only look."""
    if operation.name not in LOOKS_AT_NAMES:
        yield None
        return
    world = new_world(operation, place)
    try:
        world.plant_more()
        yield world
    finally:
        world.remove()


@ROWS
@pytest.mark.usefixtures("at_home")
def test_each_argument_alone(shared: Any, operation: Operation, tmp_path: Path) -> None:
    in_memory = os.access(TMPFS, os.W_OK) and operation.name not in NOT_IN_MEMORY
    with (
        tempfile.TemporaryDirectory(dir=TMPFS if in_memory else tmp_path) as place,
        world_to_look_at(operation, place) as world,
    ):
        for call in one_at_a_time(operation):
            compare(shared, operation, call, place, world)


@pytest.mark.parametrize("operation", [each for each in PUBLIC if parameters(each)], ids=name_of)
@pytest.mark.usefixtures("at_home")
def test_arguments_together(shared: Any, operation: Operation, place: str) -> None:
    few = operation.name in SLOW or not place.startswith(TMPFS)

    @settings(
        max_examples=EXAMPLES or (15 if few else 25 if operation.name in CHECKED_TWINS else 60),
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(call=combined(operation))
    def agree(call: Call) -> None:
        compare(shared, operation, call, place, world)

    with world_to_look_at(operation, place) as world:
        agree()


def test_a_transfer_of_nothing_does_not_wait(shared: Any) -> None:
    quiet, blocked = os.pipe()
    try:
        fcntl.fcntl(blocked, fcntl.F_SETPIPE_SZ, 4096)
        os.write(blocked, bytes(fcntl.fcntl(blocked, fcntl.F_GETPIPE_SZ)))
        assert finish(shared, shared.write(blocked, b"")) == 0
        assert finish(shared, shared.writev(blocked, [])) == 0
        os.read(quiet, 1 << 20)
        assert finish(shared, shared.read(quiet, 0)) == b""
        assert finish(shared, shared.readv(quiet, [bytearray()])) == 0
    finally:
        os.close(quiet)
        os.close(blocked)

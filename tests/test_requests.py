"""Every request, control, function and constant that the library must have is there, in every colour, and is called as
its twin in the standard library.

The names are in data/requests.txt, which tools/copy_requests.py makes.
"""

from __future__ import annotations

import fcntl
import fnmatch
import importlib
import inspect
import os
import os.path
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from engines import held
from oracle import expected
from test_differential import new_world, outcome, parameters, world_to_look_at
from worlds import World

import anyaio
import anyaio.asyncio
import anyaio.blocking
from anyaio._front import AwaitFront, BlockingFront, CallbackView, FutureFront
from anyaio._ops import public_operations
from anyaio._table import Operation

PUBLIC = public_operations()

ROWS = [
    line.split(" | ", 3)
    for line in (Path(__file__).parent / "data" / "requests.txt").read_text().splitlines()
    if not line.startswith("#")
]
LATER = ("copytree", "walk", "glob")  # a later issue's


class Listed(NamedTuple):
    """A request of the list."""

    name: str
    classes: str
    signature: str


REQUESTS = [
    Listed(row[3].partition("(")[0], row[2], row[3])
    for row in ROWS
    if row[0] == "request" and row[3].partition("(")[0] not in LATER
]
CONTROLS = [row[1] for row in ROWS if row[0] == "control"]
FUNCTIONS = [row[1] for row in ROWS if row[0] == "function"]
CONSTANTS = [row[1] for row in ROWS if row[0] == "constant"]

OPERATION = {operation.name: operation for operation in PUBLIC}
PLACES: dict[str, Any] = {
    "await: the module": anyaio.asyncio,
    "await: the front end": AwaitFront,
    "future: the front end": FutureFront,
    "blocking: the module": anyaio.blocking,
    "blocking: the front end": BlockingFront,
    "callback: the engine": anyaio.Engine,
    "callback: a view": CallbackView,
}
by_name = pytest.mark.parametrize("listed", REQUESTS, ids=lambda listed: listed.name)


# ---- names ----


def test_the_list_is_whole():
    assert len(REQUESTS) == 75
    assert len({listed.name for listed in REQUESTS}) == 75
    assert (len(CONTROLS), len(FUNCTIONS), len(CONSTANTS)) == (32, 10, 11)


@pytest.mark.parametrize("place", PLACES)
@by_name
def test_a_request_is_there(listed, place):
    assert callable(getattr(PLACES[place], listed.name, None))


@pytest.fixture(params=["asyncio", "trio", "any", "tornado", "twisted", "gevent", "blocking", "pyuv"])
def module(request):
    """Each module of functions."""
    try:
        return importlib.import_module(f"anyaio.{request.param}")
    except ImportError as error:
        pytest.skip(f"anyaio.{request.param} lacks what it is for: {error}")


def test_a_module_exports_all_requests(module):
    assert {listed.name for listed in REQUESTS} <= set(module.__all__)
    assert [name for name in module.__all__ if not callable(getattr(module, name, None))] == []


def test_the_functions_of_a_module_have_the_parameters_of_all_others(module):
    takes_callback = "callback" in inspect.signature(module.nop).parameters
    for listed in REQUESTS:
        wanted = list(inspect.signature(getattr(anyaio.asyncio, listed.name)).parameters.values())
        found = list(inspect.signature(getattr(module, listed.name)).parameters.values())
        if takes_callback:
            places = [each.name for each in found if each.kind is not each.KEYWORD_ONLY]
            assert places[-1] == "callback", listed.name
            found = [each for each in found if each.name != "callback"]
        assert [(each.name, each.kind, each.default) for each in found] == [
            (each.name, each.kind, each.default) for each in wanted
        ], listed.name


def test_a_module_has_each_groups_and_its_front_end(module):
    assert {"each", "group", "current"} <= set(module.__all__)


def test_nothing_is_there_that_the_list_does_not_have():
    assert {operation.name for operation in PUBLIC} <= {listed.name for listed in REQUESTS}


def test_the_class_of_each_operation_is_the_lists():
    told = {listed.name: listed.classes for listed in REQUESTS}
    differing = {
        operation.name: (operation.request_class, told[operation.name])
        for operation in PUBLIC
        if not told[operation.name].startswith((operation.request_class, "queued until granted", "composite"))
    }
    assert differing == {}


@pytest.mark.parametrize(("name", "arguments", "class_"), [
    ("open", ("f", os.O_RDONLY, 0, None), "make"),
    ("open", ("f", os.O_RDWR | os.O_CREAT, 0, None), "change"),
    ("open", ("f", os.O_RDWR | os.O_TRUNC, 0, None), "change"),
    ("open", (".", os.O_RDWR | os.O_TMPFILE, 0, None), "change"),
    ("open", (".", os.O_RDONLY | os.O_DIRECTORY, 0, None), "make"),
    ("flock", (3, fcntl.LOCK_EX), "change"),
    ("flock", (3, fcntl.LOCK_UN), "must"),
    ("lockf", (3, fcntl.LOCK_SH, 0, 0, 0), "change"),
    ("lockf", (3, fcntl.LOCK_UN, 0, 0, 0), "must"),
    ("ofd_lock", (3, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, 0, 0), "change"),
    ("ofd_lock", (3, fcntl.LOCK_UN, 0, 0, 0), "must"),
    ("mtouch", (b"", 0, None, 0), "look"),
    ("mtouch", (b"", 0, None, 1), "change"),
])  # fmt: skip
def test_the_class_of_a_request_follows_its_arguments(name, arguments, class_):
    assert OPERATION[name].class_of(arguments) == class_


def parameters_listed(signature: str) -> list[str] | None:
    """The parameters' names and defaults as the list writes them; None where it says no more than the name."""
    if "(" not in signature or "…" in signature:
        return None
    inside = signature.partition("(")[2].rpartition(")")[0].split(") ->")[0]
    return [each.strip() for each in split_at_commas(inside) if each.strip() not in ("", "*")]


def split_at_commas(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += letter in "(["
        depth -= letter in ")]"
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


@by_name
def test_a_signature_has_what_the_list_writes(listed):
    wanted = parameters_listed(listed.signature)
    if wanted is None:
        return  # the list says no more than the name
    ours = inspect.signature(getattr(anyaio.asyncio, listed.name)).parameters
    names = [each.partition("=")[0] for each in wanted]
    assert [name for name in ours if name in names] == names
    extra = [parameter for name, parameter in ours.items() if name not in names]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in extra)
    for each in wanted:
        name, given, default = each.partition("=")
        if not given:
            assert ours[name].default is inspect.Parameter.empty
        elif "|" not in default and not default[0].isupper():
            assert ours[name].default == eval(default)  # a literal of the list


# ---- twins ----

MODULES = {"lockf": fcntl, "flock": fcntl, "fcntl": fcntl, "ioctl": fcntl, "realpath": os.path}
"""Where the twin is, if not in `os`. (os.lockf is another function.)"""

NO_TWIN = {
    "nop", "busy", "tee", "readahead", "fallocate", "fiemap", "syncfs", "sync_file_range", "ofd_lock", "statx",
    "pathsync", "read_bytes", "write_bytes", "msync", "mtouch", "mlock", "mlockall", "split_dir",
}  # fmt: skip
"""read_bytes and write_bytes are methods in pathlib; what they do is compared in test_differential."""

TWINS: dict[str, Callable[..., Any]] = {
    **{name: getattr(MODULES.get(name, os), name) for name in OPERATION if name not in NO_TWIN},
    **{name: getattr(shutil, name) for name in ("copy", "move", "rmtree")},
}

ABSENT = object()
EXCEPTIONS: dict[tuple[str, str], tuple[Any, str]] = {
    ("link", "follow_symlinks"): (False, "a symlink itself is linked; os differs with and without dir_fd"),
    ("realpath", "strict"): (True, "what does not exist has no real path, unless it is asked for"),
    ("ioctl", "mutate_flag"): (ABSENT, "a writable buffer is changed in place"),
    ("listdir", "path"): (".", "os says None where its documentation says '.'"),
    ("scandir", "path"): (".", "os says None where its documentation says '.'"),
    ("rmtree", "ignore_errors"): (False, "keyword-only: nobody reads what True in second place means"),
    ("rmtree", "onerror"): (ABSENT, "on_error: it gets the OSError, not three arguments"),
    ("rmtree", "onexc"): (ABSENT, "on_error has its part"),
    ("move", "copy_function"): (ABSENT, "another function could not keep what move promises"),
}
"""Parameters that differ from the twin's: the default in ours, and the reason.

Beside these: what is positional-only in the twin may also be given by our name, which is the one in its documentation
(a name that nobody can write binds nobody); extra parameters of ours are keyword-only; and `os.utime` does not tell its
signature, so that it is compared by calling.
"""


def is_told(function: Any) -> bool:
    try:
        inspect.signature(function)
    except ValueError:
        return False
    return True


NOT_TOLD = {name for name, twin in TWINS.items() if not is_told(twin)}  # utime, and on 3.13.0 chmod


def test_there_are_54_twins_and_three_of_shutil():
    assert len(TWINS) == 54 + 3
    assert set(TWINS) | NO_TWIN == {listed.name for listed in REQUESTS}


@pytest.mark.parametrize("name", sorted(TWINS.keys() - NOT_TOLD))
def test_the_signature_agrees_with_the_twins(name):
    ours = inspect.signature(getattr(anyaio.asyncio, name)).parameters
    theirs = inspect.signature(TWINS[name]).parameters
    positional = [parameter for parameter in ours.values() if parameter.kind is not parameter.KEYWORD_ONLY]
    for place, twin in enumerate(theirs.values()):
        default, reason = EXCEPTIONS.get((name, twin.name), (twin.default, None))
        if default is ABSENT:
            assert twin.name not in ours
            continue
        if twin.kind is twin.POSITIONAL_ONLY:
            mine = positional[place]
        else:
            mine = ours[twin.name]
        assert mine.default == default
        if twin.kind is twin.KEYWORD_ONLY or reason is not None:
            assert mine.kind in (twin.kind, mine.KEYWORD_ONLY)
        else:
            assert mine is positional[place]
            assert mine.kind is mine.POSITIONAL_OR_KEYWORD
    taken = [
        twin for twin in theirs.values() if twin.kind is not twin.KEYWORD_ONLY and (name, twin.name) not in EXCEPTIONS
    ]
    assert len(positional) == len(taken) + sum((name, parameter.name) in EXCEPTIONS for parameter in positional), (
        "what is extra is keyword-only"
    )


def test_hardly_a_signature_is_not_told():
    assert NOT_TOLD <= {"utime", "chmod"}


@pytest.mark.parametrize("name", ["utime"])
@pytest.mark.parametrize("arguments", [
    lambda: (("f",), {}),
    lambda: (("f", None), {}),
    lambda: (("f", (1, 2)), {}),
    lambda: (("f",), {"times": (1.5, 2.5)}),
    lambda: (("f",), {"ns": (1, 2)}),
    lambda: (("f",), {"dir_fd": None, "follow_symlinks": False, "ns": (3, 4)}),
    lambda: ((), {"path": "f", "times": (5, 6), "follow_symlinks": True}),
])  # fmt: skip
def test_what_os_takes_without_telling_is_taken(engine, tmp_path, monkeypatch, name, arguments):
    monkeypatch.chdir(tmp_path)
    Path("f").touch()
    positional, named = arguments()
    twin: Any = TWINS[name]
    twin(*positional, **named)
    wanted = os.stat("f")
    os.utime("f", ns=(0, 0))
    request = getattr(engine, name)(*positional, **named)
    engine.flush()
    assert request.result() is None
    found = os.stat("f")
    if (positional != ("f",) and positional != ("f", None)) or named:
        assert (found.st_atime_ns, found.st_mtime_ns) == (wanted.st_atime_ns, wanted.st_mtime_ns)
    else:
        assert found.st_mtime_ns >= wanted.st_mtime_ns


@pytest.fixture
def at_home():
    home, umask = os.getcwd(), os.umask(0o027)
    yield
    os.chdir(home)
    os.umask(umask)


@pytest.mark.parametrize("name", sorted(TWINS.keys() & OPERATION.keys()))
@pytest.mark.usefixtures("at_home")
def test_a_twin_is_called_by_position_and_by_keyword(engine, tmp_path, name):
    operation = OPERATION[name]
    theirs = signature_of(name)
    positional = [each.name for each in theirs if each.kind is not each.KEYWORD_ONLY]
    ours = list(inspect.signature(operation.body).parameters)
    named = {each.name for each in theirs if each.kind is each.KEYWORD_ONLY and (name, each.name) not in EXCEPTIONS}
    by_place = ours[: len([each for each in positional if (name, each) not in EXCEPTIONS or each in ours])]
    kinds = parameters(operation)
    seen = []
    with world_to_look_at(operation, str(tmp_path)) as shared:
        for way in ("os", "position", "keyword"):
            world = shared or new_world(operation, str(tmp_path))
            try:
                assert world.is_here()
                given = {each: kinds[each][0].good[0].make(world) for each in (*by_place, *named)}
                if way == "os":
                    done = expected(operation, given)
                elif way == "keyword":
                    done = outcome(engine, operation, given)
                else:
                    rest = {each: value for each, value in given.items() if each in named}
                    done = outcome(engine, operation, rest, *(given[each] for each in by_place))
                seen.append((done, None if shared else world.seen()))
            finally:
                if shared is None:
                    world.remove()
    assert seen[1] == seen[2] == seen[0]


def signature_of(name: str) -> list[inspect.Parameter]:
    """The twin's parameters; ours where it does not tell its own."""
    function = OPERATION[name].body if name in NOT_TOLD else TWINS[name]
    return list(inspect.signature(function).parameters.values())


# ---- each backend has them ----


@pytest.mark.parametrize("operation", PUBLIC, ids=lambda operation: operation.name)
@pytest.mark.usefixtures("at_home")
def test_a_backend_takes_each_operation(engine, pool, tmp_path, operation: Operation):
    world = World(str(tmp_path))
    try:
        arguments = {name: kind.good[0].make(world) for name, (kind, _) in parameters(operation).items()}
        with held(pool):
            request = getattr(engine, operation.name)(**arguments)
            assert (request.operation, request.state) == (operation.name, "queued")
            assert request.cancel() is (operation.class_of(tuple(arguments.values())) != "must")
        engine.flush()
        assert request.state == "done"
    finally:
        world.remove()


# ---- controls, functions, constants ----


@pytest.fixture
def owners(engine, pool):
    request = engine.nop()
    engine.flush()
    return {"request": request, "engine": engine, "pool": pool, "front": AwaitFront, "Group": anyaio.Group}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_there(owners, control):
    owner, dot, name = control.partition(".")
    if not dot:
        assert all(callable(getattr(PLACES[place], owner, None)) for place in PLACES if "module" in place)
        return
    assert hasattr(owners[owner], name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_the_standard_library_lacks_is_there(name):
    found = fnmatch.filter(anyaio.__all__, name)
    assert found
    assert all(callable(getattr(anyaio, each)) for each in found)


def test_the_functions_of_timers_are_there():
    assert {"timerfd_create", "timerfd_settime", "timerfd_gettime"} <= set(anyaio.__all__)


@pytest.mark.parametrize("pattern", CONSTANTS)
def test_constants_that_the_standard_library_lacks_are_there(pattern):
    found = fnmatch.filter(dir(anyaio), pattern)
    assert found
    assert all(isinstance(getattr(anyaio, each), int) for each in found)

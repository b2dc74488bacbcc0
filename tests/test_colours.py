"""What the colours share, what their signatures are, and what importing them does."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import typing

import pytest

import anyaio
import anyaio.asyncio
import anyaio.blocking
from anyaio import _backend
from anyaio._await_ops import AwaitOps
from anyaio._blocking_ops import BlockingOps
from anyaio._callback_ops import CallbackOps
from anyaio._front import Engine, FutureFront, Options, choose, engine_class
from anyaio._future_ops import FutureOps
from anyaio._opcodes import PREAD

COLOURS = [AwaitOps, FutureOps, BlockingOps, CallbackOps]
MODULES = [anyaio.asyncio, anyaio.blocking]
NAMES = sorted(set(anyaio.asyncio.__all__) - {"current", "each", "group"})  # these are no operations


def parameters(function, *without):
    """Names, kinds and defaults."""
    signature = inspect.signature(function)
    return [(p.name, p.kind, p.default) for p in signature.parameters.values() if p.name not in ("self", *without)]


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_the_same_in_every_colour(name):
    functions = [getattr(place, name) for place in [*COLOURS, *MODULES]]
    assert len({str(parameters(function, "callback")) for function in functions}) == 1
    assert len({" ".join(inspect.getdoc(function).split()) for function in functions}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_callback_comes_after_the_positional_parameters(name):
    given = inspect.signature(getattr(CallbackOps, name)).parameters.values()
    positional = [p for p in given if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional[-1].name == "callback"
    assert positional[-1].default is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [*COLOURS, *MODULES], ids=lambda place: place.__name__)
def test_annotations_can_be_resolved_at_run_time(place, name):
    hints = typing.get_type_hints(getattr(place, name))
    assert "return" in hints


def test_dispatch_by_number_agrees_with_the_table(backend):
    from anyaio._ops import OPERATIONS

    assert OPERATIONS[PREAD].name == "pread"
    assert [row.number for row in OPERATIONS] == list(range(len(OPERATIONS)))


# ---- options ----


@pytest.mark.parametrize("priority", [-4, 0, 4])
def test_priorities_from_minus_four_to_four(priority):
    assert choose(Options(), {"priority": priority}).priority == priority


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"priority": 5}, "priority must be from -4 to 4, not 5"),
        ({"priority": -5}, "priority must be from -4 to 4, not -5"),
        ({"patience": -1}, "patience must be a number of seconds from 0 on or None, not -1"),
        ({"patience": float("nan")}, "patience must be a number of seconds from 0 on or None, not nan"),
        ({"checkpoint": "maybe"}, "checkpoint must be 'strict' or 'budget', not 'maybe'"),
        ({"lane": "ring"}, "lane must be 'auto' or 'pool', not 'ring'"),
    ],
)
def test_an_option_out_of_range_is_a_value_error(changes, message):
    with pytest.raises(ValueError, match=message):
        choose(Options(), changes)


@pytest.mark.parametrize(
    "changes", [{"priority": "high"}, {"priority": 1.0}, {"patience": "long"}, {"niceness": 3}], ids=str
)
def test_a_wrong_option_is_a_type_error(changes):
    with pytest.raises(TypeError, match=next(iter(changes))):
        choose(Options(), changes)


def test_an_unknown_option_is_told_the_known_ones():
    with pytest.raises(TypeError, match="no option 'prio', only priority, patience, checkpoint, lane"):
        choose(Options(), {"prio": 3})


def test_patience_can_be_endless_or_nothing():
    assert choose(Options(), {"patience": None}).patience is None
    assert choose(Options(), {"patience": 0}).patience == 0


# ---- engines ----


def test_there_is_one_engine_class_a_backend(backend):
    assert engine_class(backend) is engine_class(backend)
    assert issubclass(engine_class(backend), backend.Engine)
    assert issubclass(engine_class(backend), CallbackOps)
    assert engine_class(_backend.backend) is Engine is anyaio.Engine


def test_an_engine_is_shut_down_at_the_end_of_its_with_block(backend, pool):
    with engine_class(backend)(pool) as engine:
        assert not engine.closed
    assert engine.closed


def test_the_future_colour_hands_over_what_submit_answered(backend, pool, tmp_path):
    class Adapter:
        """Futures of a loop that does not exist."""

        on_error = None
        attached: typing.ClassVar[list] = []

        def attach(self, fd, poll):
            self.attached.append(fd)

        def detach(self, fd):
            self.attached.remove(fd)

        def wake(self, waiter):
            waiter.append("woken")

        def future(self, request):
            future = []
            request.attach(future)
            return future, request

    engine = engine_class(backend)(pool)
    front = FutureFront.start(Adapter(), engine)
    future, request = front.listdir(tmp_path)
    assert future == []
    engine.flush()
    assert future == ["woken"]
    assert request.result() == []
    front.shutdown()
    assert Adapter.attached == []
    assert engine.closed


# ---- importing ----


def python(code, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_importing_starts_nothing_and_is_light():
    code = """
import os, sys
before = os.listdir("/proc/self/fd"), dict(os.environ)
import anyaio.blocking
assert (os.listdir("/proc/self/fd"), dict(os.environ)) == before
assert len(os.listdir("/proc/self/task")) == 1
print(*sorted(sys.modules))
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert modules.isdisjoint({"asyncio", "trio", "concurrent.futures", "subprocess", "socket"})
    assert "inspect" not in modules or "anyaio._python.engine" in modules  # which reads the table's signatures


def test_an_unknown_backend_is_a_value_error():
    done = python("import anyaio", ANYAIO_BACKEND="rust")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: ANYAIO_BACKEND must be 'native' or 'python', not 'rust'"


def test_the_python_backend_can_be_chosen():
    done = python("import anyaio._backend as b; print(b.backend.NAME, b.missing)", ANYAIO_BACKEND="python")
    assert (done.stdout, done.stderr) == ("python ANYAIO_BACKEND=python\n", "")


BLOCK = "import sys; sys.modules['anyaio._engine'] = None\n"


def test_a_missing_native_backend_is_an_import_error_for_who_insists():
    done = python(BLOCK + "import anyaio", ANYAIO_BACKEND="native")
    assert done.returncode == 1
    assert "anyaio._engine" in done.stderr.splitlines()[-1]


def test_without_a_native_backend_python_serves_and_says_so_once():
    code = "import anyaio, anyaio.asyncio, anyaio._backend as b; print(b.backend.NAME, '_engine' in b.missing)"
    done = python(BLOCK + code, ANYAIO_BACKEND="")
    assert done.stdout == "python True\n"
    assert len(done.stderr.splitlines()) == 1
    assert "the native backend is missing" in done.stderr

"""rmtree, on both backends: what it removes, what it never touches, what it tells, and who gets in between."""

from __future__ import annotations

import contextvars
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from engines import descriptors, run, spin
from trees import plant_deep, plant_strange, uproot

from anyaio import Cancelled
from anyaio._composite import rmtree
from anyaio._composites import rmtree as limits
from anyaio._drive import drive
from anyaio._opcodes import _SWEEP, CLOSE, OPEN, RMDIR, SCANDIR, UNLINK
from anyaio._request import Request

LIMIT = 60.0  # seconds that no process here should ever take
NOBODY = 65534


def start(engine, path, hook=None, **options):
    """Start an rmtree; *hook* submits its steps: hook(submit, number, *arguments)."""

    async def hooked(steps):
        if hook is not None:
            real = steps.submit

            def submit(number, *arguments):
                return hook(real, number, *arguments)

            steps.submit = steps._submit = submit
        await rmtree(steps, path, **options)

    return drive(engine, engine.submitter(), hooked, (), {})


def remove(engine, path, hook=None, **options):
    answer = start(engine, path, hook, **options)
    return run(engine, answer) if isinstance(answer, Request) else answer


def tree(folder, *names):
    """Plant what *names* say below *folder*: ``a/b/`` is a directory."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if name.endswith("/") else path.write_text("precious")
    return folder


def content(folder):
    return sorted((str(path.relative_to(folder)), path.is_dir() or path.read_text()) for path in folder.rglob("*"))


class Failures(list):
    """Collects what `on_error` is told."""

    def __call__(self, operation, path, error):
        assert os.fspath(error.filename) == path
        self.append((operation, path, type(error)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """What looks for names in the current directory by mistake finds none."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def precious(tmp_path):
    """What is not in the tree, with the names that are in it; at the end it must be as it was."""
    names = ("a/f", "a/b/f", "a/b/c/f", "b/f", "b/c/f", "c/f", "d/f", "f", "g")
    folder = tree(tmp_path / "precious", *names)
    before = content(folder)
    yield folder
    assert content(folder) == before


@pytest.fixture
def deep(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    uproot(folder)


# ---- what it removes, and what it does not touch ----


def test_a_tree_with_all_that_makes_trouble_is_removed(engine, tmp_path, precious):
    folder = plant_strange(tree(tmp_path / "t", "f", "empty/", "a/b/c/d/"))
    (folder / "a/precious").symlink_to(precious)
    (folder / "a/g").hardlink_to(precious / "g")
    remove(engine, folder)
    assert os.listdir(tmp_path) == ["precious"]


def test_an_empty_directory_is_removed(engine, tmp_path):
    remove(engine, tree(tmp_path / "t", "./"))
    assert os.listdir(tmp_path) == []


def test_a_path_of_bytes_is_removed(engine, tmp_path):
    remove(engine, os.fsencode(tree(tmp_path / "t", "a/f")))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_symlink_as_the_root_is_an_error_and_its_target_untouched(engine, tmp_path, precious, kind, slashes):
    (tmp_path / "link").symlink_to(precious)
    path = kind(f"{tmp_path}/link{slashes}")
    with pytest.raises(NotADirectoryError, match="Cannot call rmtree on a symbolic link") as caught:
        remove(engine, path)
    assert caught.value.filename is path
    assert (tmp_path / "link").is_symlink()


def test_a_broken_symlink_as_the_root_is_an_error_and_stays(engine, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError, match="symbolic link"):
        remove(engine, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


def test_symlinks_on_the_way_to_the_root_are_followed(engine, tmp_path):
    tree(tmp_path / "real", "t/f")
    (tmp_path / "link").symlink_to("real")
    remove(engine, tmp_path / "link/t")
    assert os.listdir(tmp_path / "real") == []


def test_a_slash_at_the_end_changes_nothing(engine, tmp_path):
    remove(engine, f"{tree(tmp_path / 't', 'a/f')}//")
    assert os.listdir(tmp_path) == []


def test_a_file_as_the_root_is_an_error_and_stays(engine, tmp_path):
    path = tree(tmp_path, "f") / "f"
    with pytest.raises(NotADirectoryError) as caught:
        remove(engine, path)
    assert caught.value.filename is path
    assert path.read_text() == "precious"


def test_a_missing_root_is_file_not_found(engine, tmp_path):
    for path in (tmp_path / "missing", tmp_path / "missing/too", ""):
        with pytest.raises(FileNotFoundError) as caught:
            remove(engine, path)
        assert caught.value.filename is path


@pytest.mark.parametrize("name", [".", "./", "..", "a/.", "a/.."])
def test_what_has_no_name_to_remove_is_refused_before_anything_is_touched(engine, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tree(tmp_path / "t", "a/f"))
    before = content(tmp_path)
    with pytest.raises(OSError, match="Invalid argument") as caught:
        remove(engine, name)
    assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, name)
    assert content(tmp_path) == before


@pytest.mark.parametrize("path", ["/", b"//"])
def test_the_root_of_all_is_refused_without_a_single_step(engine, path):
    async def without_steps(steps):
        await limits.remove_tree(None, path, False, None, None)

    with pytest.raises(OSError, match="busy") as caught:
        drive(engine, engine.submitter(), without_steps, (), {})
    assert caught.value.errno == errno.EBUSY


def test_what_is_no_path_is_a_type_error(engine):
    for wrong in (5, None, ["t"]):
        with pytest.raises(TypeError):
            remove(engine, wrong)
    with pytest.raises(ValueError, match="null"):
        remove(engine, "t\0")


def test_dir_fd_is_where_a_relative_path_begins(engine, tmp_path):
    tree(tmp_path, "x/t/a/f", "y/t/a/f")
    fd = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        remove(engine, "t", dir_fd=fd)
        with pytest.raises(FileNotFoundError):
            remove(engine, "t", dir_fd=fd)
    finally:
        os.close(fd)
    assert [name for name, _ in content(tmp_path)] == ["x", "y", "y/t", "y/t/a", "y/t/a/f"]


def test_a_change_of_the_current_directory_meanwhile_does_not_matter(engine, tmp_path, precious, monkeypatch):
    tree(tmp_path / "here", "precious/a/f", "precious/b/c/f")
    monkeypatch.chdir(tmp_path / "here")

    def leave(submit, number, *arguments):
        if number == _SWEEP:
            os.chdir(tmp_path)
        return submit(number, *arguments)

    remove(engine, "precious", leave)
    assert os.listdir(tmp_path / "here") == []


def test_types_that_the_file_system_does_not_tell_are_found_out(engine, tmp_path):
    folder = plant_strange(tree(tmp_path / "t", "a/b/f"))

    class Unknown:
        type = 0

        def __init__(self, entry):
            self.name = entry.name

    class Hidden(Request):
        __slots__ = ("_request",)

        def __init__(self, request):
            self._request = request

        callback = property(lambda self: None, lambda self, callback: self._listen(callback))
        state = property(lambda self: self._request.state)

        def _listen(self, callback):
            self._request.callback = lambda request: callback(self)

        def result(self):
            return [Unknown(entry) for entry in self._request.result()]

    def hide(submit, number, *arguments):
        answer = submit_listing(submit, number, *arguments)
        return Hidden(answer) if number == _SWEEP else answer

    remove(engine, folder, hide)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["a directory", "a symlink"])
def test_what_takes_the_place_of_the_root_meanwhile_is_told_and_stays(engine, tmp_path, kind):
    folder = tree(tmp_path / "t", "a/f")

    def replace(submit, number, *arguments):
        if number == RMDIR and arguments[0] == b"a":
            os.rename(folder, tmp_path / "aside")
            folder.mkdir() if kind == "a directory" else folder.symlink_to("aside")
        return submit(number, *arguments)

    with pytest.raises(OSError, match="Replaced" if kind == "a directory" else "symbolic link") as caught:
        remove(engine, folder, replace)
    assert caught.value.errno == (errno.ESTALE if kind == "a directory" else errno.ENOTDIR)
    assert caught.value.filename is folder
    assert content(tmp_path) == [("aside", True), ("t", True)]


# ---- depth and width ----


DEEP = """
import os, resource, sys
import anyaio.blocking as aio
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
aio.rmtree(sys.argv[1])
"""


def test_five_thousand_levels_with_64_descriptors(backend, deep):
    plant_deep(deep, 5000, b"n")
    plant_deep(deep, 30, b"m" * 200, beside=3)
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    done = subprocess.run(
        [sys.executable, "-c", DEEP, deep], env=environment, timeout=LIMIT, check=False, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert not deep.exists()


def test_many_branches_and_levels_need_few_descriptors(engine, deep):
    plant_deep(deep, 40, b"n" * 250, beside=10)
    before, most = descriptors(), 0

    def count(submit, number, *arguments):
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
        return submit(number, *arguments)

    remove(engine, deep, count)
    assert not deep.exists()
    assert 0 < most <= 45


def test_requests_under_way_are_bounded(engine, tmp_path):
    tree(tmp_path / "t", *(f"{folder}/{name}" for folder in range(20) for name in range(40)))
    most = 0

    def count(submit, number, *arguments):
        nonlocal most
        most = max(most, engine.nreqs)
        return submit_listing(submit, number, *arguments)

    remove(engine, tmp_path / "t", count)
    assert limits.BRANCHES < most <= limits.IN_FLIGHT + limits.BRANCHES


# ---- failures ----


TOO_LONG = b"n" * 300


def submit_listing(submit, number, *arguments):
    """A hook for which no directory can be emptied in one go: each of its entries is unlinked by itself."""
    if number != _SWEEP:
        return submit(number, *arguments)
    path, dir_fd = arguments
    return submit(SCANDIR, path, "kernel", False, False, False, dir_fd)


def failing(*wanted):
    """Return a hook that has (operation, name) fail: the kernel gets a name that is too long."""

    def fail(submit, number, *arguments):
        if (number, arguments[0]) in wanted:
            arguments = (TOO_LONG, *arguments[1:])
        return submit_listing(submit, number, *arguments)

    return fail


def test_without_on_error_a_failure_is_raised_with_its_whole_path(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/stays", "f")
    with pytest.raises(OSError, match="too long") as caught:
        remove(engine, folder, failing((UNLINK, b"stays")))
    assert (caught.value.errno, caught.value.filename) == (errno.ENAMETOOLONG, f"{folder}/a/b/stays")
    assert caught.value.__context__ is None
    assert (folder / "a/b/stays").exists()


def test_when_a_failure_is_raised_nothing_is_under_way_any_more(engine, tmp_path):
    folder = tree(tmp_path / "t", *map(str, range(200)))
    with pytest.raises(OSError, match="too long"):
        remove(engine, folder, failing((UNLINK, b"100")))
    assert engine.nreqs == 0
    assert len(os.listdir(folder)) > 1


def test_on_error_is_told_each_failure_and_the_rest_goes_on(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/stays", "a/b/goes", "a/goes", "closed/f", "unread/f", "unread/g", "z/y/x/w")
    failures = Failures()
    hook = failing((UNLINK, b"stays"), (OPEN, b"closed"))
    unread = None

    def fail(submit, number, *arguments):
        nonlocal unread
        if number == OPEN and arguments[0] == b"unread":
            unread = True
        elif number == _SWEEP and unread:
            unread, arguments = False, (TOO_LONG, *arguments[1:])
            return submit(number, *arguments)
        return hook(submit, number, *arguments)

    branches, limits.BRANCHES = limits.BRANCHES, 1  # so that the next to be read is that one
    try:
        remove(engine, folder, fail, on_error=failures)
    finally:
        limits.BRANCHES = branches
    assert sorted(failures) == [
        ("open", f"{folder}/closed", OSError),
        ("rmdir", f"{folder}", OSError),
        ("rmdir", f"{folder}/a", OSError),
        ("rmdir", f"{folder}/a/b", OSError),
        ("scandir", f"{folder}/unread", OSError),
        ("unlink", f"{folder}/a/b/stays", OSError),
    ]
    assert failures[-1][:2] == ("rmdir", str(folder))
    stays = ["a", "a/b", "a/b/stays", "closed", "closed/f", "unread", "unread/f", "unread/g"]
    assert [name for name, _ in content(folder)] == stays


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
def test_paths_that_are_told_are_of_the_type_of_the_path_given(engine, tmp_path, kind):
    folder = tree(tmp_path / "t", "a/stays")
    given = kind(str(folder))
    told = []
    hook = failing((UNLINK, b"stays"))
    remove(engine, given, hook, on_error=lambda operation, path, error: told.append((path, error.filename)))
    top = os.fspath(given)
    names = (b"/a/stays", b"/a", b"") if isinstance(top, bytes) else ("/a/stays", "/a", "")
    assert [path for path, _ in told] == [top + name for name in names]
    assert [filename for _, filename in told] == [top + names[0], top + names[1], given]
    assert all(type(path) is type(top) for path, _ in told)


def test_a_relative_path_is_told_as_it_was_given(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "t", "a/stays")
    failures = Failures()
    remove(engine, "./t/", failing((UNLINK, b"stays")), on_error=failures)
    assert [path for _, path, _ in failures] == ["./t/a/stays", "./t/a", "./t/"]


def test_on_error_is_told_why_the_root_cannot_be_entered(engine, tmp_path):
    tree(tmp_path, "f")
    (tmp_path / "link").symlink_to(".")
    failures = Failures()
    for name in ("missing", "f", "link", "."):
        remove(engine, f"{tmp_path}/{name}", on_error=failures)
    assert failures == [
        ("open", f"{tmp_path}/missing", FileNotFoundError),
        ("open", f"{tmp_path}/f", NotADirectoryError),
        ("open", f"{tmp_path}/link", NotADirectoryError),
        ("rmdir", f"{tmp_path}/.", OSError),
    ]


def test_on_error_that_removes_it_itself_lets_the_rest_succeed(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/stays", "f")
    hook = failing((UNLINK, b"stays"))
    remove(engine, folder, hook, on_error=lambda operation, path, error: os.unlink(path))
    assert os.listdir(tmp_path) == []


def test_an_error_in_on_error_ends_it(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/stays")

    def refuse(operation, path, error):
        raise BrokenPipeError from error

    with pytest.raises(BrokenPipeError) as caught:
        remove(engine, folder, failing((UNLINK, b"stays")), on_error=refuse)
    assert caught.value.__cause__.filename == f"{folder}/a/b/stays"
    assert engine.nreqs == 0


def test_on_error_is_called_in_the_thread_and_context_of_the_caller(engine, tmp_path):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    def look(operation, path, error):
        seen.append((variable.get(), threading.current_thread()))

    variable.set("submit")
    answer = start(engine, tree(tmp_path / "t", "stays"), failing((UNLINK, b"stays")), on_error=look)
    variable.set("later")
    run(engine, answer)
    assert seen == [("submit", threading.current_thread())] * 2


def test_ignore_errors_raises_and_tells_nothing(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/stays", "a/b/goes", "c/d/goes")
    failures = Failures()
    hook = failing((UNLINK, b"stays"))
    remove(engine, folder, hook, ignore_errors=True, on_error=failures)
    assert [name for name, _ in content(folder)] == ["a", "a/b", "a/b/stays"]
    for path in (tmp_path / "missing", folder / "a/b/stays", f"{tmp_path}/."):
        remove(engine, path, ignore_errors=True)
    assert failures == []
    assert (folder / "a/b/stays").exists()


AS_NOBODY = """
import errno, json, os, shutil, sys
import anyaio.blocking as aio, anyaio._composites.budget, anyaio._composites.rmtree
folder, is_root = sys.argv[1:]
if is_root:
    os.setgid({nobody})
    os.setuid({nobody})
told = []
aio.rmtree(folder, on_error=lambda operation, path, error: told.append((operation, path, errno.errorcode[error.errno])))
try:
    aio.rmtree(folder)
except PermissionError as error:
    told.append(("raised", error.filename, errno.errorcode[error.errno]))
print(json.dumps(told))
"""


def test_directories_that_may_not_be_read_or_changed_are_told(backend):
    # Not in tmp_path, which others may not enter.
    folder = pathlib.Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    tree(folder, "t/closed/f", "t/empty/", "t/fixed/f", "t/listed/f", "t/goes/f")
    for name in (".", "t/closed", "t/empty", "t/fixed", "t/listed", "t/goes", "t"):
        if is_root:
            os.chown(folder / name, NOBODY, NOBODY)
        os.chmod(folder / name, 0o700)
    for name, mode in {"closed": 0, "empty": 0, "fixed": 0o500, "listed": 0o400}.items():
        os.chmod(folder / "t" / name, mode)
    command = [sys.executable, "-c", AS_NOBODY.format(nobody=NOBODY), folder / "t", "yes" if is_root else ""]
    try:
        environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
        done = subprocess.run(command, env=environment, timeout=LIMIT, stdout=subprocess.PIPE, check=True)
        left = sorted(os.listdir(folder / "t"))
    finally:
        for name in ("closed", "fixed", "listed"):
            os.chmod(folder / "t" / name, 0o700)
        shutil.rmtree(folder)
    *told, raised = map(tuple, json.loads(done.stdout))
    assert sorted(told) == [
        ("rmdir", f"{folder}/t", "ENOTEMPTY"),
        ("rmdir", f"{folder}/t/fixed", "ENOTEMPTY"),
        ("scandir", f"{folder}/t/closed", "EACCES"),
        ("scandir", f"{folder}/t/listed", "EACCES"),
        ("unlink", f"{folder}/t/fixed/f", "EACCES"),
    ]
    assert left == ["closed", "fixed", "listed"]
    assert raised[1].startswith(f"{folder}/t/")


MOUNTED = """
import errno, json, sys
import anyaio.blocking as aio
told = []
def tell(operation, path, error):
    told.append((operation, path, errno.errorcode[error.errno]))
aio.rmtree(sys.argv[1], on_error=tell)
print(json.dumps(told))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_mount_point_in_the_tree_is_busy_and_told(backend, tmp_path):
    folder = tree(tmp_path / "t", "a/mount/", "b/f")
    script = 'mount -t tmpfs none "$0/a/mount" && mkdir "$0/a/mount/inside" && exec "$@"'
    unshare = ["unshare", "--mount", "sh", "-c", script, folder, sys.executable, "-c", MOUNTED, folder]
    if subprocess.run([*unshare[:5], folder, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("no mounting here")
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    done = subprocess.run(unshare, env=environment, timeout=LIMIT, stdout=subprocess.PIPE, check=True)
    assert list(map(tuple, json.loads(done.stdout))) == [
        ("rmdir", f"{folder}/a/mount", "EBUSY"),
        ("rmdir", f"{folder}/a", "ENOTEMPTY"),
        ("rmdir", f"{folder}", "ENOTEMPTY"),
    ]


# ---- who gets in between ----


class Between:
    """A hook that lets each step end before the next one begins, and does something before step number *moment*."""

    def __init__(self, moment, act):
        self.moment, self.act = moment, act
        self.steps = 0
        self.came = False
        self.operations = []

    def __call__(self, submit, number, *arguments):
        if self.steps == self.moment:
            self.came = self.act()
        self.steps += 1
        self.operations.append((number, arguments[0]))
        answer = submit(number, *arguments)
        while isinstance(answer, Request) and answer.state not in ("finished", "done"):
            time.sleep(0)  # thousands of steps are too many for `spin`
        return answer


def at_each_step(engine, plant, act, check):
    """Plant, and remove while *act* gets in between, at the first step, the second, …; *check* what is left."""
    engine.max_inline_reqs, engine.max_inline_time = 1 << 30, 1e6  # what is parked would end in a poll, not here
    came = 0
    for moment in range(1000):
        folder = plant()
        hook = Between(moment, lambda folder=folder: act(folder))
        error = None
        try:
            remove(engine, folder, hook)
        except OSError as caught:
            error = caught
        check(folder, error, hook)
        came += hook.came
        if hook.steps <= moment:
            return came
    raise AssertionError("it does not end")


NAMES = ("f", "a/f", "a/b/f", "a/b/c/d/f", "a/c/f", "c/f")


@pytest.fixture(params=["plenty of descriptors", "hardly any"])
def few(request, monkeypatch):
    """With hardly any descriptor, directories are opened anew all the time."""
    if request.param == "hardly any":
        monkeypatch.setattr("anyaio._composites.rmtree.MOST_OPEN", 1)
        monkeypatch.setattr("anyaio._composites.rmtree.BRANCHES", 1)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", [".", "a", "a/b/c"])
def test_a_directory_that_becomes_a_symlink_at_any_moment_leads_nowhere(engine, tmp_path, precious, victim):
    expected = content(precious)

    def plant():
        for name in ("t", "aside"):
            if (tmp_path / name).is_symlink():
                os.unlink(tmp_path / name)
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        return tree(tmp_path / "t", *NAMES)

    def swap(folder):
        try:
            os.rename(os.path.normpath(folder / victim), tmp_path / "aside")
        except FileNotFoundError:
            return False
        os.symlink(precious, os.path.normpath(folder / victim))
        return True

    def check(folder, error, hook):
        assert content(precious) == expected
        if hook.came and victim == ".":
            assert isinstance(error, OSError)
            assert folder.is_symlink()
        else:
            assert error is None
            assert not os.path.lexists(folder)

    assert at_each_step(engine, plant, swap, check) > 3


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", ["a/b", "a/b/c"])
def test_a_directory_that_is_moved_away_at_any_moment_leads_nowhere(engine, tmp_path, precious, victim):
    expected = content(precious)

    def plant():
        shutil.rmtree(precious / "moved", ignore_errors=True)
        return tree(tmp_path / "t", *NAMES)

    def move(folder):
        try:
            os.rename(folder / victim, precious / "moved")
        except FileNotFoundError:
            return False
        return True

    def check(folder, error, hook):
        moved = precious / "moved"
        assert [row for row in content(precious) if not row[0].startswith("moved")] == expected
        assert error is None
        assert not folder.exists()
        assert moved.exists() == hook.came
        shutil.rmtree(moved, ignore_errors=True)

    assert at_each_step(engine, plant, move, check) > 3


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", ["a/b", "a/b/c/d/f"])
def test_what_somebody_else_removes_at_any_moment_is_no_failure(engine, tmp_path, victim):
    def vanish(folder):
        path = folder / victim
        if not path.exists():
            return False
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return True

    def check(folder, error, hook):
        assert error is None
        assert not folder.exists()

    assert at_each_step(engine, lambda: tree(tmp_path / "t", *NAMES), vanish, check) > 3


@pytest.mark.usefixtures("few")
def test_a_tree_that_somebody_else_removes_at_any_moment_is_no_failure_once_it_was_entered(engine, tmp_path):
    def vanish(folder):
        if not folder.exists():
            return False
        shutil.rmtree(folder)
        return True

    def check(folder, error, hook):
        assert error is None or (hook.moment <= 1 and isinstance(error, FileNotFoundError))
        assert not folder.exists()

    assert at_each_step(engine, lambda: tree(tmp_path / "t", *NAMES), vanish, check) > 3


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", ["a/b/c", "c"])
def test_a_directory_that_becomes_a_file_at_any_moment_is_unlinked(engine, tmp_path, victim):
    def swap(folder):
        if not (folder / victim).exists():
            return False
        shutil.rmtree(folder / victim)
        (folder / victim).touch()
        return True

    def check(folder, error, hook):
        assert error is None
        assert not folder.exists()

    assert at_each_step(engine, lambda: tree(tmp_path / "t", *NAMES), swap, check) > 3


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", ["a/b/f"])
def test_a_file_that_becomes_a_directory_at_any_moment_is_emptied(engine, tmp_path, victim):
    def swap(folder):
        if not (folder / victim).exists():
            return False
        os.unlink(folder / victim)
        tree(folder, f"{victim}/x/y", f"{victim}/z")
        return True

    def check(folder, error, hook):
        assert error is None
        assert not folder.exists()

    assert at_each_step(engine, lambda: tree(tmp_path / "t", *NAMES), swap, check) > 2


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("victim", [".", "a/b/c"])
def test_what_appears_in_a_directory_at_any_moment_is_removed_too(engine, tmp_path, victim):
    def appear(folder):
        if not (folder / victim).exists():
            return False
        tree(folder / victim, "new/x/y", "newer")
        return True

    def check(folder, error, hook):
        assert error is None
        assert not folder.exists()

    assert at_each_step(engine, lambda: tree(tmp_path / "t", *NAMES), appear, check) > 3


def test_a_directory_that_is_never_empty_is_told_after_a_few_attempts(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/f", "b/f")
    listings = 0

    def appear(submit, number, *arguments):
        nonlocal listings
        if number == RMDIR and arguments[0] == b"a":
            (folder / "a/again").touch()
        listings += number == _SWEEP
        return submit(number, *arguments)

    failures = Failures()
    remove(engine, folder, appear, on_error=failures)
    assert failures == [("rmdir", f"{folder}/a", OSError), ("rmdir", str(folder), OSError)]
    assert 4 < listings < 12


def test_a_name_that_changes_its_nature_all_the_time_is_told_after_a_few_attempts(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b")
    victim = folder / "a/b"

    def turn(submit, number, *arguments):
        if arguments[0] == b"b" and number == UNLINK:
            victim.unlink(missing_ok=True)
            victim.mkdir()
        elif arguments[0] == b"b" and number == OPEN:
            victim.rmdir()
            victim.touch()
        return submit_listing(submit, number, *arguments)

    failures = Failures()
    remove(engine, folder, turn, on_error=failures)
    assert [path for _, path, _ in failures] == [str(victim), f"{folder}/a", str(folder)]


@pytest.mark.usefixtures("few")
def test_cancelled_at_any_step_it_stops_and_leaves_no_descriptor(engine, tmp_path):
    composites, stopped, before = [], 0, None

    def cancel():
        for composite in composites:  # none while the first steps are taken: it has not been returned yet
            composite.cancel()
        return True

    for moment in range(1000):
        folder = tree(tmp_path / "t", *NAMES)
        composites.clear()
        hook = Between(moment, cancel)
        composites.append(start(engine, folder, hook))
        if hook.came:
            cancel()
        try:
            run(engine, composites[0])
        except Cancelled:
            stopped += 1
        if before is None:
            engine.flush()
            before = descriptors()
        spin(lambda: engine.poll() or engine.nreqs == 0)
        spin(lambda before=before: len(os.listdir("/proc/self/fd")) <= before)
        if not hook.came:
            assert not folder.exists()
            break
    assert stopped > 20


def test_cancelled_in_the_middle_of_many_files_it_leaves_the_rest(engine, tmp_path):
    folder = tree(tmp_path / "t", *map(str, range(2000)))
    composite, unlinks = None, 0

    def cancel(submit, number, *arguments):
        nonlocal unlinks
        unlinks += number == UNLINK
        if unlinks == 500:
            composite.cancel()
        return submit_listing(submit, number, *arguments)

    composite = start(engine, folder, cancel)
    with pytest.raises(Cancelled):
        run(engine, composite)
    assert engine.nreqs == 0
    assert 2000 - 500 - limits.IN_FLIGHT <= len(os.listdir(folder)) < 2000


def test_its_descriptors_are_closed_also_after_a_failure(engine, tmp_path):
    folder = tree(tmp_path / "t", "a/b/c/stays", *map(str, range(100)))
    closed = []

    def watch(submit, number, *arguments):
        if number == CLOSE:
            closed.append(arguments[0])
        return failing((UNLINK, b"stays"))(submit, number, *arguments)

    with pytest.raises(OSError, match="too long"):
        remove(engine, folder, watch)
    assert len(closed) == 5


def test_cancelled_while_a_directory_is_swept_it_stops_between_two_files(engine, tmp_path):
    folder = tree(tmp_path / "t", *map(str, range(20000)))
    composite, swept = None, None

    def watch(submit, number, *arguments):
        nonlocal swept
        request = submit(number, *arguments)
        if number == _SWEEP:
            swept = request
        return request

    composite = start(engine, folder, watch)
    spin(lambda: engine.poll() or (swept is not None and (len(os.listdir(folder)) < 20000)))
    composite.cancel()
    with pytest.raises(Cancelled):
        run(engine, composite)
    left = len(os.listdir(folder))
    assert engine.nreqs == 0
    assert len(os.listdir(folder)) == left  # nothing goes on behind the back of who was told so

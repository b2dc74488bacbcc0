"""The lists in the documentation are those of the tables, and the page of requests is fresh."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anyaio import _constants
from anyaio._composite import COMPOSITES
from anyaio._ops import public_operations
from anyaio._table import Operation

PUBLIC = public_operations()

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
IO_AIO = [
    line for line in (ROOT / "tests/data/io_aio_requests.txt").read_text().splitlines() if not line.startswith("#")
]
NAMES = [operation.name for operation in PUBLIC] + [composite.__name__ for composite in COMPOSITES]
# What IO::AIO calls its functions that are no requests, and its methods.
CONTROLS = """
    cancel cb add cancel_subs result errno feed limit aioreq_pri aioreq_nice poll_fileno poll_cb poll_wait poll flush
    max_poll_reqs max_poll_time min_parallel max_parallel max_idle idle_timeout max_outstanding nreqs nready npending
    nthreads reinit sendfile fadvise madvise mprotect mmap munmap mremap mlockall munlock munlockall fexecve accept4
    splice tee pipesize pipe2 eventfd memfd_create timerfd_create timerfd_settime timerfd_gettime pidfd_open
    pidfd_getfd pidfd_send_signal mount umount get_fdlimit min_fdlimit aio_wait IO::AIO::CWD IO::AIO::INVALID_WD
""".split()


def named(operation: Operation) -> str:
    return operation.name


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_lists_every_request(name: str) -> None:
    (there,) = re.findall(r"^- \*\*There\*\*:(.*?)^- ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert f"`{name}`" in there


def row_of(request_class: str) -> str:
    """The operations that the table of classes has in a row."""
    page = (DOCS / "cancellation.md").read_text()
    (row,) = re.findall(rf"^\| {request_class} \| (.*?) \|", page, re.MULTILINE)
    return str(row)


@pytest.mark.parametrize("operation", PUBLIC, ids=named)
def test_the_table_of_classes_has_every_operation_in_its_row(operation: Operation) -> None:
    classes = {operation.request_class} | ({operation.unless[1]} if operation.unless else set())
    rows = {name for name in ("look", "make", "change", "must") if f"`{operation.name}`" in row_of(name)}
    assert rows == classes


@pytest.mark.parametrize("composite", COMPOSITES, ids=lambda composite: composite.__name__)
def test_the_page_on_cancellation_tells_of_every_composite(composite: Callable[..., Any]) -> None:
    assert f"`{composite.__name__}`" in (DOCS / "cancellation.md").read_text()


# ---- coming from IO::AIO ----


def test_io_aio_has_fifty_requests() -> None:
    assert len(set(IO_AIO)) == len(IO_AIO) == 50


@pytest.mark.parametrize("name", [*IO_AIO, *CONTROLS])
def test_the_page_for_users_of_io_aio_has_it_in_a_table_or_text(name: str) -> None:
    page = (DOCS / "from-io-aio.md").read_text()
    assert re.search(rf"`(\$req->)?{re.escape(name)}(`|\()", page)


def test_every_family_of_constants_is_on_that_page() -> None:
    page = (DOCS / "from-io-aio.md").read_text()
    section = page[page.index("## Constants") :]
    families = set(re.findall(r"`([A-Z_0-9]+|BLK…|FS_…_FL|F_…_RW_HINT)`", section))
    shapes = [
        re.compile(re.escape(family).replace("…", ".*") + ("" if family.endswith(("_", "…")) else "$"))
        for family in families
    ]
    missing = [name for name in vars(_constants) if name.isupper() and not any(shape.match(name) for shape in shapes)]
    assert missing == []


# ---- the page of all requests ----


def reference(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-E", str(root / "tools/reference.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the page is made from."""
    for name in ("core", "tools", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "_build"))
    return tmp_path


def test_the_page_of_requests_is_fresh() -> None:
    done = reference(ROOT, "--check")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_requests_describes_every_request(name: str) -> None:
    assert f"\n### {name}\n\n```text\n{name}(" in (DOCS / "requests.md").read_text()


def test_the_page_of_requests_has_what_io_aio_calls_them() -> None:
    page = (DOCS / "requests.md").read_text()
    assert {name for name in IO_AIO if f"`{name}`" not in page} == {"aio_group"}


def test_check_names_a_stale_page_and_changes_nothing(checkout: Path) -> None:
    with open(checkout / "core/_ops.py", "a") as table:
        table.write('\n\n@operation("change")\ndef chop(fd: Fd, *, size: Size = 0) -> int:\n    """Cut."""\n')
    before = (checkout / "docs/requests.md").read_text()
    done = reference(checkout, "--check")
    assert (done.returncode, done.stdout) == (1, "docs/requests.md is stale: run tools/reference.py\n")
    assert (checkout / "docs/requests.md").read_text() == before
    assert reference(checkout).returncode == 0
    assert "chop(fd: int, *, size: int = 0) -> int" in (checkout / "docs/requests.md").read_text()


def test_a_name_of_io_aio_for_no_request_is_an_error(checkout: Path) -> None:
    tool = checkout / "tools/reference.py"
    tool.write_text(tool.read_text().replace('"busy": "aio_busy"', '"lazy": "aio_busy"'))
    done = reference(checkout)
    assert done.returncode != 0
    assert "lazy" in done.stderr

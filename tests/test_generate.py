"""What tools/generate.py writes is fresh, and --check says which file is not."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

if not (ROOT / "tools/generate.py").exists():
    pytest.skip("the tools are not where the tests are", allow_module_level=True)


def generate(root, *arguments):
    command = [sys.executable, "-S", "-E", str(root / "tools/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the generator reads and writes."""
    for name in ("core", "adapters", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return tmp_path


def test_the_generated_files_are_fresh():
    done = generate(ROOT, "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_check_names_the_stale_file_and_changes_nothing(checkout):
    stale = checkout / "core/_opcodes.py"
    stale.write_text("PREAD = 0\n")
    done = generate(checkout, "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["core/_opcodes.py is stale: run tools/generate.py"]
    assert stale.read_text() == "PREAD = 0\n"


def test_an_operation_added_to_the_table_is_everywhere(checkout):
    with open(checkout / "core/_ops.py", "a") as table:
        table.write('\n\n@operation("change")\ndef chop(fd: Fd, *, size: Size = 0) -> int:\n    """Cut."""\n')
    assert generate(checkout).returncode == 0
    rows = (checkout / "core/_native/ops_table.h").read_text()
    assert 'ROW(CHOP, chop, CLASS_CHANGE, "fz", RESULT_INT, "fd size")' in rows
    for name in ("_await_ops", "_future_ops", "_blocking_ops", "_callback_ops", "_blocking_functions"):
        assert "def chop(" in (checkout / f"core/{name}.py").read_text()
    assert (
        "async def chop(fd: int, *, size: int = 0) -> int:" in (checkout / "adapters/asyncio/_functions.py").read_text()
    )
    assert generate(checkout, "--check").returncode == 0


def test_a_composite_is_everywhere(checkout):
    (checkout / "core/_composite.py").write_text(
        "from ._drive import composite\n"
        "from ._types import StrOrBytesPath\n"
        "@composite\n"
        "async def twice(steps: object, path: StrOrBytesPath, *, limit: int = 4) -> int:\n"
        '    """Do it twice."""\n'
    )
    assert generate(checkout).returncode == 0
    functions = (checkout / "adapters/asyncio/_functions.py").read_text()
    assert "async def twice(path: StrOrBytesPath, *, limit: int = 4) -> int:" in functions
    assert "front._drive(_composite.twice, path, limit=limit)" in functions
    callbacks = (checkout / "core/_callback_ops.py").read_text()
    assert "self._drive_queued(callback, _composite.twice, path, limit=limit)" in callbacks


def test_an_unknown_kind_is_an_error_with_the_operations_name(checkout):
    with open(checkout / "core/_ops.py", "a") as table:
        table.write('\n\n@operation("look")\ndef chop(fd: Sausage) -> None:\n    """Cut."""\n')
    done = generate(checkout)
    assert done.returncode != 0
    assert "chop: Sausage is not in KINDS" in done.stderr


def test_numbers_and_c_rows_are_in_the_tables_order():
    table = ast.parse((ROOT / "core/_ops.py").read_text())
    names = [
        node.name
        for node in table.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Call) and ast.unparse(mark.func) == "operation" for mark in node.decorator_list)
    ]
    numbers = re.findall(r"^(\w+): Final = (\d+)$", (ROOT / "core/_opcodes.py").read_text(), re.MULTILINE)
    rows = re.findall(r"ROW\((\w+), (\w+), CLASS_", (ROOT / "core/_native/ops_table.h").read_text())
    assert numbers == [(name.upper(), str(place)) for place, name in enumerate(names)]
    assert rows == [(name.upper(), name) for name in names]


def test_an_extension_built_from_another_table_does_not_serve(monkeypatch, caplog):
    native = pytest.importorskip("anyaio._engine")
    from anyaio import _backend

    monkeypatch.setattr(_backend, "missing", None)
    monkeypatch.delenv("ANYAIO_BACKEND", raising=False)
    monkeypatch.setattr(native, "FINGERPRINT", "another")
    assert _backend._choose().NAME == "python"
    assert "another table" in caplog.text
    monkeypatch.setenv("ANYAIO_BACKEND", "native")
    with pytest.raises(ImportError, match="another table"):
        _backend._choose()

"""What may know of what: core names no event loop but in its table, and an adapter imports its own framework alone."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core"
TABLE = CORE / "_running.py"
FRAMEWORKS = {
    "asyncio": {"asyncio"},
    "gevent": {"gevent", "greenlet"},
    "glib": {"gi"},
    "pyuv": {"pyuv"},
    "qt": {"PySide6", "PySide2", "PyQt6", "PyQt5"},
    "tk": {"tkinter"},
    "tornado": {"tornado", "asyncio"},  # tornado is asyncio underneath
    "trio": {"trio", "sniffio"},
    "twisted": {"twisted", "zope"},
}
"""The modules that an adapter may import, of those that are a framework's."""
OTHERS = {"uvloop", "anyio", "curio", "GLib"}
NAMED = re.compile(rf"\b({'|'.join(sorted(set().union(OTHERS, *FRAMEWORKS.values())))})\b")


def docstring_lines(text: str) -> set[int]:
    """The lines of all strings that stand alone."""
    lone = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    strings = [node for node in lone if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {line for node in strings for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def frameworks_named(text: str) -> set[str]:
    """What the code names, be it in a string; docstrings and comments are for people."""
    excluded = docstring_lines(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = [
        token.string
        for token in tokens
        if token.type in (tokenize.NAME, tokenize.STRING) and token.start[0] not in excluded
    ]
    return {name for string in code for name in NAMED.findall(string)}


def imported(text: str) -> set[str]:
    """The first parts of all that is imported, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_a_docstring_may_name_what_code_may_not():
    assert frameworks_named('"""For trio."""\nimport trio.lowlevel\nx = "asyncio"  # gevent\n') == {"trio", "asyncio"}


@pytest.mark.parametrize("path", sorted(CORE.glob("**/*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_core_names_no_framework_outside_of_the_table(path):
    if path != TABLE:
        assert frameworks_named(path.read_text(encoding="utf-8")) == set()


def test_the_table_imports_none_either():
    assert imported(TABLE.read_text(encoding="utf-8")) & set().union(OTHERS, *FRAMEWORKS.values()) == set()


def test_each_adapter_is_in_the_table():
    table = TABLE.read_text(encoding="utf-8")
    missing = {name for name in FRAMEWORKS if f'"anyaio.{name}"' not in table}
    assert missing == {"tornado"}, "there it is asyncio that runs"


@pytest.mark.parametrize(
    "folder", [path for path in (ROOT / "adapters").iterdir() if path.is_dir()], ids=lambda path: path.name
)
def test_an_adapter_imports_no_other_framework(folder):
    everything = set().union(OTHERS, *FRAMEWORKS.values())
    for path in folder.glob("*.py"):
        assert imported(path.read_text(encoding="utf-8")) & everything <= FRAMEWORKS[folder.name], path.name

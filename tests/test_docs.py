"""The lists in the documentation are those of the table of operations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anyaio._ops import OPERATIONS
from anyaio._table import Operation

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_readme_lists_every_operation(operation: Operation) -> None:
    (there,) = re.findall(r"^- \*\*There\*\*:(.*?)^- ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert f"`{operation.name}`" in there


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_table_of_classes_has_every_operation_in_its_row(operation: Operation) -> None:
    page = (ROOT / "docs/cancellation.md").read_text()
    (row,) = re.findall(rf"^\| {operation.request_class} \| (.*?) \|", page, re.MULTILINE)
    assert f"`{operation.name}`" in row

"""The table of operations, and the composites, read as text: so the tools run without anyaio installed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
KINDS_TABLE = Path("core/_table.py")
TABLE = Path("core/_ops.py")
COMPOSITES = Path("core/_composite.py")


class Parameter(NamedTuple):
    name: str
    kind: str  # the annotation, as written
    default: str | None  # as written
    keyword_only: bool


class Signature(NamedTuple):
    parameters: list[Parameter]
    returns: str


class Function(NamedTuple):
    """An operation, or a composite."""

    name: str
    signature: Signature
    overloads: list[Signature]
    docstring: str  # as written, without its indentation
    request_class: str  # "" for a composite


# ---- reading ----


@cache
def lines_of(text: str) -> list[bytes]:
    return text.encode().splitlines()


def source_of(text: str, node: ast.expr) -> str:
    """Return the source of an annotation or a default, which is on one line.

    `ast.get_source_segment` splits the whole text each time: seconds in all.
    """
    assert node.lineno == node.end_lineno, f"line {node.lineno} goes on in the next"
    return lines_of(text)[node.lineno - 1][node.col_offset : node.end_col_offset].decode()


def read_signature(text: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
    arguments = node.args
    if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
        raise SystemExit(f"{node.name}: only plain and keyword-only parameters can be generated")

    def parameter(argument: ast.arg, default: ast.expr | None, keyword_only: bool) -> Parameter:
        if argument.annotation is None:
            raise SystemExit(f"{node.name}: {argument.arg} has no annotation")
        written = None if default is None else source_of(text, default)
        return Parameter(argument.arg, source_of(text, argument.annotation), written, keyword_only)

    plain = [argument for argument in arguments.args if argument.arg != "steps"]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults]
    parameters = [parameter(argument, default, False) for argument, default in zip(plain, defaults, strict=True)]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parameters += [parameter(argument, default, True) for argument, default in keywords]
    return Signature(parameters, "None" if node.returns is None else source_of(text, node.returns))


def decorator_names(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    return [call.id for call in calls if isinstance(call, ast.Name)]


def read_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    docstring = ast.get_docstring(node)
    if docstring is None:
        raise SystemExit(f"{node.name} has no docstring")
    return docstring


def read_functions(text: str, decorator: str) -> list[Function]:
    """Return the functions under *decorator*, in the order of the file."""
    found: list[Function] = []
    overloads: list[Signature] = []
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        names = decorator_names(node)
        if "overload" in names:
            overloads.append(read_signature(text, node))
        elif decorator in names:
            call = node.decorator_list[names.index(decorator)]
            request_class = ast.literal_eval(call.args[0]) if isinstance(call, ast.Call) and call.args else ""
            signature = read_signature(text, node)
            found.append(Function(node.name, signature, overloads, read_docstring(node), request_class))
            overloads = []
        else:
            overloads = []
    return found


def read_kinds(text: str) -> dict[str, tuple[str, str]]:
    """Return the shape letter and the public annotation of each kind."""
    assignments = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    table = next(node.value for node in assignments if ast.unparse(node.targets[0]) == "KINDS")
    assert isinstance(table, ast.Dict)
    kinds = {}
    for key, value in zip(table.keys, table.values, strict=True):
        assert key is not None
        assert isinstance(value, ast.Call)
        shape, annotation = map(ast.literal_eval, value.args)
        kinds[ast.literal_eval(key)] = (shape, annotation)
    return kinds


def read_imports(text: str) -> dict[str, str]:
    """Return where each imported name comes from: the line that imports it alone."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found.update({alias.name: f"import {alias.name}" for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            plain = [alias for alias in node.names if alias.asname in (None, alias.name)]
            found.update({alias.name: f"from {module} import {alias.name}" for alias in plain})
    return found


# ---- what is read ----

TABLE_TEXT = (ROOT / TABLE).read_text(encoding="utf-8")
COMPOSITES_TEXT = (ROOT / COMPOSITES).read_text(encoding="utf-8") if (ROOT / COMPOSITES).exists() else ""
KINDS_TEXT = (ROOT / KINDS_TABLE).read_text(encoding="utf-8")
KINDS = read_kinds(KINDS_TEXT)
OPERATIONS = read_functions(TABLE_TEXT, "operation")
PUBLIC = [operation for operation in OPERATIONS if not operation.name.startswith("_")]  # the others are steps
ALL = [*PUBLIC, *read_functions(COMPOSITES_TEXT, "composite")]


# ---- how users see it ----


def public(annotation: str) -> str:
    return KINDS[annotation][1] if annotation in KINDS else {"NewFd": "int"}.get(annotation, annotation)


def written(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" = {parameter.default}"
    return f"{parameter.name}: {public(parameter.kind)}{default}"

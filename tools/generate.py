"""Write what follows from the table of operations: the colours, the adapters' functions, the rows of the C table.

    python tools/generate.py            write the files that changed
    python tools/generate.py --check    write nothing; name the stale files and exit with status 1

It reads `core/_table.py`, `core/_ops.py` and `core/_composite.py` as text and imports neither, so it runs without
anyaio installed. What differs between two colours is a row of COLOURS.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import textwrap
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
KINDS_TABLE = Path("core/_table.py")
TABLE = Path("core/_ops.py")
COMPOSITES = Path("core/_composite.py")
WIDTH = 120

RESULTS = {
    "None": "NONE",
    "int": "INT",
    "NewFd": "FD",
    "bytes": "BYTES",
    "os.stat_result": "STAT",
    "AnyStr": "PATH",
    "list[str] | list[bytes]": "NAMES",
    "list[DirEntry[str]] | list[DirEntry[bytes]]": "ENTRIES",
    "bool": "TRUTH",
    "list[str]": "ATTRIBUTES",
    "int | bytes": "CONTROL",
    "os.statvfs_result": "STATVFS",
    "Statx": "STATX",
    "list[Extent]": "EXTENTS",
}


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


TABLE_TEXT = (ROOT / TABLE).read_text(encoding="utf-8")
COMPOSITES_TEXT = (ROOT / COMPOSITES).read_text(encoding="utf-8") if (ROOT / COMPOSITES).exists() else ""
KINDS = read_kinds((ROOT / KINDS_TABLE).read_text(encoding="utf-8"))
OPERATIONS = read_functions(TABLE_TEXT, "operation")
PUBLIC = [
    operation for operation in OPERATIONS if not operation.name.startswith("_")
]  # the others are composites' steps
ALL = [*PUBLIC, *read_functions(COMPOSITES_TEXT, "composite")]
IMPORTS = {
    **read_imports((ROOT / KINDS_TABLE).read_text(encoding="utf-8")),
    **read_imports(COMPOSITES_TEXT),
    **read_imports(TABLE_TEXT),
    **{operation.name.upper(): f"from ._opcodes import {operation.name.upper()}" for operation in OPERATIONS},
    "Any": "from typing import Any",
    "Callable": "from collections.abc import Callable",
    "Final": "from typing import Final",
    "Request": "from ._request import Request",
    "_composite": "from . import _composite",
    "Awaitable": "from collections.abc import Awaitable",
    "TYPE_CHECKING": "from typing import TYPE_CHECKING",
    "T": "from ._request import T",
    **dict.fromkeys(("AwaitEach", "FutureEach", "BlockingEach", "Item", "Result"), "from ._each import {}"),
    "AsyncIterable": "from collections.abc import AsyncIterable",
    "Iterable": "from collections.abc import Iterable",
    "CallbackOps": "from ._callback_ops import CallbackOps",
    "Group": "from ._group import Group",
    "overload": "from typing import overload",
}
IMPORTS.pop("operation", None)  # the decorator's name is a parameter's too


# ---- the C table ----


def shape_of(operation: Function) -> str:
    kinds = [parameter.kind for parameter in operation.signature.parameters]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise SystemExit(f"{operation.name}: {', '.join(unknown)} is not in KINDS")
    return "".join(KINDS[kind][0] for kind in kinds)


def c_rows() -> list[str]:
    rows = []
    for operation in OPERATIONS:
        returns = operation.signature.returns
        if returns not in RESULTS:
            raise SystemExit(f"{operation.name}: no result of the C table is {returns}")
        name = operation.name
        parameters = " ".join(parameter.name for parameter in operation.signature.parameters)
        row = f"ROW({name.upper()}, {name}, CLASS_{operation.request_class.upper()}, "
        rows.append(f'    {row}"{shape_of(operation)}", RESULT_{RESULTS[returns]}, "{parameters}")')
    return rows


def fingerprint() -> str:
    """Return what tells an extension that was built from another table, whose numbers mean other operations."""
    return hashlib.sha256("\n".join(c_rows()).encode()).hexdigest()[:16]


def c_table() -> str:
    return "\n".join(
        [
            f"/* Generated by tools/generate.py from {TABLE}; do not edit. */",
            "#ifndef ANYAIO_OPS_TABLE_H",
            "#define ANYAIO_OPS_TABLE_H",
            "",
            "/* ROW(NUMBER, name, class, shape, result, parameters): the shape has one letter for each parameter. */",
            "#define OPS(ROW) \\",
            " \\\n".join(c_rows()),
            "",
            f'#define OPS_FINGERPRINT "{fingerprint()}"',
            "",
            "#endif",
            "",
        ]
    )


# ---- the colours ----


class Colour(NamedTuple):
    """How the functions of one colour look; {} in a body stands for the call's pieces."""

    class_name: str
    docstring: str
    keyword: str  # before def
    returns: str  # the annotation, around the operation's own result
    submit: str  # the body of an operation
    drive: str  # the body of a composite
    members: str  # what a front end of this colour provides


CALLBACK = "Callable[[Request[{}]], object] | None"

# An error holds its traceback, that the frames, and a request holds its error: hence the `del`.
AWAIT = """\
result: {union} = {call}
try:
    return await {self}._wait(result) if isinstance(result, Request) else result
finally:
    del result
"""
BLOCK = AWAIT.replace("await ", "")
SUBMIT = "{self}._submit({number}{arguments})"
DRIVE = "{self}._drive(_composite.{name}{arguments})"

WAIT = """\
_submit: Submitter

def {}:
    raise NotImplementedError

def _drive(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    raise NotImplementedError
"""

COLOURS = {
    "await": Colour(
        class_name="AwaitOps",
        docstring="The operations as coroutine functions.",
        keyword="async ",
        returns="{}",
        submit=AWAIT.replace("{call}", SUBMIT),
        drive=AWAIT.replace("{call}", DRIVE),
        members=WAIT.format("_wait(self, request: Request[T]) -> Awaitable[T]"),
    ),
    "future": Colour(
        class_name="FutureOps",
        docstring="The operations as functions that return the loop's own kind of future.",
        keyword="",
        returns="Awaitable[{}]",
        submit="return {self}._future(" + SUBMIT + ")\n",
        drive="return {self}._future(" + DRIVE + ")\n",
        members=WAIT.format("_future(self, result: T | Request[T]) -> Any"),
    ),
    "blocking": Colour(
        class_name="BlockingOps",
        docstring="The operations as functions that return when the result is there.",
        keyword="",
        returns="{}",
        submit=BLOCK.replace("{call}", SUBMIT),
        drive=BLOCK.replace("{call}", DRIVE),
        members=WAIT.format("_wait(self, request: Request[T]) -> T"),
    ),
    "callback": Colour(
        class_name="CallbackOps",
        docstring="""\
The operations as methods that return a Request at once.

*callback* gets that request, when its result is polled: never before the method has returned.
""",
        keyword="",
        returns="Request[{}]",
        submit="return {self}._queue({number}, callback{arguments})\n",
        drive="return {self}._drive_queued(callback, _composite.{name}{arguments})\n",
        members="""\
_queue: Callable[..., Request[Any]]  # of a submitter

def _drive_queued(
    self,
    callback: Callable[[Request[Any]], object] | None,
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> Request[Any]:
    raise NotImplementedError
""",
    ),
}


def public(annotation: str) -> str:
    return KINDS[annotation][1] if annotation in KINDS else {"NewFd": "int"}.get(annotation, annotation)


def written(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" = {parameter.default}"
    return f"{parameter.name}: {public(parameter.kind)}{default}"


def wrap(opening: str, pieces: list[str], closing: str, indent: str) -> str:
    """Put *pieces* between brackets: on one line, on one line of their own, or on a line each."""
    line = f"{indent}{opening}{', '.join(pieces)}{closing}"
    if len(line) <= WIDTH:
        return line
    inner = indent + "    "
    line = inner + ", ".join(pieces)
    if len(line) > WIDTH:
        line = "\n".join(f"{inner}{piece}," for piece in pieces)
    return f"{indent}{opening}\n{line}\n{indent}{closing}"


def wrap_statement(statement: str, indent: str) -> str:
    """Break the calls of a statement that is too long, the outermost first."""
    if len(indent + statement) <= WIDTH or not statement.endswith(")"):
        return indent + statement
    if statement.endswith("))"):
        opening, inner = statement[:-1].split("(", 1)
        wrapped = wrap_statement(inner, indent + "    ")
        return f"{indent}{opening}(\n{wrapped}{',' if chr(10) in wrapped else ''}\n{indent})"
    opening, arguments = statement[:-1].rsplit("(", 1)
    return wrap(opening + "(", arguments.split(", "), ")", indent)


def fill(paragraph: str, width: int) -> str:
    if max(map(len, paragraph.splitlines())) <= width:
        return paragraph
    return textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False)


def quote(docstring: str, indent: str) -> str:
    first, *others = docstring.strip().split("\n\n")
    quotes = 3 if others or "\n" in first else 6
    paragraphs = [fill(first, WIDTH - len(indent) - quotes), *(fill(other, WIDTH - len(indent)) for other in others)]
    text = textwrap.indent("\n\n".join(paragraphs), indent).lstrip()
    if "\n" in text:
        text = f"{text}\n{indent}"
    return f'{indent}"""{text}"""\n'


COVARIANT = ("{}", "Awaitable[{}]")


def header(
    function: Function, signature: Signature, colour: Colour, receiver: str, loose: bool, ending: str = ""
) -> tuple[str, str]:
    """Return a function's first line, up to the colon and *ending*, and the annotation of its result.

    The body of an overloaded function returns Any in its colour (*loose*): Request[list[str] | list[bytes]] is not a
    Request[list[str]].
    """
    result = public(signature.returns)
    wrapped = colour.returns.format("Any" if loose and colour.returns not in COVARIANT else result)
    parameters = [parameter for parameter in signature.parameters if not parameter.keyword_only]
    if colour.class_name == "CallbackOps":
        parameters.append(Parameter("callback", CALLBACK.format("Any" if loose else result), "None", False))
    keywords = [parameter for parameter in signature.parameters if parameter.keyword_only]
    pieces = [receiver] if receiver else []
    pieces += map(written, parameters)
    pieces += ["*", *map(written, keywords)] if keywords else []
    indent = "    " if receiver else ""
    return wrap(f"{colour.keyword}def {function.name}(", pieces, f") -> {wrapped}:{ending}", indent), result


def expand(overloads: list[Signature]) -> list[Signature]:
    """Write out what AnyStr stands for: the types of the body cannot agree with a type variable's."""
    found = []
    for signature in overloads:
        generic = any("AnyStr" in parameter.kind for parameter in signature.parameters)
        for constraint in ("str", "bytes") if generic else ("",):
            parameters = [p._replace(kind=p.kind.replace("AnyStr", constraint)) for p in signature.parameters]
            found.append(Signature(parameters, signature.returns.replace("AnyStr", constraint)))
    return found


def define(function: Function, colour: Colour, receiver: str) -> str:
    """Return the whole function: a method if *receiver* is ``self``, else a function of a module."""
    indent = "    " if receiver else ""
    text = ""
    for overload in expand(function.overloads):
        first_line, _ = header(function, overload, colour, receiver, loose=False, ending=" ...")
        text += f"{indent}@overload\n{first_line}\n"
    loose = bool(function.overloads)
    first_line, result = header(function, function.signature, colour, receiver, loose)
    text += f"{first_line}\n{quote(function.docstring, indent + '    ')}"

    composite = not function.request_class
    passed = [f"{p.name}={p.name}" if composite and p.keyword_only else p.name for p in function.signature.parameters]
    pieces = {
        "self": receiver or "front",
        "name": function.name,
        "number": function.name.upper(),
        "arguments": "".join(f", {argument}" for argument in passed),
        "union": "Request[None] | None" if result == "None" else f"{result} | Request[{'Any' if loose else result}]",
    }
    body = (colour.drive if composite else colour.submit).format(**pieces)
    if not receiver:
        body = "front = current()\n" + body
    for line in body.splitlines():
        text += wrap_statement(line.lstrip(), indent + "    " + line[: len(line) - len(line.lstrip())]) + "\n"
    return text


def import_lines(text: str, current: str) -> str:
    """Return the imports that *text* needs; *current* is the module that has the function of this name.

    Outside of core the names are not the neighbours': they are imported from anyaio.
    """
    words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    lines = {line.format(name) for name, line in IMPORTS.items() if name in words and f"class {name}:" not in text}
    names: dict[str, set[str]] = {}
    for line in lines:
        match = re.fullmatch(r"from (\S+) import (\w+)", line)
        if match is None:
            names.setdefault("", set()).add(line)
            continue
        module, name = match.groups()
        if current == "._adapter" and module.startswith("."):
            module = f"anyaio{module}".removesuffix(".")
        names.setdefault(module, set()).add(name)
    if current:
        names[current] = {"current", *words & {"Future", "Deferred"}}
    sections: list[list[str]] = [sorted(names.pop("", ())), [], []]
    for module in sorted(names, key=lambda module: (not module.startswith("."), module)):
        section = 2 if module.startswith(".") else 1 if module.startswith("anyaio") else 0
        ordered = sorted(
            names[module], key=lambda name: (not (name.isupper() and len(name) > 1), name.islower(), name.lower())
        )
        line = f"from {module} import {', '.join(ordered)}"
        if len(line) > WIDTH:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"
        sections[section].append(line)
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def module(first_line: str, body: str, current: str = "") -> str:
    imports = import_lines(re.sub(r'""".*?"""', "", body, flags=re.DOTALL), current)
    note = f"Generated by tools/generate.py from {TABLE} and {COMPOSITES}; do not edit."
    return f'"""{first_line}\n\n{note}\n"""\n\nfrom __future__ import annotations\n\n{imports}{body}'


def opcodes() -> str:
    body = "\n" + "".join(f"{operation.name.upper()}: Final = {i}\n" for i, operation in enumerate(OPERATIONS))
    body += f'\nFINGERPRINT: Final = "{fingerprint()}"  # of the table that they belong to\n'
    note = f"Generated by tools/generate.py from {TABLE}; do not edit."
    return f'"""The operations\' numbers: their places in the table.\n\n{note}\n"""\n\nfrom typing import Final\n{body}'


def colour_class(colour_name: str) -> str:
    colour = COLOURS[colour_name]
    methods = "\n".join(define(function, colour, "self") for function in ALL)
    members = textwrap.indent(colour.members, "    ")
    docstring = quote(colour.docstring, "    ")
    submitter = "\nif TYPE_CHECKING:\n    from ._engine import Submitter\n" if "Submitter" in members else ""
    body = f"{submitter}\n\nclass {colour.class_name}:\n{docstring}\n    __slots__ = ()\n\n{members}\n{methods}"
    return module(f"The operations in the {colour_name} colour.", body)


# What `each` finds the request of a function by.
TWINS = "TWINS = CallbackOps  # where the requests of the functions here are made"

EACH_OVERLOAD = """\
@overload
def each(
    function: Callable[[Item], {returns}],
    items: {items},
    *,
    limit: int = 64,
    ordered: bool = False,
    errors: Literal[ERRORS],
) -> {iterator}[Item, RESULT]: ...
"""

SEVERAL = (
    EACH_OVERLOAD.replace("[ERRORS]", '["raise"] = "raise"').replace("RESULT", "Result")
    + EACH_OVERLOAD.replace("[ERRORS]", '["return"]').replace("RESULT", "Result | Exception")
    + """\
def each(
    function: Callable[[Item], Any],
    items: {items},
    *,
    limit: int = 64,
    ordered: bool = False,
    errors: Literal["raise", "return"] = "raise",
) -> {iterator}[Item, Any]:
    \"\"\"Call *function* for each of *items*, and return an iterator of pairs: the item and its result.

    *function* is a function of this module that takes one item; give it more with `functools.partial`. At most *limit*
    are under way, and items are only taken as room comes. The pairs come as they are completed, with *ordered* in the
    order of the items. The first failure is raised, and all else is cancelled; with *errors* ``"return"`` the
    exception comes in place of the result.

    What is under way is cancelled when the iterator is closed, when nobody has it any more, and when who waits is
    cancelled. {block} also waits for changes that cannot be cancelled.
    \"\"\"
    if errors == "return":
        return current().each(function, items, limit=limit, ordered=ordered, errors=errors)
    return current().each(function, items, limit=limit, ordered=ordered, errors=errors)


def group(callback: Callable[[Group], object] | None = None) -> Group:
    \"\"\"Return a new group, for requests of ``current().engine``: *callback* gets it when they all have ended.\"\"\"
    return current().group(callback)
"""
)

BOTH = "Iterable[Item] | AsyncIterable[Item]"

EACH = {
    "AwaitOps": {
        "returns": "Awaitable[Result]",
        "items": BOTH,
        "iterator": "AwaitEach",
        "block": "Its ``async with`` block",
    },
    "FutureOps": {
        "returns": "Awaitable[Result]",
        "items": BOTH,
        "iterator": "FutureEach",
        "block": "Its ``async with`` block",
    },
    "BlockingOps": {
        "returns": "Result",
        "items": "Iterable[Item]",
        "iterator": "BlockingEach",
        "block": "Its ``with`` block",
    },
}

SEVERAL_WITH_CALLBACK = """\
def each(
    function: Callable[..., Request[Any]],
    items: Iterable[Item],
    callback: Callable[[Item, Request[Any]], object],
    *,
    limit: int = 64,
    ordered: bool = False,
) -> Group:
    \"\"\"Call *function*, one of this module's, for each of *items*; *callback* gets an item and its request.

    At most *limit* are under way; items are only taken when there is room. With *ordered* the callbacks come in the
    order of the items. The group that is returned can be cancelled, and given a callback for the end.
    \"\"\"
    return current().each(function, items, callback, limit=limit, ordered=ordered)


def group(callback: Callable[[Group], object] | None = None) -> Group:
    \"\"\"Return a new group; *callback* gets it when it has no members, in a later poll.\"\"\"
    return current().group(callback)
"""


def function_module(colour: Colour, package: str, current: str) -> str:
    functions = "\n\n".join(define(function, colour, "") for function in ALL)
    several = SEVERAL.format(**EACH[colour.class_name]) if colour.class_name in EACH else SEVERAL_WITH_CALLBACK
    exported = "".join(f'    "{name}",\n' for name in sorted(["each", "group", *(function.name for function in ALL)]))
    body = f"\n__all__ = [\n{exported}]\n\n{TWINS}\n\n\n{functions}\n\n{several}"
    return module(f"The functions of `{package}`.", body, current)


# ---- the files ----

# Those whose functions stand in a module: the others have a front end only.
ADAPTERS = {
    "asyncio": COLOURS["await"],
    "gevent": COLOURS["blocking"],
    "pyuv": COLOURS["callback"],
    "tornado": COLOURS["future"]._replace(returns="Future[{}]"),
    "trio": COLOURS["await"],
    "twisted": COLOURS["future"]._replace(returns="Deferred[{}]"),
}

FILES: dict[str, Callable[[], str]] = {
    "core/_native/ops_table.h": c_table,
    "core/_opcodes.py": opcodes,
    **{f"core/_{name}_ops.py": partial(colour_class, name) for name in COLOURS},
    "core/_blocking_functions.py": lambda: function_module(COLOURS["blocking"], "anyaio.blocking", "._blocking"),
    "core/_any_functions.py": lambda: function_module(COLOURS["await"], "anyaio.any", "._any"),
    **{
        f"adapters/{name}/_functions.py": partial(function_module, colour, f"anyaio.{name}", "._adapter")
        for name, colour in ADAPTERS.items()
    },
}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, generate in FILES.items():
        path = ROOT / name
        text = generate()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not arguments:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is stale: run tools/generate.py" if arguments else f"wrote {name}")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

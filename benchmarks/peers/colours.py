"""One source for all colours: a loop over calls is written once, with `await`, and rebuilt for those who do not await.

What it verifies costs time, so that the build that is timed has none of its calls of `verify`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

Function = Callable[..., Any]


class Builder(ast.NodeTransformer):
    def __init__(self, awaiting: bool, verifying: bool) -> None:
        self.awaiting = awaiting
        self.verifying = verifying

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        match node.value:
            case ast.Call(func=ast.Name(id="verify")) if not self.verifying:
                return None
        return self.generic_visit(node)

    def plain(self, node: ast.AST, twin: type[ast.AST]) -> ast.AST:
        self.generic_visit(node)
        if self.awaiting:
            return node
        return ast.copy_location(twin(**dict(ast.iter_fields(node))), node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.plain(node, ast.FunctionDef)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.plain(node, ast.For)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self.plain(node, ast.With)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        return node if self.awaiting else node.value


@cache
def build(function: Function, *, awaiting: bool, verifying: bool = False) -> Function:
    """Return *function*, a coroutine function at the top of a file, in another colour, with or without verifying."""
    tree = ast.parse(inspect.getsource(function))
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)  # for tracebacks
    tree = ast.fix_missing_locations(Builder(awaiting, verifying).visit(tree))
    names = dict(function.__globals__)
    exec(compile(tree, inspect.getfile(function), "exec"), names)
    built: Function = names[function.__name__]
    return built


def parameters(function: Function) -> list[str]:
    """The names of what *function* needs, beside its items."""
    return list(inspect.signature(function).parameters)[1:]

"""The await colour as a composite sees it: what is unfinished goes to the trampoline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._await_ops import AwaitOps
from ._drive import drive
from ._request import Request, T
from ._strand import suspend

if TYPE_CHECKING:
    from ._engine import Engine, Submitter


class Steps(AwaitOps):
    """The operations of one composite, with the options of its submit.

    ``steps.submit(number, *arguments)`` starts one without waiting: it returns the result, or a Request for a `batch`,
    also of what has failed already.
    """

    __slots__ = ("_submit", "engine", "submit")

    def __init__(self, engine: Engine, submitter: Submitter) -> None:
        self.engine = engine
        self._submit = submitter
        self.submit = submitter.start

    def _wait(self, request: Request[T]) -> Awaitable[T]:
        return suspend(request)

    def _drive(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return drive(self.engine, self._submit, function, arguments, options)

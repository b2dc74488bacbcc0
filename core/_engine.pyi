"""The engine's face. Both backends have it: `_engine` (C) and `_python.engine` (Python)."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyaio._direntry
import anyaio._request
from anyaio._request import Request as BaseRequest

T = TypeVar("T")
A = TypeVar("A", str, bytes)

NAME: Final[str]
"""``"native"`` or ``"python"``."""

FINGERPRINT: Final[str]
"""Of the table of operations that it was built from: numbers of another one mean other operations."""

class Pool:
    """The worker threads. One is shared by the process's engines, unless an engine is given its own."""

    def __init__(
        self, *, max_parallel: int = 32, max_stuck: int | None = None, max_idle: int = 4, idle_timeout: float = 10.0
    ) -> None: ...
    max_parallel: int
    """How many requests run at once at most; 0 holds everything. Changeable both ways."""
    max_stuck: int | None
    """How many of them do not count if their call has lasted for over 0.1 s; None: twice *max_parallel*.

    Those are taken for stuck: opens of FIFOs that nobody writes to, reads of quiet pipes, a dead mount. So others still
    run beside them. What has been running for over a second is in `stats()`; the logger ``anyaio`` warns when such
    calls fill the pool for 5 s.
    """
    max_idle: int
    """How many idle threads are kept; each further one ends after *idle_timeout* seconds."""
    idle_timeout: float
    exit_timeout: float
    """Seconds without a completion after which the interpreter's exit waits no longer for changes (5.0)."""
    @property
    def nthreads(self) -> int: ...
    def stats(self) -> dict[str, Any]: ...

def default_pool() -> Pool:
    """The pool that engines share; a new one after fork."""

class Request(BaseRequest[T]): ...
class DirEntry(anyaio._direntry.DirEntry[A]): ...

class FlowCore:
    """What of an `each` runs for every item: `Flow` has the rest. Only the native backend has it."""

    def advance(self) -> Any: ...
    def _member_done(self, request: BaseRequest[Any]) -> None: ...

class Submitter:
    """An engine's way in, with the options of one view: priority, patience, lane."""

    def __call__(self, operation: int, /, *arguments: Any) -> Any:
        """Return the result, or a Request for it. Raises before anything is queued if an argument is wrong."""
    def start(self, operation: int, /, *arguments: Any) -> Any:
        """Do the same, but of what fails, and of a descriptor, return a Request: it is raised, or taken, later."""
    def queue(
        self, operation: int, callback: Callable[[BaseRequest[Any]], object] | None, /, *arguments: Any
    ) -> Request[Any]:
        """Always return a Request; *callback* gets it in a later poll, in the contextvars context of this call."""
    def post(self, callback: Callable[[BaseRequest[Any]], object] | None, /) -> Request[None]:
        """Return a `nop` that is finished already, without a worker: the next poll hands it over, by priority."""
    @property
    def engine(self) -> Engine:
        """Whose way in it is."""
    priority: Final[int]
    patience: Final[float | None]
    lane: Final[str]

class Route:
    """The submitter of whichever loop is running."""

    def __init__(
        self,
        running: Callable[[], Any],
        fronts: dict[int, tuple[Any, Any, int, Callable[..., Any]]],
        start: Callable[[Any], Any],
        checks: bool = False,
    ) -> None:
        """*running* returns the loop; *fronts* has by its id what `Fronts` keeps; *start* makes its front end.

        What the inline lane answers is the same for all loops of a thread. So *running* may not be called for it,
        unless it *checks*: raises where nobody can wait.
        """
    def __call__(self, operation: int, /, *arguments: Any) -> Any:
        """As the submitter of the running loop's front end."""

class Engine:
    """A notifier descriptor and the requests of one thread."""

    def __init__(self, pool: Pool | None = None) -> None: ...
    def fileno(self) -> int:
        """The notifier: readable exactly while something waits to be polled."""
    def poll(self) -> int:
        """Hand over what is finished, for at most *max_poll_time*; return how many."""
    def wait(self, timeout: float | None = None) -> bool:
        """Block until something waits to be polled (True), nothing is outstanding, or *timeout* seconds passed."""
    def flush(self) -> None:
        """Wait and poll until nothing is outstanding."""
    def shutdown(self) -> None:
        """Drop what only looks, leave changes to the pool, close the descriptor. Again: no effect."""
    def submitter(
        self,
        *,
        priority: int = 0,
        patience: float | None = 5.0,
        lane: str = "auto",
        hold: Callable[..., Any] | None = None,
    ) -> Submitter:
        """Return a way in. While the engine is full, calling it returns ``hold(submitter, operation, *arguments)``.

        Only operations of the class "must" are submitted in any case.
        """
    def queue(
        self, operation: int, callback: Callable[[BaseRequest[Any]], object] | None, /, *arguments: Any
    ) -> Request[Any]:
        """A submitter's `queue`, with the default options."""
    def stats(self) -> dict[str, Any]: ...
    wake: Callable[[Any], object] | None
    """Called with a request's waiter when the request is done. Set by the front end."""
    on_error: Callable[[BaseException, BaseRequest[Any]], object] | None
    """Called with the exception of a callback, and its request. None: `sys.unraisablehook`."""
    on_room: Callable[[], object] | None
    """Called after a poll, or a cancel that ended a request, while *max_outstanding* is set and the engine not full."""
    on_busy: Callable[[bool], object] | None
    """Called with whether requests are outstanding, when that has changed: for a loop that ends when nothing is."""
    max_outstanding: int
    """Requests under way after which it is full; 0 is no limit."""
    @property
    def full(self) -> bool:
        """Whether *max_outstanding* requests are under way."""
    max_poll_reqs: int
    """Results that one poll hands over at most; 0 is no limit."""
    max_poll_time: float
    """Seconds after which a poll hands over no further result (0.005); 0 is no limit."""
    max_inline_reqs: int
    """Requests that the inline lane tries between two polls (512); what comes then is parked. 0: it tries none."""
    max_inline_bytes: int
    """Bytes that it reads between two polls (4 MiB). A request for over 1 MiB is the pool's."""
    max_inline_time: float
    """Seconds that it works for between two polls (0.0005)."""
    @property
    def closed(self) -> bool: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def nreqs(self) -> int:
        """Requests that are not done."""
    @property
    def nready(self) -> int:
        """Requests in the queue."""
    @property
    def npending(self) -> int:
        """Requests that wait to be polled."""

def drain(timeout: float | None = None) -> None:
    """At exit: drop queued looks, wait for changes while completions arrive. Registered with atexit."""

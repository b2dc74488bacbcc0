"""Groups: requests of one engine that are waited for and cancelled together, and fed with more as they end.

1. A group has a turn of its own in the engine's queue of results, by its priority. From then on it is done as soon as
   it has no members: right behind the callback of its last one, which may still add more, within the same poll. What
   empties it outside of a poll, a cancel, gives it another turn: its callback never runs inside of somebody's call.
2. A feeder is called, with the group, as long as there are fewer members than the limit: by `feed`, by setting the
   limit, and after a member has left. A call that adds no request that is under way removes it for good; one that
   raises does too, and the group fails. Limit 0 pauses it: a group with a paused feeder is not done.
3. Nothing recurses: what has lost a member stands in a queue that one loop empties, however deep groups are nested.
4. A group refers to its engine weakly, and the engine to groups only through their members.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from ._drive import call_back
from ._request import Cancelled, Outcome, Request, State
from ._runner import Home
from ._strand import without_frame

if TYPE_CHECKING:
    from typing import Self

    from ._engine import Engine

R = TypeVar("R", bound=Request[Any])

LATER: Final = object()  # a feeder of ours returns this: nothing now, but ask again after the next member


class Groups(Home):
    """The groups of one engine, and those of them to look at."""

    __slots__ = ("_active", "_queue", "all")

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.all: WeakSet[Group] = WeakSet()
        self._queue: deque[Group] = deque()
        self._active = False

    @staticmethod
    def of(engine: Engine) -> Groups:
        groups = _groups.get(engine)
        if groups is None:
            groups = _groups[engine] = Groups(engine)
        return groups

    def look_at(self, *groups: Group) -> None:
        """Have the groups go on. Where that is under way, further down the stack, it is left to it."""
        self._queue += groups
        if self._active:
            return
        failure = None
        self._active = True
        try:
            while self._queue:
                try:
                    self._queue.popleft()._go_on()
                except BaseException as error:  # a feeder's or callback's; the others go on before it leaves
                    failure = failure or error
        finally:
            self._active = False
        if failure is not None:
            raise failure

    def outside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call code of the user's: what it does is looked at on its own stack."""
        active, self._active = self._active, False
        try:
            return function(*arguments)
        finally:
            self._active = active


_groups: WeakKeyDictionary[Engine, Groups] = WeakKeyDictionary()


def end_groups(engine: Engine) -> None:
    """Cancel the engine's groups, before its shutdown, and wait for nothing."""
    groups = _groups.get(engine)
    if groups is not None and not groups.inherited:
        for group in list(groups.all):
            group.abandon()


class Group(Request[Any]):
    """A request made of others, its members: done when they are. Made by `group()` of an engine or front end::

        group = engine.group(lambda group: print("all closed"))
        group.add(*(engine.close(fd) for fd in fds))

    Each member keeps its own result, error and callback. The group's own result is what `set_result` or `set_error`
    was given.
    """

    __slots__ = (
        "__weakref__",
        "_added",
        "_callback",
        "_cancelled",
        "_context",
        "_error",
        "_feed_context",
        "_feeder",
        "_feeding",
        "_home",
        "_limit",
        "_members",
        "_outcome",
        "_priority",
        "_state",
        "_turn",
        "_value",
        "_waiter",
        "group",
    )
    group: Any  # told when it is done, and forgotten then

    def __init__(self, engine: Engine, priority: int, callback: Callable[[Self], object] | None = None) -> None:
        self._home = Groups.of(engine)
        self._priority = priority
        self._context = copy_context()
        self._members: dict[Request[Any], None] = {}  # in the order in which they came
        self._added = 0  # how many ever came
        self._feeder: Callable[[Group], object] | None = None
        self._feed_context: Context | None = None
        self._feeding = False
        self._limit = 0
        self._cancelled = False
        self._state: State = "running"
        self._outcome: Outcome | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._waiter: Any = None
        self._callback: Callable[[Any], object] | None = None
        self.callback = callback
        self.group = None
        self._turn: Request[Any] | None = None  # its own in the engine's queue: until then it is not done
        self._take_turn(engine)
        self._home.all.add(self)

    def __repr__(self) -> str:
        feeder = "" if self._feeder is None else ", feeding" if self._limit else ", paused"
        cancelled = ", cancelled" if self._cancelled else ""
        return f"<anyaio group {self._state}{cancelled}, {len(self._members)} members{feeder}>"

    # ---- what a group is for ----

    def add(self, *requests: R) -> tuple[R, ...]:
        """Take *requests* in: requests, composites and groups of the same engine, each in no other group. Returns them.

        One that is done already is not taken, which is no error. What is added to a cancelled group is cancelled.
        """
        self._check("add")
        taken: list[R] = []
        try:
            for request in requests:
                self._refuse(request)
                if request.state != "done":
                    request.group = self
                    taken.append(request)
        except BaseException:
            for request in taken:
                request.group = None
            raise
        self._members.update(dict.fromkeys(taken))
        self._added += len(taken)
        if self._cancelled:
            if self._state == "done":  # nobody waits for it
                for request in taken:
                    self._dismiss(request)
            cancel_members(taken)
        return requests

    def feed(self, feeder: Callable[[Group], object] | None, limit: int = 2) -> None:
        """Have *feeder* called, with this group, whenever there are fewer than *limit* members; at once for the first.

        It adds one or more. When it adds nothing it is not called again, and if it raises the group fails. It runs in
        the contextvars context of this call. None takes the feeder away.
        """
        if feeder is not None and not callable(feeder):
            raise TypeError(f"feeder must be callable or None, not {feeder!r}")
        check_limit(limit)
        self._check("feed")
        if self._cancelled:
            return
        self._limit = limit
        self._feeder = feeder
        self._feed_context = copy_context()
        self._start_feeding()

    @property
    def limit(self) -> int:
        """How many members the feeder keeps up; 0 pauses it. Setting it tries to feed at once."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        check_limit(limit)
        self._check("limit")
        self._limit = limit
        self._start_feeding()

    def set_result(self, value: Any) -> None:
        """Decide what `result` will return: None if nobody does, the last *value* if several do."""
        self._check("set_result")
        self._value = value

    def set_error(self, error: BaseException) -> None:
        """Decide that `result` will raise *error*, whatever the result was set to."""
        if not isinstance(error, BaseException):
            raise TypeError(f"error must be an exception, not {error!r}")
        self._check("set_error")
        self._error = error

    def cancel(self) -> bool:
        """Cancel what is in it and what is added from now on. Its callback will not run.

        True: it is done, and nothing of it has any effect any more. False: it was done before, or members are changes
        that a worker has begun: it is done when they have ended. ``result()`` raises Cancelled then.
        """
        self._home.check("group")
        if self._state == "done" or self._cancelled:
            return False
        cancel_groups([self])
        return self.state == "done"

    def cancel_members(self) -> None:
        """Take the feeder away and cancel what is in it, but not the group: it ends as ever, in a later poll."""
        self._check("cancel_members")
        self._feeder = None
        if self._turn is None:
            self._take_turn(self._home.engine)
        cancel_members(list(self._members))

    # ---- a request's face ----

    @property
    def operation(self) -> str:
        return "group"

    @property
    def priority(self) -> int:
        return self._priority

    @property
    def state(self) -> State:
        return self._state

    @property
    def outcome(self) -> Outcome | None:
        return self._outcome

    @property
    def callback(self) -> Callable[[Request[Any]], object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[[Any], object] | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__!r}")
        if self._state == "done":
            raise RuntimeError("the group is done: a callback would never run")
        self._callback = callback

    @property
    def engine(self) -> Engine | None:
        """The engine that its members belong to, unless that was shut down."""
        return self._home.engine

    def result(self) -> Any:
        try:
            if self._state != "done":
                raise RuntimeError(f"{self!r} is not done")
            if self._cancelled:
                raise Cancelled("the group was cancelled", self._outcome)
            if self._error is not None:
                raise self._error
            return self._value
        finally:
            del self  # an error that is raised here holds this frame

    def attach(self, waiter: Any) -> None:
        self._home.check("group")
        if self._waiter is not None:
            raise RuntimeError(f"{self!r} is being waited for already")
        if self._state == "done":
            self._home.wake(waiter)
        else:
            self._waiter = waiter

    def withdraw(self) -> bool:
        waiter, self._waiter = self._waiter, None
        try:
            if self.cancel():
                return True
        except BaseException:
            self._waiter = waiter
            raise
        if self._state != "done":
            self._waiter = waiter
        return False

    def abandon(self) -> None:
        self.cancel()
        if self._state == "done":
            return
        self._outcome = Outcome("unknown")
        members, self._members = self._members, {}
        for member in members:
            self._dismiss(member)
        self._end()

    def settle(self, error: BaseException) -> None:
        self.withdraw()
        outcome = self._outcome or Outcome("unknown")
        error.outcome = outcome  # type: ignore[attr-defined]  # that is what it is for
        if isinstance(outcome.error, Exception):
            error.__cause__ = outcome.error

    # ---- how it goes on ----

    @property
    def busy(self) -> bool:
        """Whether it has members."""
        return bool(self._members)

    def _check(self, what: str) -> None:
        self._home.check("group")
        if self._state == "done" and not self._cancelled:
            raise RuntimeError(f"{what}: the group is done")

    def _refuse(self, request: Request[Any]) -> None:
        """Raise if *request* cannot be a member."""
        if not isinstance(request, Request):
            raise TypeError(f"a group's members are requests, not {request!r}")
        if request.state == "done":
            return
        if request.group is not None:
            raise ValueError(f"{request!r} is in {'this' if request.group is self else 'another'} group already")
        engine = self._home.engine
        if engine is not None and request.engine not in (engine, None):
            raise ValueError(f"{request!r} belongs to another engine")
        above: Any = self if isinstance(request, Group) and (request is self or request.busy) else None
        while above is not None:
            if above is request:
                raise ValueError(f"{request!r} {'would be in itself' if above is self else 'has this group in it'}")
            above = above.group

    def _dismiss(self, member: Request[Any]) -> None:
        self._members.pop(member, None)
        if member.group is self:
            member.group = None

    def _take_turn(self, engine: Engine | None) -> None:
        """Stand at the end of what waits to be polled: it is not done before."""
        if engine is None:
            raise RuntimeError("the group's engine is gone, or was shut down")
        self._turn = engine.submitter(priority=self._priority).post(self._have_turn)

    def _have_turn(self, request: Request[Any]) -> None:
        if self._turn is request:
            self._turn = None
            self._home.look_at(self)

    def _member_done(self, member: Request[Any]) -> None:
        self._members.pop(member, None)
        if self._state == "done":
            return
        if not self._members and self._turn is None and not self._cancelled and was_cancelled(member):
            engine = self._home.engine
            if engine is not None:
                self._take_turn(engine)
        self._home.look_at(self)

    def _start_feeding(self) -> None:
        """Feed on behalf of a call: if that empties the group, it is done in a later poll."""
        if self._state == "done" or self._feeding:
            return
        if self._turn is None and (engine := self._home.engine) is not None and not self._members:
            self._take_turn(engine)
        self._home.look_at(self)

    def _go_on(self) -> None:
        """Feed, and be done if nothing is left to wait for."""
        if self._state == "done":
            return
        if self._home.engine is None and not self._cancelled:  # it is shutting down
            cancel_groups([self])
            return
        if not self._cancelled:
            self._feed()
        if self._members or self._feeding:
            return
        if self._cancelled:
            self._outcome = Outcome("failed", error=Cancelled("the group was cancelled"))
            self._end()
        elif self._turn is None and self._feeder is None:
            error = self._error
            self._outcome = Outcome("done", self._value) if error is None else Outcome("failed", error=error)
            self._end()

    def _feed(self) -> None:
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._feeder is not None and len(self._members) < self._limit:
                feeder, before = self._feeder, self._added
                answer = self._call_feeder(feeder)
                if answer is LATER and self._members:
                    break
                if self._added == before and self._feeder is feeder:
                    self._feeder = None
        finally:
            self._feeding = False

    def _call_feeder(self, feeder: Callable[[Group], object]) -> object:
        assert self._feed_context is not None, "it came with the feeder"
        try:
            return self._home.outside(self._feed_context.run, feeder, self)
        except BaseException as error:
            self._feeder = None
            if self._error is None:
                self._error = without_frame(error)
            if not isinstance(error, Exception):
                raise
            return None

    def _end(self) -> None:
        """Be done, and tell: who waits, the callback, the group that this one is in."""
        self._state = "done"
        self._feeder = self._feed_context = None
        waiter, self._waiter = self._waiter, None
        callback, self._callback = self._callback, None
        group, self.group = self.group, None
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
        try:
            self._home.outside(self._home.wake, waiter)
        finally:
            try:
                if callback is not None and not self._cancelled:
                    self._home.outside(call_back, self._home.engine, self._context, callback, self)
            finally:
                if group is not None:
                    group._member_done(self)


def check_limit(limit: int) -> None:
    if not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {limit!r}")
    if limit < 0:
        raise ValueError(f"limit must be 0 or more, not {limit}")


def was_cancelled(request: Request[Any]) -> bool:
    outcome = request.outcome
    return outcome is not None and (
        outcome.status in ("never ran", "abandoned", "unknown") or isinstance(outcome.error, Cancelled)
    )


def cancel_groups(groups: list[Group]) -> None:
    """Cancel groups with all groups in them, however deep."""
    found = list(groups)
    for group in found:  # which grows meanwhile
        group._cancelled = True
        group._feeder = None
        found += [member for member in group._members if isinstance(member, Group) and not member._cancelled]
    for group in found:
        for member in list(group._members):
            if not isinstance(member, Group):
                member.cancel()
    groups[0]._home.look_at(*reversed(found))


def cancel_members(members: list[Any]) -> None:
    groups = [member for member in members if isinstance(member, Group) and not member._cancelled]
    for member in members:
        if not isinstance(member, Group):
            member.cancel()
    if groups:
        cancel_groups(groups)

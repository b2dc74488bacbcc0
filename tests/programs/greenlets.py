"""anyaio.gevent: monkey-patching, forks and the end of programs. Each gets the name of gevent's loop.

Nothing of ours is imported before a program is: what was patched by then is a part of what is tested.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from programs import program
from programs.process import LIMIT, descriptors, ended_well, expect, in_child

STUCK = os.O_WRONLY | os.O_CREAT  # opening a FIFO with these is a change that no worker can end


def _gevent(loop: str) -> Any:
    import gevent

    gevent.config.loop = loop
    return gevent


def _until(condition: Callable[[], object]) -> None:
    import gevent

    with gevent.Timeout(LIMIT):
        while not condition():
            gevent.sleep(0.001)


def _waiting(call: Callable[..., Any], *arguments: Any) -> Any:
    """Spawn a greenlet and let its call come to a worker."""
    import gevent

    import anyaio.gevent as aio

    greenlet = gevent.spawn(call, *arguments)
    engine = aio.current().engine
    _until(lambda: engine.nreqs and not engine.nready)
    return greenlet


def _let_go() -> None:
    os.close(os.open("fifo", os.O_RDONLY | os.O_NONBLOCK))


# ---- monkey-patching ----


def _use_patched(gevent: Any) -> None:
    """Calls block their greenlets only, and whichever greenlet it is may shut down."""
    import threading

    import anyaio.gevent as aio

    os.mkfifo("fifo")
    opener = _waiting(aio.open, "fifo", STUCK)
    assert aio.stat("fifo").st_mode == os.stat("fifo").st_mode
    listing: list[Any] = []
    thread = threading.Thread(target=lambda: listing.extend(aio.listdir(".")))  # a greenlet
    thread.start()
    thread.join(LIMIT)
    assert listing == ["fifo"]
    assert not opener.ready()
    opener.kill(block=False)
    gevent.sleep(0.001)
    assert not opener.ready()
    _let_go()
    opener.join(LIMIT)
    assert opener.value.outcome.status == "done"
    with aio.each(aio.stat, ["fifo"] * 100) as each:
        assert len(list(each)) == 100
    aio.copy(__file__, "copy")
    assert Path("copy").read_bytes() == Path(__file__).read_bytes()
    before = aio.current()
    gevent.spawn(before.shutdown).get(timeout=LIMIT)
    assert before.engine.closed
    assert len(aio.listdir(".")) == 2
    assert aio.current() is not before
    gevent.get_hub().threadpool.apply(lambda: aio.stat("."))


@program
def it_works_when_all_was_patched_before(loop: str) -> None:
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey

    gevent_monkey.patch_all()
    _use_patched(gevent)


@program
def it_works_when_all_was_patched_after(loop: str) -> None:
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey

    import anyaio.gevent

    assert anyaio.gevent
    gevent_monkey.patch_all()
    _use_patched(gevent)


@program
def it_works_when_all_is_patched_while_it_is_used(loop: str) -> None:
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey

    import anyaio.gevent as aio

    aio.nop()
    gevent_monkey.patch_all()
    _use_patched(gevent)


@program
def workers_are_real_threads_when_all_was_patched(loop: str) -> None:
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey

    gevent_monkey.patch_all()
    import anyaio.gevent as aio

    os.mkfifo("fifo")
    aio.nop()
    openers = [gevent.spawn(aio.open, "fifo", STUCK) for _ in range(3)]
    engine = aio.current().engine
    _until(lambda: engine.nreqs == 3 and engine.nready == 0)
    assert len(os.listdir("/proc/self/task")) >= 4
    _let_go()
    gevent.joinall(openers, timeout=LIMIT, raise_error=True)


@program
def real_threads_have_hubs_of_their_own_when_all_was_patched(loop: str) -> None:
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey

    gevent_monkey.patch_all()
    import anyaio.gevent as aio

    def work() -> int:
        assert aio.listdir(".") == []
        return id(aio.current().engine)

    engines = {gevent.get_hub().threadpool.apply(work), work()}
    assert len(engines) == 2


# ---- fork ----


def _fork(loop: str, fork: Callable[[], int] | None = None, *, patch: bool = False) -> None:
    """In the child greenlets work; the parent's requests and its loop go on."""
    gevent = _gevent(loop)
    from gevent import monkey as gevent_monkey
    from gevent import os as gevent_os

    if patch:
        gevent_monkey.patch_all()
    import anyaio.gevent as aio

    os.mkfifo("fifo")
    ended: list[str] = []

    def wait() -> None:
        try:
            aio.close(aio.open("fifo", STUCK))
        finally:
            ended.append("the greenlet that waits in the parent")

    opener = _waiting(wait)
    engine = aio.current().engine
    before = descriptors()
    child = (fork or gevent_os.fork)()
    if child == 0:
        try:
            assert len(descriptors()) <= len(before)
            for _ in range(100):
                assert aio.listdir(".") == ["fifo"]
            assert aio.current().engine is not engine
            assert gevent.spawn(aio.stat, "fifo").get(timeout=LIMIT)
            expect(RuntimeError, engine.nop)
            gevent.sleep(0.01)
            assert not opener.ready()
            opener.kill(timeout=LIMIT)
            assert isinstance(opener.value, gevent.GreenletExit)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    if patch:
        _, status = os.waitpid(child, 0)
        assert status == 0
    else:
        ended_well(child)
    for _ in range(100):
        assert aio.listdir(".") == ["fifo"]
    assert aio.current().engine is engine
    assert not opener.ready()
    assert ended == []
    _let_go()
    opener.get(timeout=LIMIT)


@program
def a_child_of_gevents_fork_starts_clean(loop: str) -> None:
    _fork(loop)


@program
def a_child_of_the_plain_fork_starts_clean(loop: str) -> None:
    _fork(loop, os.fork)


@program
def a_child_of_the_patched_fork_starts_clean(loop: str) -> None:
    _fork(loop, lambda: os.fork(), patch=True)


@program
def a_child_that_does_nothing_disturbs_nobody(loop: str) -> None:
    _gevent(loop)
    from gevent import os as gevent_os

    import anyaio.gevent as aio

    for fork in (gevent_os.fork, os.fork):
        busy = _waiting(aio.busy, 0.05)
        child = fork()
        if child == 0:
            os._exit(0)
        ended_well(child)
        busy.get(timeout=LIMIT)
        assert aio.listdir(".") == []


@program
def a_greenlet_that_waits_in_the_parent_is_not_ended_when_the_child_exits(loop: str) -> None:
    _gevent(loop)
    from gevent import os as gevent_os

    import anyaio.gevent as aio

    os.mkfifo("fifo")

    def wait() -> None:
        try:
            aio.close(aio.open("fifo", STUCK))
        finally:
            os.mkdir("ended")

    opener = _waiting(wait)
    child = gevent_os.fork()
    if child == 0:
        aio.nop()
        sys.exit(0)
    ended_well(child)
    assert aio.listdir(".") == ["fifo"]
    _let_go()
    opener.get(timeout=LIMIT)


@program
def a_child_of_a_child_starts_clean_too(loop: str) -> None:
    _gevent(loop)
    from gevent.hub import reinit

    import anyaio.gevent as aio

    def child() -> None:
        reinit()
        assert aio.listdir(".") == []
        in_child(lambda: aio.listdir("."))
        assert aio.listdir(".") == []

    assert aio.listdir(".") == []
    in_child(child)
    assert aio.listdir(".") == []


# ---- the end of programs ----


@program
def a_program_ends_with_greenlets_that_wait(loop: str) -> None:
    gevent = _gevent(loop)
    import anyaio.gevent as aio

    os.mkfifo("fifo")
    greenlets = [_waiting(aio.open, "fifo", os.O_WRONLY), gevent.spawn(aio.mkdir, "made")]
    gevent.sleep(0)
    assert greenlets


@program
def an_interrupt_ends_the_wait_of_the_main_greenlet(loop: str) -> None:
    _gevent(loop)
    import threading

    import anyaio.gevent as aio

    os.mkfifo("fifo")
    engine = aio.current().engine

    def interrupt() -> None:
        while not engine.nreqs or engine.nready:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    class Interruption(Exception):
        pass

    def handle(number: int, frame: object) -> None:
        raise Interruption

    from gevent import get_hub

    signal.signal(signal.SIGINT, handle)
    get_hub().exception_stream = None  # it would tell of the exception
    threading.Thread(target=interrupt).start()
    expect(Interruption, aio.open, "fifo", os.O_WRONLY)
    if not get_hub().dead:  # it is if the handler ran in its own frame: then nothing of gevent's can wait any more
        assert aio.listdir(".") == ["fifo"]


@program
def a_hub_that_is_destroyed_in_the_main_thread_makes_room_for_another(loop: str) -> None:
    gevent = _gevent(loop)
    import anyaio.gevent as aio

    aio.nop()
    before = len(descriptors())
    for destroy_loop in (True, False, None) * 5:
        gevent.get_hub().destroy(destroy_loop=destroy_loop)
        assert aio.listdir(".") == []
        assert gevent.spawn(aio.stat, ".").get(timeout=LIMIT)
    assert len(descriptors()) == before

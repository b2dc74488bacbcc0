"""Loops that move to another thread, and requests that a front end cannot be told of."""

from __future__ import annotations

import asyncio
import threading

import loops
import pytest
from loops import LIMIT

import anyaio
import anyaio.asyncio
import anyaio.blocking
from anyaio._front import engine_class

aio = loops.aio
loop_factory = loops.loop_factory


@pytest.fixture(params=["asyncio", "tornado"])
def module(request, backend, pool, monkeypatch):
    """The functions of each adapter that asyncio's loops have."""
    name = f"anyaio.{request.param}"
    module = pytest.importorskip(name, reason=f"{request.param} is not installed", exc_type=ImportError)
    monkeypatch.setattr(f"{name}._adapter.Engine", lambda: engine_class(backend)(pool))
    return module


@pytest.fixture
def loop(loop_factory):
    loop = loop_factory()
    yield loop
    loop.close()


def in_another_thread(function):
    """Return what *function* returns there."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(LIMIT)
    return results[0]


def test_a_loop_that_moves_to_another_thread_is_served_there_too(module, loop):
    async def inode():
        return (await module.stat("/")).st_ino

    expected = loop.run_until_complete(inode())
    assert in_another_thread(lambda: loop.run_until_complete(inode())) == expected
    assert loop.run_until_complete(inode()) == expected


def test_a_loop_that_moves_with_requests_under_way_says_so_once(module, loop, pool):
    heard = []
    loop.set_exception_handler(lambda loop, context: heard.append(context.get("exception") or context["message"]))
    pool.max_parallel = 1

    async def begin():
        task = asyncio.ensure_future(module.busy(0.05))
        await asyncio.sleep(0)
        return task

    async def go_on(task):
        await loops.until(lambda: heard)
        for _ in range(20):  # turns in which it could be heard again
            await asyncio.sleep(0)
        task.cancel()
        return (await module.stat("/")).st_ino

    task = loop.run_until_complete(begin())
    in_another_thread(lambda: loop.run_until_complete(go_on(task)))
    assert [type(error) for error in heard] == [RuntimeError]
    assert "thread" in str(heard[0])


def test_a_request_of_another_engine_cannot_be_waited_for(aio, backend, pool, loop):
    other = engine_class(backend)(pool)

    async def main():
        for request in (other.nop(), other.group()):
            with pytest.raises(ValueError, match="is another engine's"):
                await aio.current().wait(request)
        with pytest.raises(TypeError, match="wait takes a request or a group, not 3"):
            await aio.current().wait(3)

    loop.run_until_complete(main())
    other.shutdown()


def test_a_thread_without_a_loop_cannot_wait_for_a_request_of_another_engine():
    with anyaio.Engine() as other, pytest.raises(ValueError, match="is another engine's"):
        anyaio.blocking.current().wait(other.nop())
    anyaio.blocking.current().shutdown()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_front_end_is_shut_down_whole_when_its_loop_is_closed_with_a_composite(aio, tmp_path, loop):
    (tmp_path / "source").write_bytes(bytes(1 << 22))
    loop.set_exception_handler(lambda loop, context: None)

    async def main():
        task = asyncio.ensure_future(aio.copy(tmp_path / "source", tmp_path / "target"))
        await asyncio.sleep(0)
        return aio.current(), task

    front, task = loop.run_until_complete(main())
    loop.close()
    front.shutdown()
    assert front.engine.closed
    assert not task.done()
    task._log_destroy_pending = False
    assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]

"""anyaio.any: the running loop looked up at each call; programs of anyio and Starlette on both of anyio's backends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import threading

import loops
import pytest
from engines import descriptors
from loops import LIMIT, spin

import anyaio
import anyaio.any as aio
import anyaio.asyncio
from anyaio._front import engine_class

stuck = loops.stuck
anyio = pytest.importorskip("anyio", reason="anyio is not installed")


@pytest.fixture(autouse=True)
def _engines(backend, pool, monkeypatch):
    """Both loops' engines are of this backend."""
    make_engine = functools.partial(engine_class(backend), pool)
    monkeypatch.setattr("anyaio.asyncio._adapter.Engine", make_engine)
    with contextlib.suppress(ImportError):
        monkeypatch.setattr("anyaio.trio._adapter.Engine", make_engine)


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def run(request):
    """anyio.run with each backend."""
    name = request.param
    pytest.importorskip(name, reason=f"{name} is not installed")
    if name == "trio":
        return functools.partial(anyio.run, backend="trio")
    return functools.partial(anyio.run, backend="asyncio", backend_options={"use_uvloop": name == "uvloop"})


async def until(condition):
    with anyio.fail_after(LIMIT):
        while not condition():
            await anyio.sleep(0.001)


# ---- which loop ----


def test_outside_of_a_loop_it_is_an_error_at_the_await_that_gives_advice():
    coroutine = aio.stat("/")
    with pytest.raises(RuntimeError, match=r"tasks of .*trio and asyncio: no event loop runs .* anyaio\.blocking"):
        coroutine.send(None)
    with pytest.raises(RuntimeError, match=r"no event loop runs"):
        aio.current()


def test_in_another_kind_of_loop_the_error_names_the_import():
    gevent = pytest.importorskip("gevent", reason="gevent is not installed")

    advice = []

    def look():
        try:
            aio.current()
        except RuntimeError as error:
            advice.append(str(error).partition(": ")[2])

    def in_a_greenlet():
        gevent.spawn(look).get()
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=in_a_greenlet)
    thread.start()
    thread.join(LIMIT)
    assert advice == ["in the gevent loop that runs in this thread import anyaio.gevent instead"]


def test_it_is_the_front_end_of_the_running_loop(run):
    async def main():
        assert aio.current() is anyaio.current()
        assert aio.current() is aio.current()

    run(main)


def test_in_guest_mode_each_task_uses_its_own_loop(tmp_path):
    trio = pytest.importorskip("trio", reason="trio is not installed")
    import anyaio.trio

    async def count(expected):
        for _ in range(20):
            assert aio.current() is anyaio.current() is expected.current()
            assert await aio.listdir(tmp_path) == []
        return expected.__name__

    async def main():
        loop = asyncio.get_running_loop()
        guest = loop.create_future()

        async def in_trio():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(count, anyaio.trio)
                return await count(anyaio.trio)

        trio.lowlevel.start_guest_run(
            in_trio, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=guest.set_result
        )
        hosted = await asyncio.gather(*(count(anyaio.asyncio) for _ in range(5)))
        assert (await guest).unwrap() == "anyaio.trio"
        assert aio.current() is anyaio.asyncio.current()
        return hosted

    assert asyncio.run(main()) == ["anyaio.asyncio"] * 5


# ---- anyio ----


def test_a_file_is_written_and_read_back(run, tmp_path):
    async def main():
        fd = await aio.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
        try:
            await aio.pwrite(fd, b"hello", 0)
            return await aio.pread(fd, 10, 0)
        finally:
            await aio.close(fd)

    assert run(main) == b"hello"


def test_a_task_group_has_many_requests_under_way(run, tmp_path):
    found = set()

    async def make(number):
        await aio.mkdir(tmp_path / str(number))
        found.add((await aio.stat(tmp_path / str(number))).st_ino)

    async def main():
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(make, number)
        assert len(await aio.listdir(tmp_path)) == 30

    run(main)
    assert len(found) == 30


def test_an_error_ends_its_task_group_and_takes_back_what_waits(run, tmp_path, pipe):
    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(aio.read, pipe[0], 10)
            group.start_soon(aio.stat, tmp_path / "missing")

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(FileNotFoundError)
    os.write(pipe[1], b"x")
    assert os.read(pipe[0], 10) == b"x"


def test_each_has_all_items(run, tmp_path):
    for number in range(50):
        (tmp_path / str(number)).touch()

    async def main():
        paths = [tmp_path / str(number) for number in range(50)]
        return {path.name async for path, _ in aio.each(aio.lstat, paths, limit=8)}

    assert run(main) == {str(number) for number in range(50)}


def test_move_on_after_takes_a_read_back_and_nothing_is_consumed(run, pipe):
    async def main():
        with anyio.move_on_after(0.01) as scope:
            await aio.read(pipe[0], 10)
        assert scope.cancelled_caught
        os.write(pipe[1], b"later")
        return await aio.read(pipe[0], 10)

    assert run(main) == b"later"


def test_fail_after_raises_timeout_error(run, pipe):
    async def main():
        with pytest.raises(TimeoutError) as caught:
            with anyio.fail_after(0.01):
                await aio.read(pipe[0], 10)
        return anyaio.outcome(caught.value).status

    assert run(main) in ("never ran", "abandoned")


def test_a_descriptor_is_closed_in_a_cancelled_scope(run, tmp_path):
    async def main():
        fd = await aio.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await aio.pwrite(fd, b"hello", 0)
                await anyio.sleep_forever()
            finally:
                await aio.close(fd)
        assert scope.cancelled_caught
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


def test_what_is_shielded_goes_on(run, tmp_path, pipe):
    async def main():
        with anyio.CancelScope() as outer:
            with anyio.CancelScope(shield=True):
                outer.cancel()
                os.write(pipe[1], b"hello")
                assert await aio.read(pipe[0], 10) == b"hello"
                await aio.mkdir(tmp_path / "folder")
            await anyio.sleep(10)
        assert outer.cancelled_caught
        return await aio.listdir(tmp_path)

    assert run(main) == ["folder"]


def test_a_running_change_is_waited_for_in_a_cancelled_scope(run, stuck):
    order = []

    async def change():
        try:
            await aio.close(await aio.open(stuck.path, stuck.FLAGS))  # trio returns the result, and cancels afterwards
        finally:
            order.append("ended")

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(change)
            engine = aio.current().engine
            await until(lambda: engine.nreqs and not engine.nready)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.sleep(0.001)
                order.append("let go")
                stuck.release()

    run(main)
    assert order == ["let go", "ended"]
    spin(lambda: not stuck.is_open_for_writing())


def test_two_loops_in_two_threads_use_their_own(tmp_path):
    pytest.importorskip("trio", reason="trio is not installed")

    async def inner():
        assert await aio.listdir(tmp_path) == []
        return aio.current()

    async def main():
        there = await anyio.to_thread.run_sync(functools.partial(anyio.run, inner, backend="trio"))
        here = await inner()
        assert here is anyaio.asyncio.current()
        assert there is not here

    anyio.run(main, backend="asyncio")


# ---- Starlette ----


@pytest.fixture
def app(tmp_path):
    """A server of files: what docs/loops/anyio.md shows, with an answer for what is missing."""
    starlette = pytest.importorskip("starlette", reason="starlette is not installed")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    assert starlette

    async def pieces(fd):
        try:
            offset = 0
            while piece := await aio.pread(fd, 1 << 16, offset):
                offset += len(piece)
                yield piece
        finally:
            await aio.close(fd)

    async def serve(request):
        try:
            fd = await aio.open(tmp_path / request.path_params["name"], os.O_RDONLY)
        except FileNotFoundError:
            return PlainTextResponse("missing", status_code=404)
        size = (await aio.fstat(fd)).st_size
        return StreamingResponse(pieces(fd), headers={"content-length": str(size)})

    return Starlette(routes=[Route("/{name}", serve)])


def test_starlette_serves_files_to_many_clients_at_once(run, app, tmp_path):
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    contents = {f"file{number}": os.urandom(number * 50_000) for number in range(8)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    found = {}

    async def main():
        async def get(client, name):
            response = await client.get(f"http://test/{name}")
            assert response.status_code == 200
            found[name] = response.content

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            async with anyio.create_task_group() as group:
                for name in contents:
                    group.start_soon(get, client, name)
            assert (await client.get("http://test/missing")).status_code == 404

    before = descriptors()
    run(main)
    assert {name: hashlib.sha256(data).digest() for name, data in found.items()} == {
        name: hashlib.sha256(data).digest() for name, data in contents.items()
    }
    assert descriptors() == before


@pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient` is deprecated")
@pytest.mark.parametrize("backend_name", ["asyncio", "trio"])
def test_starlettes_test_client_runs_it(app, tmp_path, backend_name):
    pytest.importorskip("httpx", reason="httpx is not installed")
    pytest.importorskip(backend_name, reason=f"{backend_name} is not installed")
    from starlette.testclient import TestClient

    (tmp_path / "file").write_bytes(b"hello")
    with TestClient(app, backend=backend_name) as client:
        assert client.get("/file").content == b"hello"
        assert client.get("/missing").status_code == 404

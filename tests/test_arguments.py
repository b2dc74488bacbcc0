"""Wrong arguments: the error comes before anything is queued, and says what was wrong."""

from __future__ import annotations

import array
import os
from pathlib import Path

import pytest
from engines import held, run

WRONG = [
    (lambda e: e.pread("f", 1, 0), TypeError, "pread: fd must be an int, not 'str'"),
    (lambda e: e.pread(0, "1", 0), TypeError, "pread: n must be an int, not 'str'"),
    (lambda e: e.pread(0, 1.0, 0), TypeError, "pread: n must be an int, not 'float'"),
    (lambda e: e.pread(0, 1, None), TypeError, "pread: offset must be an int, not 'NoneType'"),
    (lambda e: e.pread(1 << 31, 1, 0), OverflowError, "pread: fd"),
    (lambda e: e.pread(0, 1 << 63, 0), OverflowError, "pread: n"),
    (lambda e: e.pread(0, 1, 1 << 63), OverflowError, "pread: offset"),
    (lambda e: e.open("f", 1 << 31), OverflowError, "open: flags"),
    (lambda e: e.open("f", "r"), TypeError, "os.O_RDONLY"),
    (lambda e: e.open(3, os.O_RDONLY), TypeError, "open: path"),
    (lambda e: e.open("f", os.O_RDONLY, dir_fd="d"), TypeError, "open: dir_fd"),
    (lambda e: e.stat("a\0b"), ValueError, "null"),
    (lambda e: e.stat(b"a\0b"), ValueError, "null"),
    (lambda e: e.stat("\ud800"), UnicodeEncodeError, "surrogates"),
    (lambda e: e.stat(1.5), TypeError, "stat: path"),
    (lambda e: e.stat(None), TypeError, "stat: path"),
    (lambda e: e.stat(0, dir_fd=0), ValueError, "dir_fd"),
    (lambda e: e.stat(1, follow_symlinks=False), ValueError, "follow_symlinks"),
    (lambda e: e.listdir(0, dir_fd=0), ValueError, "dir_fd"),
    (lambda e: e.mkdir("d", "mode"), TypeError, "mkdir: mode"),
    (lambda e: e.rename("a", 1), TypeError, "rename: dst"),
    (lambda e: e.busy("1"), TypeError, "busy: seconds"),
    (lambda e: e.busy(float("nan")), ValueError, "busy: seconds"),
    (lambda e: e.scandir(".", order="size"), ValueError, "scandir: order"),
    (lambda e: e.write(1, "text"), TypeError, "write: data"),
    (lambda e: e.write(1, memoryview(b"abcd")[::2]), BufferError, "contiguous"),
    (lambda e: e.writev(1, b"data"), TypeError, "writev: buffers"),
    (lambda e: e.writev(1, [b"good", "bad"]), TypeError, "writev: buffers"),
    (lambda e: e.readv(0, 5), TypeError, "readv: buffers"),
    (lambda e: e.readv(0, [bytearray(1), b"read-only"]), BufferError, "writable"),
    (lambda e: e.nop(priority=1), TypeError, "priority"),
    (lambda e: e.pread(0), TypeError, "argument"),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG)
def test_a_wrong_argument_is_an_error_and_queues_nothing(engine, call, kind, text):
    with pytest.raises(kind, match=text):
        call(engine)
    assert (engine.nreqs, engine.stats()["requests"]) == (0, {})


def test_good_buffers_beside_a_wrong_one_are_let_go(engine):
    good = bytearray(1)
    with pytest.raises(TypeError):
        engine.writev(1, [good, "bad"])
    good.append(0)


def test_a_path_may_be_anything_that_has_one(engine, tmp_path):
    class Thing:
        def __fspath__(self):
            return str(tmp_path)

    for path in (tmp_path, str(tmp_path), os.fsencode(tmp_path), Thing()):
        assert run(engine, engine.listdir(path)) == []


def test_an_int_may_be_anything_that_has_an_index(engine, tmp_path):
    class Index:
        def __init__(self, value):
            self.value = value

        def __index__(self):
            return self.value

    (tmp_path / "f").write_bytes(b"data")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    assert run(engine, engine.pread(Index(fd), Index(2), Index(1))) == b"at"
    os.close(fd)


def test_a_path_that_raises_raises(engine):
    class Thing:
        def __fspath__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.stat(Thing())
    assert engine.nreqs == 0


def test_bytes_are_counted_whatever_the_items_of_a_buffer_are(engine, tmp_path):
    fd = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    assert run(engine, engine.pwrite(fd, array.array("I", [1, 2]), 0)) == 8
    target = array.array("I", [0, 0])
    assert run(engine, engine.preadv(fd, [target], 0)) == 8
    assert target.tolist() == [1, 2]
    os.close(fd)


def test_paths_are_copied_when_they_are_given(engine, pool, tmp_path):
    class Moving:
        path = tmp_path

        def __fspath__(self):
            return str(self.path)

    moving = Moving()
    with held(pool):
        request = engine.listdir(moving)
        moving.path = Path("/nowhere")
    assert run(engine, request) == []


def test_an_empty_path_is_the_kernels_to_refuse(engine):
    with pytest.raises(FileNotFoundError):
        run(engine, engine.stat(""))

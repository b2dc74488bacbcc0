"""Where preadv2, openat2 and statx are forbidden, nothing but what asks for them fails: `tests/sandbox.py`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import sandbox

FOLDER = Path(__file__).resolve().parent

PROGRAM = """
import errno, os, sandbox, sys
from anyaio import blocking as aio

assert sandbox.what_openat2_fails_with() == sandbox.ERRORS[sandbox.WANTED], "no sandbox"
path = sys.argv[1]
fd = aio.open(path, os.O_RDWR | os.O_CREAT, 0o600)
assert aio.pwrite(fd, b"hello", 0) == 5
assert aio.pread(fd, 10, 0) == b"hello"
assert aio.read(fd, 2) == b"he"
assert aio.lseek(fd, 0, os.SEEK_CUR) == 2
for status in (aio.stat(path), aio.lstat(path), aio.fstat(fd)):
    assert (status.st_size, status.st_ino) == (5, os.stat(path).st_ino)
assert aio.read_bytes(path) == b"hello"
assert [(entry.name, entry.is_file()) for entry in aio.scandir(os.path.dirname(path))] == [("file", True)]
aio.close(fd)
out, into = os.pipe()
assert aio.write(into, b"pipe") == 4
assert aio.read(out, 10) == b"pipe"
try:
    aio.stat(path + "/missing")
except NotADirectoryError as error:
    assert error.filename == path + "/missing"
"""


@pytest.mark.skipif(platform.machine() not in sandbox.FORBIDDEN, reason="no filter is known for this machine")
@pytest.mark.parametrize("error", sandbox.ERRORS)
@pytest.mark.parametrize("backend", ["native", "python"])
def test_in_a_sandbox_without_new_calls_files_work(backend, error, tmp_path):
    if backend == "native":
        pytest.importorskip("anyaio._engine")
    environment = {
        **os.environ,
        "PYTHONPATH": str(FOLDER),
        "ANYAIO_BACKEND": backend,
        "ANYAIO_TEST_SANDBOX": error,
    }
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "file")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")

"""Limits: each program of `programs.limits`, on each backend; and a file system that is full."""

from __future__ import annotations

import os
import subprocess

import pytest
from programs import limits, runner

test_limits = runner.each(limits)


def test_a_full_file_system_is_told(backend, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    # A mount of its own, gone with the program.
    command = ["unshare", "--mount", *(["--map-root-user", "--user"] if os.getuid() else [])]
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)]
    try:
        subprocess.run([*command, *mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    within = ["sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', str(small)]
    ended = runner.end(runner.start(backend, tmp_path, "limits.a_full_file_system_is_told", within=[*command, *within]))
    assert ended == (0, "", "")

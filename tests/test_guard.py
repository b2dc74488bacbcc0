"""The guard sees a blocked loop, whatever blocks it, and lets the others be."""

import os
import subprocess
import sys
import textwrap

import pytest

TESTS = """
    import asyncio, ctypes, time
    import pytest

    @pytest.fixture(params=["asyncio", "uvloop"])
    def run(request):
        new_event_loop = pytest.importorskip(request.param).new_event_loop

        def run(act):
            async def main():
                asyncio.get_running_loop().call_soon(act)
                await asyncio.sleep(0.05)

            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())

        return run

    def test_sleeps(run):
        run(lambda: time.sleep(0.5))

    def test_keeps_the_gil_in_c(run):
        run(lambda: ctypes.PyDLL(None).usleep(500_000))

    def test_computes(run):
        run(lambda: sum(range(60_000_000)))

    def test_pauses_shortly(run):
        run(lambda: time.sleep(0.03))

    @pytest.mark.blocks_loop("on purpose")
    def test_says_so(run):
        run(lambda: time.sleep(0.5))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the guard made of each test above: its summary line, by the test's name."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "test_loops.py").write_text(textwrap.dedent(TESTS))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = blocks_loop(reason)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "guard", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__), "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    summary = done.stdout[done.stdout.index("short test summary") :]
    return {line.split("::")[1].split(" ")[0]: line for line in summary.splitlines() if "::" in line}


@pytest.fixture(params=["asyncio", "uvloop"])
def result(request, results):
    """The summary line of a test, by its name, on one of the loops."""
    pytest.importorskip(request.param)
    return lambda name: results[f"{name}[{request.param}]"]


def test_a_callback_that_sleeps_fails_its_test(result):
    assert result("test_sleeps").startswith("FAILED")
    assert "was blocked for" in result("test_sleeps")


def test_a_call_in_c_that_keeps_the_gil_fails_its_test(result):
    assert result("test_keeps_the_gil_in_c").startswith("FAILED")
    assert "was blocked for" in result("test_keeps_the_gil_in_c")


def test_a_callback_that_computes_fails_its_test(result):
    assert result("test_computes").startswith("FAILED")


def test_a_short_pause_passes(result):
    assert result("test_pauses_shortly").startswith("PASSED")


def test_a_test_may_say_that_it_blocks(result):
    assert result("test_says_so").startswith("PASSED")

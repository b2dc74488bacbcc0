"""The program: what it prints, how it ends, and that it finds what `find` finds."""

from __future__ import annotations

import base64
import json
import os
import pty
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from trees import find, plant_deep, plant_strange, uproot

import anyaio

LIMIT = 60.0  # seconds that no run should ever take

NOBODY = 65534


@pytest.fixture
def program(backend):
    """Run the program on each backend; return the finished process."""

    def run(*arguments, status=0, **options):
        environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
        options = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": environment,
            "timeout": LIMIT,
            **options,
        }
        done = subprocess.run([sys.executable, "-m", "anyaio", *arguments], check=False, **options)
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture
def scan(program):
    """Run `anyaio scan --print0`; return the paths."""

    def run(*arguments, **options):
        done = program("scan", "-0", *arguments, **options)
        paths = done.stdout.split(b"\0")
        assert paths.pop() == b""
        assert len(paths) == len(set(paths))
        return set(paths)

    return run


@pytest.fixture
def tree(tmp_path):
    return plant_strange(tmp_path)


# ---- the same as find ----


def test_strange_names_and_loops_of_symlinks(scan, tree):
    assert scan(tree) == find(tree)


def test_a_real_tree(scan):
    assert scan("/usr/share/doc") == find("/usr/share/doc")


def test_ten_thousand_entries_in_one_directory(scan, tmp_path):
    for number in range(10_000):
        os.symlink("x", tmp_path / str(number))
    assert len(scan(tmp_path)) == 10_001


def test_five_thousand_levels_with_64_descriptors(scan, tmp_path):
    plant_deep(tmp_path, 5_000, b"d")
    try:
        paths = scan(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        assert max(map(len, paths)) > 10_000
        assert paths == find(tmp_path)
    finally:
        uproot(tmp_path)


FORMS = ["a", "a/", "a//", "./a", "a/.", "a/..", ".", "..", "./", "link", "link/", "broken", "a/file"]


@pytest.mark.parametrize("path", FORMS)
def test_a_path_is_joined_as_find_does(scan, tmp_path, path):
    (tmp_path / "w/a/b").mkdir(parents=True)
    (tmp_path / "w/a/file").touch()
    (tmp_path / "w/link").symlink_to("a")
    (tmp_path / "w/broken").symlink_to("nowhere")
    assert scan(path, cwd=tmp_path / "w") == find(path, cwd=tmp_path / "w")


def test_without_a_path_it_scans_the_current_directory(scan, tree):
    assert scan(cwd=tree) == find(cwd=tree)


@pytest.mark.parametrize("path", ["/", "//"])
def test_the_root(scan, path):
    assert scan("--max-depth=1", path) == find(path, "-maxdepth", "1")


def test_several_paths(scan, tree):
    os.makedirs(tree / "one/two")
    os.mkdir(tree / "other")
    assert scan("one", "other", cwd=tree) == find("one", "other", cwd=tree)


@pytest.mark.parametrize("depth", ["0", "1", "2", "9"])
def test_max_depth(scan, tree, depth):
    assert scan("--max-depth", depth, tree) == find(tree, "-maxdepth", depth)


@pytest.mark.skipif(not os.path.ismount("/dev/pts"), reason="nothing is mounted on /dev/pts")
def test_one_file_system(scan):
    found = scan("/dev", "--one-file-system")
    assert found == find("/dev", "-xdev")
    assert b"/dev/pts" in found
    assert not any(path.startswith(b"/dev/pts/") for path in found)


AS_NOBODY = """
import os, sys
import anyaio._steps, anyaio.cli.scan
os.setgid({nobody})
os.setuid({nobody})
sys.exit(anyaio.cli.main(sys.argv[1:]))
"""


def test_unreadable_directories_are_named_and_the_status_is_1(backend):
    # Not in tmp_path, which others may not enter.
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    os.makedirs(folder + "/closed/inside")
    os.mkdir(folder + "/open")
    os.chmod(folder + "/closed", 0)
    # The interpreter itself may be where others may not read: the child changes its user when it has imported all.
    is_root = os.geteuid() == 0
    start = ["-c", AS_NOBODY.format(nobody=NOBODY)] if is_root else ["-m", "anyaio"]
    try:
        process = popen(backend, *start, "scan", "-0", folder)
        output, error = process.communicate(timeout=LIMIT)
        expected = find(folder, user=NOBODY if is_root else None)
    finally:
        os.chmod(folder + "/closed", 0o755)
        shutil.rmtree(folder)
    assert set(output.split(b"\0")[:-1]) == expected
    assert error == f"anyaio: {folder}/closed: Permission denied\n".encode()
    assert process.returncode == 1


def test_a_missing_path_is_named_and_the_status_is_1(program, tmp_path):
    (tmp_path / "f").touch()
    done = program("scan", "f", "missing", "f/", "", cwd=tmp_path, status=1)
    assert done.stdout == b"f\n"
    assert sorted(done.stderr.splitlines()) == [
        b"anyaio: '': No such file or directory",
        b"anyaio: f/: Not a directory",
        b"anyaio: missing: No such file or directory",
    ]


def test_a_looping_symlink_is_an_error_where_roots_are_followed(program, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    done = program("scan", "--follow-roots", "loop", "dangling", cwd=tmp_path, status=1)
    assert done.stdout == b"dangling\n"
    assert done.stderr == b"anyaio: loop: Too many levels of symbolic links\n"


STRANGE = [
    (b"\x1b[2J", rb"\x1b[2J"),
    (b"a\nb\tc\r", rb"a\nb\tc\r"),
    ("\x9b2J".encode(), rb"\xc2\x9b2J"),
    (b"\xff", rb"\xff"),
    ("ä b\\".encode(), "ä b\\".encode()),
]


@pytest.mark.parametrize(("name", "shown"), STRANGE)
def test_a_message_shows_control_characters_and_does_not_send_them(program, tmp_path, name, shown):
    done = program("scan", name, cwd=tmp_path, status=1)
    assert done.stderr == b"anyaio: " + shown + b": No such file or directory\n"


@pytest.mark.parametrize(("name", "shown"), STRANGE)
def test_a_terminal_is_shown_control_characters_and_a_pipe_is_sent_them(program, tmp_path, name, shown):
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)
    os.symlink("x", os.fsencode(tmp_path) + b"/" + name + b"/" + name)
    assert program("scan", name, cwd=tmp_path).stdout == name + b"\n" + name + b"/" + name + b"\n"
    ours, theirs = pty.openpty()
    program("scan", name, cwd=tmp_path, stdout=theirs)
    assert os.read(ours, 1000) == shown + b"\r\n" + shown + b"/" + shown + b"\r\n"
    os.close(ours)
    os.close(theirs)


# ---- options ----


@pytest.fixture
def small(tmp_path):
    (tmp_path / "t/d/e").mkdir(parents=True)
    (tmp_path / "t/d/f").write_text("12345")
    (tmp_path / "t/s").symlink_to("d")
    return tmp_path


OUTPUTS = [
    ("t", "t t/d t/d/e t/d/f t/s"),
    ("-d t", "t t/d t/d/e"),
    ("--dirs t", "t t/d t/d/e"),
    ("-f t", "t/d/f t/s"),
    ("-q t", ""),
    ("-q0 t", ""),
    ("-s t", "t t/d t/d/e t/d/f t/s"),
    ("--sync t", "t t/d t/d/e t/d/f t/s"),
    ("-q --sync t/d/f", ""),
    ("--slash t", "t/ t/d/ t/d/e/ t/d/f t/s"),
    ("--slash t//", "t/ t/d/ t/d/e/ t/d/f t/s"),
    ("--slash -d t", "t/ t/d/ t/d/e/"),
    ("-g d t", "t/d t/d/e t/d/f"),
    ("-gd t", "t/d t/d/e t/d/f"),
    ("--grep=e$ t", "t/d/e"),
    ("--grep e$ t --slash", ""),
    ("--gr d/. t -f", "t/d/f"),
    ("t -d", "t t/d t/d/e"),
    ("t --dirs", "t t/d t/d/e"),
    ("t/s", "t/s"),
    ("--follow-roots t/s", "t/s t/s/e t/s/f"),
    ("--follow-roots t/d/f t", "t t/d t/d/e t/d/f t/d/f t/s"),
    ("--max-depth 1 t", "t t/d t/s"),
    ("--max-depth 0 t --slash", "t/"),
    ("--max-depth 0 t --sync", "t"),
    ("-- t/d/f", "t/d/f"),
]


@pytest.mark.parametrize(("words", "expected"), OUTPUTS)
def test_options(program, small, words, expected):
    done = program("scan", *shlex.split(words), cwd=small)
    assert sorted(done.stdout.decode().split()) == expected.split()
    assert done.stderr == b""


def test_a_path_after_two_dashes_may_look_like_an_option(program, tmp_path):
    (tmp_path / "-q").touch()
    assert program("scan", "-q", "--", "-q", cwd=tmp_path).stdout == b""
    assert program("scan", "--", "-q", cwd=tmp_path).stdout == b"-q\n"


def test_a_dot_in_an_expression_matches_a_newline_and_a_character(program, tmp_path):
    for name in ("a\nb", "aäb", "ab"):
        (tmp_path / name).touch()
    done = program("scan", "-0", "-g", "a.b", ".", cwd=tmp_path)
    assert sorted(done.stdout.split(b"\0")) == [b"", b"./a\nb", "./aäb".encode()]


WRONG = [
    ("scan --grep (", "is no regular expression"),
    ("scan --nonsense", "there is no option --nonsense"),
    ("scan -Z", "there is no option -Z"),
    ("scan --max-depth", "needs an argument"),
    ("scan --max-depth=-1", "a number from 0 on"),
    ("scan --max-depth=x", "a number from 0 on"),
    ("scan --quiet=yes", "takes no argument"),
    ("scan --s", "--stat, --sync, --slash, --stats"),
    ("info extra", "takes no argument"),
    ("scan -df", "anyaio scan: --dirs and --files together: nothing would be printed"),
    ("scan --\x1b[2J", r"anyaio scan: there is no option --\x1b[2J"),
    ("nonsense", "anyaio: there is no command"),
    ("", "a command is missing"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_a_wrong_command_line_is_status_2(program, words, message):
    done = program(*shlex.split(words), status=2)
    assert message in done.stderr.decode()
    assert done.stderr.splitlines()[0].count(b"anyaio") == 1
    assert done.stdout == b""


@pytest.mark.parametrize("words", ["--help", "scan --help", "info --help", "-h", "scan -h", "info -h"])
def test_help(program, words):
    assert program(*words.split()).stdout.startswith(b"Usage: anyaio")


@pytest.mark.parametrize("words", ["--version", "scan --version", "info --version"])
def test_version(program, words):
    assert program(*words.split()).stdout.decode() == f"anyaio {anyaio.__version__}\n"


def test_stats_are_told_on_stderr(program, small):
    done = program("scan", "-q", "--stats", "t", cwd=small)
    assert done.stdout == b""
    assert done.stderr.startswith(b"anyaio: 3 directories (")
    assert b" 2 others (" in done.stderr
    done = program("scan", "-q", "--stats", "t/d/e", "missing", cwd=small, status=1)
    assert b"anyaio: 1 directory (" in done.stderr
    assert b", 0 others (" in done.stderr
    assert b", 1 error, " in done.stderr


# ---- JSON ----


def test_json_has_an_object_a_line(program, small):
    done = program("scan", "--json", "t", cwd=small)
    objects = {each.pop("path"): each for each in map(json.loads, done.stdout.splitlines())}
    assert objects["t/d/f"] == {"type": "file", "inode": os.stat(small / "t/d/f").st_ino}
    assert {path: each["type"] for path, each in objects.items()} == {
        "t": "directory",
        "t/d": "directory",
        "t/d/e": "directory",
        "t/d/f": "file",
        "t/s": "symlink",
    }


def test_json_with_stat_has_size_and_times(program, small):
    os.utime(small / "t/d/f", ns=(1_000_000_000_000_000_001, 1_000_000_000_000_000_002))
    done = program("scan", "--json", "-s", "-g", "f$", "t", cwd=small)
    (found,) = map(json.loads, done.stdout.splitlines())
    status = os.stat(small / "t/d/f")
    assert found == {
        "path": "t/d/f",
        "type": "file",
        "inode": status.st_ino,
        "size": 5,
        "atime_ns": 1_000_000_000_000_000_001,
        "mtime_ns": 1_000_000_000_000_000_002,
        "ctime_ns": status.st_ctime_ns,
    }


def test_every_name_survives_json(program, tree):
    done = program("scan", "--json", tree)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    paths = {each["path"].encode("utf-8", "surrogateescape") for each in objects}
    assert paths == find(tree)
    undecodable = {base64.b64decode(each["path_base64"]) for each in objects if "path_base64" in each}
    assert undecodable == {path for path in paths if b"\xff" in path or b"\xe4" in path.replace("ä".encode(), b"")}


# ---- how it ends ----


def test_a_closed_pipe_ends_it_silently_as_it_ends_find(program):
    reader = subprocess.Popen(["head", "-c", "10"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    done = program("scan", "/usr/share", stdout=reader.stdin, status=-signal.SIGPIPE)
    reader.stdin.close()
    assert reader.wait(LIMIT) == 0
    assert done.stderr == b""


def test_a_full_device_is_an_error(program, small):
    with open("/dev/full", "wb") as full:
        done = program("scan", ".", cwd=small, stdout=full, status=1)
    assert done.stderr == b"anyaio: write error: No space left on device\n"


def test_a_closed_stdout_is_an_error(program, small):
    done = program("scan", ".", cwd=small, preexec_fn=lambda: os.close(1), status=1)
    assert done.stderr == b"anyaio: write error: Bad file descriptor\n"


def test_a_closed_stderr_loses_nothing_else(program, small):
    done = program("scan", "t/d/f", "missing", cwd=small, preexec_fn=lambda: os.close(2), status=1)
    assert done.stdout == b"t/d/f\n"


def interrupt(process, when):
    when()
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert error == b"anyaio: interrupted\n"
    assert time.monotonic() - begin < 5


def popen(backend, *arguments, **options):
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME}
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options
    )


def test_an_interrupt_ends_it_at_once_when_nobody_reads(backend):
    process = popen(backend, "-m", "anyaio", "scan", "/usr")
    interrupt(process, lambda: process.stdout.read(1))  # it fills the pipe and waits


STUCK = """
import sys
from anyaio import cli
from anyaio.cli import scan
from anyaio._blocking import current

async def stuck(steps, *arguments, **options):
    print("waiting", flush=True)
    await steps.busy(30)

scan.walk_tree = stuck
sys.exit(cli.main(["scan"]))
"""


def test_an_interrupt_ends_it_at_once_when_a_directory_is_stuck(backend):
    process = popen(backend, "-c", STUCK)
    interrupt(process, lambda: process.stdout.read(1))


def test_an_ignored_interrupt_stays_ignored(backend, tmp_path):
    process = popen(backend, "-c", STUCK.replace("busy(30)", "busy(0.5)"), preexec_fn=ignore_interrupt)
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=LIMIT)
    assert (process.returncode, error) == (0, b"")


def ignore_interrupt():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_a_reader_that_shares_a_nonblocking_pipe_gets_everything(program, tmp_path):
    for number in range(5_000):
        os.symlink("x", tmp_path / f"{number:050}")
    read, write = os.pipe()
    os.set_blocking(write, False)
    reader = subprocess.Popen(["wc", "-l"], stdin=read, stdout=subprocess.PIPE)
    os.close(read)
    program("scan", tmp_path, stdout=write)
    os.close(write)
    assert reader.communicate(timeout=LIMIT)[0].strip() == b"5001"


# ---- progress ----


def test_progress_is_shown_on_a_terminal(backend, tree):
    pytest.importorskip("rich")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "ANYAIO_BACKEND": backend.NAME, "TERM": "xterm", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "anyaio", "scan", "-p", tree],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        timeout=LIMIT,
        check=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    assert b"directories" in shown
    assert done.stdout.count(b"\n") >= len(find(tree))


def test_progress_without_a_terminal_tells_the_counts_once(program, small):
    pytest.importorskip("rich")
    done = program("scan", "-pq", "t", cwd=small)
    assert done.stderr.count(b"3 directories") == 1
    assert done.stderr.endswith(b"\n")


def test_progress_without_rich_tells_how_to_install_it(backend):
    text = "import sys; sys.modules['rich.console'] = None\nfrom anyaio.cli import main\nsys.exit(main(['scan', '-p']))"
    process = popen(backend, "-c", text)
    output, error = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (2, b"")
    assert b"python3 -m pip install rich" in error


# ---- the rest ----


def test_no_event_loop_and_no_slow_module_is_imported(backend, small):
    text = "import sys\nfrom anyaio.cli import main\nmain(['scan', '-q'])\nprint('\\n'.join(sys.modules))"
    output, error = popen(backend, "-c", text, cwd=small).communicate(timeout=LIMIT)
    slow = {"asyncio", "argparse", "json", "rich", "subprocess"}
    if backend.NAME == "native":
        slow |= {"ctypes", "dataclasses", "inspect", "logging"}
    assert set(output.decode().split()) & slow == set()
    assert error == b""


def test_info_tells_what_serves_here(program, backend):
    lines = program("info").stdout.decode().splitlines()
    assert lines[0].split() == ["version", anyaio.__version__]
    assert f"backend                {backend.NAME}" in lines


def test_info_as_json(program, backend):
    facts = json.loads(program("info", "--json").stdout)
    assert facts["backend"] == backend.NAME
    assert facts["pool max_parallel"] == 32
    assert facts["eventfd"] is True
    assert facts["getdents64"] is True


def test_info_tells_why_the_native_backend_is_missing():
    environment = {**os.environ, "ANYAIO_BACKEND": "python"}
    output = subprocess.run(
        [sys.executable, "-m", "anyaio", "info"], stdout=subprocess.PIPE, env=environment, check=True
    ).stdout
    assert b"native missing         ANYAIO_BACKEND=python\n" in output

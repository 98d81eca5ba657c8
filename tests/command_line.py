"""The command line in tests: in this process, or as a program of its own that can be killed."""

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

from exeunt.sweep.__main__ import main
from exeunt.training.plugins import use

TIMEOUT_S = 300
"""After this time a program of its own hangs."""
INTERVAL_S = 0.05
"""Between two looks at whether something has happened."""


class Answer(NamedTuple):
    """The end of a command: its exit status and what it printed."""

    status: int
    out: str
    err: str


def run_in_process(*words: object) -> Answer:
    """Run `exeunt WORDS` here; arguments, environment and plugins are then as they were before."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    arguments, environment = sys.argv, dict(os.environ)
    sys.argv = ["exeunt", *map(str, words)]
    os.environ.setdefault("COLUMNS", "80")  # not those of the terminal that the tests were started in
    status: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.argv = arguments
        os.environ.clear()
        os.environ.update(environment)
        use()
    assert isinstance(status, int)
    return Answer(status, _printed(out), _printed(err))


def _printed(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


CLIENT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server, server.makefile("rw") as stream:
    server.connect({address!r})
    print(json.dumps([os.getcwd(), sys.argv[1:]]), file=stream, flush=True)
    status, out, err = json.loads(stream.readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status)
"""
"""An `exeunt` that lets the process of the tests do what it is asked for: the real one imports for seconds."""


class Scripts:
    """Runs programs, such as shells, in which `exeunt` is a command of this process."""

    def __init__(self, folder: Path) -> None:
        """Put the `exeunt` that they find into a folder, whose path has to be short enough for a socket."""
        self.folder = folder
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "socket"))
        self._listener.listen()
        client = folder / "exeunt"
        client.write_text(CLIENT.format(python=sys.executable, address=str(folder / "socket")))
        client.chmod(0o755)

    def wait_for(self, process: "subprocess.Popen[Any]") -> int:
        """Run the commands that a process asks for until it ends; return its exit status."""
        deadline = time.monotonic() + TIMEOUT_S
        while process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            if select.select([self._listener], [], [], 0.05)[0]:
                self._answer()
        return process.returncode

    def _answer(self) -> None:
        client, _ = self._listener.accept()
        with client, client.makefile("rw") as stream:
            folder, words = json.loads(stream.readline())
            with chdir(folder):
                answer = run_in_process(*words)
            print(json.dumps(answer), file=stream, flush=True)


@contextmanager
def scripts() -> Iterator[Scripts]:
    """What runs scripts, with a folder of its own as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="exeunt-") as folder:
        yield Scripts(Path(folder))


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, and return its value."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(INTERVAL_S)
    return value


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread while this one runs a command; raise at the end what went wrong with it."""
    problems: list[BaseException] = []

    def acting() -> None:
        try:
            act()
        except BaseException as problem:  # raised below, in the thread of the test
            problems.append(problem)

    thread = threading.Thread(target=acting, daemon=True)
    thread.start()
    yield
    thread.join(TIMEOUT_S)
    assert not thread.is_alive(), "it has not happened"
    if problems:
        raise problems[0]


def workers_of(ancestor: int) -> list[int]:
    """Return the process ids of the Ray workers that hold a trial, of this process's Ray only."""
    return [pid for pid, title in descendants(ancestor) if title.startswith("ray::Heeding")]


class Program:
    """The real `exeunt` in a process group of its own, of which nothing outlives the test."""

    def __init__(self, command: list[str | Path]) -> None:
        """Start it; `command` is its whole command line."""
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finish(self) -> Answer:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return Answer(self.process.returncode, out, err)

    def kill(self) -> None:
        """Kill the driver alone, as a crash does, and leave its workers to notice."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def kill_group(self) -> None:
        """Kill the driver and its workers, as far as they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Press Ctrl-C: a terminal sends SIGINT to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition while the program runs, and return its value."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (value := condition()):
            assert self.process.poll() is None, "it ended too soon"
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(INTERVAL_S)
        return value

    def wait_for_line(self, line: str) -> None:
        """Wait until the program has printed a line, which is taken from its answer with all before it."""
        assert self.process.stdout is not None
        deadline = threading.Timer(TIMEOUT_S, self.process.kill)
        deadline.start()
        while (printed := self.process.stdout.readline()) != line:
            assert printed, "it ended too soon, or never printed it"
        deadline.cancel()

    def processes(self) -> list[int]:
        """Return the process ids of the program and of all that it started."""
        return [self.process.pid, *(pid for pid, _ in descendants(self.process.pid))]

    def workers(self) -> list[int]:
        """Return the process ids of its Ray workers that hold a trial."""
        return workers_of(self.process.pid)

    def members(self) -> list[int]:
        """Return the process ids of those that train a trial together."""
        return [pid for pid, title in descendants(self.process.pid) if "spawn_main" in title]


def descendants(ancestor: int) -> Iterator[tuple[int, str]]:
    """Yield process id and title of all processes that a process started, and those that they did."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        above = pid
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor and pid != ancestor:
            with suppress(OSError):
                yield pid, Path(f"/proc/{pid}/cmdline").read_text()

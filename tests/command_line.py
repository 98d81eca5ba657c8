"""The command line in tests: in this process, or as a separate program that tests can kill."""

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
"""Time after which a program counts as hung."""
INTERVAL_S = 0.05
"""Time between two checks of a condition."""


class Answer(NamedTuple):
    """The end of a command: its exit status and what it printed."""

    status: int
    out: str
    err: str


def run_in_process(*words: object) -> Answer:
    """Run `exeunt WORDS` in this process, then restore arguments, environment and plugins."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    arguments, environment = sys.argv, dict(os.environ)
    sys.argv = ["exeunt", *map(str, words)]
    os.environ.setdefault("COLUMNS", "80")  # independent of the terminal
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
"""Script `exeunt` that runs its command in the test process, because the imports of the real one take seconds."""


class Scripts:
    """Runner of programs, such as shells, in which `exeunt` is executed by this process."""

    def __init__(self, folder: Path) -> None:
        """Put the script `exeunt` into a directory, whose path must be short enough for a socket."""
        self.folder = folder
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "socket"))
        self._listener.listen()
        client = folder / "exeunt"
        client.write_text(CLIENT.format(python=sys.executable, address=str(folder / "socket")))
        client.chmod(0o755)

    def wait_for(self, process: "subprocess.Popen[Any]") -> int:
        """Run the commands of a process until it ends; return its exit status."""
        deadline = time.monotonic() + TIMEOUT_S
        while process.poll() is None:
            assert time.monotonic() < deadline, "the process does not end"
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
    """Provide a `Scripts` in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="exeunt-") as folder:
        yield Scripts(Path(folder))


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, and return its value."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(INTERVAL_S)
    return value


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Run `act` in a thread while this one runs a command; raise the exception of `act` at the end."""
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
    assert not thread.is_alive(), "the thread still runs"
    if problems:
        raise problems[0]


def workers_of(ancestor: int) -> list[int]:
    """Return the process ids of the Ray workers with a trial, below one process only."""
    return [pid for pid, title in descendants(ancestor) if title.startswith("ray::TrialWorker")]


class Program:
    """The real `exeunt` in its own process group, which no process of it outlives."""

    def __init__(self, command: list[str | Path]) -> None:
        """Start the program; `command` is its whole command line."""
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finish(self) -> Answer:
        """Wait for the end of the program; return its status and output."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return Answer(self.process.returncode, out, err)

    def kill(self) -> None:
        """Kill only the driver, as a crash does; its workers must stop by themselves."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def kill_group(self) -> None:
        """Kill the driver and its workers if they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Send SIGINT to the whole group, as a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition while the program runs, and return its value."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (value := condition()):
            assert self.process.poll() is None, "the program ended too early"
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(INTERVAL_S)
        return value

    def wait_for_line(self, line: str) -> None:
        """Wait for a printed line; it and all lines before it are removed from the output of `finish`."""
        assert self.process.stdout is not None
        deadline = threading.Timer(TIMEOUT_S, self.process.kill)
        deadline.start()
        while (printed := self.process.stdout.readline()) != line:
            assert printed, "the program ended too early, or never printed the line"
        deadline.cancel()

    def processes(self) -> list[int]:
        """Return the process ids of the program and of its descendants."""
        return [self.process.pid, *(pid for pid, _ in descendants(self.process.pid))]

    def workers(self) -> list[int]:
        """Return the process ids of its Ray workers with a trial."""
        return workers_of(self.process.pid)

    def members(self) -> list[int]:
        """Return the process ids of the processes that train a trial together."""
        return [pid for pid, title in descendants(self.process.pid) if "spawn_main" in title]


def descendants(ancestor: int) -> Iterator[tuple[int, str]]:
    """Iterate over process id and title of all descendants of a process."""
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

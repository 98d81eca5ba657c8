"""Simulated machines in one process: processes that take turns at their I/O calls, pause and die; clocks that jump.

Tasks are greenlets. A task gives its turn away at some I/O calls, when it sleeps, and while it waits for a file lock.
All choices come from one seeded generator, so a seed replays a history exactly.
"""

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from exeunt.specs import SpecError
from exeunt.store import fencing, lease, liveness, trial_store
from exeunt.sweep.execution import trial_queue
from greenlet import getcurrent, greenlet

from ..io_calls import Killed, intercepted

BEGIN_S = 1.7e9
"""Time of the clocks at the begin of a history."""
TURN_S = 0.2
"""Mean number of seconds between two turns."""
SWITCHES = 0.15
"""Chance that a task gives its turn away at an I/O call."""
MOST_TURNS = 20_000
"""Number of turns after which a history counts as endless."""


@dataclass(eq=False)
class Process:
    """Process on a simulated host."""

    pid: int
    host: str
    name: str
    alive: bool = True
    paused_until: float = 0.0


@dataclass(eq=False)
class Task:
    """Thread of a process."""

    process: Process
    run: greenlet
    wake: float = 0.0


@dataclass
class World:
    """Scheduler of all tasks."""

    seed: int
    root: Path
    """Directory of the store, which all hosts share."""
    watch: Callable[[Process, str, Path], None]
    """Function that is called at each I/O call of a process, immediately before it happens."""
    trace: Callable[[str], None] = lambda _: None
    now: float = 0.0
    """Seconds since the begin."""
    jumps: dict[str, float] = field(default_factory=dict)
    """Seconds that the clock of a host is wrong."""
    processes: list[Process] = field(default_factory=list)
    _tasks: list[Task] = field(default_factory=list)
    _current: Task | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._scheduler = getcurrent()

    @property
    def process(self) -> Process | None:
        """Process whose task has the turn; None outside all processes, as in another thread."""
        return self._current.process if self._current is not None and getcurrent() is self._current.run else None

    def say(self, line: str) -> None:
        """Add a line to the trace."""
        self.trace(f"{self.now:8.1f} {self.process.name if self.process else '':12} {line}")

    def start(self, name: str, host: str, work: Callable[[], object]) -> Process:
        """Start a process."""
        process = Process(100 + len(self.processes), host, f"{name}-{100 + len(self.processes)}")
        self.processes.append(process)

        def live() -> None:
            work()
            process.alive = False

        self.spawn(process, live)
        return process

    def spawn(self, process: Process, work: Callable[[], object]) -> None:
        """Start a further task of a process, which ends with the process."""

        def run() -> None:
            with suppress(Killed):
                work()

        self._tasks.append(Task(process, greenlet(run, self._scheduler)))

    def kill(self, process: Process) -> None:
        """End a process at once: nothing that it does while its functions are left has an effect."""
        self.trace(f"{self.now:8.1f} {process.name:12} is killed")
        process.alive = False
        for task in [task for task in self._tasks if task.process is process and task.run]:
            self._turn(task)

    def pass_turn(self) -> None:
        """Let other tasks run."""
        self.sleep(0.0)

    def sleep(self, seconds: float) -> None:
        """Let other tasks run for some seconds at least."""
        task = self._current
        assert task is not None
        if task.process.alive:
            task.wake = self.now + seconds
            self._scheduler.switch()
        if not task.process.alive:
            raise Killed

    def turn(self) -> bool:
        """Let one task run until it gives its turn away; return False if there is no task."""
        self._tasks = [task for task in self._tasks if not task.run.dead and (task.process.alive or task.run)]
        if not self._tasks:
            return False
        self.now += self.random.expovariate(1 / TURN_S)
        due = [(max(task.wake, task.process.paused_until), task) for task in self._tasks]
        if not (ready := [task for at, task in due if at <= self.now]):
            self.now = min(at for at, _ in due)
            ready = [task for at, task in due if at <= self.now]
        self._turn(self.random.choice(ready))
        return True

    def _turn(self, task: Task) -> None:
        before, self._current = self._current, task
        try:
            task.run.switch()
        finally:
            self._current = before

    @contextmanager
    def heartbeat(self, beat: Callable[[], bool]) -> Iterator[None]:
        """Replacement of `liveness.heartbeat`, whose thread is a task."""
        ended, beating, process = False, False, self.process

        def live() -> None:
            nonlocal beating
            while not ended:
                self.sleep(liveness.HEARTBEAT_INTERVAL_S)
                beating = not ended
                with suppress(SpecError):
                    if beating and not beat():
                        break
                beating = False
            beating = False

        assert process is not None
        self.spawn(process, live)
        try:
            yield
        finally:
            ended = True
            while beating:
                self.pass_turn()

    @contextmanager
    def simulated(self) -> Iterator[None]:
        """Replace clocks, processes, host names and file locks inside the context."""
        flock = fcntl.flock

        def before(call: str, path: Path) -> None:
            if (process := self.process) is not None:
                if self.random.random() < SWITCHES or not process.alive:
                    self.pass_turn()
                if call == "rename" and not path.name.startswith("."):
                    self.say(f"writes {path.parent.name}/{path.name}")
                task, self._current = self._current, None  # what `watch` reads is not an act of the process
                try:
                    self.watch(process, call, path)
                finally:
                    self._current = task

        def lock(file: Any, operation: int) -> None:
            while self.process is not None:
                try:
                    flock(file, operation | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.sleep(0.1)
                else:
                    return
            flock(file, operation)

        def host() -> str:
            return self.process.host if self.process else "outside"

        def born(pid: int) -> str | None:
            return next((str(pid) for one in self.processes if one.pid == pid and one.alive), None)

        clock = SimpleNamespace(
            time=lambda: BEGIN_S + self.now + self.jumps.get(host(), 0.0), monotonic=lambda: self.now, sleep=self.sleep
        )
        real_pid = os.getpid()
        with pytest.MonkeyPatch.context() as patch:
            for module in (liveness, lease, trial_queue):
                patch.setattr(module, "time", clock)
            for module in (fencing, lease):
                patch.setattr(module, "heartbeat", self.heartbeat)
            patch.setattr(trial_store, "READERS", 1)  # threads would not be part of the world
            patch.setattr(liveness, "socket", SimpleNamespace(gethostname=host))
            patch.setattr(liveness, "_born", born)
            patch.setattr(liveness, "_namespace", lambda: "")
            patch.setattr(os, "getpid", lambda: self.process.pid if self.process else real_pid)
            patch.setattr(fcntl, "flock", lock)
            with intercepted(self.root, before):
                yield

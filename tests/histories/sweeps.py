"""The real `run_sweep` and `run_trial` in a simulated world.

Simulated are the borders alone: Ray Tune as the executor, the training, and answers of MLflow that are lost.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from exeunt import training
from exeunt.results import mlflow_sqlite
from exeunt.results.mlflow_client import TrackingError
from exeunt.store import Plan, PlannedTrial, Record, Store, TrialFiles
from exeunt.sweep import run
from exeunt.sweep.execution import runner, worker
from exeunt.sweep.execution.shutdown import Shutdown
from exeunt.sweep.execution.stop_event import StopEvent
from exeunt.sweep.execution.trial_queue import Suggestion
from exeunt.sweep.execution.tune import Events
from exeunt.sweep.planning.plan import SweepPlan
from exeunt.sweep.planning.resources import Resources
from exeunt.sweep.terminal import tables
from exeunt.sweep.tracking import sync
from exeunt.sweep.tracking.writer import Mirror
from exeunt.training import DataSource, TrialSpec
from rich.console import Console

from ..simulated_training import train
from .world import Process, World

HOSTS = ("north", "south")
WORKERS = 3
SYNC_INTERVAL_S = 8.0
"""Seconds between two updates of MLflow, each of which takes several milliseconds of real time."""


@dataclass(eq=False)
class Attempt:
    """Attempt that a driver has started in a worker."""

    process: Process
    messages: deque[tuple[str, Any]] = field(default_factory=deque)
    """Reports, and the end with an error or none, which the driver has not read."""
    is_cut: bool = False
    """True if the driver was notified of the death of the worker, which may run on."""
    last: Record = field(default_factory=dict)


@dataclass
class Cluster:
    """Executor of the trials of all drivers, in place of Ray Tune."""

    world: World
    has_mlflow: bool
    """True if the sweeps write to MLflow, which takes most of the time of a history."""
    lost_answers: float
    """Chance that an answer of MLflow is lost."""
    attempts: dict[Process, Attempt] = field(default_factory=dict)
    drivers: dict[Process, list[Attempt]] = field(default_factory=dict)
    starts: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Attempts of a driver at a trial that were not busy."""

    def run_trials(
        self,
        suggest: Callable[[], Suggestion | Literal["wait", "finished"]],
        events: Events,
        work: Callable[[dict[str, Any]], None],
        prepare: object,
        *,
        resources_of: Callable[[PlannedTrial], Resources],
        **options: object,
    ) -> None:
        """Run trials like `tune.run_trials`."""
        del prepare, options
        driver = self.world.process
        assert driver is not None
        running: dict[str, Attempt] = {}
        while True:
            self.world.pass_turn()
            for key in list(running):
                if self._ended(driver, key, running[key], events):
                    self.drivers[driver].remove(running.pop(key))
            events.is_ending()
            if len(running) == WORKERS:
                continue
            match suggest():
                case "finished" if not running:
                    return
                case Suggestion(trial=trial, gpu=gpu):
                    config = {"key": trial.key, "spec": json.dumps(trial.located_spec), "gpu": gpu}
                    config["resources"] = resources_of(trial).text
                    running[trial.key] = self._start(config, work)
                    self.drivers.setdefault(driver, []).append(running[trial.key])
                    self.starts[driver.pid, trial.key] += 1
                    events.started(trial.key)
                case _:
                    self.world.sleep(0.5)

    def _start(self, config: dict[str, Any], work: Callable[[dict[str, Any]], None]) -> Attempt:
        def body() -> None:
            error = ""
            try:
                work(config)
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}"
            self.world.say(f"ends {config['key']} {error}")
            attempt.messages.append(("end", error))

        process = self.world.start("worker", self.world.random.choice(HOSTS), body)
        self.attempts[process] = attempt = Attempt(process)
        self.world.say(f"starts {config['key']} in {process.name}")
        return attempt

    def report(self, record: Record) -> None:
        """Report to the driver, in place of `ray.tune.report`."""
        process = self.world.process
        assert process is not None
        self.world.pass_turn()
        self.attempts[process].messages.append(("report", record))

    def _ended(self, driver: Process, key: str, attempt: Attempt, events: Events) -> bool:
        """Read the messages of a worker, and return True at its end. Those of a dead worker may be lost."""
        is_gone = attempt.is_cut or not attempt.process.alive
        if is_gone and ("end", "") not in attempt.messages and self.world.random.random() < 0.5:
            attempt.messages.clear()
        while attempt.messages:
            kind, content = attempt.messages.popleft()
            if kind == "end":
                return self._end(driver, key, attempt, events, content)
            attempt.last = content
            events.reported(key, content)
        return is_gone and self._end(driver, key, attempt, events, "worker died")

    def _end(self, driver: Process, key: str, attempt: Attempt, events: Events, error: str) -> bool:
        if attempt.last.get("state") == "busy" and not error:
            self.starts[driver.pid, key] -= 1
        self.world.say(f"reads the end of {key}: {attempt.last.get('state')} {error}")
        events.ended(key, attempt.last, error)
        return True

    @contextmanager
    def mirrored(
        self,
        plan: Plan,
        known: Mapping[str, PlannedTrial],
        store: Store,
        tracking_uri: str,
        announce: Callable[[str], None],
        begun: Callable[[], bool],
        **options: object,
    ) -> Iterator[set[str]]:
        """Write to MLflow like `sync.mirrored`, in a task instead of a thread."""
        del options
        changed: set[str] = set()
        ended, writing, process = False, False, self.world.process
        writer = sync._Writer(plan, known, store, tracking_uri, announce)

        def write_on() -> None:
            nonlocal writing
            while not ended:
                self.world.sleep(SYNC_INTERVAL_S)
                if self.has_mlflow and begun() and not ended:
                    writing = True
                    writer.write(sorted(changed), changed)
                    writing = False

        assert process is not None
        self.world.spawn(process, write_on)
        try:
            yield changed
        finally:
            ended = True
            while writing:  # the thread is joined
                self.world.sleep(0.1)

    def publish(self, plan: Plan, store: Store, tracking_uri: str, console: Console) -> None:
        """Update MLflow like the end of a sweep, without its table."""
        del console
        if self.has_mlflow:
            with suppress(TrackingError):
                Mirror(plan, store, tracking_uri).update_all()

    def may_lose_answer(self, call: Callable[..., None]) -> Callable[..., None]:
        """Return a call to MLflow that may fail, before or after it had its effect."""

        def may_fail(*arguments: object) -> None:
            chance = self.world.random.random()
            if chance < self.lost_answers / 2:
                raise TrackingError("MLflow has no answer.")
            call(*arguments)
            if chance < self.lost_answers:
                raise TrackingError("MLflow had no answer in time.")

        return may_fail

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Replace the borders of the product inside the context."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "ray_at", lambda *_, **__: nullcontext(lambda: None))
            patch.setattr(runner, "images_read", lambda *_: nullcontext(lambda _: None))
            patch.setattr(runner, "run_trials", self.run_trials)
            patch.setattr(runner, "StopEvent", _StopEvent)
            patch.setattr(runner, "mirrored", self.mirrored)
            patch.setattr(runner, "nodes", lambda: [{"CPU": WORKERS}])
            patch.setattr(tables, "publish", self.publish)
            patch.setattr(worker, "tune", SimpleNamespace(report=self.report))
            patch.setattr(training, "train", simulated_train, raising=False)
            for name in ("insert", "change"):
                patch.setattr(mlflow_sqlite, name, self.may_lose_answer(getattr(mlflow_sqlite, name)))
            yield


class _StopEvent(StopEvent):
    """Event without Ray; simulated workers train to their end."""

    def set(self) -> None:
        pass


class _Shutdown(Shutdown):
    def on_signals(self) -> Any:
        return nullcontext()


def simulated_train(
    trial: TrialSpec, files: TrialFiles, *, on_epoch: Callable[[Record], None], **settings: object
) -> Record:
    """Train like `training.train`."""
    del settings
    return train(files, trial.key, trial.to_dict(), on_epoch=on_epoch)


def sweep(plan: SweepPlan, location: Path, tracking_uri: str) -> None:
    """Run `exeunt sweep` in a process of the world."""
    console = Console(quiet=True)
    options: dict[str, Any] = {"only": [], "tries": False, "shutdown": _Shutdown()}
    run.run_sweep(Path("sweep.yaml"), plan, Store(location), DataSource(), tracking_uri, console, **options)

"""Searches without training: the files that a worker would write are written to the store at once."""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from exeunt.store import Record, Store
from exeunt.sweep.execution.early_stopper import EarlyStopper
from exeunt.sweep.execution.shutdown import Shutdown
from exeunt.sweep.execution.trial_queue import TrialQueue
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.planning.sweep_file import Sweep, read_sweep
from exeunt.sweep.search import Outcome, Studies, Tuning, outcomes, search_plan
from exeunt.sweep.terminal.progress import PlainBoard
from exeunt.training import TrialSpec
from rich.console import Console

from .searches import FILE

Accuracy = Callable[[TrialSpec], float | str]
"""Function that returns the outcome of a trial: its validation top-1, or `diverged`, `failed` or `died`."""


def by_rate(spec: TrialSpec) -> float:
    """Return a top-1 that is highest at a learning rate of 0.1."""
    return 90 - 100 * abs(spec.recipe.learning_rate - 0.1)


@dataclass
class Trainer:
    """Writer of the files that a worker would write for each trial."""

    store: Store
    accuracy: Accuracy = by_rate
    trained: list[str] = field(default_factory=list)
    """Keys of all started trials, in order."""

    def records(self, spec: TrialSpec) -> list[Record]:
        """Return the record of each epoch; the last has the final top-1 of the trial."""
        comes_to = self.accuracy(spec)
        last = comes_to if isinstance(comes_to, float) else 1.0
        epochs = spec.recipe.epochs
        return [
            {"epoch": epoch, "validation/final/top1": last * epoch / epochs, "seconds": 600.0, "time": 0.0}
            for epoch in range(1, epochs + 1)
        ]

    def begin(self, spec: TrialSpec, epochs: int) -> None:
        """Write the first epochs of a trial."""
        with self.store.attempt(spec.key, "driver") as files:
            self.trained.append(spec.key)
            files.write_spec(spec.canonical().to_dict())
            files.write_history(self.records(spec)[:epochs])

    def finish(self, spec: TrialSpec) -> Record:
        """Write the result of a trial; return its last report, whose `state` is `running` for a trial that died."""
        directory = self.store.trial(spec.key)
        records = self.records(spec)
        state = comes_to if isinstance(comes_to := self.accuracy(spec), str) else "done"
        directory.write_history(records if state == "done" else records[:1])
        if state == "failed":
            directory.write_failure({"reason": "it broke"})
        elif state != "died":
            cost = 1000.0 * (spec.recipe.learning_rate + 0.001 * spec.recipe.batch_size)  # gives a Pareto front
            metrics = {name: records[-1][name] for name in records[-1] if "/" in name}
            metrics["cost/final/multiply_adds"] = cost
            result = {"state": state, "key": spec.key, "seconds": 600.0 * len(records), "metrics": metrics}
            result["environment"] = {}
            directory.write_result(result | ({"reason": "the loss is nan"} if state == "diverged" else {}))
        return {"state": "running" if state == "died" else state, "epoch": 1}


class Driver:
    """Driver that runs a search as `launch` and Ray Tune do, with `workers` concurrent trials."""

    def __init__(self, sweep: Sweep, store: Store, trainer: Trainer, workers: int = 1, retries: int = 0) -> None:
        self.sweep, self.store, self.trainer, self.workers = sweep, store, trainer, workers
        self.plan = plan = search_plan(sweep, store)
        self.studies = Studies(sweep, store)
        self.studies.mend()
        todo = [trial for trial in missing(plan, store) if trial.role != "search"]
        self.board = PlainBoard(todo, 0, Console(file=io.StringIO()))
        self.shutdown = Shutdown()
        known = {trial.key: trial for trial in plan.trials}
        self.early_stopper = None
        if sweep.stopping is not None:
            self.early_stopper = EarlyStopper(sweep.stopping, plan.trials)
            for trial in plan.trials:
                self.early_stopper.recall(trial.key, store.trial(trial.key).history())
        self.tuning = Tuning(self.studies, store, self.board, self.shutdown, known, self.early_stopper)
        self.queue = TrialQueue(
            self.board.trials.values(),
            [key for key, how in store.progress_of(known).items() if how.state == "done"],
            retries=retries,
            most=workers,
            recorded=lambda key: store.progress(key).state,
            give_up=lambda key, reason: self.board.end(key, problem=reason),
            shutting_down=self.shutdown.is_requested,
            proposals=self.tuning,
        )
        self.running: dict[str, TrialSpec] = {}
        self.handed_out: list[str] = []

    def stand(self) -> dict[str, Outcome]:
        """Read the studies again; return their outcomes by method."""
        return {outcome.space.default.method.name: outcome for outcome in outcomes(Studies(self.sweep, self.store))}

    def start(self) -> bool:
        """Start another trial, as Tune does; return True if there was one."""
        suggested = self.queue.suggest()
        if isinstance(suggested, str):
            return False
        key = suggested.trial.key
        self.running[key] = TrialSpec.from_dict(suggested.trial.spec)
        self.handed_out.append(key)
        self.board.start(key)
        self.trainer.begin(self.running[key], epochs=1)
        return True

    def pruned_after(self, spec: TrialSpec) -> Record | None:
        """Return the record of the epoch after which the early stopper stops a trial; None if it does not."""
        if self.early_stopper is None:
            return None
        return next(
            (record for record in self.trainer.records(spec) if self.early_stopper.stops(spec.key, record)), None
        )

    def end(self, key: str) -> None:
        """End a running trial."""
        spec = self.running.pop(key)
        if (last := self.pruned_after(spec)) is not None:
            records = self.trainer.records(spec)[: last["epoch"]]
            self.store.trial(key).write_history(records)
            self.queue.ended(key, {"state": "running", "epoch": last["epoch"]})
            self.store.prune(key, self.plan.stopping, epoch=last["epoch"], epochs=spec.recipe.epochs)
            self.board.prune(key, "stopped")
            return
        report = self.trainer.finish(spec)
        self.queue.ended(key, report, error=report["state"] in ("failed", "running"))
        if self.queue.retry_delay(key) is not None:
            self.board.pause(key)
        else:
            self.board.end(key, problem="" if report["state"] == "done" else "it broke")

    def run(self, turn: Callable[[list[str]], str] = lambda keys: keys[0], steps: int = 10_000) -> "Driver":
        """Run until no trial is left; `turn` selects the running trial that ends next."""
        for _ in range(steps):
            while len(self.running) < self.workers and self.start():
                pass
            if not self.running:
                assert self.queue.suggest() == "finished"
                return self
            self.end(turn(list(self.running)))
        raise AssertionError("the search does not end")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip `fsync`, which takes most of the time of a search without training."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty trial store."""
    return Store(tmp_path / "runs")


@pytest.fixture
def read_file(tmp_path: Path) -> Callable[..., Sweep]:
    """Function that reads the file of the tests with some parts replaced."""

    def read(*pairs: tuple[str, str], text: str = FILE) -> Sweep:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sweep.yaml"
        path.write_text(text, encoding="utf-8")
        return read_sweep(path)

    return read


@pytest.fixture
def drive(store: Store) -> Callable[..., Driver]:
    """Function that makes a driver of a sweep in the store."""

    def make(sweep: Sweep, accuracy: Accuracy = by_rate, workers: int = 1, **options: Any) -> Driver:
        return Driver(sweep, store, Trainer(store, accuracy), workers, **options)

    return make


@pytest.fixture
def strict() -> Iterator[None]:
    """Raise an error for each warning, because a user would see it in a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # from garbage of other tests
        yield


@pytest.fixture
def baseline_alone(read_file: Callable[..., Sweep]) -> Callable[..., Sweep]:
    """Function that reads a search of the baseline's learning rate."""

    def read(*pairs: tuple[str, str]) -> Sweep:
        text = read_file().text
        kept = [line for line in text.splitlines() if "kd:" not in line and "eed:" not in line]
        kept = kept[: kept.index("  methods:")] if "  methods:" in kept else kept
        return read_file(*pairs, text="\n".join(kept) + "\n")

    return read

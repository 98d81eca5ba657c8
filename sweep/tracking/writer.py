"""MLflow mirrors the trial store: one experiment per sweep, one flat run per trial, written by the driver alone."""

import logging
import os
import shutil
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from ...results.mlflow_client import TrackingError, connect, runs_of, sqlite_file
from ...training import DamagedFileError, Record
from ..planning.plan import Plan, PlannedTrial
from ..store.trial_store import Progress, Store
from .records import TERMINATED, differing, metrics_of, params_of, tags_of

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # it announces each step of making a database
for talkative in ("mlflow.store.db.utils", "urllib3.connectionpool"):
    logging.getLogger(talkative).setLevel(logging.ERROR)  # and these each attempt; what comes of them is raised

BATCH = 800
"""How many metrics go in one call: with tags and parameters they stay below the 1000 entries that MLflow takes."""

STORAGE, LOCATION = "exeunt.storage", "exeunt.location"
"""Tags of an experiment: the mark of its sweep in its storage, and where that was seen last."""


@dataclass(kw_only=True)
class _Run:
    """What MLflow holds of a trial."""

    id: str
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    """The latest value of each."""
    epochs: int = 0
    """Of how many epochs this process knows that MLflow has them."""


class Mirror:
    """Brings MLflow up to what the store holds, trial by trial; doing so twice changes nothing.

    Every method raises `MlflowException` where MLflow cannot be reached or refuses. Then a new mirror is needed: what
    was asked for last may have been done.
    """

    def __init__(self, plan: Plan, store: Store, tracking_uri: str) -> None:
        """Opens the sweep's experiment, and creates an SQLite database if there is none."""
        path = sqlite_file(tracking_uri)
        if path is not None and not path.exists():
            create_database(path)
        self._client = connect(tracking_uri)
        self._store = store
        self._plan = plan
        self._experiment = self._open_experiment(plan.sweep.name)
        self._runs = self._existing_runs()

    def update(self, trials: Iterable[PlannedTrial]) -> int:
        """Writes what is new of these trials, and returns how many there were to write."""
        return sum(self._update(trial, self._store.progress(trial.key, self._plan.sweep.stopping)) for trial in trials)

    def update_all(self) -> int:
        """Writes what is new of the whole plan, and marks the runs of trials that it does not hold any more."""
        planned = {trial.key: trial for trial in self._plan.trials}
        progress = self._store.progress_of(planned, self._plan.sweep.stopping)
        written = sum(self._update(trial, progress[key]) for key, trial in planned.items())
        return written + self.mark_unplanned(planned)

    def mark_unplanned(self, planned: Container[str]) -> int:
        """Marks the runs of trials whose keys are not among the planned ones, so that no table counts them."""
        unplanned = [
            run for key, run in self._runs.items() if key not in planned and run.tags.get("exeunt.role") != "unplanned"
        ]
        for run in unplanned:
            self._write(run, [], run.tags | {"exeunt.role": "unplanned"}, [])
        return len(unplanned)

    def _update(self, trial: PlannedTrial, progress: Progress) -> bool:
        tags = tags_of(trial, progress)
        run = self._runs.get(trial.key)
        if run and run.tags.get("exeunt.state") == progress.state and self._was_retrained(trial.key, progress, run):
            self._client.delete_run(run.id)  # the metrics of a run cannot be changed
            run = None
        if progress.state == "waiting" or (run and run.tags == tags and progress.state != "running"):
            return False
        run = run or self._create(trial, tags)
        if run.tags.get("exeunt.state") != progress.state:
            if progress.state == "running":  # again
                self._client.update_run(run.id, "RUNNING")
            else:
                self._client.set_terminated(run.id, TERMINATED[progress.state])
        return self._write(run, self._history(trial.key), tags, params_of(trial))

    def _was_retrained(self, key: str, progress: Progress, run: _Run) -> bool:
        """Whether the trial reports other numbers than MLflow has, and has them in its history too."""
        reported = progress.result["metrics"] if progress.result else {}
        return bool(
            differing(reported, run.metrics)
            and (history := self._history(key))
            and not differing(reported, history[-1])
        )

    def _history(self, key: str) -> list[Record]:
        try:
            return self._store.trial(key).history()
        except DamagedFileError:  # it must not keep the other trials from MLflow; `exeunt verify` tells of it
            return []

    def _open_experiment(self, name: str) -> str:
        """Raises `TrackingError` where it is of a sweep that has this name in another storage."""
        mark = self._store.sweep_id(name)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return self._client.create_experiment(name, tags=self._tags(mark))
        theirs = experiment.tags.get(STORAGE, mark)
        if experiment.lifecycle_stage != "active":  # it was deleted, and MLflow gives its name to no other
            self._client.restore_experiment(experiment.experiment_id)
        elif theirs != mark:
            whose = f"the experiment {name!r} there is of a sweep in another storage, {experiment.tags.get(LOCATION)}"
            raise TrackingError(f"{whose}. Give this sweep another name, or delete that experiment in MLflow.")
        for tag, value in self._tags(mark).items():
            if experiment.tags.get(tag) != value:
                self._client.set_experiment_tag(experiment.experiment_id, tag, value)
        return experiment.experiment_id

    def _tags(self, mark: str) -> dict[str, str]:
        """Of the experiment: whose it is."""
        return {STORAGE: mark, LOCATION: self._store.location}

    def _existing_runs(self) -> dict[str, _Run]:
        """By key. Of two that hold one trial, because an answer of MLflow's was lost, the older one is kept."""
        runs: dict[str, _Run] = {}
        for run in runs_of(self._client, self._experiment):
            tags = {name: value for name, value in run.data.tags.items() if name.startswith("exeunt.")}
            key = tags.get("exeunt.key")
            if key in runs:
                self._client.delete_run(run.info.run_id)
            elif key is not None:  # others are not ours
                runs[key] = _Run(id=run.info.run_id, tags=tags, metrics=run.data.metrics)
        return runs

    def _create(self, trial: PlannedTrial, tags: dict[str, str]) -> _Run:
        spec = trial.spec
        name = f"{spec.method.name} {spec.architecture.name} seed {spec.seed}"
        tags = tags | {"exeunt.state": "running"}  # until all the rest is written
        created = self._client.create_run(self._experiment, tags=tags | {"mlflow.runName": name})
        run = self._runs[trial.key] = _Run(id=created.info.run_id, tags=tags)
        return run

    def _write(self, run: _Run, history: list[Record], tags: dict[str, str], params: list[Param]) -> bool:
        # What is written twice stands there once, so a restart may write it all again. The tags come last, so that
        # a run whose writing was cut off does not look complete.
        metrics = [metric for record in history[run.epochs :] for metric in metrics_of(record)]
        changed = [RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value]
        gone = run.tags.keys() - tags.keys()
        params = [] if run.epochs else params
        while len(metrics) > BATCH:
            self._client.log_batch(run.id, metrics=metrics[:BATCH])
            metrics = metrics[BATCH:]
        self._client.log_batch(run.id, metrics=metrics, params=params, tags=changed)
        for name in gone:
            self._client.delete_tag(run.id, name)
        run.tags = tags
        run.metrics |= {metric.key: metric.value for record in history[run.epochs :] for metric in metrics_of(record)}
        run.epochs = len(history) or run.epochs
        return bool(metrics or changed or gone)


def create_database(path: Path) -> None:
    """Makes the database elsewhere and puts it in its place whole: MLflow cannot open one that was left half made."""
    workshop = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True)
    try:
        MlflowClient(f"sqlite:///{workshop / path.name}").search_experiments(max_results=1)
        if not path.exists():  # another sweep may have been quicker
            (workshop / path.name).replace(path)
    finally:
        shutil.rmtree(workshop)

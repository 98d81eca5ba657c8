"""Mirror of the trial store in MLflow: one experiment per sweep, one flat run per trial, written only by the driver.

New runs of an SQLite database with known tables are inserted directly, many at a time. MLflow's client makes five calls
for each run, of which each waits for the disk; it writes everything else.
"""

import math
import os
import shutil
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ...results import mlflow_sqlite
from ...results.mlflow_client import TrackingError, connect
from ...results.mlflow_reader import known_database, runs_in
from ...results.mlflow_sqlite import NewRun
from ...specs import sqlite_file, sqlite_uri
from ...store import DamagedFileError, Plan, PlannedTrial, Progress, Record, Store
from ...store.migration import OLD_KEY
from .records import TERMINATED, differing, params_of, points_of, tags_of

BATCH = 800
"""Metrics per call; with tags and parameters they stay below MLflow's limit of 1000 entries."""
RUNS_PER_TRANSACTION = 200
"""Number of new runs that are inserted at once; others wait for the database meanwhile."""

LONGEST_NAME = 250
"""Characters of a run's name that MLflow's databases hold."""

STORAGE, LOCATION = "exeunt.storage", "exeunt.location"
"""Tags of an experiment: ID of its sweep, and last known location of the sweep's storage."""


@dataclass(kw_only=True)
class _Run:
    """State of a trial's MLflow run."""

    id: str
    """ID in MLflow; empty until a new run is inserted."""
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""
    epochs: int = 0
    """Number of epochs that this process has written."""


class Mirror:
    """Mirror that updates MLflow from the store, trial by trial; updates are idempotent.

    Every method raises `MlflowException` if MLflow is unreachable or rejects a call. Then a new mirror is needed,
    since MLflow may have executed the last call.
    """

    def __init__(self, plan: Plan, store: Store, tracking_uri: str) -> None:
        """Open the sweep's experiment; create an SQLite database that does not exist."""
        path = sqlite_file(tracking_uri)
        if path is not None and not path.exists():
            create_database(path)
        self._client = connect(tracking_uri)
        self._tracking_uri = tracking_uri
        self._database = known_database(tracking_uri)
        self._new: list[tuple[_Run, NewRun]] = []
        self._store = store
        self._plan = plan
        self._experiment = self._open_experiment(plan.name)
        self._runs = self._existing_runs()

    def update(self, trials: Iterable[PlannedTrial]) -> int:
        """Write new data of these trials and return the number of trials written."""
        return self._update_each((trial, self._store.progress(trial.key, self._plan.stopping)) for trial in trials)

    def update_all(self) -> int:
        """Write new data of the whole plan, mark the runs of other trials, and return the number of runs written."""
        planned = {trial.key: trial for trial in self._plan.trials}
        progress = self._store.progress_of(planned, self._plan.stopping)
        written = self._update_each((trial, progress[key]) for key, trial in planned.items())
        return written + self.mark_unplanned(planned)

    def mark_unplanned(self, planned: Container[str]) -> int:
        """Mark the runs of trials that are not planned, so that no table counts them; return their number."""
        unplanned = [
            run for key, run in self._runs.items() if key not in planned and run.tags.get("exeunt.role") != "unplanned"
        ]
        for run in unplanned:
            self._write(run, [], run.tags | {"exeunt.role": "unplanned"}, {})
        return len(unplanned)

    def _update_each(self, trials: Iterable[tuple[PlannedTrial, Progress]]) -> int:
        written = 0
        for trial, progress in trials:
            written += self._update(trial, progress)
            if len(self._new) >= RUNS_PER_TRANSACTION:
                self._insert_new()
        self._insert_new()
        return written

    def _update(self, trial: PlannedTrial, progress: Progress) -> bool:
        tags = tags_of(trial, progress)
        run = self._runs.get(trial.key)
        if run and run.tags.get("exeunt.state") == progress.state and self._was_retrained(trial.key, progress, run):
            self._client.delete_run(run.id)  # MLflow cannot overwrite the metrics of a run
            run = None
        if progress.state == "waiting" or (run and run.tags == tags and progress.state != "running"):
            return False
        history = self._history(trial.key)
        if run and _has_other_epochs(run, history):
            self._client.delete_run(run.id)
            run = None
        if run is None:
            new = _new_run(trial, progress, tags, history)
            if self._database is not None and new.is_plain:
                latest = {point.name: point.value for point in new.points}
                self._runs[trial.key] = _Run(id="", tags=tags, metrics=latest, epochs=len(history))
                self._new.append((self._runs[trial.key], new))
                return True
            run = self._create(trial, new)
        if run.tags.get("exeunt.state") != progress.state:
            if progress.state == "running":  # it had ended and resumes
                self._client.update_run(run.id, "RUNNING")
            else:
                self._client.set_terminated(run.id, TERMINATED[progress.state])
        return self._write(run, history, tags, params_of(trial))

    def _insert_new(self) -> None:
        """Insert the new runs in one transaction: a killed process leaves all of them or none."""
        if self._database is not None and self._new:
            ids = mlflow_sqlite.insert(self._database, self._experiment, [new for _, new in self._new])
            for run_id, (run, _) in zip(ids, self._new, strict=True):
                run.id = run_id
            self._new = []

    def _was_retrained(self, key: str, progress: Progress, run: _Run) -> bool:
        """Return True if the trial reports other metrics than MLflow has, and its history agrees with the trial."""
        reported = progress.result["metrics"] if progress.result else {}
        return bool(
            differing(reported, run.metrics)
            and (history := self._history(key))
            and not differing(reported, history[-1])
        )

    def _history(self, key: str) -> list[Record]:
        try:
            return self._store.trial(key).history()
        except DamagedFileError:  # it must not block the other trials; `exeunt verify` reports it
            return []

    def _open_experiment(self, name: str) -> str:
        """Open the experiment. Raises `TrackingError` if it belongs to a sweep in another storage."""
        mark = self._store.sweep_id(name)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return self._client.create_experiment(name, tags=self._tags(mark))
        theirs = experiment.tags.get(STORAGE, mark)
        if experiment.lifecycle_stage != "active":  # it was deleted, and MLflow still reserves its name
            self._client.restore_experiment(experiment.experiment_id)
        elif theirs != mark:
            whose = f"experiment {name!r} belongs to a sweep in another storage, {experiment.tags.get(LOCATION)}"
            raise TrackingError(f"{whose}. Rename this sweep, or delete that experiment in MLflow.")
        for tag, value in self._tags(mark).items():
            if experiment.tags.get(tag) != value:
                self._client.set_experiment_tag(experiment.experiment_id, tag, value)
        return experiment.experiment_id

    def _tags(self, mark: str) -> dict[str, str]:
        """Return the tags of the experiment, which identify its sweep and storage."""
        return {STORAGE: mark, LOCATION: self._store.location}

    def _existing_runs(self) -> dict[str, _Run]:
        """Return the runs by key. If a lost response left two runs of one trial, the older one is kept."""
        runs: dict[str, _Run] = {}
        for run in runs_in(self._tracking_uri, self._experiment):
            tags = {name: value for name, value in run.tags.items() if name.startswith("exeunt.")}
            key = tags.get("exeunt.key")
            if key in runs or (key is not None and OLD_KEY.fullmatch(key)):  # 0.1.0 wrote it; it gets a new run
                self._client.delete_run(run.run_id)
            elif key is not None:  # Exeunt did not write runs without a key
                runs[key] = _Run(id=run.run_id, tags=tags, metrics=run.metrics)
        return runs

    def _create(self, trial: PlannedTrial, new: NewRun) -> _Run:
        tags = {**new.tags, "exeunt.state": "running"}  # until all other data is written
        created = self._client.create_run(self._experiment, tags=tags | {"mlflow.runName": new.name})
        run = self._runs[trial.key] = _Run(id=created.info.run_id, tags=tags)
        return run

    def _write(self, run: _Run, history: list[Record], tags: dict[str, str], params: dict[str, str]) -> bool:
        # MLflow stores repeated metrics once, so a restart may write all of them again. Tags are written last, so that
        # an interrupted write does not make the run look complete.
        points = [point for record in history[run.epochs :] for point in points_of(record)]
        metrics = [Metric(point.name, point.value, point.time, point.epoch) for point in points]
        changed = [RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value]
        gone = run.tags.keys() - tags.keys()
        first = [] if run.epochs else [Param(name, value) for name, value in params.items()]
        while len(metrics) > BATCH:
            self._client.log_batch(run.id, metrics=metrics[:BATCH])
            metrics = metrics[BATCH:]
        self._client.log_batch(run.id, metrics=metrics, params=first, tags=changed)
        for name in gone:
            self._client.delete_tag(run.id, name)
        run.tags = tags
        run.metrics |= {point.name: point.value for point in points}
        run.epochs = len(history) or run.epochs
        return bool(metrics or changed or gone)


def _has_other_epochs(run: _Run, history: list[Record]) -> bool:
    """Return True if epochs that MLflow has were trained again, since they came after the last checkpoint."""
    last = run.metrics.get("seconds", math.nan)
    return bool(history) and not math.isnan(last) and last not in {record["seconds"] for record in history}


def _new_run(trial: PlannedTrial, progress: Progress, tags: dict[str, str], history: list[Record]) -> NewRun:
    about = trial.configuration
    return NewRun(
        name=" ".join((trial.label, about.architecture, *about.row_settings, f"seed {trial.seed}"))[:LONGEST_NAME],
        status=TERMINATED.get(progress.state, "RUNNING"),
        tags=tags,
        params=params_of(trial),
        points=[point for record in history for point in points_of(record)],
    )


def create_database(path: Path) -> None:
    """Create the database elsewhere and move it into place, since MLflow cannot open an incomplete one."""
    workshop = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True)
    try:
        MlflowClient(sqlite_uri(workshop / path.name)).search_experiments(max_results=1)
        if not path.exists():  # another sweep may have created it meanwhile
            (workshop / path.name).replace(path)
    finally:
        shutil.rmtree(workshop)

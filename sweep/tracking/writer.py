"""Mirror of the trial store in MLflow, written only by the driver of a sweep.

A sweep is an experiment. Each configuration has a run, and each of its trials has a child run.
"""

import math
import os
import shutil
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment

from ...results.configurations import configuration_metrics
from ...results.frame import to_frame
from ...results.mlflow_client import TrackingError, connect
from ...results.mlflow_reader import KIND, known_database, runs_in
from ...results.mlflow_sqlite import Point, RecordedRun, RunData
from ...specs import sqlite_file, sqlite_uri
from ...store import DamagedFileError, Plan, PlannedTrial, Progress, Record, Store
from ...store.labels import parameters
from ...store.migration import OLD_KEY
from .groups import CHILDREN, COMPLETED, GROUP, RunGroup, RunGroups, group_id
from .records import MANAGED, NOTE, PARENT, TERMINATED, differing, page_tags, points_of, tags_of
from .run_writer import RunWriter

STORAGE, LOCATION = "exeunt.storage", "exeunt.location"
"""Tags of an experiment: ID of its sweep, and last known location of the sweep's storage."""
ARTIFACT = "exeunt.artifact."
"""Prefix of the tags with the SHA-256 of each artifact, which a mirror does not change."""
_KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Tag that makes MLflow open the experiment in the view for training instead of that for language models."""
_LONGEST_LOCATION = 200
"""Characters of an artifact location that leave room for the ID of a run in MLflow's databases."""


@dataclass(kw_only=True)
class MirroredRun:
    """State of a run in MLflow."""

    id: str
    tags: dict[str, str]
    """Tags that Exeunt writes."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""
    params: dict[str, str] = field(default_factory=dict)
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
        self.client = connect(tracking_uri)
        self._tracking_uri = tracking_uri
        self._store = store
        self._plan = plan
        self._groups = RunGroups(plan)
        self._params: dict[str, dict[str, str]] = {}
        self._trials = {trial.key: trial for trial in plan.trials}
        experiment = self._open_experiment(plan.name)
        self.experiment: str = experiment.experiment_id
        self.artifact_location: str = experiment.artifact_location
        """Directory or URI of all artifacts of the experiment."""
        self._writer = RunWriter(self.client, self.experiment, known_database(tracking_uri))
        self.runs: dict[str, MirroredRun] = {}
        """Runs of trials by key."""
        self.groups: dict[str, MirroredRun] = {}
        """Runs of configurations and studies by the ID of their group, and of the sweep by `sweep`."""
        self._read_runs()

    @property
    def has_own_artifacts(self) -> bool:
        """True if a server keeps the artifacts, or if they are beside the database.

        MLflow never changes the place: that of an older or moved storage may be a directory that is used for others.
        """
        if self._tracking_uri.startswith(("http", "databricks")):
            return True
        return self.artifact_location == self._artifacts_beside_database(self._plan.name)

    def update(self, trials: Iterable[PlannedTrial]) -> int:
        """Write new data of these trials and return the number of trials written."""
        return self._update_each((trial, self._store.progress(trial.key, self._plan.stopping)) for trial in trials)

    def update_all(self) -> int:
        """Write new data of the whole plan, mark the runs of other trials, and return the number of runs written."""
        planned = {trial.key: trial for trial in self._plan.trials}
        progress = self._store.progress_of(planned, self._plan.stopping)
        written = self._update_each((trial, progress[key]) for key, trial in planned.items())
        return written + self.mark_unplanned(planned)

    def update_groups(self) -> int:
        """Write the comparison to the runs of configurations and return the number of runs written.

        The numbers come from the runs of the trials, as they are in MLflow now.
        """
        trials: dict[str, list[PlannedTrial]] = {}
        for trial in self._trials.values():
            trials.setdefault(group_id(trial), []).append(trial)
        frame = to_frame({self._plan.name: [self._recorded(trial) for trial in self._trials.values()]})
        metrics = configuration_metrics(frame)
        written = 0
        for id, own in trials.items():
            if (run := self.groups.get(id)) is not None:
                own.sort(key=lambda trial: (trial.role != "result", trial.order))
                group = self._groups.of(own[0])
                planned = max(len(own), own[0].configuration.seeds)
                states = [child.tags["exeunt.state"] for trial in own if (child := self.runs.get(trial.key))]
                written += self._update_group(run, group, metrics.get(id, {}), states, planned)
        planned_parents = {
            run.tags.get(PARENT) for run in self.runs.values() if run.tags.get("exeunt.role") != "unplanned"
        }
        for id in self.groups.keys() - trials.keys() - {"sweep"}:
            if self.groups[id].id not in planned_parents:  # a search may have added trials since this mirror was opened
                written += self._change(self.groups[id], self.groups[id].tags | {CHILDREN: "unplanned"})
        self._writer.flush()
        return written

    def open_group(self, group: RunGroup) -> MirroredRun:
        """Return the run of a group; create it if it does not exist."""
        if (run := self.groups.get(group.id)) is None:
            status = "FINISHED" if group.tags[KIND] == "sweep" else "RUNNING"
            new = RunData(group.tags, group.params, status=status, dataset=group.dataset)
            run = MirroredRun(id=self._writer.create(new), tags=dict(group.tags), params=group.params)
            self.groups[group.id] = run
        return run

    def open_sweep(self) -> MirroredRun:
        """Return the run of the whole sweep, which has the sweep's artifacts; create it if it does not exist."""
        run = self.open_group(self._groups.sweep())
        self._writer.flush()
        return run

    def mark_unplanned(self, planned: Container[str]) -> int:
        """Mark the runs of trials that are not planned, so that no table counts them; return their number."""
        unplanned = [run for key, run in self.runs.items() if key not in planned]
        written = sum(self._change(run, run.tags | {"exeunt.role": "unplanned"}) for run in unplanned)
        self._writer.flush()
        return written

    def _update_each(self, trials: Iterable[tuple[PlannedTrial, Progress]]) -> int:
        written = sum(self._update(trial, progress) for trial, progress in trials)
        self._writer.flush()
        return written

    def _update(self, trial: PlannedTrial, progress: Progress) -> bool:
        self._trials[trial.key] = trial
        run = self.runs.get(trial.key)
        if run and run.tags.get("exeunt.state") == progress.state and self._was_retrained(trial.key, progress, run):
            run = self._delete(trial.key)  # MLflow cannot overwrite the metrics of a run
        if progress.state == "waiting":
            return False
        tags = self._tags_of(trial, progress)
        if run and _with_kept(tags, run) == run.tags and progress.state != "running":
            return False
        history = self._history(trial.key)
        if run and _has_other_epochs(run, history):
            run = self._delete(trial.key)
        points = [point for record in history[run.epochs if run else 0 :] for point in points_of(record)]
        latest = {point.name: point.value for point in points}
        if run is None:
            status = TERMINATED.get(progress.state, "RUNNING")
            created = self._writer.create(RunData(tags, self._params_of(trial), points, status))
            self.runs[trial.key] = MirroredRun(id=created, tags=tags, metrics=latest, epochs=len(history))
            return True
        params = {} if run.epochs else self._params_of(trial)
        status = None
        if run.tags.get("exeunt.state") != progress.state:
            status = TERMINATED.get(progress.state, "RUNNING")  # a trial that had ended may resume
        written = self._change(run, _with_kept(tags, run), params, points, status)
        run.epochs = len(history) or run.epochs
        return written

    def _tags_of(self, trial: PlannedTrial, progress: Progress) -> dict[str, str]:
        parent = self.groups.get(group_id(trial)) or self.open_group(self._groups.of(trial))
        place = self._groups.place(trial.configuration)
        page = page_tags(trial, progress, sweep=self._plan.name, place=place, parent=parent.id)
        return tags_of(trial, progress) | page

    def _params_of(self, trial: PlannedTrial) -> dict[str, str]:
        about = trial.configuration
        if (params := self._params.get(about.id)) is None:
            params = self._params[about.id] = parameters(about.spec)
        return {**params, "seed": str(trial.seed)}

    def _update_group(
        self, run: MirroredRun, group: RunGroup, metrics: dict[str, float], states: Sequence[str], planned: int
    ) -> bool:
        if COMPLETED not in run.tags and group.dataset is not None:  # a kill may have left the run without it
            self._writer.add_dataset(run.id, group.dataset)
        completed = states.count("done")
        tags = group.tags | {COMPLETED: str(completed)}
        now = time.time_ns() // 1_000_000
        # MLflow cannot remove a metric: a number that is no longer known becomes NaN.
        lost = {name: math.nan for name in run.metrics if name not in metrics}
        changed = differing(metrics | lost, run.metrics)
        points = [Point(name, 0, now, (metrics | lost)[name]) for name in changed]
        status = "RUNNING"
        if len(states) == planned and "running" not in states:
            status = "FINISHED" if completed else TERMINATED[states[0]]
        tags["exeunt.state"] = status.lower()
        changed_status = None if run.tags.get("exeunt.state") == tags["exeunt.state"] else status
        params = {name: value for name, value in group.params.items() if name not in run.params}
        return self._change(run, _with_kept(tags, run), params, points, changed_status)

    def _change(
        self,
        run: MirroredRun,
        tags: dict[str, str],
        params: dict[str, str] | None = None,
        points: Sequence[Point] = (),
        status: str | None = None,
    ) -> bool:
        """Write the differences to a run, and return True if there are any."""
        changed = {name: value for name, value in tags.items() if run.tags.get(name) != value}
        gone = run.tags.keys() - tags.keys()
        if changed or gone or points or status:
            self._writer.change(run.id, RunData(changed, params or {}, points, status, gone))
        is_changed = bool(points or changed or gone)
        run.tags = tags
        run.metrics |= {point.name: point.value for point in points}
        run.params |= params or {}
        return is_changed

    def _delete(self, key: str) -> None:
        self._writer.delete(self.runs.pop(key).id)

    def _recorded(self, trial: PlannedTrial) -> RecordedRun:
        """Return what MLflow has of a trial, with the metrics that tables may report."""
        run = self.runs.get(trial.key)
        tags = tags_of(trial, Progress(state="waiting")) | (run.tags if run else {"exeunt.state": "not run"})
        metrics = {name: run.metrics[name] for name in _REPORTED if name in run.metrics} if run else {}
        return RecordedRun(run_id=run.id if run else "", tags=tags, params=self._params_of(trial), metrics=metrics)

    def _was_retrained(self, key: str, progress: Progress, run: MirroredRun) -> bool:
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

    def _open_experiment(self, name: str) -> Experiment:
        """Open the experiment. Raises `TrackingError` if it belongs to a sweep in another storage."""
        mark = self._store.sweep_id(name)
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            tags = self._tags(mark) | {NOTE: self._note()}
            created = self.client.create_experiment(name, self._artifacts_beside_database(name), tags)
            return self.client.get_experiment(created)
        theirs = experiment.tags.get(STORAGE, mark)
        if experiment.lifecycle_stage != "active":  # it was deleted, and MLflow still reserves its name
            self.client.restore_experiment(experiment.experiment_id)
        elif theirs != mark:
            whose = f"experiment {name!r} belongs to a sweep in another storage, {experiment.tags.get(LOCATION)}"
            raise TrackingError(f"{whose}. Rename this sweep, or delete that experiment in MLflow.")
        tags = self._tags(mark) | ({} if NOTE in experiment.tags else {NOTE: self._note()})
        for tag, value in tags.items():
            if experiment.tags.get(tag) != value:
                self.client.set_experiment_tag(experiment.experiment_id, tag, value)
        return experiment

    def _artifacts_beside_database(self, name: str) -> str | None:
        """Return the directory of artifacts beside an SQLite database; None for a server, which has its own."""
        path = sqlite_file(self._tracking_uri)
        if path is None:
            return None
        place = str(path.absolute().with_name("artifacts") / name)
        # MLflow reads such a path as a URI. Otherwise it uses `mlruns` in the current directory.
        return None if len(place) > _LONGEST_LOCATION or {*place} & {*"#?%:"} else place

    def _tags(self, mark: str) -> dict[str, str]:
        """Return the tags of the experiment, which identify its sweep and storage."""
        return {STORAGE: mark, LOCATION: self._store.location, **_KIND_OF_EXPERIMENT}

    def _note(self) -> str:
        return (
            f"Sweep {self._plan.name} of Exeunt. Each run is a configuration with its comparison; its seeds are child "
            f"runs. The run `{self._plan.name} (sweep)` has the files of the sweep."
        )

    def _read_runs(self) -> None:
        """Read the runs. If a lost response left two runs of one trial or group, the older one is kept."""
        for found in runs_in(self._tracking_uri, self.experiment):
            tags = {name: value for name, value in found.tags.items() if name.startswith("exeunt.") or name in MANAGED}
            key, group = tags.get("exeunt.key"), tags.get(GROUP)
            runs, id = (self.runs, key) if group is None else (self.groups, group)
            if id is None:
                continue  # Exeunt did not write it
            if id in runs or (key is not None and OLD_KEY.fullmatch(key)):  # 0.1.0 wrote it; it gets a new run
                self._writer.delete(found.run_id)
            else:
                runs[id] = MirroredRun(id=found.run_id, tags=tags, metrics=found.metrics, params=found.params)


_REPORTED = ("test/final/top1", "validation/final/top1")
"""Metrics of which a table reports one by default, as its protocol demands."""


def _with_kept(tags: dict[str, str], run: MirroredRun) -> dict[str, str]:
    """Return the tags with those of a run that others write: its description, and the digests of its artifacts."""
    kept = {name: value for name, value in run.tags.items() if name == NOTE or name.startswith(ARTIFACT)}
    return tags | kept


def _has_other_epochs(run: MirroredRun, history: list[Record]) -> bool:
    """Return True if epochs that MLflow has were trained again, since they came after the last checkpoint."""
    last = run.metrics.get("seconds", math.nan)
    return bool(history) and not math.isnan(last) and last not in {record["seconds"] for record in history}


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

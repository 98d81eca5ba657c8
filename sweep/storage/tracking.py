"""MLflow mirrors the trial store: one experiment per sweep, one flat run per trial, written by the driver alone."""

import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from ...training import Record
from ..planning.plan import Plan, PlannedTrial
from .store import Progress, Store

for talkative in ("mlflow.store.db.utils", "alembic.runtime.migration"):
    logging.getLogger(talkative).setLevel(logging.WARNING)  # they announce each step of making a database

BATCH = 1000
"""How many metrics MLflow takes at once."""
RUN_STATUS = {"done": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


@dataclass(kw_only=True)
class _Run:
    """What MLflow holds of a trial."""

    id: str
    tags: dict[str, str]
    epochs: int = 0
    """Of how many epochs this process knows that MLflow has them."""


class Mirror:
    """Brings MLflow up to what the store holds, trial by trial; doing so twice changes nothing."""

    def __init__(self, plan: Plan, store: Store, tracking_uri: str) -> None:
        """Opens the sweep's experiment, and creates the store's own database if there is none."""
        if tracking_uri == store.tracking_uri and not store.database.exists():
            create_database(store.database)
        self._client = MlflowClient(tracking_uri)
        self._store = store
        self._plan = plan
        self._experiment = self._open_experiment(plan.sweep.name)
        self._runs: dict[str, _Run] = {run.tags["exeunt.key"]: run for run in self._existing_runs()}

    def update(self, trials: Iterable[PlannedTrial]) -> None:
        """Writes what is new of these trials."""
        for trial in trials:
            progress = self._store.progress(trial.key)
            tags = _tags(trial, progress, self._plan.sweep.seeds)
            run = self._runs.get(trial.key)
            if progress.state == "waiting" or (run and run.tags == tags and progress.state != "running"):
                continue
            run = run or self._create(trial, tags)
            if progress.state in RUN_STATUS:
                self._client.set_terminated(run.id, RUN_STATUS[progress.state])
            self._write(run, self._store.trial(trial.key).history(), tags, _params(trial))

    def update_all(self) -> None:
        """Writes what is new of the whole plan, and marks the runs of trials that it does not hold any more."""
        self.update(self._plan.trials)
        planned = {trial.key for trial in self._plan.trials}
        for key, run in self._runs.items():
            if key not in planned and run.tags["exeunt.role"] != "unplanned":
                self._write(run, [], run.tags | {"exeunt.role": "unplanned"}, [])

    def _open_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        return experiment.experiment_id if experiment else self._client.create_experiment(name)

    def _existing_runs(self) -> Iterator[_Run]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=5000, page_token=token)
            for run in page:
                yield _Run(id=run.info.run_id, tags=_ours(run.data.tags))
            if not (token := page.token):
                return

    def _create(self, trial: PlannedTrial, tags: dict[str, str]) -> _Run:
        spec = trial.spec
        name = f"{spec.method.name} {spec.architecture.name} seed {spec.seed}"
        tags = tags | {"exeunt.state": "running"}  # until all the rest is written
        created = self._client.create_run(self._experiment, tags=tags | {"mlflow.runName": name})
        run = self._runs[trial.key] = _Run(id=created.info.run_id, tags=tags)
        return run

    def _write(self, run: _Run, history: list[Record], tags: dict[str, str], params: list[Param]) -> None:
        # What is written twice stands there once, so a restart may write it all again. The tags come last, so that
        # a run whose writing was cut off does not look complete.
        metrics = [metric for record in history[run.epochs :] for metric in _metrics(record)]
        changed = [RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value]
        params = [] if run.epochs else params
        while len(metrics) > BATCH:
            self._client.log_batch(run.id, metrics=metrics[:BATCH], params=params)
            metrics, params = metrics[BATCH:], []
        self._client.log_batch(run.id, metrics=metrics, params=params, tags=changed)
        for name in run.tags.keys() - tags.keys():
            self._client.delete_tag(run.id, name)
        run.tags = tags
        run.epochs = len(history)


def create_database(path: Path) -> None:
    """Makes the database elsewhere and puts it in its place whole: MLflow cannot open one that was left half made."""
    workshop = path.parent / ".mlflow"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True)
    MlflowClient(f"sqlite:///{workshop / path.name}").search_experiments(max_results=1)
    (workshop / path.name).replace(path)
    shutil.rmtree(workshop)


def _tags(trial: PlannedTrial, progress: Progress, seeds: int) -> dict[str, str]:
    tags = {
        "exeunt.key": trial.key,
        "exeunt.role": trial.role,
        "exeunt.order": f"{trial.order:07d}",
        "exeunt.seeds": str(seeds),
        "exeunt.state": progress.state,
        "exeunt.protocol": trial.spec.reported,
    }
    if progress.reason:
        tags["exeunt.error"] = progress.reason[:500]
    if progress.result is not None:
        tags |= {f"exeunt.environment.{name}": str(v) for name, v in progress.result["environment"].items()}
    return tags


def _ours(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.startswith("exeunt.")}


def _described(trial: PlannedTrial) -> dict[str, Any]:
    """What the trial was, with the teacher by what tells it from others."""
    described = trial.spec.to_dict()
    if trial.spec.teacher is not None:
        teacher = trial.spec.teacher
        described["teacher"] = {"architecture": teacher.architecture.name, "seed": teacher.seed, "key": teacher.key}
    return described


def _params(trial: PlannedTrial) -> list[Param]:
    return [Param(name, str(value)) for name, value in _flat(_described(trial))]


def _flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, value


def _metrics(record: Record) -> list[Metric]:
    at = int(record["time"] * 1000)
    numbers = {name: value for name, value in record.items() if name not in ("epoch", "time")}
    return [Metric(name, value, at, record["epoch"]) for name, value in numbers.items()]

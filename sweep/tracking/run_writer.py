"""Writing of runs to one experiment: into the tables of a known SQLite database, or through MLflow's client.

For each run, the client makes five calls, of which each waits for the disk.
"""

from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

from ...results import mlflow_sqlite
from ...results.mlflow_sqlite import InputDataset, RunData

BATCH = 800
"""Metrics per call; with tags and parameters they stay below MLflow's limit of 1000 entries."""
RUNS_PER_TRANSACTION = 200
"""Number of runs that are written at once; others wait for the database meanwhile."""


class RunWriter:
    """Writer of the runs of an experiment. Writes to a known database are collected until `flush`."""

    def __init__(self, client: MlflowClient, experiment: str, database: Path | None) -> None:
        self._client = client
        self._experiment = experiment
        self._database = database
        self._new: dict[str, RunData] = {}
        self._changes: dict[str, RunData] = {}

    def create(self, run: RunData) -> str:
        """Create a run and return its ID. Through the client, its dataset is left to `add_dataset`."""
        if self._database is not None and run.is_plain:
            run_id = mlflow_sqlite.new_run_id()
            self._new[run_id] = run
            self._flush_if_full()
            return run_id
        self.flush()  # its parent run may be among the collected ones
        first = dict(run.tags) | ({"exeunt.state": "running"} if "exeunt.state" in run.tags else {})
        run_id = self._client.create_run(self._experiment, tags=first).info.run_id
        status = None if run.status == "RUNNING" else run.status
        self._log(run_id, run._replace(status=status, tags=dict(run.tags.items() - first.items())))
        return run_id

    def change(self, run_id: str, run: RunData) -> None:
        """Change an existing run."""
        if self._database is not None and run.is_plain:
            if run_id in self._new or run_id in self._changes:
                self.flush()
            self._changes[run_id] = run
            self._flush_if_full()
        else:
            self._log(run_id, run)

    def add_dataset(self, run_id: str, dataset: InputDataset) -> None:
        """Add the dataset of a run that was created through the client; repeated calls change nothing."""
        if self._database is None:
            source = mlflow_sqlite.DATASET_SOURCE_TYPE, mlflow_sqlite.DATASET_SOURCE
            self._client.log_inputs(run_id, datasets=[DatasetInput(Dataset(*dataset, *source))])

    def delete(self, run_id: str) -> None:
        """Delete an existing run."""
        self._client.delete_run(run_id)

    def flush(self) -> None:
        """Write collected runs, each kind in one transaction: a killed process leaves all of them or none."""
        if self._database is not None and self._new:
            mlflow_sqlite.insert(self._database, self._experiment, self._new)
            self._new = {}
        if self._database is not None and self._changes:
            mlflow_sqlite.change(self._database, self._changes)
            self._changes = {}

    def _flush_if_full(self) -> None:
        if len(self._new) + len(self._changes) >= RUNS_PER_TRANSACTION:
            self.flush()

    def _log(self, run_id: str, run: RunData) -> None:
        """Write through the client. Tags come last, so that an interrupted write does not make a run look complete."""
        if run.status == "RUNNING":
            self._client.update_run(run_id, run.status)
        elif run.status is not None:
            self._client.set_terminated(run_id, run.status)
        metrics: Sequence[Metric] = [Metric(point.name, point.value, point.time, point.epoch) for point in run.points]
        params = [Param(name, value) for name, value in run.params.items()]
        tags = [RunTag(name, value) for name, value in run.tags.items()]
        while len(metrics) > BATCH:
            self._client.log_batch(run_id, metrics=metrics[:BATCH])
            metrics = metrics[BATCH:]
        if metrics or params or tags:
            self._client.log_batch(run_id, metrics=metrics, params=params, tags=tags)
        for name in run.gone:
            self._client.delete_tag(run_id, name)

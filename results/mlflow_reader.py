"""Recorded runs and metrics of sweeps: from the tables of an SQLite database, or through MLflow's client."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..specs import unknown
from . import mlflow_sqlite
from .mlflow_client import answering, connect, existing_file, runs_of
from .mlflow_sqlite import Point, RecordedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

REQUESTS = 8
"""Maximum number of concurrent requests to the MLflow server."""


def recorded_runs(tracking_uri: str, sweep: str) -> list[RecordedRun]:
    """Return all runs of a sweep that are not deleted, oldest first.

    Raises:
        SpecError: If the sweep does not exist.
        TrackingError: A `SpecError`, if MLflow cannot be reached.
    """
    found = experiment_id(tracking_uri, sweep)
    if found is None:
        raise unknown("sweep", sweep, [name for name in _experiments(tracking_uri) if name != "Default"])
    return runs_in(tracking_uri, found)


def experiment_id(tracking_uri: str, sweep: str) -> str | None:
    """Return the id of a sweep's experiment; None if it does not exist or is deleted.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    with answering(tracking_uri):
        if path := known_database(tracking_uri):
            return mlflow_sqlite.experiments(path).get(sweep)
        found = connect(tracking_uri).get_experiment_by_name(sweep)
        return found.experiment_id if found is not None and found.lifecycle_stage == "active" else None


def runs_in(tracking_uri: str, experiment_id: str) -> list[RecordedRun]:
    """Return all runs of an experiment that are not deleted, oldest first.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    with answering(tracking_uri):
        if path := known_database(tracking_uri):
            return mlflow_sqlite.runs(path, experiment_id)
        runs = runs_of(connect(tracking_uri), experiment_id)
        return [RecordedRun(run.info.run_id, run.data.tags, run.data.params, run.data.metrics) for run in runs]


def recorded_points(tracking_uri: str, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    """Iterate over runs with their recorded metrics, epoch by epoch.

    Args:
        tracking_uri: URI of an existing server or database.
        names: names of the metrics to read, by run id.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    with answering(tracking_uri):
        if path := known_database(tracking_uri):
            yield from mlflow_sqlite.points(path, names)
        else:
            yield from _points_from(connect(tracking_uri), names)


def known_database(tracking_uri: str) -> Path | None:
    """Return the file of an SQLite database with known tables; None if MLflow's client has to be used.

    Raises:
        TrackingError: If the file is missing, or is not a database of MLflow.
    """
    path = existing_file(tracking_uri)
    return path if path is not None and mlflow_sqlite.has_known_tables(path) else None


def _experiments(tracking_uri: str) -> list[str]:
    with answering(tracking_uri):
        if path := known_database(tracking_uri):
            return list(mlflow_sqlite.experiments(path))
        return [known.name for known in connect(tracking_uri).search_experiments()]


def _points_from(client: "MlflowClient", names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    with ThreadPoolExecutor(REQUESTS) as pool:
        for run_id, wanted in names.items():
            histories = pool.map(client.get_metric_history, [run_id] * len(wanted), wanted)
            points = (point for history in histories for point in history)
            yield run_id, [Point(point.key, point.step, point.timestamp, point.value) for point in points]

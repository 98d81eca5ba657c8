"""Recorded runs and metrics of sweeps: from the tables of an SQLite database, or through MLflow's client."""

import re
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

TAG_PREFIX = "exeunt."
KIND = f"{TAG_PREFIX}kind"
"""Tag of the runs that are no trials: `configuration`, `study` or `sweep`."""
COST_TAG = f"{TAG_PREFIX}cost/"
"""Prefix of the tags with the cost of a network, such as `exeunt.cost/final/multiply_adds`."""
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")

REQUESTS = 8
"""Maximum number of concurrent requests to the MLflow server."""


def recorded_runs(tracking_uri: str, sweep: str) -> list[RecordedRun]:
    """Return the runs of a sweep's trials that are not deleted, oldest first.

    Raises:
        SpecError: If the sweep does not exist.
        TrackingError: A `SpecError`, if MLflow cannot be reached.
    """
    found = experiment_id(tracking_uri, sweep)
    if found is None:
        raise unknown("sweep", sweep, [name for name in _experiments(tracking_uri) if name != "Default"])
    return [run for run in runs_in(tracking_uri, found) if is_of_trial(run)]


def is_of_trial(run: RecordedRun) -> bool:
    """Return False for the run of a configuration, a study or a whole sweep."""
    return KIND not in run.tags


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
    """Return all runs of an experiment that are not deleted, oldest first, with the costs of their networks as metrics.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    with answering(tracking_uri):
        if path := known_database(tracking_uri):
            runs = mlflow_sqlite.runs(path, experiment_id)
        else:
            found = runs_of(connect(tracking_uri), experiment_id)
            runs = [RecordedRun(run.info.run_id, run.data.tags, run.data.params, run.data.metrics) for run in found]
    for run in runs:
        run.metrics.update(_costs(run.tags))
    return runs


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


def _costs(tags: Mapping[str, str]) -> dict[str, float]:
    """Return the costs in the tags of a run; Exeunt 0.1.0 recorded them as metrics."""
    return {
        name.removeprefix(TAG_PREFIX): float(value)
        for name, value in tags.items()
        if name.startswith(COST_TAG) and _NUMBER.fullmatch(value)
    }


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

"""Recorded runs and metrics of sweeps, read from MLflow.

An SQLite database is read directly. MLflow's client would build an SQLAlchemy object for each tag, parameter and
number: a million objects for 10,000 runs, in half a minute. The client still looks up the sweep, which checks that the
tables of the database match the installed MLflow.
"""

import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient

from ..specs import unknown
from .mlflow_client import answering, connect, runs_of, sqlite_file

REQUESTS = 8
"""Maximum number of concurrent requests to the MLflow server."""

_NUMBER = "CASE WHEN is_nan THEN NULL ELSE value END"


class RecordedRuns(NamedTuple):
    """Tags, parameters and latest metrics of one run."""

    run_id: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: Mapping[str, float | None]
    """Latest value of each metric; None or nan if it is not a number."""


class Point(NamedTuple):
    """Value of a metric after an epoch."""

    name: str
    epoch: int
    """Counted from 1."""
    time: int
    """Time of the measurement, in milliseconds since 1970."""
    value: float | None
    """Value of the metric; None or nan if it is not a number."""


def recorded_runs(tracking_uri: str, sweep: str) -> list[RecordedRuns]:
    """Return all runs of a sweep that are not deleted, in any order.

    Raises:
        SpecError: If the sweep does not exist.
        TrackingError: A `SpecError`, if MLflow cannot be reached.
    """
    client = connect(tracking_uri)
    with answering(tracking_uri):
        experiment = client.get_experiment_by_name(sweep)
        if experiment is None or experiment.lifecycle_stage != "active":
            names = [known.name for known in client.search_experiments() if known.name != "Default"]
            raise unknown("sweep", sweep, names)
        if path := sqlite_file(tracking_uri):
            return _runs_in(path, experiment.experiment_id)
        runs = runs_of(client, experiment.experiment_id)
        return [RecordedRuns(run.info.run_id, run.data.tags, run.data.params, run.data.metrics) for run in runs]


def recorded_points(tracking_uri: str, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    """Iterate over runs with their recorded metrics, epoch by epoch.

    Args:
        tracking_uri: URI of an existing server or database.
        names: names of the metrics to read, by run id.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    with answering(tracking_uri):
        if path := sqlite_file(tracking_uri):
            yield from _points_in(path, names)
        else:
            yield from _points_from(connect(tracking_uri), names)


def _runs_in(path: Path, experiment_id: str) -> list[RecordedRuns]:
    of_sweep = "WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    with closing(_opened(path)) as database:
        # Runs are read first, so that a run that starts meanwhile is omitted. Tags are written last and read before
        # the metrics, so that a completed trial has all of its metrics.
        ids = database.execute(f"SELECT run_uuid FROM runs {of_sweep}", [experiment_id])
        runs = {run_id: RecordedRuns(run_id, {}, {}, {}) for (run_id,) in ids}
        for field, table, value in (
            ("tags", "tags", "value"),
            ("params", "params", "value"),
            ("metrics", "latest_metrics", _NUMBER),
        ):
            contents = {run_id: getattr(run, field) for run_id, run in runs.items()}
            query = f"SELECT run_uuid, key, {value} FROM {table} JOIN runs USING (run_uuid) {of_sweep}"
            for run_id, key, content in database.execute(query, [experiment_id]):
                if run_id in contents:
                    contents[run_id][sys.intern(key)] = content
    return list(runs.values())


def _points_in(path: Path, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    query = f"SELECT key, step, timestamp, {_NUMBER} FROM metrics WHERE run_uuid = ?"
    with closing(_opened(path)) as database:
        for run_id, wanted in names.items():
            kept = set(wanted)
            points = map(Point._make, database.execute(query, [run_id]))
            yield run_id, [point for point in points if point.name in kept]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _points_from(client: MlflowClient, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    with ThreadPoolExecutor(REQUESTS) as pool:
        for run_id, wanted in names.items():
            histories = pool.map(client.get_metric_history, [run_id] * len(wanted), wanted)
            points = (point for history in histories for point in history)
            yield run_id, [Point(point.key, point.step, point.timestamp, point.value) for point in points]

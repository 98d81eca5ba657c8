"""Tables of MLflow's SQLite databases, read and filled without MLflow's client.

The client builds an SQLAlchemy object for each tag, parameter and number: a million objects for 10,000 runs. Its import
and the check of the tables take seconds. So databases with known tables are read here, and new runs are inserted here.
MLflow creates the databases, changes existing runs, and handles every other database.
"""

import math
import re
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..specs.lazy import LazyModule
from .mlflow_client import TrackingError

if TYPE_CHECKING:
    from mlflow.utils import uri as mlflow_uri
else:
    mlflow_uri = LazyModule("mlflow.utils.uri")

SCHEMAS = frozenset({"dc11669786a5"})
"""Alembic versions of the databases whose tables are known: mlflow 3.17."""
BUSY_TIMEOUT_S = 20
"""Maximum number of seconds to wait for another writer, as in MLflow."""
CACHE_KIB = 64 * 1024
"""Memory for pages of the database during a write; with SQLite's 2 MiB, indexes are read again and again."""

_LONGEST_NAME, _LONGEST_PARAM, _LONGEST_TAG = 250, 6000, 8000
_LARGEST = sys.float_info.max
_NAME = re.compile(r"\w[\w.\- ]*(/\w[\w.\- ]*)*")
"""Pattern of names that MLflow accepts; it accepts a few more."""
_NUMBER = "CASE WHEN is_nan THEN NULL ELSE value END"
_COLUMNS = {
    "runs": "run_uuid, name, status, start_time, end_time, artifact_uri, experiment_id, source_type, source_name, "
    "entry_point_name, user_id, source_version, lifecycle_stage",
    "tags": "key, value, run_uuid",
    "params": "key, value, run_uuid",
    "metrics": "key, timestamp, step, run_uuid, value, is_nan",
    "latest_metrics": "key, timestamp, step, run_uuid, value, is_nan",
}
"""Columns of the tables of runs; the other columns are NULL."""
_CONSTANT = ("UNKNOWN", "", "", "unknown", "", "active")
"""Values of the last columns of each new run."""
_ACTIVE_RUNS = "runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"


class RecordedRun(NamedTuple):
    """Tags, parameters and latest metrics of one run."""

    run_id: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    """Latest value of each metric."""


class Point(NamedTuple):
    """Value of a metric after an epoch."""

    name: str
    epoch: int
    """Counted from 1."""
    time: int
    """Time of the measurement, in milliseconds since 1970."""
    value: float


class NewRun(NamedTuple):
    """Run that does not exist yet."""

    name: str
    status: str
    """Status in MLflow's words: RUNNING, FINISHED, FAILED or KILLED."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]

    @property
    def is_plain(self) -> bool:
        """True if MLflow would store all of the run as it is, without an error and without truncation."""
        return (
            all(len(text) <= _LONGEST_TAG for text in self.tags.values())
            and all(len(text) <= _LONGEST_PARAM for text in self.params.values())
            and all(type(point.value) in (int, float) and point.time >= 0 for point in self.points)
            and all(map(_is_plain, {*self.tags, *self.params, *(point.name for point in self.points)}))
        )


def has_known_tables(path: Path) -> bool:
    """Return True if the tables of a database are known and hold no workspaces.

    Raises:
        TrackingError: If the file is not a database of MLflow.
    """
    with _opened(path) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise TrackingError(f"{path} is not a database of MLflow; check the path.")
        versions = {version for (version,) in database.execute("SELECT version_num FROM alembic_version")}
        if not versions or not versions <= SCHEMAS:
            return False
        return database.execute("SELECT 1 FROM experiments WHERE workspace != 'default'").fetchone() is None


def experiments(path: Path) -> dict[str, str]:
    """Return the ids of all experiments that are not deleted, by name."""
    with _opened(path) as database:
        query = "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
        return {name: str(number) for name, number in database.execute(query)}


def runs(path: Path, experiment_id: str) -> list[RecordedRun]:
    """Return the runs of an experiment that are not deleted, oldest first."""
    with _opened(path) as database:
        # Runs are read first, so that a run that starts meanwhile is omitted. Tags are written last and read before
        # the metrics, so that a completed trial has all of its metrics.
        ids = database.execute(f"SELECT run_uuid FROM {_ACTIVE_RUNS} ORDER BY start_time, run_uuid", [experiment_id])
        found = {run_id: RecordedRun(run_id, {}, {}, {}) for (run_id,) in ids}
        # Reading a whole table is faster than to look up the rows of most of its runs.
        (number,) = database.execute("SELECT count(*) FROM runs").fetchone()
        where, values = f"WHERE run_uuid IN (SELECT run_uuid FROM {_ACTIVE_RUNS})", [experiment_id]
        if 2 * len(found) > number:
            where, values = "", []
        for field, table, value, missing in (
            ("tags", "tags", "value", None),
            ("params", "params", "value", None),
            ("metrics", "latest_metrics", _NUMBER, math.nan),
        ):
            contents = {run_id: getattr(run, field) for run_id, run in found.items()}
            query = f"SELECT run_uuid, key, {value} FROM {table} {where}"
            for run_id, key, content in database.execute(query, values):
                if run_id in contents:
                    contents[run_id][sys.intern(key)] = missing if content is None else content
    return list(found.values())


def points(path: Path, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[Point]]]:
    """Iterate over runs with the points of the named metrics; `names` are by run id."""
    query = f"SELECT key, step, timestamp, {_NUMBER} FROM metrics WHERE run_uuid = ?"
    with _opened(path) as database:
        for run_id, wanted in names.items():
            kept = set(wanted)
            rows = [row for row in database.execute(query, [run_id]) if row[0] in kept]
            yield (
                run_id,
                [Point(name, step, at, math.nan if value is None else value) for name, step, at, value in rows],
            )


def insert(path: Path, experiment_id: str, new: Sequence[NewRun]) -> list[str]:
    """Insert runs in one transaction, with the rows that MLflow would write, and return their ids.

    Raises:
        TrackingError: If the experiment was deleted.
    """
    ids = [uuid.uuid4().hex for _ in new]
    now = time.time_ns() // 1_000_000
    with _opened(path, mode="rw") as database, database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute("BEGIN IMMEDIATE")
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        experiment = database.execute(query, [experiment_id]).fetchone()
        if experiment is None:
            raise TrackingError("the experiment was deleted during the write; run the same command again.")
        rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in _COLUMNS}
        for run_id, run in zip(ids, new, strict=True):
            artifacts = mlflow_uri.append_to_uri_path(experiment[0], run_id, "artifacts")
            ended = None if run.status == "RUNNING" else now
            rows["runs"].append((run_id, run.name, run.status, now, ended, artifacts, experiment_id, *_CONSTANT))
            rows["tags"] += [(*tag, run_id) for tag in run.tags.items()]
            rows["tags"].append(("mlflow.runName", run.name, run_id))
            rows["params"] += [(*param, run_id) for param in run.params.items()]
            points = [(name, at, step, run_id, *_stored(value)) for name, step, at, value in run.points]
            rows["metrics"] += dict.fromkeys(points)
            rows["latest_metrics"] += _latest(points)
        for table, columns in _COLUMNS.items():
            places = ", ".join("?" for _ in columns.split(","))
            # In the order of the primary keys, rows of many runs change few pages of the indexes.
            database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", sorted(rows[table]))
    return ids


_Row = tuple[str, int, int, str, float, bool]
"""Row of a metric: the columns of `metrics`."""


def _stored(value: float) -> tuple[float, bool]:
    """Return a value as MLflow stores it, and True if it is not a number."""
    return (0.0, True) if math.isnan(value) else (max(-_LARGEST, min(_LARGEST, float(value))), False)


def _latest(rows: Sequence[_Row]) -> list[_Row]:
    """Return the latest row of each metric: by step, then by time, then by value."""
    latest: dict[str, _Row] = {}
    for row in rows:
        name, at, step, _, value, _ = row
        known = latest.setdefault(name, row)
        if (step, at, value) > (known[2], known[1], known[4]):
            latest[name] = row
    return list(latest.values())


def _is_plain(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


@contextmanager
def _opened(path: Path, *, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
        yield database

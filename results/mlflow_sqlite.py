"""Tables of MLflow's SQLite databases, read and filled without MLflow's client.

The client builds an SQLAlchemy object for each tag, parameter and number: a million objects for 10,000 runs. Its import
and the check of the tables take seconds. So databases with known tables are read and written here. MLflow creates the
databases, deletes runs, and handles every other database.
"""

import math
import re
import sqlite3
import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
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

RUN_NAME = "mlflow.runName"
"""Tag with the name of a run."""
DATASET_SOURCE_TYPE, DATASET_SOURCE = "code", '{"tags": {"mlflow.source.name": "exeunt"}}'
"""Source of each dataset in MLflow's words: the code of this package reads it by name."""

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
_LATEST = (
    f"INSERT INTO latest_metrics ({_COLUMNS['latest_metrics']}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
    "SET timestamp = excluded.timestamp, step = excluded.step, value = excluded.value, is_nan = excluded.is_nan "
    "WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)"
)
"""Statement that replaces the latest value of a metric by a later one: by step, then by time, then by value."""
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


class InputDataset(NamedTuple):
    """Dataset that a run reads, as MLflow lists it."""

    name: str
    digest: str
    """Content hash, at most 36 characters."""


class RunData(NamedTuple):
    """Data to write to a run: all of a new run, or the changes of an existing one."""

    tags: Mapping[str, str]
    """Tags with their values; `mlflow.runName` is the name of the run."""
    params: Mapping[str, str] = {}
    points: Sequence[Point] = ()
    status: str | None = None
    """Status in MLflow's words: RUNNING, FINISHED, FAILED or KILLED; None keeps it."""
    gone: Collection[str] = ()
    """Names of tags to remove."""
    dataset: InputDataset | None = None
    """Dataset of a new run."""

    @property
    def is_plain(self) -> bool:
        """True if MLflow would store all of the data as it is, without an error and without truncation."""
        return (
            all(len(text) <= _LONGEST_TAG for text in self.tags.values())
            and len(self.tags.get(RUN_NAME, "")) <= _LONGEST_NAME
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


def new_run_id() -> str:
    """Return a random ID of a run that is later in the alphabet than earlier ones.

    So new rows come last in the indexes by run, and writing 5,000 runs takes a fifth less time.
    """
    return f"{time.time_ns() >> 20:012x}{uuid.uuid4().hex[12:]}"


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


def insert(path: Path, experiment_id: str, new: Mapping[str, RunData]) -> None:
    """Insert runs by their new ids in one transaction, with the rows that MLflow would write.

    Raises:
        TrackingError: If the experiment was deleted.
    """
    now = time.time_ns() // 1_000_000
    with _transaction(path) as database:
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        experiment = database.execute(query, [experiment_id]).fetchone()
        if experiment is None:
            raise TrackingError("the experiment was deleted during the write; run the same command again.")
        rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in _COLUMNS}
        for run_id, run in new.items():
            artifacts = mlflow_uri.append_to_uri_path(experiment[0], run_id, "artifacts")
            ended = None if run.status == "RUNNING" else now
            name = run.tags[RUN_NAME]
            rows["runs"].append((run_id, name, run.status, now, ended, artifacts, experiment_id, *_CONSTANT))
            rows["tags"] += [(*tag, run_id) for tag in run.tags.items()]
            rows["params"] += [(*param, run_id) for param in run.params.items()]
            points = [(name, at, step, run_id, *_stored(value)) for name, step, at, value in run.points]
            rows["metrics"] += dict.fromkeys(points)
            rows["latest_metrics"] += _latest(points)
        for table, columns in _COLUMNS.items():
            places = ", ".join("?" for _ in columns.split(","))
            # In the order of the primary keys, rows of many runs change few pages of the indexes.
            database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", sorted(rows[table]))
        for run_id, run in new.items():
            if run.dataset is not None:
                _insert_input(database, experiment_id, run_id, run.dataset)


def change(path: Path, changes: Mapping[str, RunData]) -> None:
    """Change existing runs by id in one transaction, as MLflow would.

    Raises:
        TrackingError: If a run was deleted.
    """
    now = time.time_ns() // 1_000_000
    with _transaction(path) as database:
        for run_id, run in changes.items():
            query = "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
            if database.execute(query, [run_id]).fetchone() is None:
                raise TrackingError(f"run {run_id} was deleted during the write; run the same command again.")
            if run.status is not None:
                ended = None if run.status == "RUNNING" else now
                query = "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?"
                database.execute(query, [run.status, ended, run_id])
            if (name := run.tags.get(RUN_NAME)) is not None:
                database.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", [name, run_id])
            tags = [(*tag, run_id) for tag in run.tags.items()]
            database.executemany(f"INSERT OR REPLACE INTO tags ({_COLUMNS['tags']}) VALUES (?, ?, ?)", tags)
            gone = [(name, run_id) for name in run.gone]
            database.executemany("DELETE FROM tags WHERE key = ? AND run_uuid = ?", gone)
            params = [(*param, run_id) for param in run.params.items()]
            database.executemany(f"INSERT OR IGNORE INTO params ({_COLUMNS['params']}) VALUES (?, ?, ?)", params)
            points = [(name, at, step, run_id, *_stored(value)) for name, step, at, value in run.points]
            columns = _COLUMNS["metrics"]
            database.executemany(f"INSERT OR IGNORE INTO metrics ({columns}) VALUES (?, ?, ?, ?, ?, ?)", points)
            database.executemany(_LATEST, points)


def _insert_input(database: sqlite3.Connection, experiment_id: str, run_id: str, dataset: InputDataset) -> None:
    """Insert the rows of a new run's dataset."""
    values = [uuid.uuid4().hex, experiment_id, *dataset, DATASET_SOURCE_TYPE, DATASET_SOURCE]
    columns = "dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source"
    database.execute(f"INSERT OR IGNORE INTO datasets ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
    query = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
    (dataset_id,) = database.execute(query, [experiment_id, *dataset]).fetchone()
    columns = "input_uuid, source_type, source_id, destination_type, destination_id"
    values = [uuid.uuid4().hex, "DATASET", dataset_id, "RUN", run_id]
    database.execute(f"INSERT INTO inputs ({columns}) VALUES (?, ?, ?, ?, ?)", values)


_Row = tuple[str, int, int, str, float, bool]
"""Row of a metric: the columns of `metrics`."""


def _stored(value: float) -> tuple[float, bool]:
    """Return a value as MLflow stores it, and True if it is not a number."""
    if math.isfinite(value):
        return float(value), False
    return (0.0, True) if math.isnan(value) else (math.copysign(_LARGEST, value), False)


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
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for one transaction: a killed process leaves all of its writes or none."""
    with _opened(path, mode="rw") as database, database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute("BEGIN IMMEDIATE")
        yield database


@contextmanager
def _opened(path: Path, *, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
        yield database

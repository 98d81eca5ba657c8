"""New runs that are inserted into an SQLite database, compared with those that MLflow's client writes."""

import math
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from exeunt.results import load, mlflow_sqlite
from exeunt.results.mlflow_client import TrackingError
from exeunt.results.mlflow_sqlite import NewRun, Point
from exeunt.sweep.tracking import writer
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient

TABLES = {
    "runs": "name, source_type, source_name, entry_point_name, user_id, status, end_time IS NULL, source_version, "
    "lifecycle_stage, deleted_time, substr(artifact_uri, instr(artifact_uri, '/artifacts')), experiment_id",
    "tags": "key, value, typeof(value)",
    "params": "key, value, typeof(value)",
    "metrics": "key, value, typeof(value), timestamp, step, is_nan",
    "latest_metrics": "key, value, typeof(value), timestamp, step, is_nan",
}
"""Columns of the rows of a run, apart from its id and from the times of the write."""


def rows(database):
    """Return the rows of all runs by table, with the key of the trial instead of the id of the run."""
    with closing(sqlite3.connect(database)) as connection:
        keys = "(SELECT value FROM tags AS t WHERE t.run_uuid = x.run_uuid AND t.key = 'exeunt.key')"
        found = {
            table: sorted(connection.execute(f"SELECT {keys}, {columns} FROM {table} AS x").fetchall(), key=repr)
            for table, columns in TABLES.items()
        }
        uris = connection.execute(
            "SELECT artifact_uri = artifact_location || '/' || run_uuid || '/artifacts' FROM runs JOIN experiments "
            "USING (experiment_id)"
        )
        assert set(uris) <= {(1,)}
        return found


@pytest.fixture
def through_client(monkeypatch):
    """Function that switches to writing through MLflow's client, as to a server."""
    return lambda: monkeypatch.setattr(writer, "known_database", lambda _: None)


def test_a_run_has_the_rows_that_mlflows_client_writes(plan, store, trained, through_client, database, tmp_path):
    done, pole, failed, diverged, running, nothing, waiting = plan.trials[:7]
    trained(done)
    trained(pole, accuracy=math.nan)
    trained(nothing, accuracy=-math.inf)
    store.trial(failed.key).write_failure({"reason": "no 'room'\nat line 1"})
    epochs = [
        {"epoch": 1, "time": 1.5, "seconds": 2.0, "loss": 1e-320},
        {"epoch": 2, "time": 1.5, "seconds": math.nan, "parameters": 3},
    ]
    store.trial(diverged.key).write_history(epochs)
    store.trial(diverged.key).write_result(
        {"state": "diverged", "reason": "NaN", "metrics": {}, "environment": {"torch": 2}, "seconds": 1.0}
    )
    again = [{"epoch": 2, "time": 1.0, "seconds": 2, "loss": 3.0}, {"epoch": 2, "time": 1.0, "seconds": 2, "loss": 4.0}]
    store.trial(running.key).write_history(
        [*epochs, epochs[1], *again, {"epoch": 1, "time": 9.0, "seconds": 2, "loss": math.inf}]
    )
    files = [tmp_path / name / "mlflow.db" for name in ("direct", "client")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(database.read_bytes())
        assert Mirror(plan, store, f"sqlite:///{file}").update_all() == 6
        through_client()
    direct, client = map(rows, files)
    for table, found in client.items():
        assert direct[table] == found, table
    assert {state[0] for state in direct["runs"]} == {t.key for t in plan.trials[:6]} != {waiting.key}
    assert {row[6] for row in direct["runs"]} == {"FINISHED", "FAILED", "RUNNING"}
    for file in files:
        before = rows(file)
        assert Mirror(plan, store, f"sqlite:///{file}").update_all() == 1, "only the running trial may be written again"
        assert rows(file) == before


def test_a_run_that_was_inserted_goes_on_through_the_client(plan, store):
    trial = plan.trials[0]
    epochs = [{"epoch": epoch, "time": 0.5, "seconds": 2.0, "loss": 1.0 / epoch} for epoch in (1, 2, 3)]
    store.trial(trial.key).write_history(epochs[:2])
    mirror = Mirror(plan, store, store.tracking_uri)
    assert mirror.update([trial]) == 1
    store.trial(trial.key).write_history(epochs)
    assert mirror.update([trial]) == 1
    client = MlflowClient(store.tracking_uri)
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert run.info.status == "RUNNING"
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 1 / 2, 1 / 3]
    result = {"state": "done", "key": trial.key, "metrics": {"loss": 1 / 3}, "environment": {}, "seconds": 6.0}
    store.trial(trial.key).write_result(result)
    mirror.update([trial])
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    assert Mirror(plan, store, store.tracking_uri).update_all() == 0


KILLED = """
import os, sys
from exeunt.results import mlflow_sqlite
from exeunt.store import Store
from exeunt.sweep.tracking import writer

writer.RUNS_PER_TRANSACTION = 2
latest, calls = mlflow_sqlite._latest, []

def die_in_the_second_transaction(rows):
    calls.append(rows)
    if len(calls) == 4:
        os._exit(9)
    return latest(rows)

mlflow_sqlite._latest = die_in_the_second_transaction
store = Store(sys.argv[1])
plan = store.plan("tiny")
writer.Mirror(plan, store, store.tracking_uri).update_all()
"""


@pytest.mark.slow
def test_a_killed_write_leaves_whole_runs_and_the_next_one_adds_the_rest(plan, store, trained):
    for trial in plan.trials[:5]:
        trained(trial)
    store.save_sweep(plan)
    killed = subprocess.run([sys.executable, "-c", KILLED, store.location], check=False, env=os.environ)
    assert killed.returncode == 9
    assert load(store.tracking_uri, "tiny")["test/final/top1"].tolist() == [90.0] * 2
    assert Mirror(plan, store, store.tracking_uri).update_all() == 3
    assert load(store.tracking_uri, "tiny")["test/final/top1"].tolist() == [90.0] * 5


def run_with(**parts):
    return NewRun(**{"name": "kd", "status": "FINISHED", "tags": {}, "params": {}, "points": []} | parts)


@pytest.mark.parametrize(
    ("run", "is_plain"),
    [
        (run_with(), True),
        (run_with(tags={"exeunt.reliability.final": "x" * 8000}, params={"recipe.name": "x" * 6000}), True),
        (run_with(points=[Point("test/exit1/top-5 of_5", 1, 0, 1)]), True),
        (run_with(tags={"a": "x" * 8001}), False),
        (run_with(params={"a": "x" * 6001}), False),
        (run_with(params={"a" * 251: ""}), False),
        (run_with(points=[Point("accuracy@5", 1, 0, 1.0)]), False),
        (run_with(points=[Point("test/../top1", 1, 0, 1.0)]), False),
        (run_with(points=[Point("test//top1", 1, 0, 1.0)]), False),
        (run_with(points=[Point("top1", 1, -1, 1.0)]), False),
        (run_with(points=[Point("top1", 1, 0, None)]), False),
        (run_with(points=[Point("top1", 1, 0, True)]), False),
    ],
)
def test_what_mlflow_would_refuse_or_cut_is_left_to_its_client(run, is_plain):
    assert run.is_plain == is_plain


def test_a_run_that_is_not_plain_is_written_through_the_client(plan, store, monkeypatch, trained):
    trained(plan.trials[0])
    tags_of = writer.tags_of
    monkeypatch.setattr(writer, "tags_of", lambda *of: tags_of(*of) | {"exeunt.early_exit": "x" * 8001})
    monkeypatch.setattr(mlflow_sqlite, "insert", None)
    assert Mirror(plan, store, store.tracking_uri).update_all() == 1
    assert len(load(store.tracking_uri, "tiny")) == 1


def test_an_experiment_that_is_deleted_meanwhile_gets_no_run(plan, store, trained):
    trained(plan.trials[0])
    mirror = Mirror(plan, store, store.tracking_uri)
    client = MlflowClient(store.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    with pytest.raises(TrackingError, match="the experiment was deleted"):
        mirror.update_all()
    assert rows(store.database)["runs"] == []


def test_the_known_tables_are_those_of_the_installed_mlflow(database):
    assert mlflow_sqlite.has_known_tables(database), "check the SQL in mlflow_sqlite.py, and add its Alembic version"

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
from exeunt.results.mlflow_sqlite import Point, RunData
from exeunt.sweep.tracking import writer
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient

TABLES = {
    "runs": "name, source_type, source_name, entry_point_name, user_id, status, end_time IS NULL, source_version, "
    "lifecycle_stage, deleted_time, artifact_uri LIKE '%/artifacts/tiny/' || run_uuid || '/artifacts', experiment_id",
    "tags": "key, CASE WHEN key = 'mlflow.parentRunId' THEN (SELECT value FROM tags AS t WHERE t.run_uuid = x.value "
    "AND t.key = 'exeunt.group') ELSE value END, typeof(value)",
    "params": "key, value, typeof(value)",
    "metrics": "key, value, typeof(value), min(timestamp, 1500000000000), step, is_nan",
    "latest_metrics": "key, value, typeof(value), min(timestamp, 1500000000000), step, is_nan",
}
"""Columns of the rows of a run, apart from its id and from the times of the write."""
INPUTS = (
    "SELECT t.value, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile, "
    "i.source_type, i.destination_type, i.step FROM inputs AS i JOIN datasets AS d ON d.dataset_uuid = i.source_id "
    "JOIN tags AS t ON t.run_uuid = i.destination_id AND t.key = 'exeunt.group'"
)
"""Datasets of configurations."""


def rows(database):
    """Return the rows of all runs by table, with the key of the trial or configuration instead of the id of the run."""
    with closing(sqlite3.connect(database)) as connection:
        names = "t.key IN ('exeunt.key', 'exeunt.group')"
        keys = f"(SELECT value FROM tags AS t WHERE t.run_uuid = x.run_uuid AND {names})"
        found = {
            table: sorted(connection.execute(f"SELECT {keys}, {columns} FROM {table} AS x").fetchall(), key=repr)
            for table, columns in TABLES.items()
        } | {"inputs": sorted(connection.execute(INPUTS).fetchall())}
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
        mirror = Mirror(plan, store, f"sqlite:///{file}")
        assert mirror.update_all() == 6
        mirror.update_groups()
        through_client()
    direct, client = map(rows, files)
    for table, found in client.items():
        assert direct[table] == found, table
    groups = {trial.configuration.id for trial in plan.trials[:6]}
    assert {state[0] for state in direct["runs"]} == {t.key for t in plan.trials[:6]} | groups
    assert waiting.key not in {state[0] for state in direct["runs"]}
    assert {row[6] for row in direct["runs"]} == {"FINISHED", "FAILED", "RUNNING"}
    assert {row[0] for row in direct["inputs"]} == groups
    for file in files:
        before = rows(file)
        mirror = Mirror(plan, store, f"sqlite:///{file}")
        assert mirror.update_all() == 1, "only the running trial may be written again"
        assert mirror.update_groups() == 0
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
    of_trials = f"tags.`exeunt.key` = '{trial.key}'"
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], of_trials)
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
from exeunt.sweep.tracking import run_writer, writer

run_writer.RUNS_PER_TRANSACTION = 4
latest, calls = mlflow_sqlite._latest, []

def die_in_the_second_transaction(rows):
    calls.append(rows)
    if len(calls) == 6:
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
    return RunData(**{"tags": {"mlflow.runName": "kd"}} | parts)


@pytest.mark.parametrize(
    ("run", "is_plain"),
    [
        (run_with(), True),
        (run_with(tags={"exeunt.reliability.final": "x" * 8000}, params={"recipe.name": "x" * 6000}), True),
        (run_with(points=[Point("test/exit1/top-5 of_5", 1, 0, 1)]), True),
        (run_with(tags={"a": "x" * 8001}), False),
        (run_with(tags={"mlflow.runName": "x" * 251}), False),
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
    insert, inserted = mlflow_sqlite.insert, []
    monkeypatch.setattr(mlflow_sqlite, "insert", lambda *of: inserted.extend(of[2].values()) or insert(*of))
    assert Mirror(plan, store, store.tracking_uri).update_all() == 1
    assert len(load(store.tracking_uri, "tiny")) == 1
    assert all("exeunt.key" not in run.tags for run in inserted), "the run of the trial was inserted"


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

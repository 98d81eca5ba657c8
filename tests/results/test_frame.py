import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from exeunt.results import load, reliability
from exeunt.results.frame import metric_names
from exeunt.results.mlflow_client import TrackingError
from exeunt.results.mlflow_reader import known_database
from exeunt.specs import SpecError


def test_a_row_per_trial_with_typed_columns(record):
    sweep = record()
    run_id = sweep.trial("kd", 97.5, seed=2, method__temperature="4", teacher__architecture="resnet50")
    sweep.trial("baseline", state="failed", error="out of memory")

    frame = load(sweep.tracking_uri, sweep.sweep)

    assert len(frame) == 2
    trial = frame.iloc[0]
    assert (trial["sweep"], trial["key"], trial["run_id"]) == (sweep.sweep, f"{0:016x}", run_id)
    assert (trial["dataset"], trial["architecture"], trial["method"]) == ("digits", "resnet8", "kd")
    assert (trial["seed"], trial["seeds"], trial["order"]) == (2, 3, 0)
    assert (trial["state"], trial["role"], trial["protocol"]) == ("done", "result", "last epoch on test")
    assert trial["param.method.temperature"] == "4"
    assert frame["error"].tolist()[1] == "out of memory"
    assert frame["error"].isna().tolist() == [True, False]
    assert frame["param.teacher.architecture"].isna().tolist() == [False, True]
    assert frame["seed"].dtype == frame["order"].dtype == "int64"
    assert frame["test/final/top1"].dtype == "float64"


def test_a_trial_that_is_done_says_where_and_how_long_it_was_trained(record):
    sweep = record()
    run_id = sweep.trial("baseline", 97.5)
    sweep.client.set_tag(run_id, "exeunt.training_seconds", "12.5")
    sweep.client.set_tag(run_id, "exeunt.environment.device", "a CPU")
    sweep.trial("baseline", state="running")
    frame = load(sweep.tracking_uri, sweep.sweep)
    assert frame["training_seconds"].tolist()[0] == 12.5
    assert frame["environment.device"].tolist()[0] == "a CPU"
    assert frame[["training_seconds", "environment.device"]].isna().all(axis="columns").tolist() == [False, True]
    assert set(metric_names(frame)) == {"test/final/top1", "train/loss/label"}


def test_reliability_is_read_bin_by_bin(record):
    sweep = record()
    run_id = sweep.trial("baseline", 97.5, seed=2)
    sweep.client.set_tag(run_id, "exeunt.reliability.final", "[[0, 0.0, 0.0], [4, 0.75, 0.5]]")
    sweep.trial("baseline", state="running")
    (row,) = reliability(load(sweep.tracking_uri, sweep.sweep)).to_dict("records")
    bins = {"exit": "final", "bin": 2, "images": 4, "confidence": 0.75, "correct": 0.5}
    trial = {"sweep": sweep.sweep, "key": f"{0:016x}", "architecture": "resnet8", "method": "baseline", "seed": 2}
    assert row == trial | bins


def test_without_reliability_there_are_columns_and_no_rows(record):
    sweep = record()
    sweep.trial("baseline", 97.5)
    frame = reliability(load(sweep.tracking_uri, sweep.sweep))
    assert (len(frame), list(frame.columns)[-4:]) == (0, ["bin", "images", "confidence", "correct"])


def test_a_metric_is_the_value_of_the_last_epoch(record):
    sweep = record()
    sweep.trial("baseline", 97.5)
    assert load(sweep.tracking_uri, sweep.sweep)["test/final/top1"].tolist() == [97.5]


def test_rows_come_in_the_order_of_the_plan(record):
    sweep = record()
    for order in (2, 0, 1):
        sweep.trial("baseline", 90.0, order=order)
    assert load(sweep.tracking_uri, sweep.sweep)["order"].tolist() == [0, 1, 2]


@pytest.fixture
def through_client(monkeypatch):
    """Function that switches to reading through MLflow's client, as from a server."""

    def begin():
        monkeypatch.setattr("exeunt.results.mlflow_reader.known_database", lambda _: None)

    return begin


def test_a_database_is_read_as_through_mlflows_client(record, through_client):
    sweep = record()
    numbers = {"loss": math.nan, "most": math.inf, "least": -math.inf}
    sweep.trial("kd", 97.5, method__temperature="4", metrics=numbers)
    sweep.trial("baseline", state="failed", error="out of memory")
    sweep.client.delete_run(sweep.trial("baseline", 90.0))

    from_database = load(sweep.tracking_uri, sweep.sweep)
    through_client()

    pd.testing.assert_frame_equal(from_database, load(sweep.tracking_uri, sweep.sweep))
    assert from_database.loc[0, ["most", "least"]].tolist() == [math.inf, -math.inf]
    assert math.isnan(from_database.loc[0, "loss"])


def test_more_runs_than_one_page(record, monkeypatch, through_client):
    sweep = record()
    through_client()
    for seed in range(7):
        sweep.trial("baseline", 90.0, seed=seed)
    monkeypatch.setattr("exeunt.results.mlflow_client.RUNS_PER_PAGE", 3)
    assert load(sweep.tracking_uri, sweep.sweep)["seed"].tolist() == list(range(7))


def test_deleted_runs_are_left_out(record):
    sweep = record()
    sweep.client.delete_run(sweep.trial("baseline", 90.0, key="a" * 16))
    sweep.trial("baseline", 91.0, key="a" * 16)
    assert load(sweep.tracking_uri, sweep.sweep)["test/final/top1"].tolist() == [91.0]


def test_a_sweep_without_trials_has_all_fixed_columns(record):
    sweep = record()
    frame = load(sweep.tracking_uri, sweep.sweep)
    assert frame.empty
    assert {"key", "state", "seed", "protocol"} <= set(frame.columns)
    assert frame["seed"].dtype == "int64"


def test_an_unknown_sweep_names_the_nearest(record):
    sweep = record("cifar100-resnet")
    with pytest.raises(SpecError, match=r"cifar100-resent.*'cifar100-resnet'"):
        load(sweep.tracking_uri, "cifar100-resent")


def test_a_deleted_sweep_is_unknown(record):
    sweep = record()
    sweep.client.delete_experiment(sweep.experiment_id)
    with pytest.raises(SpecError, match=f"unknown sweep {sweep.sweep!r}"):
        load(sweep.tracking_uri, sweep.sweep)


def test_reading_creates_no_database(tmp_path):
    database = tmp_path / "mlflow.db"
    with pytest.raises(SpecError, match="no such database"):
        load(f"sqlite:///{database}", "quickstart")
    assert not database.exists()


def test_two_runs_of_one_trial_are_never_averaged(record):
    sweep = record()
    runs = [sweep.trial("baseline", accuracy, key="b" * 16) for accuracy in (90.0, 91.0)]
    with pytest.raises(SpecError, match="b" * 16) as raised:
        load(sweep.tracking_uri, sweep.sweep)
    assert all(run_id in str(raised.value) for run_id in runs)


def test_a_foreign_run_is_named_with_what_it_lacks(record):
    sweep = record()
    run_id = sweep.client.create_run(sweep.experiment_id).info.run_id
    with pytest.raises(SpecError, match=rf"{run_id}.*key, role"):
        load(sweep.tracking_uri, sweep.sweep)


def test_several_sweeps_one_after_the_other(record):
    first, second = record("several-first"), record("several-second")
    first.trial("baseline", 90.0, key="c" * 16)
    second.trial("kd", 91.0, key="d" * 16, method__temperature="4")
    second.trial("baseline", 90.0, key="c" * 16)

    frame = load(first.tracking_uri, [second.sweep, first.sweep, second.sweep])

    assert frame["sweep"].tolist() == ["several-second", "several-second", "several-first"]
    assert frame["key"].tolist() == ["d" * 16, "c" * 16, "c" * 16]
    assert frame["param.method.temperature"].isna().tolist() == [False, True, True]
    assert frame["seed"].dtype == "int64"


def test_of_several_sweeps_an_unknown_one_is_named(record):
    sweep = record("known-sweep")
    with pytest.raises(SpecError, match="known-sweeq"):
        load(sweep.tracking_uri, ["known-sweep", "known-sweeq"])


def test_a_database_with_other_tables_is_said_in_a_line(copy):
    uri, sweep = copy("ALTER TABLE params RENAME COLUMN value TO content")
    with pytest.raises(TrackingError, match="no such column: value"):
        load(uri, sweep)


@pytest.fixture
def copy(record, tmp_path):
    """Function that changes a copy of a database with one sweep, and returns its tracking URI and the sweep."""

    def changed(*statements):
        sweep = record()
        sweep.trial("baseline", 90.0)
        database = tmp_path / "mlflow.db"
        with closing(sqlite3.connect(sweep.tracking_uri.removeprefix("sqlite:///"))) as whole:
            whole.execute(f"VACUUM INTO '{database}'")
        with closing(sqlite3.connect(database)) as other, other:
            for statement in statements:
                other.execute(statement)
        return f"sqlite:///{database}", sweep.sweep

    return changed


def test_a_database_of_another_version_of_mlflow_is_left_to_its_client(copy):
    uri, sweep = copy("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(TrackingError, match="out-of-date database schema"):
        load(uri, sweep)


def test_a_database_with_workspaces_is_left_to_mlflows_client(copy):
    uri, sweep = copy("UPDATE experiments SET workspace = 'mine'")
    assert known_database(uri) is None
    with pytest.raises(TrackingError, match="workspaces"):
        load(uri, sweep)


def test_a_database_of_another_program_is_not_changed(tmp_path):
    database = tmp_path / "other.db"
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE notes (text)")
    content = database.read_bytes()
    with pytest.raises(TrackingError, match="is not a database of MLflow"):
        load(f"sqlite:///{database}", "quickstart")
    assert database.read_bytes() == content


def test_a_damaged_database_is_said_in_a_line(copy):
    uri, sweep = copy()
    path = Path(uri.removeprefix("sqlite:///"))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(TrackingError, match=r"MLflow at .*: (database disk image is malformed|malformed)"):
        load(uri, sweep)
    path.write_bytes(b"")
    with pytest.raises(TrackingError, match="is not an SQLite database, or is damaged"):
        load(uri, sweep)


def test_parquet_and_csv_keep_what_is_loaded(record, tmp_path):
    sweep = record()
    sweep.trial("kd", 97.5, method__temperature="4")
    sweep.trial("baseline", state="failed", error="out of memory")
    frame = load(sweep.tracking_uri, sweep.sweep)

    frame.to_parquet(tmp_path / "trials.parquet")
    frame.to_csv(tmp_path / "trials.csv", index=False)

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "trials.parquet"), frame)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "trials.csv", dtype=frame.dtypes.to_dict()), frame)

import math

import pandas as pd
import pytest
from exeunt.results import epochs, history
from exeunt.specs import SpecError
from mlflow.entities import Metric

MEASURES = ["top1", "top5", "nll", "ece"]


def after(epoch, time=0, **numbers):
    """Metrics of an epoch; `train__exit1__top1` is `train/exit1/top1`."""
    return [Metric(name.replace("__", "/"), value, time, epoch) for name, value in numbers.items()]


def log(sweep, run_id, *metrics):
    sweep.client.log_batch(run_id, metrics=[metric for of_epoch in metrics for metric in of_epoch])


@pytest.fixture(params=["database", "client"])
def source(request, monkeypatch):
    """A database is read directly, a server through MLflow's client."""
    if request.param == "client":
        monkeypatch.setattr("exeunt.results.mlflow_reader.known_database", lambda _: None)
    return request.param


def test_a_row_per_trial_epoch_split_and_exit(record, source):
    sweep = record(f"history-{source}")
    run_id = sweep.trial("eed", seed=4, key="e" * 16)
    log(
        sweep,
        run_id,
        after(1, train__exit1__top1=10.0, train__final__top1=20.0),
        after(2, train__exit1__top1=30.0, train__final__top1=40.0, train__final__nll=1.5),
        after(2, test__ensemble__top1=55.0, test__final__top1=50.0, test__exit1__top1=45.0, test__final__ece=0.25),
        after(2, cost__exit1__parameters=7.0),
    )

    rows = history(sweep.tracking_uri, sweep.sweep)

    assert list(rows.columns) == ["sweep", "key", "architecture", "method", "seed", "epoch", "split", "exit", *MEASURES]
    assert rows[["epoch", "split", "exit", "top1"]].to_numpy().tolist() == [
        [1, "train", "exit1", 10.0],
        [1, "train", "final", 20.0],
        [2, "test", "exit1", 45.0],
        [2, "test", "final", 50.0],
        [2, "test", "ensemble", 55.0],
        [2, "train", "exit1", 30.0],
        [2, "train", "final", 40.0],
    ]
    assert rows["nll"].dropna().tolist() == [1.5]
    assert rows["ece"].dropna().tolist() == [0.25]
    assert rows["top5"].isna().all()
    told = rows[["sweep", "key", "architecture", "method", "seed"]].drop_duplicates()
    assert told.to_numpy().tolist() == [[sweep.sweep, "e" * 16, "resnet8", "eed", 4]]
    assert (rows["seed"].dtype, rows["epoch"].dtype) == ("int64", "int64")
    assert (rows["split"].dtype, rows["exit"].dtype, rows["top5"].dtype) == ("str", "str", "float64")


def test_the_tenth_exit_comes_after_the_second(record):
    sweep = record()
    log(sweep, sweep.trial("eed"), after(1, train__exit10__top1=3.0, train__exit2__top1=2.0, train__final__top1=4.0))
    assert history(sweep.tracking_uri, sweep.sweep)["exit"].tolist() == ["exit2", "exit10", "final"]


def test_a_row_per_trial_and_epoch(record, source):
    sweep = record(f"epochs-{source}")
    sweep.trial("baseline")
    log(
        sweep,
        sweep.trial("kd"),
        after(1, seconds=3.0, train__gradient_norm=0.5, train__final__top1=20.0),
        after(2, seconds=2.0, train__gradient_norm=0.25, cost__parameters=7.0),
    )

    rows = epochs(sweep.tracking_uri, sweep.sweep)

    assert list(rows.columns[5:]) == ["epoch", "seconds", "train/gradient_norm", "train/loss/label"]
    assert rows["method"].tolist() == ["baseline", "baseline", "kd", "kd"]
    assert rows["epoch"].tolist() == [1, 2, 1, 2]
    assert rows["train/loss/label"].tolist() == [2.0, 1.0, 2.0, 1.0]
    assert rows["seconds"].tolist()[2:] == [3.0, 2.0]
    assert rows["seconds"].isna().tolist() == [True, True, False, False]


def test_an_epoch_that_was_trained_again_counts_as_it_is_now(record, source):
    sweep = record(f"again-{source}")
    run_id = sweep.trial("baseline")
    log(sweep, run_id, after(1, time=9, train__final__top1=20.0), after(1, time=5, train__final__top1=90.0))
    assert history(sweep.tracking_uri, sweep.sweep)["top1"].tolist() == [20.0]


def test_trials_come_in_the_order_of_the_plan(record):
    sweep = record()
    for order, method in ((2, "kd"), (0, "baseline"), (1, "eed")):
        sweep.trial(method, 90.0, order=order)
    assert history(sweep.tracking_uri, sweep.sweep)["method"].unique().tolist() == ["baseline", "eed", "kd"]
    assert epochs(sweep.tracking_uri, sweep.sweep)["method"].unique().tolist() == ["baseline", "eed", "kd"]


def test_a_trial_of_two_sweeps_is_there_twice(record):
    sweeps = [record(f"shared-{number}") for number in range(2)]
    for sweep in sweeps:
        sweep.trial("baseline", 90.0, key="f" * 16)
    rows = history(sweeps[0].tracking_uri, [sweep.sweep for sweep in sweeps])
    assert rows["sweep"].tolist() == ["shared-0", "shared-0", "shared-1", "shared-1"]
    assert set(rows["key"]) == {"f" * 16}


def test_the_largest_number_of_a_database_is_an_infinity(record, source):
    sweep = record(f"infinite-{source}")
    log(sweep, sweep.trial("baseline"), after(1, train__final__nll=math.inf), after(2, train__final__nll=1.0))
    assert history(sweep.tracking_uri, sweep.sweep)["nll"].tolist() == [math.inf, 1.0]


@pytest.mark.parametrize("read", [history, epochs])
def test_without_trials_there_are_columns_and_no_rows(record, read):
    sweep = record(f"without-{read.__name__}")
    rows = read(sweep.tracking_uri, sweep.sweep)
    assert rows.empty
    assert {"sweep", "key", "epoch"} <= set(rows.columns)
    assert rows["epoch"].dtype == "int64"


@pytest.mark.parametrize("read", [history, epochs])
def test_an_unknown_sweep_is_named(record, read):
    sweep = record(f"known-{read.__name__}")
    with pytest.raises(SpecError, match="unknown sweep 'knwon'"):
        read(sweep.tracking_uri, "knwon")


@pytest.mark.parametrize("read", [history, epochs])
def test_parquet_and_csv_keep_what_is_read(record, tmp_path, read):
    sweep = record(f"export-{read.__name__}")
    sweep.trial("baseline", 90.0)
    rows = read(sweep.tracking_uri, sweep.sweep)

    rows.to_parquet(tmp_path / "rows.parquet")
    rows.to_csv(tmp_path / "rows.csv", index=False)

    assert len(rows) == 2
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), rows)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "rows.csv", dtype=rows.dtypes.to_dict()), rows)

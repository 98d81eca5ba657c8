import pytest
from exeunt.results import load
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


def test_a_metric_is_the_value_of_the_last_epoch(record):
    sweep = record()
    sweep.trial("baseline", 97.5)
    assert load(sweep.tracking_uri, sweep.sweep)["test/final/top1"].tolist() == [97.5]


def test_rows_come_in_the_order_of_the_plan(record):
    sweep = record()
    for order in (2, 0, 1):
        sweep.trial("baseline", 90.0, order=order)
    assert load(sweep.tracking_uri, sweep.sweep)["order"].tolist() == [0, 1, 2]


def test_more_runs_than_one_page(record, monkeypatch):
    sweep = record()
    for seed in range(7):
        sweep.trial("baseline", 90.0, seed=seed)
    monkeypatch.setattr("exeunt.results.connection.RUNS_PER_PAGE", 3)
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

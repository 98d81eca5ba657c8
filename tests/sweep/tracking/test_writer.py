import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exeunt.results import load
from exeunt.results.mlflow_client import TrackingError
from exeunt.store.lease import hold_lease
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.tracking.run_writer import BATCH, RunWriter
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient


@pytest.fixture
def runs(store):
    """Return a function that reads the runs of trials in MLflow by key."""

    def read_runs():
        client = MlflowClient(store.tracking_uri)
        experiment = client.get_experiment_by_name("tiny")
        found = client.search_runs([experiment.experiment_id])
        by_key = {run.data.tags.get("exeunt.key") or run.data.tags["exeunt.group"]: run for run in found}
        assert len(by_key) == len(found)
        return {key: run for key, run in by_key.items() if "exeunt.key" in run.data.tags}

    return read_runs


def test_a_run_says_what_the_trial_was_and_what_came_out(plan, store, runs, trained):
    student = next(trial for trial in plan.trials if trial.depends_on)
    trained(student)
    Mirror(plan, store, store.tracking_uri).update_all()
    (run,) = runs().values()
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"train/loss/0": 1.0, "test/final/top1": 90.0, "seconds": 2.0}
    expected = {
        "key": student.key,
        "method": "kd",
        "architecture": "resnet8",
        "seed": str(student.seed),
        "state": "done",
        "protocol": "last epoch on test",
        "commit": "0123456789ab",
        "training_seconds": "4.0",
        "early_exit": "[[0.5, 1000000.0, 90.0]]",
        "reliability.final": "[[9, 0.5, 0.25]]",
        "environment.torch": "2",
    }
    assert expected == {name: run.data.tags[f"exeunt.{name}"] for name in expected}
    assert run.data.params["method.name"] == "kd"
    assert (run.data.params["teacher.key"],) == student.depends_on


def test_a_run_says_where_the_file_has_the_exits(read, good, store, runs, trained):
    plan = make_plan(read(good.replace('exits: [all, "1"]', 'exits: ["50%"]')))
    with_exits = next(trial for trial in plan.trials if trial.configuration.method == "eed")
    without = next(trial for trial in plan.trials if trial.configuration.method == "baseline")
    for trial in (with_exits, without):
        trained(trial)
    Mirror(plan, store, store.tracking_uri).update_all()
    assert runs()[with_exits.key].data.tags["exeunt.exits"] == "50%"
    assert runs()[with_exits.key].data.params["exits.placement"] == with_exits.spec["exits"]["placement"] != "50%"
    assert "exeunt.exits" not in runs()[without.key].data.tags


def test_a_cell_is_explained_by_runs_and_files(plan, store, runs, trained, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    student = next(trial for trial in plan.trials if trial.depends_on)
    trained(student)
    store.save_sweep(plan)
    Mirror(plan, store, store.tracking_uri).update_all()
    status, out, err = run("explain", "tiny", student.configuration.architecture, "kd")
    assert (status, err) == (0, "")
    (line,) = (line for line in out.splitlines() if student.key in line)
    for part in ("90.00", runs()[student.key].info.run_id, "0123456789ab", "history.jsonl, result.json"):
        assert part in line
    assert out.endswith(f"Files: {store.location}/trials/TRIAL/\nMLflow: {store.tracking_uri}\n")
    status, out, err = run("explain", "tiny", "resnet8", "kdd")
    assert (status, out, err) == (2, "", "exeunt: unknown method 'kdd'; the nearest is 'kd'.\n")


def test_writing_twice_changes_nothing(plan, store, runs, trained):
    for trial in plan.trials[:3]:
        trained(trial)
    Mirror(plan, store, store.tracking_uri).update_all()
    before = {key: run.to_dictionary() for key, run in runs().items()}
    mirror = Mirror(plan, store, store.tracking_uri)
    mirror.update_all()
    mirror.update(plan.trials)
    assert {key: run.to_dictionary() for key, run in runs().items()} == before
    run = runs()[plan.trials[0].key]
    assert len(MlflowClient(store.tracking_uri).get_metric_history(run.info.run_id, "train/loss/0")) == 2


@pytest.mark.slow
def test_more_numbers_than_mlflow_takes_at_once_arrive_whole(plan, store, runs, trained):
    trained(plan.trials[0], epochs=3, metrics=BATCH // 2)
    Mirror(plan, store, store.tracking_uri).update_all()
    assert len(runs()[plan.trials[0].key].data.metrics) == BATCH // 2 + len(["seconds", "test/final/top1"])


def test_a_run_whose_writing_was_cut_off_is_completed(plan, store, runs, monkeypatch, trained):
    monkeypatch.setattr("exeunt.sweep.tracking.writer.known_database", lambda _: None)  # as on a server
    trained(plan.trials[0])
    with monkeypatch.context() as patch:  # the driver dies between creating the run and filling it
        patch.setattr(RunWriter, "_log", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            Mirror(plan, store, store.tracking_uri).update_all()
    assert runs() == {}
    with monkeypatch.context() as patch:  # the same for the run of the trial
        log = RunWriter._log
        patch.setattr(RunWriter, "_log", lambda self, id, run: sys.exit() if run.points else log(self, id, run))
        with pytest.raises(SystemExit):
            Mirror(plan, store, store.tracking_uri).update_all()
    assert runs()[plan.trials[0].key].data.metrics == {}
    Mirror(plan, store, store.tracking_uri).update_all()
    assert load(store.tracking_uri, "tiny")["test/final/top1"].tolist() == [90.0]


def test_a_repaired_trial_has_no_error_any_more(plan, store, runs, trained):
    trial = plan.trials[0]
    store.trial(trial.key).write_failure({"reason": "worker died"})
    Mirror(plan, store, store.tracking_uri).update_all()
    failed = runs()[trial.key]
    assert (failed.info.status, failed.data.tags["exeunt.error"]) == ("FAILED", "worker died")
    trained(trial)
    Mirror(plan, store, store.tracking_uri).update_all()
    repaired = runs()[trial.key]
    assert repaired.info.status == "FINISHED"
    assert "exeunt.error" not in repaired.data.tags


def test_a_trial_that_was_trained_again_elsewhere_has_its_new_numbers_alone(plan, store, runs, trained):
    trained(plan.trials[0], accuracy=90.0)
    Mirror(plan, store, store.tracking_uri).update_all()
    before = runs()[plan.trials[0].key].info.run_id
    trained(plan.trials[0], accuracy=91.0)
    assert Mirror(plan, store, store.tracking_uri).update_all() == 1
    run = runs()[plan.trials[0].key]
    assert run.info.run_id != before
    history = MlflowClient(store.tracking_uri).get_metric_history(run.info.run_id, "test/final/top1")
    assert [metric.value for metric in history] == [91.0]
    assert Mirror(plan, store, store.tracking_uri).update_all() == 0


def test_epochs_that_were_trained_again_after_a_kill_have_their_last_numbers_alone(plan, store, runs):
    (key, files) = (plan.trials[0].key, store.trial(plan.trials[0].key))
    files.write_spec(plan.trials[0].spec)

    def records(*seconds):
        return [{"epoch": n, "time": 1e9 + s, "seconds": s, "train/loss/0": s} for n, s in enumerate(seconds, start=1)]

    def by_epoch(name):
        history = MlflowClient(store.tracking_uri).get_metric_history(runs()[key].info.run_id, name)
        return [(metric.step, metric.value) for metric in history]

    mirror = Mirror(plan, store, store.tracking_uri)
    files.write_history(records(2.0, 2.1, 2.2))
    mirror.update(plan.trials[:1])
    first = runs()[key].info.run_id
    files.write_history(records(2.0, 2.1, 2.2, 2.3))
    mirror.update(plan.trials[:1])
    assert runs()[key].info.run_id == first
    for restarted in (False, True):
        writer = Mirror(plan, store, store.tracking_uri) if restarted else mirror
        files.write_history(records(2.0, 5.1))  # from the checkpoint after the first epoch
        writer.update(plan.trials[:1])
        files.write_history(records(2.0, 5.1, 5.2))
        writer.update(plan.trials[:1])
        for name in ("seconds", "train/loss/0"):
            assert by_epoch(name) == [(1, 2.0), (2, 5.1), (3, 5.2)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-320])
def test_numbers_that_are_none_are_written_once(value, plan, store, trained):
    trained(plan.trials[0], accuracy=value)
    assert [Mirror(plan, store, store.tracking_uri).update_all() for _ in range(2)] == [1, 0]


def test_a_damaged_history_keeps_no_other_trial_from_mlflow(plan, store, runs, trained):
    for trial in plan.trials[:2]:
        trained(trial)
    store.trial(plan.trials[0].key).directory.write("history.jsonl", b'{"epoch": 1, "ti')
    Mirror(plan, store, store.tracking_uri).update_all()
    assert runs()[plan.trials[1].key].data.metrics["test/final/top1"] == 90.0
    assert Mirror(plan, store, store.tracking_uri).update_all() == 0


class TestTwoStorages:
    """Two storages, each with a sweep of the same name, and one MLflow."""

    @pytest.fixture
    def other(self, tmp_path):
        return Store(tmp_path / "other")

    def test_the_second_is_told_whose_the_name_is_and_changes_nothing(self, plan, store, other, runs, trained):
        trained(plan.trials[0])
        Mirror(plan, store, store.tracking_uri).update_all()
        before = {key: run.to_dictionary() for key, run in runs().items()}
        with pytest.raises(TrackingError, match="'tiny' belongs to a sweep in another storage") as refusal:
            Mirror(plan, other, store.tracking_uri)
        assert store.location in str(refusal.value)
        assert {key: run.to_dictionary() for key, run in runs().items()} == before

    def test_where_the_experiment_was_deleted_it_is_the_second_ones(self, plan, store, other):
        client = MlflowClient(store.tracking_uri)
        Mirror(plan, store, store.tracking_uri)
        client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
        Mirror(plan, other, store.tracking_uri)
        with pytest.raises(TrackingError, match=other.location):
            Mirror(plan, store, store.tracking_uri)

    def test_a_storage_that_was_moved_is_the_same(self, plan, store, other):
        Mirror(plan, store, store.tracking_uri)
        Path(store.location).rename(other.location)
        Mirror(plan, other, other.tracking_uri)
        experiment = MlflowClient(other.tracking_uri).get_experiment_by_name("tiny")
        assert experiment.tags["exeunt.location"] == other.location

    def test_an_experiment_of_nobody_is_taken(self, plan, store, other):
        MlflowClient(store.tracking_uri).create_experiment("tiny")
        Mirror(plan, store, store.tracking_uri)
        with pytest.raises(TrackingError, match=store.location):
            Mirror(plan, other, store.tracking_uri)


def test_a_deleted_sweep_comes_back(plan, store, runs, trained):
    trained(plan.trials[0])
    Mirror(plan, store, store.tracking_uri).update_all()
    client = MlflowClient(store.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    Mirror(plan, store, store.tracking_uri).update_all()
    assert list(runs()) == [plan.trials[0].key]


def test_a_damaged_database_is_named_at_once(plan, store):
    store.database.write_bytes(b"SQLite" * 1000)
    with pytest.raises(TrackingError, match=r"mlflow.db is not an SQLite database, or is damaged"):
        Mirror(plan, store, store.tracking_uri)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:/mlflow.db", "--tracking: 'sqlite:/mlflow.db' is neither a server nor a database; name http"),
        ("sqlite://mlflow.db", "Invalid SQLite URL"),
        (
            "sqlite://",
            "--tracking: 'sqlite://' is a database in memory, which is lost at exit; name a file, sqlite:///FILE.",
        ),
        ("sqlite:///:memory:", "is a database in memory, which is lost at exit"),
        ("sqlite:////", "/ is a directory; name a file in it"),
        ("ftp://me:secret@host", "--tracking: 'ftp://***@host' is neither"),
        ("databricks", "--tracking: 'databricks' is neither"),
        ("http://", "MLflow at http://: "),
        ("http://me:secret@127.0.0.1:1", "MLflow at http://***@127.0.0.1:1: Connection refused."),
        ("postgresql+psycopg2://me:secret@127.0.0.1:1/db", "at postgresql+psycopg2://***@127.0.0.1:1/db: "),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/db", "at postgresql+psycopg://***@127.0.0.1:1/db: "),
        ("postgresql+mistyped://me:secret@127.0.0.1:1/db", "Can't load plugin"),
        ("postgresql://me:secret@host:port/db", "tracking URI 'postgresql://***@host:port/db': invalid"),
    ],
)
@pytest.mark.parametrize("command", ["table", "sync"])
def test_a_tracking_uri_of_nothing_is_one_message_without_its_password(command, uri, said, plan, store, run):
    store.save_sweep(plan)
    started = time.monotonic()
    status, out, err = run(command, "tiny", "--tracking", uri)
    assert time.monotonic() - started < 60, "by default, MLflow retries for two minutes"
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: ")
    assert err.count("\n") == 1
    assert said in err
    assert "secret" not in err


def test_a_trial_that_waits_has_no_run(plan, store, runs):
    Mirror(plan, store, store.tracking_uri).update_all()
    assert runs() == {}


@pytest.mark.slow
def test_a_trial_planned_no_more_is_marked_and_comes_back_when_it_is(plan, store, runs, read, good, trained):
    for trial in plan.trials:
        trained(trial)
    Mirror(plan, store, store.tracking_uri).update_all()
    fewer = make_plan(read("".join(good.splitlines(keepends=True)[:-1])))
    Mirror(fewer, store, store.tracking_uri).update_all()
    kept = {trial.key for trial in fewer.trials}
    assert {key for key, run in runs().items() if run.data.tags["exeunt.role"] != "unplanned"} == kept
    Mirror(plan, store, store.tracking_uri).update_all()
    assert {key: run.data.tags["exeunt.role"] for key, run in runs().items()} == {t.key: t.role for t in plan.trials}


@pytest.mark.slow
def test_a_database_whose_making_was_cut_off_is_made_anew(plan, store, trained):
    store.database.unlink()
    script = f"from exeunt.sweep.tracking.writer import *; create_database(Path({str(store.database)!r}))"
    maker = subprocess.Popen([sys.executable, "-c", script])
    try:
        while maker.poll() is None and not any(store.database.parent.rglob("mlflow.db")):
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        maker.kill()
        maker.wait(60)
    assert not store.database.exists(), "the database was complete before the process was killed"
    trained(plan.trials[0])
    Mirror(plan, store, store.tracking_uri).update_all()
    assert len(load(store.tracking_uri, "tiny")) == 1
    left = {path.name for path in store.database.parent.iterdir()}
    assert left - {"mlflow.db", "sweeps", "trials"} <= {f".mlflow.db.{maker.pid}"}, "`exeunt clean` would not remove it"


def test_a_sweep_that_is_being_run_is_not_written_twice(plan, store, runs, trained, run):
    trained(plan.trials[0])
    store.save_sweep(plan)
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        status, _, err = run("sync", "tiny")
    assert status == 2
    assert f"is being run by process {os.getpid()} on " in err
    assert run("sync", "tiny")[0] == 0
    assert list(runs()) == [plan.trials[0].key]

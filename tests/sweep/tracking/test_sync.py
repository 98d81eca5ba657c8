"""MLflow servers that become unreachable and reachable again."""

import math
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from exeunt.results import load
from exeunt.results.mlflow_client import TrackingError, answering
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.tracking import address, sync
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Set the timeouts of the commands, and shorter ones."""
    for name, value in address.WAITING.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setattr(sync, "SYNC_INTERVAL_S", 0.2)


def until(condition, patience=60):
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
    return value


def recorded(server):
    """Return the key and state of every run in MLflow."""
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id], "tags.`exeunt.key` LIKE '%'") if experiment else []
    return sorted((run.data.tags["exeunt.key"], run.data.tags["exeunt.state"]) for run in runs)


def mirrored(plan, store, uri, announce=print, *, besides=(), left_early=False):
    known = {trial.key: trial for trial in (*plan.trials, *besides)}
    return sync.mirrored(plan, known, store, uri, announce, begun=lambda: True, left_early=lambda: left_early)


@contextmanager
def ended_within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def test_what_was_trained_while_the_server_was_away_is_written_when_it_is_back(plan, store, trained, server):
    lines = []
    first, second, third = plan.trials[:3]
    server.start()
    with mirrored(plan, store, server.uri, lines.append) as changed:
        trained(first)
        changed.add(first.key)
        until(lambda: recorded(server) == [(first.key, "done")])
        server.kill()
        for trial in (second, third):
            trained(trial)
            changed.add(trial.key)
        until(lambda: lines)
        time.sleep(2)
        assert len(lines) == 1, "it is announced more than once"
        assert f"MLflow at {server.uri}: Connection refused." in lines[0]
        server.start()
        until(lambda: len(lines) == 2)
        assert "MLflow is reachable again after " in lines[1]
    assert recorded(server) == sorted((trial.key, "done") for trial in (first, second, third))


@pytest.mark.nightly
def test_a_server_that_hangs_holds_up_nothing(plan, store, trained, server):
    lines = []
    server.start()
    with ended_within(20):
        with mirrored(plan, store, server.uri, lines.append) as changed:
            server.pause()
            trained(plan.trials[0])
            changed.add(plan.trials[0].key)
            until(lambda: lines)
        with pytest.raises(TrackingError, match="no answer in time"), answering(server.uri):
            Mirror(plan, store, server.uri)
    assert "no answer in time" in lines[0]
    server.resume()
    Mirror(plan, store, server.uri).update_all()
    assert recorded(server) == [(plan.trials[0].key, "done")]


def test_the_end_of_a_sweep_does_not_wait_until_all_is_written(read, good, store, trained, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 1)
    plan = make_plan(read(good.replace("seeds: [0, 1]", f"seeds: {list(range(8))}")))
    database = SimpleNamespace(uri=store.tracking_uri)
    for trial in plan.trials:
        trained(trial)
    with mirrored(plan, store, database.uri) as changed:
        changed.update(trial.key for trial in plan.trials)
        until(lambda: recorded(database))
    assert 0 < len(changed) == len(plan.trials) - len(recorded(database))
    Mirror(plan, store, database.uri).update_all()
    assert len(recorded(database)) == len(plan.trials)


def test_what_ended_last_before_a_sweep_is_left_early_is_written(plan, store, trained, monkeypatch):
    monkeypatch.setattr(sync, "SYNC_INTERVAL_S", 1000)
    monkeypatch.setattr(sync, "FINAL_SYNC_TIMEOUT_S", 100)
    monkeypatch.setattr(sync, "BATCH", 1)
    database = SimpleNamespace(uri=store.tracking_uri)
    with mirrored(plan, store, database.uri, left_early=True) as changed:
        for trial in plan.trials[:3]:
            trained(trial)
            changed.add(trial.key)
    assert recorded(database) == sorted((trial.key, "done") for trial in plan.trials[:3])


def test_a_sweep_that_is_left_early_waits_seconds_for_a_server_that_hangs_and_at_once_not_at_all(
    plan, store, trained, server, monkeypatch
):
    monkeypatch.setattr(sync, "SYNC_INTERVAL_S", 1000)
    trained(plan.trials[0])
    lines = []
    with mirrored(plan, store, server.uri, lines.append, left_early=True) as changed:
        changed.add(plan.trials[0].key)
    assert lines == [], "it announces that the sweep continues"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setattr(sync, "FINAL_SYNC_TIMEOUT_S", 1.0)
    server.start()
    server.pause()
    with ended_within(10), mirrored(plan, store, server.uri, left_early=True) as changed:
        changed.add(plan.trials[0].key)
    monkeypatch.setattr(sync, "SYNC_INTERVAL_S", 0)
    writing = mirrored(plan, store, server.uri)
    with ended_within(10), pytest.raises(KeyboardInterrupt), writing:  # noqa: PT012 (the last line raises)
        time.sleep(1)  # until it waits for the server
        raise KeyboardInterrupt


def test_trials_planned_no_more_are_marked_before_anything_is_trained(plan, store, trained, read, good):
    for trial in plan.trials[:3]:
        trained(trial)
    Mirror(plan, store, store.tracking_uri).update_all()
    fewer = make_plan(read(good.replace("seeds: [0, 1]", "seeds: [1]")))
    found = plan.trials[:1]  # a search adds trials
    removed = {trial.key for trial in plan.trials[1:3]} - {trial.key for trial in fewer.trials}

    def marked():
        frame = load(store.tracking_uri, "tiny")
        return set(frame.loc[frame["role"] == "unplanned", "key"])

    with mirrored(fewer, store, store.tracking_uri, besides=found):
        assert removed
        until(lambda: marked() == removed)


def test_a_fresh_server_is_filled_from_the_store_and_then_has_nothing_to_be_written(plan, store, trained, server, run):
    for trial in plan.trials[:3]:
        trained(trial, accuracy=90.0 if trial.order else math.inf)
    store.trial(plan.trials[3].key).write_failure({"reason": "no room"})
    store.save_sweep(plan)
    server.start()
    status, out, err = run("sync", "tiny", "--tracking", server.uri)
    assert (status, out, err) == (0, f"tiny: 4 trials, 4 configurations written to MLflow at {server.uri}\n", "")
    frame = load(server.uri, "tiny")
    assert frame["state"].tolist() == ["done", "done", "done", "failed"]
    assert frame["test/final/top1"].tolist()[:3] == [math.inf, 90.0, 90.0]
    assert run("sync", "tiny", "--tracking", server.uri) == (0, out.replace("4 ", "0 "), "")
    assert run("table", "tiny", "--tracking", server.uri)[0] == 0
    server.kill()
    for command in ("sync", "table"):
        with ended_within(20):
            status, out, err = run(command, "tiny", "--tracking", server.uri)
        assert (status, out, err) == (2, "", f"exeunt: MLflow at {server.uri}: Connection refused.\n")


def test_a_lost_answer_makes_no_second_run(plan, store, trained, server):
    trained(plan.trials[0])
    server.start()
    mirror = Mirror(plan, store, server.uri)
    mirror.update_all()
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    before = client.search_runs([experiment])
    assert sum(run.data.tags.get("exeunt.key") == plan.trials[0].key for run in before) == 1
    client.create_run(experiment, tags={"exeunt.key": plan.trials[0].key})  # requested again
    mine = client.create_run(experiment, run_name="mine").info.run_id
    Mirror(plan, store, server.uri).update_all()
    kept = {run.info.run_id for run in client.search_runs([experiment])}
    assert kept == {mine, *(run.info.run_id for run in before)}


SWEEP = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0, 1, 2]
recipe: {base: fast, epochs: %d, batch_size: 512}
methods:
  baseline: {}
"""


@pytest.mark.nightly
def test_a_sweep_outlives_the_death_of_the_server(server, start, tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP % 40)
    server.start()
    command = start("sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "runs", "--tracking", server.uri)
    command.until(lambda: time.sleep(0.5) or recorded(server))
    server.kill()
    server.start()
    answer = command.finish()
    assert (answer.status, answer.err) == (0, "")
    away = [line for line in answer.out.splitlines() if "missing data is written when MLflow is reachable" in line]
    back = [line for line in answer.out.splitlines() if "MLflow is reachable again after" in line]
    assert len(back) <= len(away) <= 1, "a short outage may be unnoticed, and the end of the sweep may write the rest"
    assert [state for _, state in recorded(server)] == ["done"] * 3
    assert answer.out.endswith(f"MLflow: {server.uri}\n")
    assert not (tmp_path / "runs" / "mlflow.db").exists()


def test_a_sweep_ends_well_without_its_server_and_says_how_mlflow_gets_the_rest(server, exeunt, run, tmp_path, store):
    (tmp_path / "sweep.yaml").write_text(SWEEP % 2)
    answer = exeunt("sweep", tmp_path / "sweep.yaml", "--storage", store.location, "--tracking", server.uri)
    assert (answer.status, answer.err) == (0, "")
    assert "n=3" in answer.out.replace(" ", "") or "n = 3" in answer.out
    assert f"MLflow at {server.uri}: Connection refused." in answer.out.splitlines()[-1]
    command = answer.out.splitlines()[-1].partition("exeunt sync ")[2].split()
    assert command == ["tiny", "--storage", store.location, "--tracking", server.uri]
    server.start()
    assert run("sync", *command[:1], "--tracking", server.uri)[0] == 0
    assert [state for _, state in recorded(server)] == ["done"] * 3
    assert run("verify", "--tracking", server.uri)[0] == 0

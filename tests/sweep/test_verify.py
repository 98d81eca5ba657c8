import json

import pytest
import torch
from exeunt.store.checkpoints import digest
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.tracking.writer import Mirror
from exeunt.sweep.verify import Verifier
from mlflow import MlflowClient

RESULT, SPEC, WEIGHTS, HISTORY = "result.json", "spec.json", "weights.pt", "history.jsonl"


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def one(plan, store, trained):
    """Return the key and the directory of a completed trial."""
    trained(plan.trials[0], epochs=plan.trials[0].spec.recipe.epochs, weights=True)
    return plan.trials[0].key, store.trial(plan.trials[0].key).directory


@pytest.fixture
def problems(store, one):
    """Return a function that lists the problems of that trial."""
    return lambda: [problem.what for problem in Verifier(store).problems_of(one[0])]


def change(folder, name, **values):
    folder.write(name, json.dumps(json.loads(folder.read(name)) | values).encode())


def test_a_trial_as_it_was_written_has_no_problem(problems):
    assert problems() == []


@pytest.mark.parametrize("name", [RESULT, SPEC, WEIGHTS, HISTORY])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(name, keep, one, problems):
    content = one[1].read(name)
    one[1].write(name, content[: int(len(content) * keep)])
    assert len(problems()) == 1
    assert name in problems()[0]


@pytest.mark.parametrize("name", [SPEC, WEIGHTS, HISTORY])
def test_a_file_that_is_missing_is_named(name, one, problems):
    one[1].remove(name)
    assert len(problems()) == 1
    assert name in problems()[0]


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\xfe", b"{}", b'{"state": "done"}', b"1" * 6000])
def test_any_bytes_in_any_file_are_a_problem_and_no_crash(content, one, problems):
    for name in (RESULT, HISTORY, SPEC):
        kept = one[1].read(name)
        one[1].write(name, content)
        assert problems() != []
        one[1].write(name, kept)
    assert problems() == []


def test_a_changed_setting_is_another_trial(one, problems):
    change(one[1], SPEC, seed=7)
    assert len(problems()) == 1
    assert "spec.json belongs to trial" in problems()[0]


def test_a_changed_number_is_not_what_history_has(one, problems):
    metrics = json.loads(one[1].read(RESULT))["metrics"]
    change(one[1], RESULT, metrics=metrics | {"test/final/top1": 99.0})
    assert problems() == ["result.json and history.jsonl differ in test/final/top1"]


def test_epochs_that_are_missing_are_counted(one, problems):
    one[1].write(HISTORY, one[1].read(HISTORY).splitlines(keepends=True)[-1])
    assert problems() == ["history.jsonl has 1 of 2 epochs"]


def test_a_flipped_bit_of_the_weights_is_seen(one, problems):
    content = bytearray(one[1].read(WEIGHTS))
    content[len(content) // 2] ^= 1
    one[1].write(WEIGHTS, bytes(content))
    assert problems() == ["weights.pt does not match result.json: the digests differ"]


def test_weights_of_another_network_do_not_fit(store, one, problems):
    store.trial(one[0]).write_weights({"weight": torch.zeros(3)})
    change(one[1], RESULT, weights=digest(one[1].read(WEIGHTS)))
    assert problems() == ["weights.pt does not match the network of spec.json"]


@pytest.mark.usefixtures("one")
def test_verify_says_all_is_well_or_what_is_not(plan, store, trained, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    store.save_sweep(plan)
    Mirror(plan, store, store.tracking_uri).update_all()
    assert run("verify")[0] == 0
    status, out, _ = run("verify", "tiny")
    assert status == 0
    assert out == f"Checked 1 trial in {store.location} and MLflow: no problems\n"
    client = MlflowClient(store.tracking_uri)
    (experiment,) = (found for found in client.search_experiments() if found.name == "tiny")
    (record,) = client.search_runs([experiment.experiment_id])
    client.log_metric(record.info.run_id, "test/final/top1", 12.0, step=99)
    trained(plan.trials[1], epochs=2, weights=True)
    status, out, _ = run("verify")
    assert status == 1
    assert "the run and the result differ in test/final/top1" in out
    assert "the run is missing" in out
    assert "2 problems" in out
    assert run("sync", "tiny")[0] == 0
    assert run("verify")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b'{"state": "done"}'])
def test_what_is_no_result_is_damaged_for_every_command_and_trained_again(
    content, plan, store, trained, run, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "400")
    for trial in plan.trials[:2]:
        trained(trial)
    store.save_sweep(plan)
    assert run("sync", "tiny")[0] == 0
    damaged = plan.trials[0]
    store.trial(damaged.key).directory.write(RESULT, content)
    assert "is damaged" in run("status", "tiny")[1]
    assert run("sync", "tiny")[0] == 0
    status, out, _ = run("verify", "tiny")
    assert status == 1
    assert "is damaged" in out
    assert run("table", "tiny")[0] == 0
    assert damaged in missing(plan, store)


@pytest.mark.usefixtures("one")
def test_a_sweep_that_can_no_longer_be_planned_is_a_problem(store, run):
    store.sweep_directory("gone").write("sweep.yaml", b"name: gone\n")
    status, out, _ = run("verify")
    assert status == 1
    assert "gone" in out


def test_files_are_checked_where_mlflow_cannot_be_reached(plan, store, one, run):
    store.save_sweep(plan)
    status, out, _ = run("verify", "--tracking", "http://127.0.0.1:9")
    assert status == 0
    assert "but not MLflow" in out
    assert "Connection refused" in out
    one[1].remove(WEIGHTS)
    assert run("verify", "--tracking", "http://127.0.0.1:9")[0] == 1

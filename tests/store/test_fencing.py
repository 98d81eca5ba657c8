import json
import subprocess
import sys

import pytest
import torch
from exeunt.store.fencing import StaleAttemptError
from exeunt.store.trial_store import Store
from exeunt.training import train


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def content(store):
    path = store.trial("k").directory.path
    return {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(".")}


def test_attempts_are_numbered_and_say_whose_they_are(store):
    for _ in range(3):
        store.start_attempt("k")
    assert list(content(store)) >= ["attempt-00001.json"]
    assert sorted(content(store)) == [f"attempt-0000{number}.json" for number in (1, 2, 3)]


def test_an_attempt_that_was_superseded_can_change_nothing(store, ended):
    orphan = store.start_attempt("k")
    orphan.write_history([{"epoch": 1}])
    orphan.checkpoints.write({"step": 1}, epoch=0, step=1)
    newer = store.start_attempt("k")
    newer.write_history([{"epoch": 1}, {"epoch": 2}])
    newer.write_failure({"reason": "its own"})
    before = content(store)
    for change in (
        lambda: orphan.write_spec({}),
        lambda: orphan.write_history([]),
        lambda: orphan.write_weights({"w": torch.zeros(1)}),
        lambda: orphan.write_failure({"reason": "cut off"}),
        orphan.forget_failure,
        lambda: orphan.checkpoints.write({"step": 9}, epoch=9, step=9),
        orphan.checkpoints.clear,
        lambda: orphan.write_result(ended("done")),
    ):
        with pytest.raises(StaleAttemptError, match="attempt 1 was replaced by attempt 2"):
            change()
        assert content(store) == before
    assert newer.checkpoints.latest(torch.device("cpu")) == {"step": 1}
    newer.write_result(ended("done"))
    assert store.progress("k").state == "done"


def test_a_new_attempt_forgets_why_the_one_before_failed(store):
    store.start_attempt("k").write_failure({"reason": "something"})
    assert store.progress("k").reason == "something"
    store.start_attempt("k")
    assert store.progress("k").state == "waiting"


ORPHAN = """
import json, sys
from exeunt.store.trial_store import Store
from exeunt.training import TrialSpec, train
trial, store = TrialSpec.from_dict(json.loads(sys.argv[1])), Store(sys.argv[2])
train(trial, store.start_attempt(trial.key), device="cpu", on_epoch=lambda record: print(record["epoch"], flush=True))
"""


@pytest.mark.slow
def test_a_worker_that_was_cut_off_and_trains_on_spoils_nothing(tmp_path, read, good):
    trial = next(
        trial for trial in read(good.replace("epochs: 2", "epochs: 6")).trials if trial.method.name == "baseline"
    )
    spec = json.dumps(trial.to_dict())
    orphan = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, spec, tmp_path / "store"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert orphan.stdout.readline() == "1\n"
    store = Store(tmp_path / "store")
    told = []
    train(trial, store.start_attempt(trial.key), device="cpu", on_epoch=lambda record: told.append(record["epoch"]))
    assert told[-1] == 6, "the newer attempt completed"
    _, problem = orphan.communicate(timeout=60)
    assert orphan.returncode == 1
    assert "StaleAttemptError: attempt 1 was replaced by attempt 2" in problem
    alone = Store(tmp_path / "alone")
    train(trial, alone.start_attempt(trial.key), device="cpu")
    ours, expected = (torch.load(each.trial(trial.key).directory.path / "weights.pt") for each in (store, alone))
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    assert [record["epoch"] for record in store.trial(trial.key).history()] == [1, 2, 3, 4, 5, 6]

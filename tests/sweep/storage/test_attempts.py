import pytest
import torch
from exeunt.sweep.storage.attempts import Superseded
from exeunt.sweep.storage.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def content(store):
    path = store.trial("k").folder.path
    return {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(".")}


def test_attempts_are_numbered_and_say_whose_they_are(store):
    for _ in range(3):
        store.begin("k")
    assert list(content(store)) >= ["attempt-00001.json"]
    assert sorted(content(store)) == [f"attempt-0000{number}.json" for number in (1, 2, 3)]


def test_an_attempt_that_was_superseded_can_change_nothing(store):
    orphan = store.begin("k")
    orphan.write_history([{"epoch": 1}])
    orphan.checkpoints.write({"step": 1}, epoch=0, step=1)
    newer = store.begin("k")
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
        lambda: orphan.write_result({"state": "done"}),
    ):
        with pytest.raises(Superseded, match="attempt 1 gives way to attempt 2"):
            change()
        assert content(store) == before
    assert newer.checkpoints.latest(torch.device("cpu")) == {"step": 1}
    newer.write_result({"state": "done"})
    assert store.progress("k").state == "done"


def test_a_new_attempt_forgets_why_the_one_before_failed(store):
    store.begin("k").write_failure({"reason": "something"})
    assert store.progress("k").reason == "something"
    store.begin("k")
    assert store.progress("k").state == "waiting"

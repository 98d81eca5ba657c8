"""A training that is resumed from each state that a loss of power can leave, see `tests/store/crash_states.py`."""

import pytest
from exeunt.store import Store
from exeunt.training import train
from torch.testing import assert_close

from ..store.crash_states import recorded


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["final", "paper"])
def test_a_trial_ends_the_same_from_each_state_that_it_can_be_in(
    make_trial, tmp_path, tmp_path_factory, weights_of, protocol
):
    trial = make_trial(epochs=2, batch_size=1024, crop="none", flip=False).replace(protocol=protocol)
    whole = Store(tmp_path / "store")
    with recorded(tmp_path) as recording, whole.attempt(trial.key, driver="d") as files:
        result = train(trial, files, device="cpu", checkpoint_minutes=0)
    assert recording.require_promises() > 100
    expected = weights_of(files.directory.path)
    states = {
        frozenset(name for name in state.seen if "attempt" not in name.name): state for state in recording.states()
    }
    assert len(states) > 10
    for state in states.values():
        root = tmp_path_factory.mktemp("after")
        state.restore(root)
        store, told = Store(root / "store"), []
        was_done = store.progress(trial.key).state == "done"
        with store.attempt(trial.key, driver="d") as files:
            again = train(trial, files, device="cpu", on_epoch=told.append)
        assert not (was_done and told), "a completed trial is not trained again"
        assert again["metrics"].keys() == result["metrics"].keys()
        assert_close(weights_of(files.directory.path), expected, rtol=0, atol=0)
        assert store.progress(trial.key).state == "done"

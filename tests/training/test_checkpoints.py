import pickle

import pytest
import torch
from exeunt.training.checkpoints import deserialized, serialized

CPU = torch.device("cpu")


def test_a_state_is_read_as_it_was_written():
    state = deserialized(bytes(serialized({"at": (10, 3), "history": [{"epoch": 1}], "w": torch.arange(5)})), CPU)
    assert (state["at"], state["history"]) == ((10, 3), [{"epoch": 1}])
    assert torch.equal(state["w"], torch.arange(5))


def test_no_code_in_a_checkpoint_is_run(tmp_path):
    class Mischief:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        deserialized(bytes(serialized({"state": Mischief()})), CPU)
    assert not (tmp_path / "ran").exists()


def test_a_state_that_cannot_be_read_again_is_not_written():
    with pytest.raises(Exception, match="pickle"):
        serialized({"step": lambda: None})

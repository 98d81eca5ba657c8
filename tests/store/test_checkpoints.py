import pytest
import torch
from exeunt.store import LocalDirectory
from exeunt.store.checkpoints import Checkpoints

CPU = torch.device("cpu")


def files(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path):
    checkpoints = Checkpoints(LocalDirectory(tmp_path / "new"))
    assert checkpoints.latest(CPU) is None
    for epoch, step in [(0, 7), (1, 0), (9, 12), (10, 3)]:
        checkpoints.write({"at": (epoch, step), "weights": torch.arange(5)}, epoch=epoch, step=step)
    state = checkpoints.latest(CPU)
    assert state["at"] == (10, 3)
    assert torch.equal(state["weights"], torch.arange(5))
    assert len(files(tmp_path / "new")) == 2
    checkpoints.clear()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("damage", ["a bit", "an end", "everything"])
def test_a_damaged_one_is_told_of_and_set_aside_for_the_one_before(tmp_path, damage):
    checkpoints = Checkpoints(LocalDirectory(tmp_path))
    for step in (1, 2):
        checkpoints.write({"step": step, "weights": torch.zeros(1000)}, epoch=0, step=step)
    path = tmp_path / files(tmp_path)[-1]
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[len(content) // 2] ^= 1
    path.write_bytes({"a bit": content, "an end": content[:-1], "everything": b""}[damage])
    with pytest.warns(UserWarning, match=f"{path.name} is damaged and was renamed .*; the previous checkpoint is used"):
        assert checkpoints.latest(CPU)["step"] == 1
    assert (tmp_path / f"damaged-{path.name}").exists()
    assert checkpoints.latest(CPU)["step"] == 1


def test_no_code_in_a_checkpoint_is_run(tmp_path):
    class Mischief:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    Checkpoints(LocalDirectory(tmp_path)).write({"state": Mischief()}, epoch=0, step=1)
    with pytest.raises(Exception, match="weights_only"):
        Checkpoints(LocalDirectory(tmp_path)).latest(CPU)
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_written_whole_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(LocalDirectory(tmp_path))
    checkpoints.write({"step": 1}, epoch=0, step=1)
    with pytest.raises(Exception, match="pickle"):
        checkpoints.write({"step": lambda: None}, epoch=0, step=2)
    assert checkpoints.latest(CPU)["step"] == 1

import errno
import os

import pytest
from exeunt.store import LocalDirectory, StorageError
from exeunt.store.checkpoints import CheckpointFiles


def files(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path):
    checkpoints = CheckpointFiles(LocalDirectory(tmp_path / "new"))
    assert checkpoints.latest() is None
    for epoch, step in [(0, 7), (1, 0), (9, 12), (10, 3)]:
        checkpoints.write(memoryview(b"%d %d" % (epoch, step)), epoch=epoch, step=step)
    assert checkpoints.latest() == b"10 3"
    assert len(files(tmp_path / "new")) == 2
    checkpoints.clear()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("damage", ["a bit", "an end", "everything"])
def test_a_damaged_one_is_told_of_and_set_aside_for_the_one_before(tmp_path, damage):
    checkpoints = CheckpointFiles(LocalDirectory(tmp_path))
    for step in (1, 2):
        checkpoints.write(bytes([step]) * 1000, epoch=0, step=step)
    path = tmp_path / files(tmp_path)[-1]
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[len(content) // 2] ^= 1
    path.write_bytes({"a bit": content, "an end": content[:-1], "everything": b""}[damage])
    with pytest.warns(UserWarning, match=f"{path.name} is damaged and was renamed .*; the previous checkpoint is used"):
        assert checkpoints.latest() == b"\1" * 1000
    assert (tmp_path / f"damaged-{path.name}").exists()
    assert checkpoints.latest() == b"\1" * 1000


def test_if_all_are_damaged_training_starts_anew(tmp_path):
    checkpoints = CheckpointFiles(LocalDirectory(tmp_path))
    for step in (1, 2):
        checkpoints.write(bytes([step]), epoch=0, step=step)
    for name in files(tmp_path):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.latest() is None
    assert files(tmp_path) == []


def test_what_cannot_be_written_whole_leaves_the_one_before(tmp_path, monkeypatch):
    checkpoints = CheckpointFiles(LocalDirectory(tmp_path))
    checkpoints.write(b"1", epoch=0, step=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(StorageError, match="cannot be written: No space left on device"):
            checkpoints.write(b"2", epoch=0, step=2)
    assert checkpoints.latest() == b"1"
    assert len(list(tmp_path.iterdir())) == 1

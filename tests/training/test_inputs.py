"""Teachers and results of a trial: used only if they are what they were."""

from dataclasses import replace

import pytest
import torch
from exeunt.losses import KD
from exeunt.models import ArchitectureSpec
from exeunt.specs import SpecError
from exeunt.store import Store, TrialFiles, digest
from exeunt.training import TrialSpec, train
from exeunt.training.checkpoints import serialized
from exeunt.training.student import build_student
from exeunt.training.trial import TrainedWeights
from torch.testing import assert_close


@pytest.fixture(scope="module")
def taught(make_trial) -> TrialSpec:
    """Trial of a student."""
    return make_trial(KD(), seed=3, epochs=2, batch_size=512, teacher=make_trial(seed=1, epochs=1))


@pytest.fixture(scope="module")
def teachers(taught, tmp_path_factory):
    """Two files with weights of the teacher's network, which differ."""
    folder = tmp_path_factory.mktemp("teachers")
    paths = [folder / "first.pt", folder / "second.pt"]
    for seed, path in enumerate(paths):
        path.write_bytes(serialized(build_student(replace(taught.teacher, seed=seed)).state_dict()))
    return paths


def stop_after(epoch, told=None):
    """Return a function that notes each epoch and stops the training after one of them."""

    def on_epoch(record):
        if told is not None:
            told.append(record["epoch"])
        if record["epoch"] == epoch:
            raise InterruptedError

    return on_epoch


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_student_of_other_weights_is_refused_with_file_and_digests(taught, teachers, tmp_path):
    first, second = teachers
    right, wrong = digest(first.read_bytes()), digest(second.read_bytes())
    with pytest.raises(SpecError) as refusal:
        train(taught, TrialFiles(tmp_path / "student"), teacher=second, teacher_sha256=right, device="cpu")
    assert str(refusal.value).startswith(f"{second} has changed: its SHA-256 is {wrong}, but was {right}.")
    assert "`exeunt verify`" in str(refusal.value)
    assert refusal.value.field == "teacher"
    assert not (tmp_path / "student").exists(), "nothing of it is in the store"


def test_a_student_of_a_weights_file_is_refused_if_the_file_has_another_digest_than_the_spec(
    taught, teachers, tmp_path
):
    first, second = teachers
    weights = TrainedWeights(architecture=ArchitectureSpec(name="resnet8"), sha256=digest(first.read_bytes()))
    trial = replace(taught, teacher=weights)
    with pytest.raises(SpecError, match=rf"^{second} has changed: its SHA-256 is [0-9a-f]+, but was {weights.sha256}"):
        train(trial, TrialFiles(tmp_path), teacher=second, device="cpu")
    assert train(trial, TrialFiles(tmp_path), teacher=first, device="cpu")["teacher"] == weights.sha256


@pytest.mark.slow
def test_a_result_records_the_weights_that_taught_it(taught, teachers, make_trial, tmp_path):
    for path in teachers:
        files = TrialFiles(tmp_path / path.stem)
        found = digest(path.read_bytes())
        result = train(taught, files, teacher=path, teacher_sha256=found, device="cpu")
        assert result["teacher"] == found
        assert files.result() == result
    alone = train(make_trial(epochs=1), TrialFiles(tmp_path / "alone"), device="cpu")
    assert "teacher" not in alone


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["final", "paper"])
def test_a_checkpoint_made_with_another_teacher_is_not_resumed(taught, teachers, tmp_path, weights_of, protocol):
    """The checkpoints of the first teacher are newer, but must neither be read nor displace those of the second."""
    first, second = teachers
    trial = replace(taught, protocol=protocol, recipe=replace(taught.recipe, epochs=3))
    options = {"device": "cpu", "teacher": second}
    train(trial, TrialFiles(tmp_path / "whole"), **options)
    files, told = TrialFiles(tmp_path / "retrained"), []
    with pytest.raises(InterruptedError):
        train(trial, files, device="cpu", teacher=first, on_epoch=stop_after(2))
    for epoch in (1, 2):
        with pytest.raises(InterruptedError):
            train(trial, files, on_epoch=stop_after(epoch, told), **options)
        assert len(files.history()) == epoch
    train(trial, files, on_epoch=stop_after(None, told), **options)
    assert told == [1, 2, 3], "each epoch is trained once with the second teacher"
    assert_close(weights_of(tmp_path / "retrained"), weights_of(tmp_path / "whole"), rtol=0, atol=0)


def test_weights_of_another_teacher_are_not_kept_if_the_training_diverges(taught, teachers, tmp_path):
    """The protocol of the papers keeps the weights of the best epoch in the file."""
    trial = replace(taught, protocol="paper")
    files = TrialFiles(tmp_path / "student")
    with pytest.raises(InterruptedError):
        train(trial, files, device="cpu", teacher=teachers[0], on_epoch=stop_after(1))
    before = files.weights()
    broken = {
        name: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor
        for name, tensor in torch.load(teachers[1], weights_only=True).items()
    }
    (tmp_path / "broken.pt").write_bytes(serialized(broken))
    result = train(trial, files, device="cpu", teacher=tmp_path / "broken.pt")
    assert result["state"] == "diverged"
    assert files.weights() != before
    assert result["weights"] == digest(files.weights())


def test_an_existing_result_is_returned_and_nothing_is_written(make_trial, tmp_path):
    store, trial = Store(tmp_path), make_trial(epochs=1)
    with store.attempt(trial.key, driver="first") as files:
        result = train(trial, files, device="cpu")
    before = contents(files.directory.path)
    with store.attempt(trial.key, driver="second") as files:
        assert train(trial, files, device="cpu", on_epoch=lambda _: pytest.fail("it trains")) == result
    after = contents(files.directory.path)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"attempt-00002.json"}


@pytest.mark.parametrize("damage", [b'{"state": "do', b"{}", "another trial's"])
def test_a_damaged_result_is_set_aside_and_trained_again(make_trial, tmp_path, damage):
    store, trial = Store(tmp_path), make_trial(epochs=1)
    with store.attempt(trial.key, driver="d") as files:
        result = train(trial, files, device="cpu")
    weights = files.weights()
    if damage == "another trial's":
        other = make_trial(epochs=1, seed=1)
        damage = (files.directory.read("result.json") or b"").replace(trial.key.encode(), other.key.encode())
    files.directory.write("result.json", damage)
    assert store.progress(trial.key).state == "failed"
    with store.attempt(trial.key, driver="d") as files:
        again = train(trial, files, device="cpu")
    assert store.progress(trial.key).result == again
    assert {**again["metrics"]} == {**result["metrics"]}
    assert files.weights() == weights
    assert files.directory.read("damaged-result.json") == damage

"""Images of an evaluation: where they are, in which batches, and after which epochs they are evaluated."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exeunt.losses import KD
from exeunt.store import TrialFiles
from exeunt.training import DataSource, build_student, datasets, train
from exeunt.training.batches import EvaluationBatches
from exeunt.training.checkpoints import serialized
from exeunt.training.data import Images
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import SourceWeights, build_teacher

from ..fake_cuda import DEVICE, fake_cuda

CPU = torch.device("cpu")


def images(count, size=8):
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 1, size, size).contiguous()
    return Images(pixels=pixels, labels=torch.arange(count) % 10)


def facts(size=8):
    return replace(datasets["digits"], image_shape=(1, size, size), mean=(0.0,), std=(1.0,))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [2, 7, 200])
def test_each_image_is_in_one_batch_of_one_process_with_its_label(processes, count, monkeypatch):
    monkeypatch.setattr("exeunt.training.batches.MAXIMUM_BATCH", 50)
    found, sizes = [], set()
    for rank in range(processes):
        group = ProcessGroup(rank=rank, count=processes)
        for inputs, labels in EvaluationBatches(images(count), facts(), CPU, group):
            numbers = (inputs[:, 0, 0, 0] * 255).round().long()
            assert labels.tolist() == (numbers % 10).tolist()
            found += numbers.tolist()
            sizes.add(len(labels))
    assert sorted(found) == list(range(count))
    assert max(sizes) <= 50
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("size", "most"), [(8, 1024), (32, 1024), (64, 256), (224, 256)])
def test_large_images_are_evaluated_in_smaller_batches(size, most):
    batches = EvaluationBatches(images(1), facts(size), CPU, ProcessGroup())
    assert batches._number_of_batches(2049) == -(-2049 // most)


def test_images_are_copied_to_the_gpu_once():
    with fake_cuda() as gpu:
        batches = EvaluationBatches(images(100), facts(), DEVICE, ProcessGroup())
        list(batches)
        assert [copy.shape for copy in gpu.uploads if len(copy.shape) == 4] == [(100, 1, 8, 8)]
        gpu.forget()
        list(batches)
        assert gpu.blocking == []
        assert [copy.shape for copy in gpu.uploads] == [(800,)]  # the order, as bytes


@pytest.mark.parametrize("protocol", ["final", "paper"])
@pytest.mark.slow
def test_only_some_epochs_are_evaluated_and_the_last_one_always(make_trial, tmp_path, weights_of, protocol):
    trial = replace(make_trial(epochs=3, batch_size=700), validation=0.1, protocol=protocol)
    rarely = replace(trial, recipe=replace(trial.recipe, evaluate_every=2))
    assert rarely.key != trial.key
    results = [
        train(each, TrialFiles(tmp_path / name), device="cpu") for name, each in (("all", trial), ("some", rarely))
    ]
    history = [TrialFiles(tmp_path / name).history() for name in ("all", "some")]
    for split in ["validation"] + ["test_by_epoch"] * (protocol == "paper"):
        evaluated = {
            record["epoch"]: record[f"{split}/final/top1"] for record in history[1] if f"{split}/final/top1" in record
        }
        assert evaluated == {record["epoch"]: record[f"{split}/final/top1"] for record in history[0][1:]}
    if protocol == "paper":
        assert results[1]["metrics"]["test/final/top1"] == max(evaluated.values())
    else:
        torch.testing.assert_close(weights_of(tmp_path / "some"), weights_of(tmp_path / "all"), rtol=0, atol=0)
    assert "reliability" in results[1]


def test_without_images_to_evaluate_during_training_it_is_the_same_trial(make_trial):
    assert make_trial(evaluate_every=5).key == make_trial().key


def test_a_teacher_in_bf16_answers_as_autocast_would(make_trial):
    """The weights of its convolutions are converted once, not in each step."""
    trial = make_trial(KD(), teacher=make_trial(seed=1), precision="bf16")
    content = bytes(serialized(build_student(trial.teacher).state_dict()))
    weights = SourceWeights(path=Path("teacher.pt"), content=content, sha256="")
    found = TrainingLoop(trial, CPU, weights, DataSource(), ProcessGroup())._objective._teacher[0]
    plain = build_teacher(trial, weights).to(memory_format=torch.channels_last).eval()
    inputs = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(found(inputs).logits, plain(inputs).logits, rtol=0, atol=0)
    kinds = {type(module).__name__: module.weight.dtype for module in found.modules() if hasattr(module, "weight")}
    assert kinds == {"Conv2d": torch.bfloat16, "BatchNorm2d": torch.float32, "Classifier": torch.float32}

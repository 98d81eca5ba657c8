"""Training on a GPU: from spec to result, resumed, diverged, out of memory, and with the weights of a CPU."""

import copy
import itertools

import pytest
import torch
from exeunt.losses import EED, Baseline
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import DataSource, OutOfMemoryError, TrainingInterrupted, train
from exeunt.training.checkpoints import deserialized
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.step import TrainingStep
from torch.testing import assert_close

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-3, "atol": 1e-4}
"""Tolerance of weights after a few steps; algorithms of a GPU add in another order."""


def loop_of(trial, device):
    return TrainingLoop(trial, device, None, DataSource(), ProcessGroup())


def weights_after(trial, device, steps=3):
    loop = loop_of(trial, device)
    for _ in itertools.islice(loop.train_epoch(), steps):
        pass
    return {name: weight.cpu() for name, weight in loop.trained_network.state_dict().items()}


def interrupted_after(steps):
    """Return a function that stops training after this number of steps."""
    numbers = itertools.count(1)
    return lambda: next(numbers) == steps


def test_a_network_trains_to_its_result(device, make_trial, tmp_path):
    trial = make_trial(precision="auto", epochs=3, learning_rate=0.05)
    result = train(trial, TrialFiles(tmp_path), device=device.type)
    assert result["state"] == "done"
    assert result["metrics"]["test/final/top1"] > 15
    assert result["metrics"]["train/final/nll"] < TrialFiles(tmp_path).history()[0]["train/final/nll"]


def test_an_interrupted_training_resumes(device, make_trial, tmp_path):
    trial = make_trial(ema_decay=0.5, gradient_clip=1.0)
    train(trial, TrialFiles(tmp_path / "straight"), device=device.type)
    files = TrialFiles(tmp_path / "resumed")
    with pytest.raises(TrainingInterrupted, match="stopped in epoch 2 after step 2"):
        train(trial, files, device=device.type, stop=interrupted_after(6))
    assert train(trial, files, device=device.type)["state"] == "done"
    found, expected = (
        torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("resumed", "straight")
    )
    assert_close(found, expected, **(CLOSE if device.type == "cuda" else {"rtol": 0, "atol": 0}))


def test_a_checkpoint_is_resumed_on_the_cpu(device, make_trial, tmp_path):
    trial, files = make_trial(), TrialFiles(tmp_path)
    with pytest.raises(TrainingInterrupted):
        train(trial, files, device=device.type, stop=interrupted_after(5))
    network = deserialized(files.checkpoints.latest(), CPU)["network"]
    assert {tensor.device for tensor in network.values()} == {CPU}
    assert train(trial, files, device="cpu")["state"] == "done"


def test_too_little_memory_is_reported_with_a_remedy(device, make_trial, tmp_path, monkeypatch):
    real = TrainingStep.forward

    def forward(self, batch, *others):
        torch.empty(2**50, dtype=torch.uint8, device=batch.inputs.device)
        return real(self, batch, *others)

    monkeypatch.setattr(TrainingStep, "forward", forward)
    with pytest.raises(OutOfMemoryError, match="Set `accumulation: 2`"):
        train(make_trial(), TrialFiles(tmp_path), device=device.type)


def test_a_divergence_is_a_result(device, make_trial, tmp_path):
    result = train(make_trial(learning_rate=1e30, epochs=1), TrialFiles(tmp_path), device=device.type)
    assert result["state"] == "diverged"
    assert result["reason"].startswith("epoch 1, step ")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True, map_location="cpu")
    assert all(weight.isfinite().all() for name, weight in weights.items() if "running" not in name)


@pytest.mark.parametrize(
    "recipe",
    [
        {"nesterov": True},
        {"optimizer": "adamw", "learning_rate": 1e-4},
        {"ema_decay": 0.5, "gradient_clip": 1.0},
        {"accumulation": 2, "mixup": 0.4, "cutmix": 0.4},
        {"policy": "trivial_augment", "cutout": 8},
    ],
    ids=["nesterov", "adamw", "average and clipping", "parts and mixing", "policy"],
)
def test_weights_after_some_steps_are_those_of_the_cpu(device, make_trial, recipe):
    trial = make_trial(EED(output_loss="kl"), **recipe)
    assert_close(weights_after(trial, device), weights_after(trial, CPU), **CLOSE)


def test_a_copy_of_a_network_trains_on_the_device(device, make_trial):
    network = loop_of(make_trial(Baseline()), device).trained_network
    copied = copy.deepcopy(network)
    inputs = torch.randn(4, 3, 32, 32, device=device)
    assert_close(copied.eval()(inputs).logits, network.eval()(inputs).logits, rtol=0, atol=0)
    torch.stack(copied(inputs).logits).sum().backward()
    assert all(weight.grad is not None and weight.grad.device == weight.device for weight in copied.parameters())
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize("recipe", [{}, {"precision": "auto", "optimizer": "adamw", "policy": "auto_augment"}])
def test_no_step_waits_for_the_device(device, make_trial, without_waits, recipe):
    loop = loop_of(make_trial(**recipe), device)
    for _ in loop.train_epoch():
        pass
    loop.finish_epoch()
    steps = loop.train_epoch()
    for _ in range(3):
        with without_waits():
            next(steps)


def test_a_device_that_is_absent_is_refused(make_trial, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SpecError, match="PyTorch finds no CUDA GPU"):
        train(make_trial(), TrialFiles(tmp_path), device="cuda")

"""Training on the stand-in for a GPU: no step waits, blocks or mixes devices, and few kernels are launched."""

import pytest
import torch
from exeunt.losses import EED, methods
from exeunt.training import DataSource, build_student, epoch_metrics
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import TeacherWeights

from ..fake_cuda import DEVICE, FakeGpu, fake_cuda


def second_step(trial, teacher=None) -> FakeGpu:
    """Return what the stand-in saw in the second step of a trial; the first one allocates."""
    weights = None if trial.teacher is None else TeacherWeights.read(teacher)
    with fake_cuda() as gpu:
        steps = TrainingLoop(trial, DEVICE, weights, DataSource(), ProcessGroup()).train_epoch()
        next(steps)
        gpu.forget()
        next(steps)
    return gpu


def trial_of(name, make_trial, folder, **recipe):
    """Return a trial of a method, and the file with its teacher's weights if it has one."""
    method = methods[name]()
    teacher = make_trial() if method.teacher != "ignored" else None
    if teacher is not None:
        torch.save(build_student(teacher).state_dict(), folder / "weights.pt")
    exits = "none" if method.exits == "ignored" else "all"
    return make_trial(method, exits=exits, teacher=teacher, precision="auto", **recipe), folder / "weights.pt"


@pytest.mark.parametrize("name", list(methods))
def test_a_step_of_each_method_blocks_nowhere(make_trial, tmp_path, name):
    assert not second_step(*trial_of(name, make_trial, tmp_path)).blocking


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adamw", "ema_decay": 0.9, "gradient_clip": 1.0},
        {"mixup": 0.3, "cutmix": 0.3, "accumulation": 2},
        {"policy": "trivial_augment", "cutout": 2},
        {"policy": "auto_augment", "crop": "resized"},
        {"decay_norms": False, "weight_decay": 1e-4, "precision": "fp32"},
    ],
    ids=" ".join,
)
def test_a_step_of_each_recipe_blocks_nowhere(make_trial, recipe):
    assert not second_step(make_trial(EED(), exits="all", **{"precision": "auto", **recipe})).blocking


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "densenet40", "msdnet", "shufflenet_v2"])
@pytest.mark.slow
def test_a_step_of_each_family_blocks_nowhere(make_trial, architecture):
    assert not second_step(make_trial(EED(), exits="all", architecture=architecture, precision="auto")).blocking


def planted(monkeypatch, owner, name, before):
    """Run `before(*arguments)` ahead of each call of a function of the product."""
    real = getattr(owner, name)

    def with_fault(*arguments, **settings):
        before(*arguments)
        return real(*arguments, **settings)

    monkeypatch.setattr(owner, name, with_fault)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda _metrics, _batch, logits: logits[-1].sum().item(), "_local_scalar_dense"),
        (lambda _metrics, _batch, logits: logits[-1] + torch.zeros(logits[-1].shape), "add"),
        (lambda _metrics, _batch, logits: logits[-1][logits[-1] > 0], "index by a mask"),
        (lambda _metrics, batch, _logits: torch.ones(len(batch.numbers)).to(DEVICE), "pageable"),
        (lambda _metrics, _batch, logits: logits[-1].cpu(), "blocking"),
    ],
    ids=["item", "devices", "mask", "upload", "download"],
)
def test_the_stand_in_finds_a_planted_fault(make_trial, monkeypatch, fault, found):
    planted(monkeypatch, epoch_metrics.EpochMetrics, "add_outputs", fault)
    events = second_step(make_trial(EED(), exits="all", precision="auto")).blocking
    assert [event.what for event in events] == [found]
    assert "test_on_gpu.py" in events[0].place


def test_weights_after_some_steps_are_those_of_a_cpu(make_trial):
    trial = make_trial(EED(), exits="all", momentum=0.9, precision="fp32")

    def weights(device):
        loop = TrainingLoop(trial, device, None, DataSource(), ProcessGroup())
        steps = loop.train_epoch()
        for _ in range(3):
            next(steps)
        return {name: getattr(weight, "held", weight) for name, weight in loop.state()["network"].items()}

    with fake_cuda():
        found = weights(DEVICE)
    torch.testing.assert_close(found, weights(torch.device("cpu")), rtol=0, atol=0)

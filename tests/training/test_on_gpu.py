"""Training on the stand-in for a GPU: no step waits, blocks or mixes devices, and few kernels are launched."""

import functools

import pytest
import torch
from exeunt.losses import EED, methods
from exeunt.training import DatasetSpec, DataSource, build_student, datasets, epoch_metrics, evaluation
from exeunt.training.data import streamed as streamed_images
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import SourceWeights

from .. import noise
from ..fake_cuda import DEVICE, FakeGpu, fake_cuda

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")


def second_step(trial, teacher=None, *, workers=None) -> FakeGpu:
    """Return what the stand-in saw in the second step of a trial; the first one allocates."""
    weights = None if trial.teacher is None else SourceWeights.read(teacher)
    with fake_cuda() as gpu:
        loop = TrainingLoop(trial, DEVICE, weights, DataSource(workers=workers), ProcessGroup.current())
        steps = loop.train_epoch()
        next(steps)
        gpu.forget()
        next(steps)
    steps.close()  # workers that decode images would not end while the stand-in is active
    return gpu


def trial_of(name, make_trial, folder, **recipe):
    """Return a trial of a method, and the file with its teacher's weights if it has one."""
    method = methods[name]()
    teacher = make_trial() if method.teacher != "ignored" else None
    if teacher is not None:
        torch.save(build_student(teacher).state_dict(), folder / "weights.pt")
    exits = "none" if method.exits == "ignored" else "all"
    trial = make_trial(method, exits=exits, teacher=teacher, **{"precision": "auto", "batch_size": 32, **recipe})
    return trial, folder / "weights.pt"


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
        {"mixup": 0.3, "accumulation": 2},
        {"cutmix": 0.3, "schedule": "cosine"},
    ],
    ids=" ".join,
)
def test_a_step_of_each_recipe_blocks_nowhere(make_trial, recipe):
    assert not second_step(make_trial(EED(), exits="all", **{"precision": "auto", "batch_size": 32, **recipe})).blocking


@pytest.fixture
def on_noise(make_trial):
    """Function that returns a trial on images of 32x32 pixels.

    Images of 8x8 pixels would have feature maps of one pixel. With bf16 on a CPU, oneDNN then leaves parts of the
    gradient of a 3x3 convolution uninitialised (torch 2.15).
    """
    noise.register()

    def trial(architecture, method):
        trial = make_trial(method, exits="all", architecture=architecture, precision="auto", batch_size=32)
        return trial.replace(dataset=DatasetSpec(name="noise@2%"))

    yield trial
    datasets.unregister("noise")


@pytest.mark.parametrize(
    "architecture",
    [
        *("mobilenet_v2", "densenet40_12", "msdnet", "shufflenet_v2", "vgg8", "wrn_16_1"),
        *(
            pytest.param(name, marks=pytest.mark.nightly)
            for name in ("preact_resnet18", "resnext29_8x64d", "seresnet18", "shufflenet_v1")
        ),
    ],
)
@pytest.mark.slow
def test_a_step_of_each_family_blocks_nowhere(on_noise, architecture):
    assert not second_step(on_noise(architecture, EED(ramp_up=0.5))).blocking


@pytest.fixture
def streamed(make_trial, tmp_path, write_picture):
    """Function that returns a trial on images that are streamed from their files."""
    for number in range(24):
        split, name = ("train", "test")[number % 2], ("ant", "bee")[number // 2 % 2]
        write_picture(tmp_path / split / name / f"{number}.jpg", 100, 120)

    def trial(**recipe):
        trial = make_trial(EED(), exits="all", precision="auto", batch_size=4, **recipe)
        return trial.replace(dataset=DatasetSpec(name=f"folder:{tmp_path}"))

    return trial


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("crop", ["none", "resized"])
@pytest.mark.slow
def test_a_step_of_streamed_images_blocks_nowhere(streamed, workers, crop):
    gpu = second_step(streamed(crop=crop), workers=workers)
    assert not gpu.blocking
    assert [upload.what for upload in gpu.uploads] == ["pinned"]


def pageable(loader, *arguments, **settings):
    return loader(*arguments, **{**settings, "pin_memory": False})


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.slow
def test_the_stand_in_finds_a_planted_fault_in_streamed_images(streamed, monkeypatch, workers):
    monkeypatch.setattr(streamed_images, "DataLoader", functools.partial(pageable, streamed_images.DataLoader))
    events = second_step(streamed(), workers=workers).blocking
    assert [event.what for event in events] == ["pageable"]
    assert events[0].place.startswith("training/data/streamed.py")


@pytest.mark.parametrize(("architecture", "most"), [("resnet20", 330), ("resnet18", 360)])
@pytest.mark.slow
def test_a_step_launches_few_kernels(on_noise, architecture, most):
    gpu = second_step(on_noise(architecture, EED()))
    assert gpu.launches.total() <= most, gpu.launches
    assert gpu.uploads == []  # those of the first steps were made together


@pytest.mark.parametrize(
    "recipe",
    [
        {"ema_decay": 0.9, "gradient_clip": 1.0, "schedule": "one_cycle"},
        {"optimizer": "adamw", "accumulation": 2, "mixup": 0.3, "cutmix": 0.3},
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_everything_that_a_step_changes_stays_in_its_place(make_trial, recipe):
    """A step that is captured as a CUDA graph always reads and writes the same memory."""
    with fake_cuda():
        trial = make_trial(EED(ramp_up=0.5), exits="all", batch_size=32, **recipe)
        loop = TrainingLoop(trial, DEVICE, None, DataSource(), ProcessGroup())
        updates, watch, metrics = loop._updates, loop._watch, loop._totals
        optimizer_step, places = updates._optimizer.step, []

        def step():
            gradients = [weight.grad for weight in updates._weights if weight.grad is not None]
            optimizer_step()
            tensors = {
                "weights": [*loop._network.state_dict().values(), *loop._loss.state_dict().values()],
                "gradients": gradients,
                "optimiser": [value for state in updates._optimizer.state.values() for value in state.values()],
                "learning rate": [group["lr"] for group in updates._optimizer.param_groups],
                "average": [] if updates.average is None else list(updates.average.network.state_dict().values()),
                "not finite": [watch.broken, watch._values, watch._broken_steps, watch._broken_on_host],
                "metrics": list(metrics._metrics.sums.values()),
                "progress": [loop._progress],
            }
            places.append({name: [tensor.data_ptr() for tensor in group] for name, group in tensors.items()})

        updates._optimizer.step = step
        steps = loop.train_epoch()
        sums = []
        for _ in range(4):
            next(steps)
            sums.append([total.data_ptr() for total in metrics._sums.values()])
    assert places[1] == places[2] == places[3]
    assert sums[0] == sums[1] == sums[2] == sums[3]
    assert all(places[1][name] for name in places[1] if name != "average")
    assert bool(places[1]["average"]) == ("ema_decay" in recipe)


@pytest.mark.parametrize("name", ["eed", "dml"])
def test_logits_are_float32_in_training_and_evaluation(make_trial, tmp_path, monkeypatch, name):
    seen = []
    planted(monkeypatch, evaluation.ExitMetrics, "add", lambda _metrics, logits, _labels: seen.extend(logits))
    trial, _ = trial_of(name, make_trial, tmp_path, batch_size=719, epochs=1)
    with fake_cuda():
        loop = TrainingLoop(trial, DEVICE, None, DataSource(), ProcessGroup())
        assert loop.precision == "bf16"
        for _ in loop.train_epoch():
            pass
        loop.finish_epoch()
    assert len(seen) == 2 * trial.exit_count  # the training images at once, then the test images
    assert {logits.dtype for logits in seen} == {torch.float32}
    # A number that bf16 can hold has zeros in the lower half of its bits.
    assert all(bool((logits.held.detach().view(torch.int32) & 0xFFFF).any()) for logits in seen)


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
    events = second_step(make_trial(EED(), exits="all", precision="auto", batch_size=32)).blocking
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

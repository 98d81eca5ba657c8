"""Datasets, augmentations, optimisers and schedules of plugins."""

import pytest
import torch
from exeunt.losses import Baseline
from exeunt.models import ArchitectureSpec
from exeunt.specs import SpecError
from exeunt.store import Plugin, TrialFiles
from exeunt.training import DatasetSpec, Recipe, TrialSpec, policies, train
from exeunt.training.augmentation import Augmentation
from exeunt.training.plugins import use

SOURCE = """
import torch
from exeunt.training import Dataset, Images, datasets, register_augmentation, register_optimizer, register_schedule

def load(source):
    labels = torch.arange(80) % 2
    pixels = (labels * 200).to(torch.uint8)[:, None, None, None].repeat(1, 1, 8, 8)
    return Images(pixels=pixels, labels=labels), Images(pixels=pixels, labels=labels)

FACTS = dict(description="black or bright", image_shape=(1, 8, 8), classes=2, mean=(0.4,), std=(0.4,))
datasets.register("halves")(Dataset(**FACTS, load=load))

@register_augmentation("dim", numbers=2)
def dim(pixels, numbers):
    assert numbers.shape == (len(pixels), 2)
    return (pixels * numbers[:, :1, None, None]).to(torch.uint8)

@register_augmentation("wrong", numbers=1)
def wrong(pixels, numbers):
    return pixels / 255

@register_optimizer("plain", unread=["momentum", "nesterov"])
def plain(groups, recipe):
    return torch.optim.SGD(groups, lr=0.0)

@register_schedule("flat")
def flat(recipe, step, steps_per_epoch):
    return recipe.learning_rate
"""
PLUGIN = Plugin(name="parts.py", source=SOURCE)


@pytest.fixture(autouse=True)
def _plugin():
    use([PLUGIN])
    yield
    use([])


def trial(dataset="halves", **recipe):
    settings = {"epochs": 2, "batch_size": 40, "crop": "none", "flip": False, "precision": "fp32"} | recipe
    return TrialSpec(
        dataset=DatasetSpec(name=dataset),
        architecture=ArchitectureSpec(name="resnet8"),
        method=Baseline(),
        recipe=Recipe(**settings),
        seed=0,
    )


def test_a_trial_with_all_of_them_is_trained(tmp_path):
    result = train(
        trial(policy="dim", optimizer="plain", schedule="flat", learning_rate=0.05), TrialFiles(tmp_path), device="cpu"
    )
    assert result["state"] == "done"


@pytest.mark.parametrize("dataset", ["halves@50%", "halves"])
def test_part_of_a_dataset_is_one_too(tmp_path, dataset):
    assert train(trial(dataset), TrialFiles(tmp_path), device="cpu")["state"] == "done"


def test_an_optimiser_of_pytorch_that_is_not_fused_gives_the_same(tmp_path, weights_of):
    for name, optimizer in (("ours", "sgd"), ("theirs", "plain")):
        settings = {"optimizer": optimizer, "schedule": "cosine", "momentum": 0.0, "weight_decay": 0.0}
        train(trial("digits", epochs=1, **settings), TrialFiles(tmp_path / name), device="cpu")
    theirs = weights_of(tmp_path / "theirs")
    for name, weight in weights_of(tmp_path / "ours").items():
        torch.testing.assert_close(weight, theirs[name])


def test_a_step_that_is_not_finite_changes_nothing(tmp_path):
    result = train(trial("digits", optimizer="plain", learning_rate=1e30), TrialFiles(tmp_path), device="cpu")
    assert result["state"] == "diverged"


@pytest.mark.parametrize(
    "one",
    [{"optimizer": "plain"}, {"schedule": "flat"}, {"policy": "dim"}, {}],
)
def test_the_file_is_part_of_the_key_of_trials_that_use_it(one):
    dataset = "digits" if one else "halves@50%"
    assert trial(dataset, **one).plugins == (PLUGIN.sha256,)
    assert trial("digits").plugins == ()


def test_fields_without_effect_make_no_other_trial():
    assert trial("digits", optimizer="plain", momentum=0.5).key == trial("digits", optimizer="plain").key
    assert trial("digits", schedule="flat", decay=0.5).key == trial("digits", schedule="flat").key
    assert trial("digits", schedule="flat", warmup_epochs=1.0).key != trial("digits", schedule="flat").key


def test_the_random_numbers_are_those_of_the_image_also_in_a_part_of_the_batch():
    augmentation = Augmentation(policy="dim")
    draws = augmentation.draw(6, (1, 8, 8), torch.Generator().manual_seed(0))
    part = draws.part(2, 4)
    assert torch.equal(part.numbers, draws.numbers[2:4])
    assert policies["dim"].numbers == draws.numbers.shape[1]


@pytest.mark.parametrize("settings", [{"optimizer": "plainn"}, {"schedule": "flt"}, {"policy": "dimm"}])
def test_an_unknown_name_is_refused_with_the_nearest(settings):
    with pytest.raises(SpecError, match=r"unknown .*; the nearest is '(plain|flat|dim)'"):
        trial("digits", **settings)


def test_an_augmentation_that_returns_something_else_is_one_message(tmp_path):
    with pytest.raises(SpecError, match=r"policy wrong: it must return pixels \(40, 1, 8, 8\) torch.uint8, but got"):
        train(trial("halves", policy="wrong"), TrialFiles(tmp_path), device="cpu")

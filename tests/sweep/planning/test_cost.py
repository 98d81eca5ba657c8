import re

import pytest
from exeunt.losses import CSKD, DML, EED, KD, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec, multiply_adds
from exeunt.sweep.planning.cost import TRAINING_IMAGES, Costs
from exeunt.training import DatasetSpec, Recipe, TrialSpec, datasets
from exeunt.training.data import DataSource
from exeunt.training.student import build_student


def trial(method=None, *, architecture="resnet8", exits="none", head="conv", dataset="digits", epochs=7, **fields):
    return TrialSpec(
        dataset=DatasetSpec(name=dataset),
        architecture=ArchitectureSpec(name=architecture),
        method=method or Baseline(),
        exits=ExitSpec(placement=exits, head=head),
        recipe=Recipe(epochs=epochs),
        **fields,
    )


@pytest.mark.parametrize(
    "network",
    [
        trial(),
        trial(EED(), exits="all"),
        trial(EED(), exits="1", head="mlp", dataset="cifar10"),
        trial(EED(), exits="block2,50%", head="bottleneck", architecture="preact_resnet18", dataset="cifar100"),
        trial(EED(), exits="all", architecture="densenet40_12", dataset="stl10"),
        trial(EED(), exits="2,1", head="linear", architecture="msdnet", dataset="cifar10"),
        trial(DML(networks=3), architecture="resnet14"),
    ],
    ids=lambda network: f"{network.architecture.name}, {network.method.name}",
)
def test_a_networks_multiply_adds_are_those_of_the_network_when_it_is_built(network):
    costs = Costs()
    built = multiply_adds(build_student(network), (1, *network.dataset_facts.image_shape))
    assert costs.forward(network) == costs.forward(network) == built


def test_a_step_costs_three_passes_and_what_the_teacher_and_the_pairs_add():
    costs = Costs()
    small, large = costs.forward(trial()), costs.forward(trial(architecture="resnet20"))
    teacher = trial(architecture="resnet20")
    assert costs.training(trial()) == 3 * small * 1438 * 7
    assert costs.training(trial(CSKD())) == 4 * small * 1438 * 7
    assert costs.training(trial(KD(), teacher=teacher)) == (3 * small + large) * 1438 * 7
    assert costs.until_done(trial(KD(), teacher=teacher)) == (3 * small + large + 3 * large) * 1438 * 7
    assert costs.training(trial(validation=0.5)) == costs.training(trial()) / 2


def test_a_share_of_the_images_costs_that_share():
    costs = Costs()
    assert costs.training(trial(dataset="digits@25%")) == costs.training(trial()) / 4


def test_the_training_images_are_those_that_each_data_sets_description_counts():
    for name in datasets:
        said = datasets[name].description
        numbers = [int(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]*\b", said)]
        match name:
            case "digits":
                expected = len(datasets[name].load(DataSource())[0])
            case "tiny_imagenet" | "imagenet":  # their descriptions give the test images separately
                expected = {"tiny_imagenet": numbers[0], "imagenet": TRAINING_IMAGES[name]}[name]
                assert name != "imagenet" or round(expected / 1e6, 2) == 1.28
            case _:
                expected = numbers[0] - numbers[1]
        assert TRAINING_IMAGES[name] == expected


def test_the_images_of_ones_own_folder_are_counted(tmp_path):
    import torch
    from torchvision.io import write_png

    for split in ("train", "test"):
        for number, name in enumerate("ab", start=2):
            (tmp_path / split / name).mkdir(parents=True)
            for image in range(number):
                write_png(torch.zeros(3, 8, 8, dtype=torch.uint8), str(tmp_path / split / name / f"{image}.png"))
    assert Costs().images(trial(dataset=f"folder:{tmp_path}")) == 5

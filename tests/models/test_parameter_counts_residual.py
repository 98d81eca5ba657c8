import itertools
from typing import NamedTuple

import pytest
import torch
import torchvision
from exeunt.models import architectures, parameters


def count(architecture, classes):
    with torch.device("meta"):
        return parameters(architectures[architecture](channels=3, classes=classes))


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet8x4", 1_233_540),
        ("resnet32x4", 7_433_860),
        ("preact_resnet18", 11_218_340),
        ("preact_resnet50", 23_697_572),
        ("wrn_16_1", 180_916),
        ("wrn_16_2", 703_284),
        ("wrn_40_1", 569_780),
        ("wrn_40_2", 2_255_156),
        ("wrn_28_10", 36_536_884),
        ("resnext29_8x64d", 34_518_948),
        ("resnext50_32x4d", 23_177_124),
        ("resnext101_32x4d", 42_325_924),
        ("vgg8", 3_965_028),
        ("vgg11", 9_277_284),
        ("vgg13", 9_462_180),
        ("vgg16", 14_774_436),
        ("vgg19", 20_086_692),
        ("seresnet18", 11_309_212),
        ("seresnet50", 26_236_244),
    ],
)
def test_parameters_for_100_classes(architecture, expected):
    assert count(architecture, 100) == expected


class Published(NamedTuple):
    architecture: str
    figure: str
    """Figure as printed: `36.5M`, or all digits."""
    classes: int
    source: str
    more: int = 0
    """Parameters of the published network that this one does not have; negative if this one has more."""


WIDE = "Zagoruyko, Komodakis, arXiv 1605.07146, table 4"
ATTENTION = "Zagoruyko, Komodakis, Paying More Attention to Attention, arXiv 1612.03928, table 1"
OSMR = "osmr/imgclsmob, pytorch/README.md"
KUANGLIU = "kuangliu/pytorch-cifar, counted by thop in a fork's README"

# The stem for ImageNet is a 7x7 convolution; here it is 3x3.
STEM = 3 * 64 * (7**2 - 3**2)
# The pre-activation networks of osmr have an additional normalisation in the stem.
STEM_NORMALISATION = 2 * 64
# Those of kuangliu lack the normalisation after the last block, which the authors' code has (resnet-pre-act.lua).
LAST_NORMALISATION = 2 * 512

# The table of weiaicunzai/pytorch-cifar100 is not used. Its preactresnet18 (11.3M), seresnet18 (11.4M) and seresnet50
# (26.5M) have biases in convolutions before a normalisation, and the printed figures exceed the sum of its layers
# (11.22M, 11.31M, 26.26M). Its vgg11 to vgg19 (28.5M to 39.0M) have three linear layers.
PUBLISHED = [
    Published("wrn_16_1", "0.2M", 10, ATTENTION),
    Published("wrn_16_2", "0.7M", 10, ATTENTION),
    Published("wrn_40_1", "0.6M", 10, WIDE),
    Published("wrn_40_2", "2.2M", 10, WIDE),
    Published("wrn_28_10", "36.5M", 10, WIDE),
    Published("wrn_28_10", "36536884", 100, OSMR),
    Published("resnext29_8x64d", "34.4M", 10, "Xie et al., arXiv 1611.05431, table 7"),
    Published("resnext50_32x4d", "25.0M", 1000, "Xie et al., arXiv 1611.05431, table 1", more=STEM),
    Published("resnext101_32x4d", "44177704", 1000, OSMR, more=STEM),
    Published("preact_resnet18", "11171146", 10, KUANGLIU, more=-LAST_NORMALISATION),
    Published("preact_resnet50", "23509066", 10, KUANGLIU, more=-4 * LAST_NORMALISATION),
    Published("preact_resnet18", "11687848", 1000, f"{OSMR} (PreResNet-18)", more=STEM + STEM_NORMALISATION),
    Published("preact_resnet50", "25549480", 1000, f"{OSMR} (PreResNet-50b)", more=STEM + STEM_NORMALISATION),
    Published("seresnet18", "11778592", 1000, f"{OSMR} (SE-ResNet-18)", more=STEM),
    Published("seresnet50", "28088024", 1000, f"{OSMR} (SE-ResNet-50)", more=STEM),
    Published("vgg11", "9231114", 10, KUANGLIU),
    Published("vgg13", "9416010", 10, KUANGLIU),
    Published("vgg16", "14728266", 10, KUANGLIU),
    Published("vgg19", "20040522", 10, KUANGLIU),
]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda row: f"{row.architecture}-{row.figure}")
def test_parameters_are_those_published(published):
    theirs = count(published.architecture, published.classes) + published.more
    if published.figure.endswith("M"):
        digits = len(published.figure.removesuffix("M").partition(".")[2])
        assert f"{theirs / 1e6:.{digits}f}M" == published.figure
    else:
        assert theirs == int(published.figure)


def test_resnext50_is_torchvisions_but_for_the_stem():
    with torch.device("meta"):
        theirs = torchvision.models.get_model("resnext50_32x4d", num_classes=100, weights=None)
    assert count("resnext50_32x4d", 100) == parameters(theirs) - STEM


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vggs_have_torchvisions_convolutions_and_one_linear_layer(depth):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(f"vgg{depth}_bn", weights=None)
    assert count(f"vgg{depth}", 100) == parameters(theirs.features) + (512 + 1) * 100


# No paper prints these counts exactly. They are summed over the layers in HobbitLong/RepDistiller (eedab9d).


def normalised(inputs, outputs, size):
    return inputs * outputs * size**2 + 2 * outputs


@pytest.mark.parametrize(("architecture", "per_stage"), [("resnet8x4", 1), ("resnet32x4", 5)])
def test_resnets_four_times_as_wide_layer_by_layer(architecture, per_stage):
    total = normalised(3, 32, 3) + (256 + 1) * 100
    for inputs, width in ((32, 64), (64, 128), (128, 256)):
        total += normalised(inputs, width, 3) + (2 * per_stage - 1) * normalised(width, width, 3)
        total += normalised(inputs, width, 1)
    assert count(architecture, 100) == total


@pytest.mark.parametrize(("depth", "factor"), [(16, 1), (16, 2), (40, 1), (40, 2), (28, 10)])
def test_wide_resnets_layer_by_layer(depth, factor):
    per_stage = (depth - 4) // 6
    total = 3 * 16 * 9 + 2 * 64 * factor + (64 * factor + 1) * 100
    inputs = 16
    for width in (16 * factor, 32 * factor, 64 * factor):
        total += inputs * width * 9 + (2 * per_stage - 1) * width**2 * 9  # convolutions
        total += 2 * inputs + (2 * per_stage - 1) * 2 * width  # the normalisation before each
        total += inputs * width if inputs != width else 0  # the shortcut
        inputs = width
    assert count(f"wrn_{depth}_{factor}", 100) == total


def test_vgg8_layer_by_layer():
    widths = (3, 64, 128, 256, 512, 512)
    convolutions = sum(normalised(*pair, 3) + pair[1] for pair in itertools.pairwise(widths))
    assert count("vgg8", 100) == convolutions + (512 + 1) * 100

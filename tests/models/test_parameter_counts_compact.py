"""Parameter counts of the densely connected, mobile and multi-scale networks, compared with published counts."""

import functools
from dataclasses import dataclass

import pytest
import torch
import torchvision
from exeunt.models import architectures, parameters


@dataclass(frozen=True, kw_only=True)
class Row:
    architecture: str
    classes: int
    count: int
    published: float
    """Published count in millions."""
    within: float
    """Allowed difference in millions: half a unit of the last digit, or more for the reason in `why`."""
    source: str
    why: str = ""


PYTORCH_CIFAR100 = "weiaicunzai/pytorch-cifar100, README.md, 'Results'"
TABLE = [
    Row(
        architecture="densenet40_12",
        classes=10,
        count=1_019_722,
        published=1.0,
        within=0.05,
        source="Huang et al., CVPR 2017 (arXiv 1608.06993), table 2: DenseNet (k = 12), depth 40",
    ),
    Row(
        architecture="densenet40_12",
        classes=100,
        count=1_060_132,
        published=1.0,
        within=0.05 + 90 * 449 / 1e6,
        source="the same row, which gives one figure for C10 and C100",
        why="90 classes more, each of 448 weights and a bias",
    ),
    Row(
        architecture="densenet121",
        classes=100,
        count=7_048_548,
        published=7.0,
        within=0.05,
        source=PYTORCH_CIFAR100,
    ),
    Row(
        architecture="mobilenet_v2",
        classes=10,
        count=2_236_682,
        published=2.296922,
        within=0.0603,
        source="the program of kuangliu/pytorch-cifar, models/mobilenetv2.py",
        why="theirs has 1x1 convolutions on four shortcuts (59,152) and an expansion in the first block (1,088), "
        "neither of which is in the paper",
    ),
    Row(
        architecture="mobilenet_v2",
        classes=100,
        count=2_351_972,
        published=2.36,
        within=0.02,
        source=PYTORCH_CIFAR100,
        why="their convolutions have biases besides the normalisation's, the first block expands, the stem is 1x1",
    ),
    Row(
        architecture="shufflenet_v1",
        classes=100,
        count=1_000_828,
        published=1.0,
        within=0.05,
        source=PYTORCH_CIFAR100,
    ),
    Row(
        architecture="shufflenet_v2",
        classes=100,
        count=1_356_104,
        published=1.3,
        within=0.1,
        source=PYTORCH_CIFAR100,
        why="they cut the digits off rather than round",
    ),
    Row(
        architecture="mobilenet_v2_crd",
        classes=100,
        count=812_836,
        published=0.812836,
        within=5e-7,
        source="counted with the authors' program, HobbitLong/RepDistiller at b84f547, models/mobilenetv2.py",
    ),
    Row(
        architecture="shufflenet_v1_crd",
        classes=100,
        count=949_258,
        published=0.949258,
        within=5e-7,
        source="counted with the authors' program, HobbitLong/RepDistiller at b84f547, models/ShuffleNetv1.py",
    ),
    Row(
        architecture="shufflenet_v2_crd",
        classes=100,
        count=1_355_528,
        published=1.355528,
        within=5e-7,
        source="counted with the authors' program, HobbitLong/RepDistiller at b84f547, models/ShuffleNetv2.py",
    ),
    Row(
        architecture="msdnet",
        classes=100,
        count=1_367_128,
        published=1.367128,
        within=5e-7,
        source="counted with the authors' program, kalviny/MSDNet-PyTorch, without its classifiers before the last "
        "(the paper prints none): nBlocks 11, base 4, step 2, stepmode even, nChannels 16, growthRate 6",
    ),
]


@functools.cache
def count(architecture, classes):
    with torch.device("meta"):
        return parameters(architectures[architecture](channels=3, classes=classes))


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.architecture}-{row.classes}")
def test_an_architecture_has_exactly_as_many_parameters_as_the_table_says_and_about_the_published_number(row):
    assert count(row.architecture, row.classes) == row.count
    assert row.count / 1e6 == pytest.approx(row.published, abs=row.within)


def torchvisions(name, classes):
    with torch.device("meta"):
        return parameters(torchvision.models.get_model(name, num_classes=classes, weights=None))


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(
    ("ours", "theirs", "less"),
    [
        ("densenet121", "densenet121", 3 * 64 * (7**2 - 3**2) + 2 * 64),  # a 3x3 stem without normalisation
        ("mobilenet_v2", "mobilenet_v2", 0),  # strides have no weights
        ("shufflenet_v2", "shufflenet_v2_x1_0", 0),
    ],
)
def test_a_network_is_torchvisions_but_for_the_stem(ours, theirs, less, classes):
    assert count(ours, classes) == torchvisions(theirs, classes) - less


def conv(inputs, outputs, size, groups=1):
    """Return the parameters of a convolution without bias and of its normalisation's scale and shift."""
    return inputs * outputs * size**2 // groups + 2 * outputs


def linear(inputs, outputs):
    return (inputs + 1) * outputs


@pytest.mark.parametrize("classes", [10, 100])
def test_densenet40_12_has_the_parameters_of_the_paper_layer_by_layer(classes):
    total, width = 3 * 16 * 9, 16
    for layer in range(1, 39):
        transition = layer in (13, 26)
        grown = width if transition else 12
        total += 2 * width + width * grown * (1 if transition else 9)
        width += 0 if transition else 12
    assert count("densenet40_12", classes) == total + 2 * width + linear(width, classes)


@pytest.mark.parametrize("classes", [10, 100])
def test_shufflenet_v1_has_the_parameters_of_the_paper_layer_by_layer(classes):
    total, inputs = conv(3, 24, 3), 24
    for outputs, repeats in ((240, 4), (480, 8), (960, 4)):
        for unit in range(repeats):
            middle, new = outputs // 4, outputs - inputs if unit == 0 else outputs
            total += conv(inputs, middle, 1, groups=1 if inputs == 24 else 3)
            total += conv(middle, middle, 3, groups=middle) + conv(middle, new, 1, groups=3)
            inputs = outputs
    assert count("shufflenet_v1", classes) == total + linear(960, classes)


@pytest.mark.parametrize("classes", [10, 100])
def test_msdnet_has_the_parameters_of_the_paper_layer_by_layer(classes):
    """Layer l keeps 3 - (l - 1) // 8 scales; their widths are 1, 2 and 4 times that of the finest scale."""

    def grow(inputs, outputs, factor):
        middle = min(inputs, factor * outputs)
        return conv(inputs, middle, 1) + conv(middle, outputs, 3)

    total, width = conv(3, 16, 3) + conv(16, 32, 3) + conv(32, 64, 3), 16
    for layer in range(1, 25):
        finest = (layer - 1) // 8  # index of the finest kept scale: 0, 1 or 2
        reduces = layer in (9, 17)
        for scale in range(finest, 3):
            if scale == finest and not reduces:
                total += grow(2**scale * width, 2**scale * 6, 2**scale)
            else:
                total += grow(2**scale * width, 2**scale * 3, 2**scale)
                total += grow(2**scale * width // 2, 2**scale * 3, 2**scale // 2)
        width += 6
        if reduces:
            total += sum(conv(2**scale * width, 2**scale * (width // 2), 1) for scale in range(finest, 3))
            width //= 2
    total += conv(4 * width, 128, 3) + conv(128, 128, 3)
    assert count("msdnet", classes) == total + linear(128, classes)

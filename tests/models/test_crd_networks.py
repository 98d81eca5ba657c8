"""The mobile students of CRD compute what the program of its authors computes.

`EXPECTED` was printed by HobbitLong/RepDistiller at b84f547 (`mobile_half(100)`, `ShuffleV1(num_classes=100)` and
`ShuffleV2(num_classes=100)` of models/) with the weights and images of `filled` and `waves`, in float64.
"""

import math

import pytest
import torch
from exeunt.models import architecture_layout, architectures
from torch import nn

EXPECTED = {
    "mobilenet_v2_crd": (
        [-0.018962054981185666, 0.069218289775535069, -0.03864361571949218, -0.22426729233330617],
        0.60467749898392731,
    ),
    "shufflenet_v1_crd": (
        [-1.714206437091703, 1.4862122845009749, 0.66905540417268405, -1.5313623298411654],
        -0.089790632996330944,
    ),
    "shufflenet_v2_crd": (
        [-0.15764988355047968, 0.081032277598078989, 0.26700494686928777, 0.015252593122835618],
        0.22045590448954933,
    ),
}
"""First four logits of the second image, and the sum of all logits of both images."""
STAGES = {
    "mobilenet_v2_crd": ((3, 3, 7, 4), (12, 16, 48, 160), (16, 8, 4, 2)),
    "shufflenet_v1_crd": ((4, 8, 4), (240, 480, 960), (16, 8, 4)),
    "shufflenet_v2_crd": ((4, 8, 4), (116, 232, 464), (16, 8, 4)),
}
"""Blocks of each stage, and channels and height of its map for images of 32x32."""

names = pytest.mark.parametrize("name", EXPECTED)


def waves(count, factor, shift=0.0):
    return torch.sin(torch.arange(count, dtype=torch.float64) * factor + shift)


def filled(network):
    """Fill each weight and statistic with values that follow from its position, and return the network in float64."""
    network = network.double().eval()
    state = network.state_dict()
    for index, (name, values) in enumerate(state.items()):
        if name.endswith("num_batches_tracked"):
            continue
        wave = waves(values.numel(), 1 + index, index).reshape(values.shape)
        if values.ndim > 1:
            values.copy_(wave * math.sqrt(4 / values[0].numel()))
        elif name.endswith("running_var"):
            values.copy_(1 + wave / 2)
        elif name.endswith("weight"):
            values.copy_(1 + wave / 4)
        else:
            values.copy_(wave / 4)
    return network


@names
def test_logits_are_those_of_the_authors_program(name):
    network = filled(architectures[name](channels=3, classes=100))
    with torch.no_grad():
        logits = network(waves(2 * 3 * 32 * 32, 0.7).reshape(2, 3, 32, 32))
    first, total = EXPECTED[name]
    torch.testing.assert_close(logits[1, :4], torch.tensor(first, dtype=torch.float64), rtol=1e-9, atol=1e-11)
    assert float(logits.sum()) == pytest.approx(total, rel=1e-8)


@names
def test_stages_have_the_blocks_channels_and_maps_of_the_authors_program(name):
    layout = architecture_layout(name, (3, 32, 32), 100)
    lengths, channels, heights = STAGES[name]
    assert tuple(len(stage) for stage in layout.stages) == lengths
    ends = [stage[-1] - 1 for stage in layout.stages]
    assert tuple(layout.cost.taps[end] for end in ends) == tuple(
        (width, height, height) for width, height in zip(channels, heights, strict=True)
    )
    assert all(block.activated for block in layout.blocks)


def test_initial_weights_are_those_of_the_authors_program():
    """He-normal convolutions in MobileNetV2, PyTorch's default in both ShuffleNets."""
    for name in EXPECTED:
        torch.manual_seed(0)
        network = architectures[name](channels=3, classes=100)
        for part in network.modules():
            if isinstance(part, nn.Conv2d) and part.weight.numel() > 5000:
                fan_out = part.out_channels * part.kernel_size[0] ** 2
                variance = 2 / fan_out if name.startswith("mobilenet") else 1 / (3 * part.weight[0].numel())
                assert float(part.weight.detach().var()) == pytest.approx(variance, rel=0.1)
            elif isinstance(part, nn.BatchNorm2d):
                assert bool((part.weight == 1).all())
                assert not bool(part.bias.any())

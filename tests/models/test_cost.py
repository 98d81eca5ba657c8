import random

import pytest
import torch
import torchvision
from exeunt.models import architectures, multiply_adds, parameters
from exeunt.models.cost import backbone_cost
from exeunt.models.layers import without_weights
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .conftest import MAP_HEADS
from .test_every_architecture import ADOPTED, ONE_OF_EACH_FAMILY


def conv(inputs, outputs, size):
    """Return the parameters of a convolution without bias and of its normalisation's scale and shift."""
    return inputs * outputs * size**2 + 2 * outputs


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def cifar_resnet(depth, classes):
    """Count as in He et al. 2016, section 4.2, with a 1x1 convolution on the shortcut if the width changes."""
    per_stage = (depth - 2) // 6
    total = conv(3, 16, 3) + linear(64, classes)
    for inputs, width in ((16, 16), (16, 32), (32, 64)):
        total += conv(inputs, width, 3) + (2 * per_stage - 1) * conv(width, width, 3)
        total += conv(inputs, width, 1) if inputs != width else 0
    return total


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_resnets_have_the_parameters_of_the_paper_layer_by_layer(build, depth, classes):
    assert parameters(build(f"resnet{depth}", classes=classes)) == cifar_resnet(depth, classes)


@pytest.mark.parametrize(
    ("architecture", "millions"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet56", 0.85), ("resnet110", 1.7)]
)
def test_cifar_resnets_have_the_size_that_he_et_al_print_in_table_6(build, architecture, millions):
    assert parameters(build(architecture, classes=10)) / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize(
    ("architecture", "count"),
    [("resnet20", 278_324), ("resnet32", 472_756), ("resnet56", 861_620), ("resnet110", 1_736_564)],
)
def test_cifar_resnets_for_100_classes_have_the_size_of_the_field(build, architecture, count):
    assert parameters(build(architecture, classes=100)) == count


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_wide_resnets_are_torchvisions_but_for_the_stem(depth):
    with torch.device("meta"):
        ours = architectures[f"resnet{depth}"](channels=3, classes=100)
        theirs = torchvision.models.get_model(f"resnet{depth}", num_classes=100, weights=None)
    assert parameters(ours) == parameters(theirs) - 3 * 64 * (7**2 - 3**2)


def test_eeds_resnet18_costs_what_its_authors_program_costs(build):
    alone, with_exits = build("resnet18"), build("resnet18", "all")
    assert parameters(alone) == 11_220_132
    assert parameters(with_exits) == 15_580_880
    assert round(multiply_adds(with_exits, (1, 3, 32, 32)) / 1e6, 1) == 668.9


def test_conv_heads_cost_one_convolution_for_each_remaining_stage(build):
    heads = conv(64, 128, 3) + 2 * conv(128, 256, 3) + 3 * conv(256, 512, 3) + 3 * linear(512, 100)
    assert parameters(build("resnet18", "all")) - parameters(build("resnet18")) == heads


def test_frozen_weights_are_no_parameters(build):
    network = build()
    network.trunk.stem.requires_grad_(False)
    assert parameters(network) == cifar_resnet(8, 100) - conv(3, 16, 3)


EVERY = [
    *ONE_OF_EACH_FAMILY,
    *(pytest.param(name, marks=pytest.mark.slow) for name in architectures if name not in ONE_OF_EACH_FAMILY),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ADOPTED),
]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", EVERY)
def test_multiply_adds_are_half_the_flops_that_torchs_counter_counts(build, architecture):
    size = 64 if architecture in ADOPTED else 32
    head = random.Random(architecture).choice(MAP_HEADS)
    with without_weights():
        network = build(architecture, "all", head=head, size=size).eval()
    images = torch.empty(2, 3, size, size, device="meta")
    assert 2 * multiply_adds(network, tuple(images.shape)) == flops(network, images)[1]


@pytest.mark.parametrize("architecture", EVERY)
def test_a_trunk_costs_and_shows_exits_after_each_block_what_torch_says(build, architecture):
    size = 64 if architecture in ADOPTED else 32
    with without_weights():
        trunk = build(architecture, size=size).trunk.eval()
    cost = backbone_cost(trunk, (3, size, size))
    hidden, counted = flops(trunk.stem, torch.empty(1, 3, size, size, device="meta"))
    for number, block in enumerate(trunk.blocks):
        hidden, more = flops(block, hidden)
        counted += more
        assert 2 * cost.after_blocks[number] == counted
        assert cost.taps[number] == block.tap(hidden).shape[1:]
    assert 2 * cost.whole == counted + flops(nn.Sequential(trunk.neck, trunk.classifier), hidden)[1]


def flops(module, images):
    """Return the output of the module and the FLOPs that PyTorch's counter reports."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        return module(images), counter.get_total_flops()


def test_weights_that_do_not_come_from_a_layer_are_counted_too():
    class Standardised(nn.Conv1d):
        def forward(self, hidden):
            return nn.functional.conv1d(hidden, self.weight / self.weight.std(), padding=1)

    standardised = nn.Sequential(Standardised(3, 5, 3), nn.Flatten(), nn.LazyLinear(2))
    standardised(torch.empty(1, 3, 7))
    assert multiply_adds(standardised, (4, 3, 7)) == 4 * (7 * 5 * 3 * 3 + 35 * 2)


def test_a_network_that_can_take_no_empty_batch_is_counted_too():
    network = nn.Sequential(nn.Conv2d(3, 5, 3), Viewed(), nn.Linear(20, 2))
    assert multiply_adds(network, (4, 3, 4, 4)) == 4 * (20 * 3 * 9 + 20 * 2)


class Viewed(nn.Module):
    def forward(self, hidden):
        return hidden.view(len(hidden), -1)


def test_counting_leaves_the_network_as_it_was(build):
    network = build(placement="all").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_adds(network, (1, 3, 32, 32))
    assert network.training
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)

import pytest
import torch
import torchvision
from exeunt.models import architectures, multiply_adds, parameters
from torch import nn


def conv(inputs, outputs, size):
    """Weights of a convolution without bias and of its normalisation's scale and shift."""
    return inputs * outputs * size**2 + 2 * outputs


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def cifar_resnet(depth, classes):
    """He et al. 2016, section 4.2, a 1x1 convolution on the shortcut where the width changes."""
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


@pytest.mark.parametrize(
    ("architecture", "placement", "size"),
    [("resnet8", "all", 32), ("resnet8", "1", 28), ("resnet18", "block3", 8), ("resnet50", "2", 8)],
)
def test_multiply_adds_are_those_of_every_convolution_and_linear_layer(build, architecture, placement, size):
    network = build(architecture, placement, size=size)
    expected = multiply_adds(network, (2, 3, size, size))
    counted = 0

    def count(layer, _inputs, output):
        nonlocal counted
        counted += output.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval().to("meta")(torch.empty(2, 3, size, size, device="meta"))
    assert counted == expected


def test_counting_leaves_the_network_as_it_was(build):
    network = build(placement="all").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_adds(network, (1, 3, 32, 32))
    assert network.training
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)

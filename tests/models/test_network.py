import pytest
import torch
from torch import nn

from .conftest import MAP_HEADS


@pytest.mark.parametrize(
    ("architecture", "width", "channels", "size"),
    [
        ("resnet8", 64, 1, 8),
        ("resnet8", 64, 3, 28),
        ("resnet18", 512, 1, 8),
        ("resnet18", 512, 3, 20),
    ],
)
def test_every_exit_gives_logits_and_features_of_the_trunks_width(build, architecture, width, channels, size):
    network = build(architecture, "all", channels=channels, size=size, classes=7).to("meta")
    outputs = network(torch.empty(2, channels, size, size, device="meta"))
    exits = len(network.trunk.stages)
    assert network.trunk.width == width
    assert [tuple(z.shape) for z in outputs.logits] == [(2, 7)] * exits
    assert [tuple(f.shape) for f in outputs.features] == [(2, width)] * exits


@pytest.mark.slow
@pytest.mark.parametrize("head", MAP_HEADS)
@pytest.mark.parametrize("architecture", ["resnet14", "resnet18"])
def test_every_head_ends_in_the_trunks_width_whatever_block_it_follows(build, head, architecture):
    last = len(build(architecture).trunk.blocks)
    placement = ",".join(f"block{number}" for number in range(1, last))
    network = build(architecture, placement, head=head, size=8).to("meta")
    outputs = network(torch.empty(2, 3, 8, 8, device="meta"))
    assert [tuple(f.shape) for f in outputs.features] == [(2, network.trunk.width)] * last


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "placement"), [("resnet18", "1,block3,3"), ("resnet50", "1,2")])
def test_conv_heads_shrink_the_map_as_the_stages_left_out_would(build, architecture, placement):
    network = build(architecture, placement, size=16).to("meta")
    shapes = []
    for pool in (network.trunk.neck, *(head.pool for head in network.exits.values())):
        pool.register_forward_hook(lambda _pool, inputs, _output: shapes.append(tuple(inputs[0].shape)))
    network(torch.empty(1, 3, 16, 16, device="meta"))
    assert shapes == [(1, network.trunk.width, 2, 2)] * len(shapes)
    assert len(shapes) == len(network.exits) + 1


def test_exits_answer_from_the_shallowest_to_the_final_one(build):
    network = build("resnet14", "block3,1").eval()
    with torch.no_grad():
        for number, head in enumerate((network.exits["block2"], network.exits["block3"], network.trunk)):
            head.classifier.weight.zero_()
            head.classifier.bias.fill_(number)
        assert [z.unique().tolist() for z in network(torch.randn(2, 3, 16, 16)).logits] == [[0], [1], [2]]


def test_the_final_exit_is_the_trunks_own_answer(build):
    network = build(placement="all").eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        outputs = network(images)
        assert torch.equal(outputs.logits[-1], network.trunk(images))
    assert all((f >= 0).all() for f in outputs.features)


@pytest.mark.parametrize("placement", ["1", "all", "block1,block2"])
def test_exits_do_not_change_the_trunks_initial_weights(build, placement):
    alone, with_exits = build(seed=5), build(placement=placement, seed=5)
    torch.testing.assert_close(with_exits.trunk.state_dict(), alone.trunk.state_dict(), rtol=0, atol=0)


def test_the_seed_alone_decides_every_weight(build):
    torch.manual_seed(1)
    first = build(placement="all", seed=3).state_dict()
    torch.manual_seed(2)
    torch.testing.assert_close(build(placement="all", seed=3).state_dict(), first, rtol=0, atol=0)
    other = build(placement="all", seed=4).state_dict()
    alike = {name for name in first if first[name].is_floating_point() and torch.equal(first[name], other[name])}
    normalisation = {name for name in first if name.endswith((".1.weight", ".1.bias", "mean", "var"))}
    assert alike == normalisation


def test_building_leaves_the_global_random_state_as_it_was(build):
    before = torch.get_rng_state()
    build(placement="all", seed=123)
    assert torch.equal(torch.get_rng_state(), before)


def test_convolutions_are_he_normal_in_their_fan_out(build):
    for layer in build("resnet18", "all").modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 30_000:
            fan_out = layer.out_channels * layer.kernel_size[0] ** 2
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)


@pytest.mark.parametrize("architecture", ["resnet8", "resnet14"])
def test_every_weight_gets_a_gradient_from_the_exits_together(build, architecture):
    network = build(architecture, "all", size=8)
    sum(z.square().sum() for z in network(torch.randn(2, 3, 8, 8)).logits).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_the_network_of_eeds_authors_is_a_resnet18_without_a_relu_in_its_stem(build):
    """hjdw2/Exit-Ensemble-Distillation at 7825885, resnet.py: `out = self.bn1(self.conv1(x))`."""
    theirs, plain = build("resnet18_eed", "all"), build("resnet18", "all")
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in theirs.state_dict().items())
    images = torch.randn(2, 3, 32, 32)
    stem = theirs.trunk.stem(images)
    assert (stem < 0).any()
    assert torch.equal(stem.relu(), plain.trunk.stem(images))

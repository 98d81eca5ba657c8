"""Exits on networks of people, torchvision and timm."""

import copy

import pytest
import torch
from exeunt.models import (
    EarlyExit,
    TruncatedNetwork,
    attach_exits,
    exit_costs,
    export_network,
    load_original_state,
    original_state,
)
from exeunt.specs import SpecError
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from .zoo import NETWORKS, InlineSkip, LeNet, Plain, Residual, Small, Untraceable

SMALL = {"Small": Small, "Plain": Plain, "Untraceable": Untraceable}


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda subject: subject.name)
def attached(request):
    """Network, the same network with exits after each stage, and a batch of images."""
    torch.manual_seed(0)
    network = request.param.build().eval()
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.02)  # some libraries begin with a classifier of zeros
    shape = (request.param.channels, request.param.size, request.param.size)
    return network, attach_exits(network, image_shape=shape), torch.randn(2, *shape)


@pytest.mark.parametrize("training", [False, True])
def test_the_final_exit_gives_what_the_network_gives(attached, training):
    network, multi, images = attached
    state = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        torch.manual_seed(1)
        expected = network.train(training)(images)
        network.load_state_dict(state)
        torch.manual_seed(1)
        outputs = multi.train(training)(images) if not training else multi.trunk.train()(images)
    found = outputs if training else outputs.logits[-1]
    network.load_state_dict(state)
    assert torch.equal(found, expected)


def test_each_exit_is_truncated_and_left_with_the_same_logits(attached):
    _, multi, images = attached
    multi.eval()
    with torch.no_grad():
        logits, features, *_ = multi(images)
        assert {one.shape for one in features} == {(2, multi.trunk.width)}
        for number, expected in enumerate(logits, start=1):
            assert torch.equal(TruncatedNetwork(multi, number).eval()(images), expected)
    left = EarlyExit(multi, "max_probability", 0.15)(images)
    expected = torch.stack([logits[number - 1][image] for image, number in enumerate(left.exits)])
    torch.testing.assert_close(left.logits, expected, rtol=1e-4, atol=1e-4)


def test_a_step_reaches_all_weights_that_the_network_uses(attached):
    network, multi, images = attached
    multi.train().zero_grad()
    sum(F.cross_entropy(logits, torch.tensor([0, 1])) for logits in multi(images).logits).backward()
    reached = {name for name, weight in multi.named_parameters() if weight.grad is not None}
    assert {name for name, _ in multi.named_parameters()} == reached
    multi.zero_grad()
    assert sum(weight.numel() for weight in network.parameters()) <= sum(map(torch.numel, multi.parameters()))


def test_its_cost_is_that_of_a_counted_forward_pass(attached):
    network, multi, images = attached
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta = copy.deepcopy(multi.trunk).to("meta").eval()
        for weight in meta.parameters():
            weight.requires_grad_(requires_grad=False)
        meta(images[:1].to("meta"))
    alone = attach_exits(network, "none", image_shape=tuple(images.shape[1:]))
    (cost,) = exit_costs(alone, tuple(images.shape[1:]))
    assert cost.multiply_adds == pytest.approx(counter.get_total_flops() / 2, rel=0.01)


def test_its_weights_have_the_names_of_the_network(attached):
    network, multi, images = attached
    state = {name: tensor.clone() for name, tensor in original_state(multi).items()}
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in network.state_dict().items()
    }
    other = {name: torch.rand_like(tensor, dtype=torch.float).to(tensor.dtype) for name, tensor in state.items()}
    load_original_state(multi, other)
    for name, tensor in network.state_dict().items():  # modules are shared
        assert torch.equal(tensor, other[name]), name
    network.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(multi.eval()(images).logits[-1], network.eval()(images))


@pytest.mark.nightly
def test_it_is_exported_to_onnx(attached, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    network, multi, images = attached
    if type(network).__name__ == "Nest":  # its attention has five dimensions, which the exporter of torch 2.15 lacks
        with pytest.raises(SpecError, match="has no translation; use format torch"):
            export_network(multi, tmp_path / "network.onnx", "onnx", tuple(images.shape[1:]))
        return
    assert export_network(multi, tmp_path / "network.onnx", "onnx", tuple(images.shape[1:])) < 1e-4


@pytest.mark.slow
def test_networks_with_blocks_and_with_tokens_are_exported_to_onnx(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    deit = pytest.importorskip("timm").create_model("deit_tiny_patch16_224", num_classes=10)
    for network, size in ((Small(), 32), (deit, 224)):
        multi = attach_exits(network, image_shape=(3, size, size))
        assert export_network(multi, tmp_path / "network.onnx", "onnx", (3, size, size)) < 1e-4


def test_a_copy_gives_the_same(attached):
    _, multi, images = attached
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(multi).eval()(images).logits[0], multi.eval()(images).logits[0])


def test_exits_are_exactly_after_the_modules_that_are_named():
    network = Small()
    multi = attach_exits(network, ["stem", "blocks.1"]).eval()
    seen = {}
    for name in ("stem", "blocks.1"):
        network.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: seen.setdefault(name, output)
        )
    taps = []
    for head in multi.exits.values():
        head.register_forward_pre_hook(lambda _m, inputs: taps.append(inputs[0]))
    with torch.no_grad():
        multi(torch.randn(1, 3, 32, 32))
    assert [tap.shape for tap in taps] == [seen[name].shape for name in ("stem", "blocks.1")]
    assert all(torch.equal(tap, output) for tap, output in zip(taps, seen.values(), strict=True))


def test_exits_of_a_network_that_is_not_divided_read_the_named_modules():
    network = Untraceable()
    multi = attach_exits(network, ["blocks.0", "blocks.1.second"]).eval()
    assert "cannot be traced" in multi.trunk.undivided
    assert multi.exit_blocks == (1, 2, 3)
    with torch.no_grad():
        outputs = multi(torch.randn(2, 3, 32, 32))
    assert [logits.shape for logits in outputs.logits] == [(2, 10)] * 3
    assert multi.trunk.block_names[:2] == (("blocks.0",), ("blocks.1.second",))
    first, *_, last = exit_costs(multi, (3, 32, 32))
    assert first.multiply_adds > 0.99 * last.multiply_adds, "the whole network runs before each exit"


@pytest.mark.parametrize(
    ("network", "name", "message"),
    [
        (
            Small,
            "blocks.1.first",
            "Small has no cut after 'blocks.1.first': other tensors pass beside its output",
        ),
        (Small, "block.1", "it has no such cut; the nearest is 'blocks.1'"),
        (Small, "fc", "an exit after 'fc' would be at the end of Small; choose an earlier one: "),
        (InlineSkip, "a", "InlineSkip has no cut after 'a': other tensors pass beside its output"),
        (Untraceable, "block.1", "Untraceable returns no map or tokens after 'block.1'; the nearest is 'blocks.1'"),
    ],
)
def test_a_name_that_is_no_cut_is_refused_with_the_nearest(network, name, message):
    with pytest.raises(SpecError) as refused:
        attach_exits(network(), [name])
    assert message in str(refused.value)


class Pair(Small):
    def forward(self, x):
        return super().forward(x), x


class Segments(Small):
    def forward(self, x):
        return self.blocks[1](self.blocks[0](self.stem(x)))


class Broken(Small):
    def forward(self, x):
        return self.fc(self.stem(x)[..., :7])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Pair, "it does not return a logit for each class"),
        (Segments, "Segments returns (16, 112, 112) for an image, not a logit for each class"),
        (Broken, "Broken cannot have exits: on an image of 224x224 pixels: a and b must have same reduction dim"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_message(network, message):
    with pytest.raises(SpecError) as refused:
        attach_exits(network())
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_of_another_network_are_refused_with_the_differences():
    multi = attach_exits(Small())
    state = original_state(multi)
    state["fc.weight"] = torch.zeros(3, 32)
    state["extra"] = state.pop("stem.bias")
    with pytest.raises(SpecError) as refused:
        load_original_state(multi, state)
    assert "1 missing (first: stem.bias); 1 unexpected (first: extra); 1 of another shape" in str(refused.value)
    assert "fc.weight is (3, 32) instead of (10, 32)" in str(refused.value)


def test_the_network_itself_is_left_as_it_was():
    network = Untraceable()
    names = [*network.state_dict()], [name for name, _ in network.named_modules()]
    attach_exits(network)
    assert ([*network.state_dict()], [name for name, _ in network.named_modules()]) == names
    assert network.training
    assert isinstance(network.fc, nn.Linear)


def test_the_size_of_images_is_found():
    multi = attach_exits(LeNet())
    assert multi.trunk.only_size == 28
    assert [len(stage) for stage in multi.trunk.stages] == [1, 1]
    assert len(multi.eval()(torch.randn(2, 1, 28, 28)).logits) == 2


def test_a_block_is_a_module_of_a_repeated_class():
    trunk = attach_exits(Small()).trunk
    assert [len(stage) for stage in trunk.stages] == [1, 1, 1]
    assert all(isinstance(block.layers, Residual) for block in trunk.blocks)
    assert attach_exits(Plain()).trunk.stages == ((1,), (2,), (3,))

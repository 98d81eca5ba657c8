"""Properties of every architecture with every head, for random exit positions."""

import copy
import itertools
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from exeunt.models import (
    ArchitectureSpec,
    ExitSpec,
    MultiExitNetwork,
    TruncatedNetwork,
    architecture_layout,
    architectures,
    build_network,
    exit_costs,
    multiply_adds,
    parameters,
)
from exeunt.models.layers import without_weights
from exeunt.specs import SpecError

from .conftest import MAP_HEADS

CLASSES = 7
ONE_OF_EACH_FAMILY = [
    "densenet40_12",
    "mobilenet_v2",
    "msdnet",
    "preact_resnet18",
    "resnet8",
    "resnext29_8x64d",
    "seresnet18",
    "shufflenet_v1",
    "shufflenet_v2",
    "vgg8",
    "wrn_16_1",
]


ADOPTED = [
    "torchvision/convnext_tiny",
    "torchvision/densenet121",
    "torchvision/efficientnet_b0",
    "torchvision/mnasnet0_5",
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/regnet_x_400mf",
    "torchvision/resnet18",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/vgg11_bn",
    "timm/test_convnext",
    "timm/test_efficientnet",
    "timm/regnety_002",
    "timm/test_resnet",
]


def side(name: str) -> int:
    """Return the height and width of the smallest images for the network."""
    return architecture_layout(name, (3, 64, 64), CLASSES).smallest_image


def some_placement(name: str, head: str) -> str:
    """Return one or two random blocks, the same at each call and in each process."""
    choice = random.Random(f"{name} {head}")
    before_last = range(1, architecture_layout(name, (3, 64, 64), CLASSES).stages[-1][-1])
    blocks = choice.sample(before_last, k=choice.randint(1, 2))
    return ",".join(f"block{number}" for number in blocks)


def build(name: str, head: str = "conv", *, placement: str | None = None, seed: int = 0) -> MultiExitNetwork:
    exits = ExitSpec(placement=placement or some_placement(name, head), head=head)
    shape = (3, side(name), side(name))
    return build_network(ArchitectureSpec(name=name), exits, image_shape=shape, classes=CLASSES, seed=seed)


def images(name: str, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, side(name), side(name), generator=torch.Generator().manual_seed(0))


EVERY_PAIR = list(
    dict.fromkeys(
        [*itertools.product(architectures, MAP_HEADS), *zip(ADOPTED, itertools.cycle(MAP_HEADS), strict=False)]
    )
)
ONE_HEAD_EACH = list(zip(ONE_OF_EACH_FAMILY, itertools.cycle(MAP_HEADS), strict=False))
"""Pairs that run by default, without a marker."""


def pairs(also: Collection[str] = ()) -> list[Any]:
    """Return every pair with its marker.

    It is none for `ONE_HEAD_EACH`, `slow` for other heads of these networks and for the heads `also` of others, and
    `nightly` for the rest.
    """
    slow = {pair for pair in EVERY_PAIR if pair[0] in ONE_OF_EACH_FAMILY or pair[1] in also}
    return [
        pair
        if pair in ONE_HEAD_EACH
        else pytest.param(pair, marks=pytest.mark.slow if pair in slow else pytest.mark.nightly)
        for pair in EVERY_PAIR
    ]


@pytest.mark.parametrize("pair", pairs(also=["conv"]), ids=" ".join)
def test_every_pair_is_built_and_has_exits_of_one_width(pair: tuple[str, str]) -> None:
    """Networks without weights are fast to build; other tests also train one architecture of each family."""
    name, head = pair
    if name.startswith("timm/"):
        pytest.importorskip("timm", reason="needs the extra timm")
    with without_weights():
        network = build(name, head)
    outputs = network.eval()(torch.empty(2, 3, side(name), side(name), device="meta"))
    exits = len(network.exit_blocks)
    assert exits > 1
    assert [tuple(logits.shape) for logits in outputs.logits] == [(2, CLASSES)] * exits
    assert [tuple(features.shape) for features in outputs.features] == [(2, network.trunk.width)] * exits


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Network that tests run in either mode without changing its weights."""

    name: str
    head: str
    network: MultiExitNetwork

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Return logits (E, N, C) in evaluation mode, without gradients."""
        return evaluated(self.network, batch)


def evaluated(network: MultiExitNetwork, batch: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack(network.eval()(batch).logits)


def assert_nearly_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare logits (E, N, C) relative to each exit's largest one, which can be 1e-11 in a deep untrained network."""
    size = expected.abs().amax((1, 2), keepdim=True)
    torch.testing.assert_close(found / size, expected / size, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module", params=pairs(), ids=" ".join)
def subject(request: pytest.FixtureRequest) -> Subject:
    """One architecture of each family with every head, nightly all of them; the exits are at random blocks."""
    name, head = request.param
    if name.startswith("timm/"):
        pytest.importorskip("timm", reason="needs the extra timm")
    return Subject(name=name, head=head, network=build(name, head))


@pytest.mark.slow
def test_outputs_have_their_shapes_and_every_weight_learns(subject: Subject) -> None:
    network = subject.network.train()
    outputs = network(images(subject.name))
    exits, width = len(network.exit_blocks), network.trunk.width
    assert exits > 1
    assert [tuple(logits.shape) for logits in outputs.logits] == [(2, CLASSES)] * exits
    assert [tuple(features.shape) for features in outputs.features] == [(2, width)] * exits
    network.zero_grad()
    torch.stack(outputs.logits).square().mean().backward()
    assert [weight for weight, tensor in network.named_parameters() if tensor.grad is None] == []
    assert all(bool(tensor.grad.isfinite().all()) for tensor in network.parameters() if tensor.grad is not None)
    network.zero_grad()


def test_training_moves_all_statistics_and_evaluation_treats_each_image_alone(subject: Subject) -> None:
    batch = images(subject.name)
    before = copy.deepcopy(dict(subject.network.named_buffers()))
    expected = subject.logits(batch)
    assert_nearly_equal(subject.logits(batch[:1]), expected[:, :1])
    torch.testing.assert_close(dict(subject.network.named_buffers()), before, rtol=0, atol=0)
    with torch.no_grad():
        subject.network.train()(batch)
    moved = {name for name, value in subject.network.named_buffers() if not torch.equal(value, before[name])}
    assert moved >= {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}


def test_channels_last_and_half_precision_give_nearly_the_same(subject: Subject) -> None:
    batch = images(subject.name)
    expected = subject.logits(batch)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = subject.network(batch).logits
    assert {z.dtype for z in logits} == {torch.float32}
    half = torch.stack(logits)
    assert bool(half.isfinite().all())
    assert float(torch.cosine_similarity(half.flatten(1), expected.flatten(1), eps=1e-30).min()) > 0.95
    subject.network.to(memory_format=torch.channels_last)
    found = subject.logits(batch.contiguous(memory_format=torch.channels_last))
    subject.network.to(memory_format=torch.contiguous_format)
    assert_nearly_equal(found, expected)


def test_the_seed_decides_the_weights_and_the_weights_all_else(subject: Subject) -> None:
    again = build(subject.name, subject.head)
    ours = dict(subject.network.named_parameters())
    assert [name for name, weight in again.named_parameters() if not torch.equal(weight, ours[name])] == []
    for value in again.state_dict().values():
        value.zero_()
    again.load_state_dict(subject.network.state_dict())
    batch = images(subject.name)
    assert torch.equal(evaluated(again, batch), subject.logits(batch))


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
@pytest.mark.slow
def test_exits_leave_the_weights_of_the_trunk_and_the_global_generator_as_they_were(name: str) -> None:
    before = torch.get_rng_state()
    with_exits, without, other_seed = build(name), build(name, placement="none"), build(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    trunk = with_exits.trunk.state_dict()
    torch.testing.assert_close(without.trunk.state_dict(), trunk, rtol=0, atol=0)
    others = other_seed.trunk.state_dict()
    assert any(not torch.equal(value, others[weight]) for weight, value in trunk.items())


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_a_truncated_network_gives_its_exit_and_costs_what_is_said(name: str) -> None:
    network = build(name).eval()
    batch = images(name)
    with torch.no_grad():
        logits = network(batch).logits
        for number, expected in enumerate(logits, start=1):
            assert torch.equal(TruncatedNetwork(network, number)(batch), expected)
    costs = exit_costs(network, (3, side(name), side(name)))
    cumulative = [cost.cumulative_multiply_adds for cost in costs]
    assert cumulative == sorted(cumulative)
    assert all(cost.multiply_adds <= cost.cumulative_multiply_adds for cost in costs)
    assert costs[-1].cumulative_multiply_adds == multiply_adds(network, (1, *batch.shape[1:]))
    assert costs[-1].parameters <= parameters(network)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name if name == "resnet8" else pytest.param(name, marks=pytest.mark.nightly) for name in ONE_OF_EACH_FAMILY],
)
def test_the_forward_pass_compiles_as_one_graph(name: str) -> None:
    network = build(name).eval()
    batch = images(name)
    torch.compiler.reset()
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        torch.testing.assert_close(torch.stack(compiled(batch).logits), torch.stack(network(batch).logits))


@pytest.mark.nightly
def test_a_compiled_network_computes_the_same() -> None:
    network = build("resnet8").eval()
    torch.compiler.reset()
    with torch.no_grad():
        found = torch.compile(network)(images("resnet8"))
        expected = network(images("resnet8"))
    torch.testing.assert_close(torch.stack(found.logits), torch.stack(expected.logits), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "vgg8", "densenet40_12", "mobilenet_v2"])
def test_images_too_small_for_the_strides_are_refused_with_the_smallest_that_work(name: str) -> None:
    least = architecture_layout(name, (3, 32, 32), CLASSES).smallest_image
    small = (3, least - 1, 32)
    with pytest.raises(SpecError, match=f"it needs at least {least}x{least}"):
        build_network(ArchitectureSpec(name=name), image_shape=small, classes=CLASSES, seed=0)
    network = build_network(ArchitectureSpec(name=name), image_shape=(3, least, least), classes=CLASSES, seed=0)
    assert network.eval()(torch.randn(1, 3, least, least)).logits[0].shape == (1, CLASSES)

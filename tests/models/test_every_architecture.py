"""What holds for every architecture, with every head, wherever the exits sit."""

import math
import random

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
    heads,
    multiply_adds,
    parameters,
)
from exeunt.specs import SpecError

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


def side(name: str) -> int:
    """The smallest images that every part of the network can still make something of, 8 pixels at least."""
    return max(8, architecture_layout(name, (3, 32, 32), CLASSES).smallest_image)


def some_placement(name: str, head: str) -> str:
    """One to three blocks at random, the same for everybody."""
    choice = random.Random(f"{name} {head}")
    before_last = range(1, architecture_layout(name, (3, 32, 32), CLASSES).stages[-1][-1])
    blocks = choice.sample(before_last, k=min(choice.randint(1, 3), len(before_last)))
    return ",".join(f"block{number}" for number in blocks)


def build(name: str, head: str = "conv", *, placement: str | None = None, seed: int = 0) -> MultiExitNetwork:
    exits = ExitSpec(placement=placement or some_placement(name, head), head=head)
    shape = (3, side(name), side(name))
    return build_network(ArchitectureSpec(name=name), exits, image_shape=shape, classes=CLASSES, seed=seed)


def images(name: str, count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, side(name), side(name), generator=torch.Generator().manual_seed(0))


ONE_HEAD_EACH = [(name, list(heads)[number % 4]) for number, name in enumerate(architectures)]
FAST = [(name, head) for name, head in ONE_HEAD_EACH if name in ONE_OF_EACH_FAMILY]
FAMILIES_WITH_EVERY_HEAD = [(name, head) for name in ONE_OF_EACH_FAMILY for head in heads]
SLOW = [
    pytest.param(name, head, marks=pytest.mark.slow)
    for name, head in dict.fromkeys([*ONE_HEAD_EACH, *FAMILIES_WITH_EVERY_HEAD])
    if (name, head) not in FAST
]


@pytest.mark.parametrize(("name", "head"), [*FAST, *SLOW])
def test_outputs_have_their_shapes_and_every_weight_learns(name: str, head: str) -> None:
    network = build(name, head)
    outputs = network(images(name))
    exits = len(network.exit_blocks)
    assert [tuple(logits.shape) for logits in outputs.logits] == [(4, CLASSES)] * exits
    assert [tuple(features.shape) for features in outputs.features] == [(4, network.trunk.width)] * exits
    torch.stack(outputs.logits).square().mean().backward()
    without = [weight for weight, tensor in network.named_parameters() if tensor.grad is None]
    assert not without
    assert all(bool(tensor.grad.isfinite().all()) for tensor in network.parameters() if tensor.grad is not None)


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_exits_leave_the_weights_of_the_trunk_and_the_global_generator_as_they_were(name: str) -> None:
    before = torch.get_rng_state()
    with_exits, again, without = build(name), build(name), build(name, placement="none")
    assert torch.equal(torch.get_rng_state(), before)
    for weight, tensor in without.trunk.state_dict().items():
        assert torch.equal(tensor, with_exits.trunk.state_dict()[weight]), weight
    for weight, tensor in again.state_dict().items():
        assert torch.equal(tensor, with_exits.state_dict()[weight]), weight
    other_seed = build(name, seed=1).state_dict()
    assert any(not torch.equal(tensor, other_seed[weight]) for weight, tensor in again.state_dict().items())


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


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_evaluation_is_the_same_in_channels_last_and_after_a_round_trip_of_the_weights(name: str) -> None:
    network = build(name).eval()
    batch = images(name)
    with torch.no_grad():
        expected = torch.stack(network(batch).logits)
        other = build(name, seed=1).eval()
        other.load_state_dict(network.state_dict())
        assert torch.equal(torch.stack(other(batch).logits), expected)
        other = other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = torch.stack(other(batch.contiguous(memory_format=torch.channels_last)).logits)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
        one_by_one = torch.cat([torch.stack(network(image[None]).logits) for image in batch], dim=1)
        torch.testing.assert_close(one_by_one, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_half_precision_gives_nearly_the_same(name: str) -> None:
    network = build(name)
    batch = images(name, 8)
    with torch.no_grad():
        expected = torch.stack(network(batch).logits)
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.stack(network(batch).logits).float()
    assert bool(found.isfinite().all())
    assert math.isclose(1, float(torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0)), abs_tol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_the_forward_pass_compiles_as_one_graph(name: str) -> None:
    network = build(name).eval()
    batch = images(name)
    torch.compiler.reset()
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        torch.testing.assert_close(torch.stack(compiled(batch).logits), torch.stack(network(batch).logits))


@pytest.mark.slow
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
    with pytest.raises(SpecError, match=f"{least}x{least} is the smallest"):
        build_network(ArchitectureSpec(name=name), image_shape=small, classes=CLASSES, seed=0)
    network = build_network(ArchitectureSpec(name=name), image_shape=(3, least, least), classes=CLASSES, seed=0)
    assert network.eval()(torch.randn(1, 3, least, least)).logits[0].shape == (1, CLASSES)

"""Scaled gradients at the taps of exits."""

import pytest
import torch
from exeunt.models import ArchitectureSpec, ExitSpec, build_network

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])


def built(name, *, balanced):
    exits = ExitSpec(placement="all", gradient_equilibrium=balanced)
    spec = ArchitectureSpec(name=name)
    return build_network(spec, exits, image_shape=(3, 32, 32), classes=10, seed=0).double().train()


def losses(network):
    return [torch.nn.functional.cross_entropy(z, LABELS) for z in network(IMAGES.double()).logits]


def test_the_gradient_of_a_part_is_the_mean_over_the_exits_behind_it():
    """This is what the factors 1 / k and k - 1 of the paper's program amount to."""
    plain, balanced = built("resnet20", balanced=False), built("resnet20", balanced=True)
    of_exits = losses(plain)
    exits = len(of_exits)
    sum(losses(balanced)).backward()
    for number in range(1, exits + 1):
        ours = [(n, w) for n, w in balanced.named_parameters() if w in {*_backbone(balanced, number)}]
        theirs = dict(plain.named_parameters())
        for name, weight in ours:
            each = [torch.autograd.grad(loss, theirs[name], retain_graph=True)[0] for loss in of_exits[number - 1 :]]
            torch.testing.assert_close(weight.grad, torch.stack(each).mean(dim=0))


def test_heads_and_outputs_are_as_without_it():
    plain, balanced = built("resnet20", balanced=False), built("resnet20", balanced=True)
    for network in (plain, balanced):
        sum(losses(network)).backward()
    for ours, theirs in zip(balanced.exits.parameters(), plain.exits.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for ours, theirs in zip(losses(balanced), losses(plain), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_of_several_maps_the_one_that_an_exit_reads_is_scaled():
    balanced, plain = built("msdnet", balanced=True), built("msdnet", balanced=False)
    for network in (plain, balanced):
        sum(losses(network)).backward()
    pairs = list(zip(balanced.trunk.parameters(), plain.trunk.parameters(), strict=True))
    assert all(ours.grad is not None for ours, _ in pairs)
    assert any(not torch.allclose(ours.grad, theirs.grad) for ours, theirs in pairs)


def test_the_setting_has_no_effect_without_exits():
    assert ExitSpec(placement="none", gradient_equilibrium=True).canonical() == ExitSpec()
    assert "gradient_equilibrium" not in ExitSpec(placement="all").to_dict()


def _backbone(network, number):
    head = network.exits[f"block{network.exit_blocks[number - 1]}"] if number < len(network.exit_blocks) else None
    for module in network.part(number):
        if module is not head:
            yield from module.parameters()

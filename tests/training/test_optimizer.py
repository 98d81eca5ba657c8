"""Comparison of optimiser steps with PyTorch's optimisers in their usual form."""

import copy

import pytest
import torch
from exeunt.training import Recipe
from exeunt.training.nonfinite import NonFiniteDetector
from exeunt.training.optimizer import OptimizerStep
from torch import nn
from torch.nn import functional as F

THEIRS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=5e-4),
}
RECIPE = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "decay_norms": True}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def gradients(model, step):
    images = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    F.cross_entropy(model(images), torch.arange(16) % 3).backward()


def step_ours(updates, model, step):
    gradients(model, step)
    updates.hold_gradients()
    updates.step(0.1, ("loss",), torch.zeros(1), NonFiniteDetector(torch.device("cpu")))


def both(name, steps, prepare=lambda *_: None):
    """Train one network with each optimiser, and require equal weights; return our updates and their optimiser."""
    ours, theirs = network(), network()
    updates = OptimizerStep(Recipe(optimizer=name, **RECIPE), ours, nn.Module())
    optimizer = THEIRS[name](theirs.parameters())
    for step in range(steps):
        prepare(ours, step)
        prepare(theirs, step)
        step_ours(updates, ours, step)
        gradients(theirs, step)
        optimizer.step()
        optimizer.zero_grad()
    for weight, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight, expected)
    return updates, optimizer


@pytest.mark.parametrize("name", THEIRS)
def test_weights_and_state_are_those_of_pytorchs_optimiser(name):
    updates, optimizer = both(name, 5)
    state, expected = updates.state_dict()["optimizer"]["state"], optimizer.state_dict()["state"]
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize("name", THEIRS)
def test_a_weight_may_get_its_first_gradient_after_others(name):
    def freeze(model, step):
        model[0].weight.requires_grad_(step >= 2)
        model[2].requires_grad_(step != 3)

    both(name, 6, freeze)


@pytest.mark.parametrize("name", THEIRS)
def test_from_their_state_it_goes_on_as_if_it_had_not_stopped(name):
    whole, restored = network(), network()
    updates = OptimizerStep(Recipe(optimizer=name, **RECIPE), whole, nn.Module())
    for step in range(3):
        step_ours(updates, whole, step)
    restored.load_state_dict(whole.state_dict())
    again = OptimizerStep(Recipe(optimizer=name, **RECIPE), restored, nn.Module())
    again.load_state_dict(copy.deepcopy(updates.state_dict()))
    for step in range(3, 6):
        step_ours(updates, whole, step)
        step_ours(again, restored, step)
    for weight, expected in zip(restored.parameters(), whole.parameters(), strict=True):
        assert torch.equal(weight, expected)


def test_gradients_of_parts_add_up_in_one_place_and_a_weight_without_gradient_does_not_decay():
    model = network()
    model.append(nn.Linear(2, 2))  # unused
    updates = OptimizerStep(Recipe(**RECIPE), model, nn.Module())
    unused = model[3].weight.detach().clone()
    places = set()
    for step in range(3):
        gradients(model[:3], 2 * step)
        updates.hold_gradients()
        first = model[0].weight.grad.clone()
        gradients(model[:3], 2 * step + 1)
        model_of_second = network()
        model_of_second.load_state_dict(model[:3].state_dict())
        gradients(model_of_second, 2 * step + 1)
        assert torch.equal(model[0].weight.grad, first + model_of_second[0].weight.grad)
        places.add(model[0].weight.grad.data_ptr())
        updates.step(0.1, ("loss",), torch.zeros(1), NonFiniteDetector(torch.device("cpu")))
    assert len(places) == 1
    assert torch.equal(model[3].weight, unused)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_learning_rate_in_a_tensor_gives_the_bits_of_a_number(name):
    ours, theirs = network(), network()
    updates = OptimizerStep(Recipe(optimizer=name, **RECIPE), ours, nn.Module())
    settings = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    kind = torch.optim.SGD if name == "sgd" else torch.optim.AdamW
    optimizer = kind(theirs.parameters(), lr=0.0, weight_decay=5e-4, fused=True, **settings)
    for step in range(50):  # in AdamW, only some rates change a bit of a weight
        rate = 0.1 / (step + 3)  # no float32 number
        gradients(ours, step)
        updates.hold_gradients()
        updates.step(rate, ("loss",), torch.zeros(1), NonFiniteDetector(torch.device("cpu")))
        gradients(theirs, step)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    for weight, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(weight, expected)

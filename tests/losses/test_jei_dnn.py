from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import JEIDNN, NetworkShape
from exeunt.losses.jei_dnn import uncertainties

from .formulas import EXITS, PROGRESS, check_gradient, check_terms, cross_entropies, inputs_of, softmax

METHODS = [JEIDNN(), JEIDNN(cost_weight=0.1), JEIDNN(cost_weight=2, warm_up=0), JEIDNN(warm_up=0.5)]
COSTS = (0.15, 0.6, 1.0)


def built(method):
    """Build a loss whose gates decide differently for different images."""
    loss = method.build(NetworkShape(exits=EXITS, classes=3, feature_dim=4, exit_costs=COSTS)).double()
    for gate, shift in zip(loss.gates, (-2.5, -3.0), strict=True):
        gate.weight.data[:] = torch.tensor([[2.0, -1.0, 3.0, 0.5]])
        gate.bias.data[:] = shift
    return loss


def read(z):
    """Return what a gate reads of the logits of one image."""
    p = softmax(z)
    q = p**2 / np.sum(p**2)
    ordered = np.sort(p)
    return np.array([ordered[-1], -np.sum(p * np.log(p)), ordered[-1] - ordered[-2], -np.sum(q * np.log(q))])


def gate_of(loss, number, z):
    gate = loss.gates[number]
    return float(read(z) @ gate.weight.detach().numpy()[0] + gate.bias.detach().numpy()[0])


def jei_dnn(method, now, past, labels, loss):
    entropies = np.array([cross_entropies(z, labels) for z in now["logits"]])
    if method.warm_up >= PROGRESS:
        return {"label": entropies.mean(1).sum(), "gate": 0.0}
    fixed = np.array([cross_entropies(z, labels) for z in past["logits"]])
    own, errors, targets = [], [], []
    for n in range(len(labels)):
        not_left, exit_ = 1.0, EXITS - 1
        for i in range(EXITS - 1):
            score = gate_of(loss, i, past["logits"][i][n])
            chance = min(1.0, 1 / (1 + np.exp(-score)) / not_left)
            not_left *= 1 - chance
            if chance >= 0.5:
                exit_ = min(exit_, i)
            best = min(range(EXITS), key=lambda j: fixed[j, n] + method.cost_weight * COSTS[j])
            targets.append(i >= best)
            errors.append(np.log(1 + np.exp(score)) - targets[-1] * score)
        own.append(entropies[exit_, n])
    ones = sum(targets)
    weights = [(len(targets) - ones) / max(ones, 1) if target else 1.0 for target in targets]
    return {"label": np.mean(own), "gate": np.mean(np.multiply(weights, errors))}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, jei_dnn, seed, built(method))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_decisions(method):
    check_gradient(method, jei_dnn, built(method))


def test_images_leave_at_different_exits_and_gates_learn_from_all():
    inputs = replace(inputs_of(images=40), progress=1.0)
    loss = built(JEIDNN(warm_up=0))
    leaves = loss.exit_scores(inputs.logits) >= 0.5
    assert 0 < int(leaves[0].sum()) < 40
    assert int((leaves[1] & ~leaves[0]).sum()) > 0
    loss(inputs)["gate"].backward()
    assert all(gate.weight.grad.abs().sum() > 0 for gate in loss.gates)
    assert all(z.grad is None for z in inputs.logits), "the gates do not change the exits"


def test_a_gate_reads_four_values_without_gradient():
    z = inputs_of().logits[0]
    expected = np.stack([read(row) for row in z.detach().numpy()])
    np.testing.assert_allclose(uncertainties(z).numpy(), expected)
    assert not uncertainties(z).requires_grad


def test_scores_are_probabilities_given_that_an_image_has_come_so_far():
    """As in the authors' program: min(g, 1 - sum of earlier ones) over the probability that no earlier gate opened."""
    inputs = inputs_of(images=20)
    loss = built(JEIDNN())
    for n in range(20):
        first, second = (1 / (1 + np.exp(-gate_of(loss, i, inputs.logits[i][n].detach().numpy()))) for i in (0, 1))
        theirs = np.clip(max(0, min(second, 1 - first)) / (1 - first), 0, 1)
        assert float(loss.exit_scores(inputs.logits)[1, n]) == pytest.approx(theirs)

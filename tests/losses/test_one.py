import numpy as np
import pytest
import torch
from exeunt.losses import ONE
from exeunt.losses.functional import sigmoid_ramp

from .formulas import (
    PROGRESS,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    divergence,
    inputs_of,
    softmax,
    total,
)

METHODS = [ONE(), ONE(temperature=1.5, output_weight=0.4, ramp_up=0), ONE(ramp_up=0.1)]


def gate(loss, features):
    scores = features @ loss.linear.weight.detach().numpy().T + loss.linear.bias.detach().numpy()
    scores = (scores - scores.mean(0)) / np.sqrt(scores.var(0) + 1e-5)
    return softmax(np.maximum(scores, 0))


def one(method, now, past, labels, loss):
    ensembles = [
        sum(weights[:, [i]] * z for i, z in enumerate(at["logits"]))
        for at in (now, past)
        for weights in [gate(loss, at["features"][0])]
    ]
    taught = [divergence(ensembles[1], z, method.temperature) for z in now["logits"]]
    missing = 1 - min(PROGRESS / method.ramp_up, 1) if method.ramp_up else 0
    return {
        "label": sum(cross_entropies(z, labels).mean() for z in now["logits"]),
        "ensemble": cross_entropies(ensembles[0], labels).mean(),
        "output": np.exp(-5 * missing**2) * method.output_weight * sum(taught),
    }


def test_the_weight_rises_like_the_authors():
    """utils/ramps.py at 54afde3: `sigmoid_rampup(epoch, 80)` of 300 epochs."""
    for epoch in (1, 40, 79, 80, 200):
        theirs = float(np.exp(-5 * (1 - np.clip(epoch, 0, 80) / 80) ** 2))
        assert sigmoid_ramp(epoch / 300, ONE().ramp_up) == pytest.approx(theirs, rel=1e-12)
        assert float(sigmoid_ramp(torch.tensor(epoch / 300), ONE().ramp_up)) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, one, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, one)


def test_the_gate_is_trained_by_the_ensembles_cross_entropy():
    inputs = inputs_of(images=6)
    loss = built(ONE(), inputs)
    by_all = torch.autograd.grad(total(loss(inputs)), loss.linear.weight)
    by_ensemble = torch.autograd.grad(loss(inputs)["ensemble"], loss.linear.weight)
    torch.testing.assert_close(by_all, by_ensemble)
    assert by_all[0].abs().sum() > 0


def test_a_gate_weighs_a_batch_of_one_image():
    inputs = inputs_of(images=1)
    assert torch.isfinite(total(built(ONE(), inputs)(inputs)))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (ONE(output_weight=0, temperature=9, ramp_up=0.5), ONE(output_weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()

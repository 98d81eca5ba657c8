from dataclasses import replace

import numpy as np
import pytest
from exeunt.losses import NetworkShape, ShallowDeep

from .formulas import EXITS, PROGRESS, check_gradient, check_terms, cross_entropies, inputs_of

METHODS = [ShallowDeep(), ShallowDeep(start=0.2), ShallowDeep(start=0)]
COSTS = (0.15, 0.6, 1.0)


def built(method):
    return method.build(NetworkShape(exits=EXITS, classes=3, feature_dim=4, exit_costs=COSTS)).double()


def sdn(method, now, _past, labels, _loss):
    entropies = [cross_entropies(z, labels).mean() for z in now["logits"]]
    weights = [min(cost, method.start + PROGRESS * cost) for cost in COSTS[:-1]]
    return {"label": entropies[-1], "auxiliary": np.dot(weights, entropies[:-1])}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, sdn, seed, built(method))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations(method):
    check_gradient(method, sdn, built(method))


def test_the_weights_grow_like_the_authors():
    """model_funcs.py at a556446: `min(C, 0.01 + epoch * C / epochs)`, with epochs from 1."""
    inputs = inputs_of()
    loss = built(ShallowDeep())
    entropies = [cross_entropies(z.detach().numpy(), inputs.labels.numpy()).mean() for z in inputs.logits]
    for epoch in (1, 50, 99, 100):
        theirs = [min(cost, 0.01 + epoch * cost / 100) for cost in COSTS[:-1]]
        ours = loss(replace(inputs, progress=epoch / 100))["auxiliary"]
        assert float(ours) == pytest.approx(np.dot(theirs, entropies[:-1]), rel=1e-12)

from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import KDCL
from exeunt.specs import SpecError

from .formulas import built, check_gradient, check_terms, cross_entropies, divergence, inputs_of

METHODS = [KDCL(networks=3, ensemble=ensemble) for ensemble in ("naive", "minlogit", "mean")]


def kdcl(method, now, past, labels, _):
    z, rows = np.stack(past["logits"]), np.arange(len(labels))
    if method.ensemble == "naive":
        best = np.argmin([cross_entropies(network, labels) for network in z], axis=0)
        target = z[best, rows]
    elif method.ensemble == "minlogit":
        target = np.min([network - network[rows, labels][:, None] for network in z], axis=0)
    else:
        target = sum(z) / len(z)
    taught = [divergence(target, network, method.temperature) for network in now["logits"]]
    label = sum(cross_entropies(network, labels).mean() for network in now["logits"])
    return {"label": label, "output": method.output_weight * sum(taught)}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, kdcl, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, kdcl)


def test_each_image_has_its_own_best_network_and_labels_may_be_probabilities():
    inputs = inputs_of(images=6)
    hot = torch.nn.functional.one_hot(inputs.labels, 3).double()
    for ensemble in ("naive", "minlogit", "mean"):
        loss = built(KDCL(networks=3, ensemble=ensemble), inputs)
        torch.testing.assert_close(loss(replace(inputs, labels=hot)), loss(inputs))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (KDCL(output_weight=0, ensemble="mean", temperature=5), KDCL(output_weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ensemble": "min"}, "ensemble"),
        ({"networks": 1}, "2 <= networks"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        KDCL(**settings)

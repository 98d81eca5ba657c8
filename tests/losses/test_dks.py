import itertools

import pytest
from exeunt.losses import DKS
from exeunt.specs import SpecError

from .formulas import EXITS, check_gradient, check_terms, cross_entropies, divergence

METHODS = [DKS(), DKS(output_weight=0.8)]


def dks(method, now, past, labels, _):
    pairs = itertools.permutations(range(EXITS), 2)
    output = method.output_weight * sum(divergence(past["logits"][j], now["logits"][i]) for i, j in pairs)
    label = sum(cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": label, "output": output}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, dks, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, dks)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output_weight": -1}, "0 <= output_weight"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        DKS(**settings)

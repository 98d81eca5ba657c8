import numpy as np
import pytest
from exeunt.losses import BYOT
from exeunt.specs import SpecError

from .formulas import EXITS, check_gradient, check_terms, cross_entropies, divergence

METHODS = [BYOT(feature_weight=0.2), BYOT(temperature=1.5, output_weight=0.6, feature_weight=0)]


def byot(method, now, past, labels, _):
    a, final = method.output_weight, EXITS - 1
    entropies = [cross_entropies(z, labels).mean() for z in now["logits"]]
    taught = [divergence(past["logits"][final], z, method.temperature) for z in now["logits"][:final]]
    terms = {"label": entropies[final] + (1 - a) * sum(entropies[:final]), "output": a * sum(taught)}
    if method.feature_weight:
        hints = [np.sum((f - past["features"][final]) ** 2, axis=1).mean() for f in now["features"][:final]]
        terms["feature"] = method.feature_weight * sum(hints)
    return terms


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, byot, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, byot)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (BYOT(output_weight=0, temperature=9), BYOT(output_weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output_weight": 1.2}, "0 <= output_weight <= 1"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        BYOT(**settings)

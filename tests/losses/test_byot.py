import numpy as np
import pytest
from exeunt.losses import BYOT, NetworkShape
from exeunt.specs import SpecError

from .formulas import EXITS, check_gradient, check_terms, cross_entropies, divergence, inputs_of

METHODS = [
    BYOT(),
    BYOT(feature_weight=0.2, without_feature="shallowest"),
    BYOT(feature_weight=0.2, without_feature="none"),
    BYOT(temperature=1.5, output_weight=0.6, feature_weight=0),
]
HINTED = {"deepest": (0,), "shallowest": (1,), "none": (0, 1)}
"""Positions of the exits with a feature term, of three exits."""


def byot(method, now, past, labels, loss):
    a, final = method.output_weight, EXITS - 1
    entropies = [cross_entropies(z, labels).mean() for z in now["logits"]]
    taught = [divergence(past["logits"][final], z, method.temperature) for z in now["logits"][:final]]
    terms = {
        "label": entropies[final] + (1 - a) * sum(entropies[:final]),
        "output": a / method.temperature**2 * sum(taught),
    }
    if method.feature_weight:
        hints = []
        for i in HINTED[method.without_feature]:
            layer = getattr(loss, f"adapt{i}")
            adapted = now["features"][i] @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
            hints.append(np.sqrt(np.sum((adapted - past["features"][final]) ** 2)))
        terms["hint"] = method.feature_weight * sum(hints)
    return terms


def test_the_defaults_are_those_of_the_authors_program():
    """Train.py at 47ca93b: loss_coefficient, temperature, feature_loss_coefficient; `if index != 1`."""
    method = BYOT()
    assert (method.output_weight, method.temperature, method.feature_weight) == (0.3, 3.0, 0.03)
    assert [*method.build_learned(NetworkShape(exits=4, classes=9, feature_dim=5))] == ["adapt0", "adapt1"]


def test_with_one_other_exit_there_is_no_feature_term():
    shape = NetworkShape(exits=2, classes=3, feature_dim=4)
    loss = BYOT().build(shape)
    inputs = inputs_of(exits=2)
    assert loss(inputs).keys() == {"label", "output"}


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
        (BYOT(feature_weight=0, without_feature="none"), BYOT(feature_weight=0)),
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

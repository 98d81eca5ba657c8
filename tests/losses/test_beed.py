import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import BEED, NetworkShape
from exeunt.specs import SpecError

from .formulas import (
    EXITS,
    arrays,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    divergence,
    inputs_of,
    powers_of,
    softmax,
    total,
)

METHODS = [BEED(), BEED(temperature=2, ensemble_base=0.7, balance_base=1.3, feature_weight=0)]


def beed(method, now, past, labels, _):
    weights = powers_of(method.ensemble_base, EXITS) / powers_of(method.ensemble_base, EXITS).sum()
    target_logits = sum(w * z for w, z in zip(weights, past["logits"], strict=True))
    target_maps = sum(w * m for w, m in zip(weights, past["feature_maps"], strict=True))
    label, output = 0.0, 0.0
    for i, z in enumerate(now["logits"]):
        balance = method.balance_base ** (EXITS - 1 - i)
        label += (2 - balance) * cross_entropies(z, labels).mean()
        output += balance * divergence(target_logits, z, method.temperature)
    terms = {"label": label, "output": output}
    if method.feature_weight:
        terms["feature"] = method.feature_weight * sum(np.mean((m - target_maps) ** 2) for m in now["feature_maps"])
    return terms


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, beed, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, beed)


def test_the_defaults_are_the_authors_program():
    """Reductions of hjdw2/BEED at d6af149."""
    inputs = inputs_of(exits=4, images=8, classes=7, width=6)
    values = arrays(inputs)
    weights = np.array([1, 1.6, 1.6**2, 1.6**3]) / (1 + 1.6 + 1.6**2 + 1.6**3)
    t, tm = (sum(w * o for w, o in zip(weights, values[name], strict=True)) for name in ("logits", "feature_maps"))
    p, whole = softmax(t / 3), 0.0
    for k, z, m in zip((3, 2, 1, 0), values["logits"], values["feature_maps"], strict=True):
        summed = (p * (np.log(p) - np.log(softmax(z / 3)))).sum()
        entropy = cross_entropies(z, inputs.labels.numpy()).mean()
        whole += (2 - 1.15**k) * entropy + 1.15**k * summed * 9 / 8 + 0.1 * ((m - tm) ** 2).mean()
    assert float(total(built(BEED(), inputs)(inputs)).detach()) == pytest.approx(whole, rel=1e-12)


def test_pooled_features_are_compared_where_maps_differ_in_size():
    inputs = inputs_of()
    maps = (*inputs.feature_maps[:-1], torch.zeros(3, 4, 1, 1, dtype=torch.float64))
    term = built(BEED(), inputs)(replace(inputs, feature_maps=maps))["feature"]
    as_maps = tuple(f[:, :, None, None] for f in inputs.features)
    torch.testing.assert_close(term, built(BEED(), inputs)(replace(inputs, feature_maps=as_maps))["feature"])


def test_a_balance_that_drives_an_exit_from_the_labels_is_refused_before_anything_is_built():
    for refuse in (BEED().check, lambda exits: BEED().build(NetworkShape(exits=exits, classes=3, feature_dim=4))):
        with pytest.raises(SpecError, match=r"at most 1\.122"):
            refuse(7)
    BEED().check(4)


@pytest.mark.parametrize("exits", range(2, 60))
def test_the_largest_balance_that_a_message_names_is_allowed(exits):
    with pytest.raises(SpecError) as refusal:
        BEED(balance_base=2.1).check(exits)
    largest = re.search(r"at most ([\d.]+),", str(refusal.value))
    BEED(balance_base=float(largest[1])).check(exits)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"balance_base": 0}, "0 < balance_base"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        BEED(**settings)

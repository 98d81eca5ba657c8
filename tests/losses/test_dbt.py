from dataclasses import replace

import pytest
import torch
from exeunt.losses import DistillationBasedTraining, NetworkShape
from exeunt.specs import SpecError

from .formulas import check_gradient, check_terms, cross_entropies, divergence, inputs_of, total

METHODS = [DistillationBasedTraining(), DistillationBasedTraining(temperature=2.5, output_weight=0.2, scale=3)]


def phuong(method, now, past, labels, _):
    weight, factor = method.output_weight, method.scale / len(now["logits"])
    taught = [divergence(past["logits"][-1], z, method.temperature) for z in now["logits"][:-1]]
    label = sum(cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": factor * (1 - weight) * label, "output": factor * weight * sum(taught)}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, phuong, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, phuong)


def test_the_temperature_grows_while_the_final_exit_is_sure_and_is_part_of_the_state():
    inputs = inputs_of()
    sure = replace(inputs, logits=(*inputs.logits[:-1], 20.0 * torch.eye(3, dtype=torch.float64)))
    unsure = replace(inputs, logits=(*inputs.logits[:-1], torch.zeros(3, 3, dtype=torch.float64)))
    loss = DistillationBasedTraining().build(NetworkShape(exits=3, classes=3, feature_dim=4))
    total(loss(sure)).backward()
    total(loss(sure)).backward()
    assert float(loss.state_dict()["temperature"]) == pytest.approx(1.05**2)
    loss(unsure)
    loss.eval()
    loss(sure)
    assert float(loss.temperature) == pytest.approx(1.05**2)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (DistillationBasedTraining(growth=1, confidence_bound=0.9), DistillationBasedTraining(growth=1)),
        (DistillationBasedTraining(output_weight=0, growth=2), DistillationBasedTraining(output_weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"growth": 0.9}, "1 <= growth"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        DistillationBasedTraining(**settings)

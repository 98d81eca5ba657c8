"""Tests of methods that compare relations between the images of a batch: RKD and SP."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import RKD, SP
from exeunt.specs import SpecError

from .formulas import built, check_gradient, check_terms, cross_entropies, taught_inputs, total


def huber(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5)


def rkd(method, now, past, labels, _):
    student, teacher = now["features"][0], past["teacher_features"][0]
    distances, angles = [], []
    for f in (student, teacher):
        apart = np.array([[np.linalg.norm(a - b) for a in f] for b in f])
        distances.append(apart / np.mean([apart[i, j] for i, j in itertools.permutations(range(len(f)), 2)]))
        cosines = np.zeros((len(f),) * 3)
        for i, j, k in np.ndindex(cosines.shape):
            if i not in (j, k):
                cosines[i, j, k] = (f[i] - f[j]) @ (f[i] - f[k]) / (apart[i, j] * apart[i, k])
        angles.append(cosines)
    return {
        "label": cross_entropies(now["logits"][0], labels).mean(),
        "distance": method.distance_weight * huber(distances[0] - distances[1]).mean(),
        "angle": method.angle_weight * huber(angles[0] - angles[1]).mean(),
    }


def sp(method, now, past, labels, _):
    rows = []
    for maps in (now["stage_maps"][-1], past["teacher_stage_maps"][-1]):
        similar = np.array([[(a * b).sum() for b in maps] for a in maps])
        rows.append([row / np.linalg.norm(row) for row in similar])
    return {
        "label": cross_entropies(now["logits"][0], labels).mean(),
        "similarity": method.weight * np.mean((np.array(rows[0]) - rows[1]) ** 2),
    }


METHODS = [(RKD(), rkd), (RKD(distance_weight=2, angle_weight=0.5), rkd), (SP(), sp), (SP(weight=3), sp)]
each_method = pytest.mark.parametrize(("method", "reference"), METHODS, ids=[repr(method) for method, _ in METHODS])


@each_method
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, reference, seed):
    check_terms(method, reference, inputs=taught_inputs(images=5, classes=4, seed=seed))


@pytest.mark.parametrize(
    ("method", "reference"), [*METHODS[:2], METHODS[3]], ids=[repr(METHODS[i][0]) for i in (0, 1, 3)]
)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method, reference):
    check_gradient(method, reference, inputs=taught_inputs(images=4))


def test_relations_do_not_depend_on_the_scale_of_the_features():
    inputs = taught_inputs()
    features = tuple(1000 * f + 5 for f in inputs.features)
    terms, scaled = (built(RKD(), inputs)(each) for each in (inputs, replace(inputs, features=features)))
    torch.testing.assert_close(scaled, terms, rtol=1e-9, atol=0)


def test_images_with_equal_features_have_a_finite_gradient():
    """Features that are all 0 occur after a ReLU."""
    inputs = taught_inputs(images=4)
    with torch.no_grad():
        inputs.features[0][:3] = 0
        inputs.stage_maps[-1][:3] = 0
    for method in (RKD(), SP()):
        total(built(method, inputs)(inputs)).backward()
    assert float(inputs.features[0].grad.abs().max()) < 1e3
    assert float(inputs.stage_maps[-1].grad.abs().max()) < 1e6


def test_one_image_has_no_relations():
    inputs = taught_inputs(images=1)
    for method in (RKD(), SP()):
        terms = built(method, inputs)(inputs)
        assert sum(float(term.detach()) for name, term in terms.items() if name != "label") == 0


def test_the_defaults_are_those_of_repdistiller():
    """Constants of RepDistiller b84f547, distiller_zoo/RKD.py and scripts/run_cifar_distill.sh."""
    assert RKD() == RKD(distance_weight=25, angle_weight=50)
    assert SP() == SP(weight=3000)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (RKD, {"distance_weight": -1}, "0 <= distance_weight"),
        (RKD, {"angle_weight": float("nan")}, "angle_weight is finite"),
        (SP, {"weight": -1}, "0 <= weight"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, settings, said):
    with pytest.raises(SpecError, match=said):
        kind(**settings)

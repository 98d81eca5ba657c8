"""Tests of methods that compare probabilities of student and teacher: DIST, NKD and multi-level logit distillation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import DIST, DKD, KD, MLKD, NKD, LossInputs
from exeunt.specs import SpecError

from .formulas import (
    arrays,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    divergence,
    softmax,
    taught_inputs,
    total,
)


def dist(method, now, past, labels, _):
    scale = method.temperature
    teacher = softmax(past["teacher_logits"][0] / scale)
    terms = {"label": 0.0, "inter_class": 0.0, "intra_class": 0.0}
    for z in now["logits"]:
        p = softmax(z / scale)
        over_classes = [guarded_correlation(*rows) for rows in zip(p, teacher, strict=True)]
        over_images = [guarded_correlation(*columns) for columns in zip(p.T, teacher.T, strict=True)]
        terms["label"] += cross_entropies(z, labels).mean()
        terms["inter_class"] += method.beta * scale**2 * np.mean([1 - r for r in over_classes])
        terms["intra_class"] += method.gamma * scale**2 * np.mean([1 - r for r in over_images])
    return terms


def guarded_correlation(a, b):
    """Return NumPy's correlation coefficient times `|a| |b| / (|a| |b| + 1e-8)`, with centred a and b."""
    norms = len(a) * a.std() * b.std()
    return np.corrcoef(a, b)[0, 1] * norms / (norms + 1e-8)


def nkd(method, now, past, labels, _):
    terms = {"label": 0.0, "target": 0.0, "non_target": 0.0}
    for z in now["logits"]:
        for own, teacher, label in zip(z, past["teacher_logits"][0], labels, strict=True):
            log_p = np.log(softmax(own))
            terms["label"] -= log_p[label] / len(z)
            terms["target"] -= softmax(teacher)[label] * log_p[label] / len(z)
            # Shares among the other classes, from the softened shares of all classes.
            soft, soft_teacher = softmax(own / method.temperature), softmax(teacher / method.temperature)
            others = [c for c in range(len(own)) if c != label]
            entropy = -sum(
                soft_teacher[c] / (1 - soft_teacher[label]) * np.log(soft[c] / (1 - soft[label])) for c in others
            )
            terms["non_target"] += method.gamma * method.temperature**2 * entropy / len(z)
    return terms


def mlkd(method, now, past, labels, _):
    teacher, second_teacher = past["teacher_logits"][0], past["second_view_teacher_logits"][0]
    shares = softmax(teacher)
    unsure, rare = shares.max(axis=1), shares.sum(axis=0)
    images, classes = (np.mean(values <= np.percentile(values, 50)) for values in (unsure, rare))
    terms = {"label": 0.0, "instance": 0.0, "class": 0.0, "batch": 0.0}
    for z, second in zip(now["logits"], now["second_view_logits"], strict=True):
        terms["label"] += method.label_weight * sum(cross_entropies(view, labels).mean() for view in (z, second))
        for number, scale in enumerate((method.temperature, 3, 5, 2, 6)):
            terms["instance"] += method.weight * images * divergence(teacher, z, scale)
            pair = (teacher, z) if number > 2 else (second_teacher, second)
            terms["instance"] += method.weight * divergence(*pair, scale)
            p, q = softmax(z / scale), softmax(teacher / scale)
            by_class = np.einsum("na,nb->ab", p, p) - np.einsum("na,nb->ab", q, q)
            by_image = np.einsum("ac,bc->ab", p, p) - np.einsum("ac,bc->ab", q, q)
            terms["class"] += method.weight * classes * (by_class**2).sum(axis=1).mean()
            terms["batch"] += method.weight * images * (by_image**2).sum(axis=1).mean()
    return terms


METHODS = [
    (DIST(), dist),
    (DIST(temperature=1, beta=1.5, gamma=0.5), dist),
    (NKD(), nkd),
    (NKD(temperature=1, gamma=1.5), nkd),
    (MLKD(), mlkd),
    (MLKD(temperature=2, label_weight=1, weight=0.3), mlkd),
]
each_method = pytest.mark.parametrize(("method", "reference"), METHODS, ids=[repr(method) for method, _ in METHODS])


@each_method
@pytest.mark.parametrize(("images", "exits"), [(5, 1), (6, 2)])
def test_the_terms_are_those_of_the_equations(method, reference, images, exits):
    check_terms(method, reference, inputs=taught_inputs(images=images, classes=4, exits=exits, seed=images))


@each_method
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method, reference):
    check_gradient(method, reference, inputs=taught_inputs(images=4, exits=2))


def mixed(inputs: LossInputs) -> LossInputs:
    generator = torch.Generator().manual_seed(3)
    labels = torch.rand(inputs.logits[0].shape, generator=generator, dtype=torch.float64).softmax(dim=1)
    return replace(inputs, labels=labels)


def test_the_target_class_of_a_mixed_image_is_its_most_probable_one():
    inputs = mixed(taught_inputs(images=5, classes=4))
    labels = inputs.labels.numpy().argmax(axis=1)
    terms = built(NKD(), inputs)(inputs)
    expected = nkd(NKD(), arrays(inputs), arrays(inputs), labels, None)
    for name in ("target", "non_target"):
        assert float(terms[name].detach()) == pytest.approx(expected[name], rel=1e-10)


def test_mlkd_has_one_class_per_label():
    inputs = mixed(taught_inputs())
    with pytest.raises(AssertionError, match="no mixed images"):
        built(MLKD(), inputs)(inputs)


def test_at_temperature_1_nkd_has_the_gradient_of_the_other_classes_of_dkd():
    inputs = taught_inputs(images=5, classes=4)
    normalised, decoupled = NKD(temperature=1, gamma=1.5), DKD(temperature=1, alpha=0, beta=1.5, warm_up=0)
    first = torch.autograd.grad(built(normalised, inputs)(inputs)["non_target"], inputs.logits)
    second = torch.autograd.grad(built(decoupled, inputs)(inputs)["other_classes"], inputs.logits)
    torch.testing.assert_close(first, second)


def test_classes_of_equal_shares_have_no_correlation_and_no_gradient_that_is_not_finite():
    inputs = replace(taught_inputs(), logits=(torch.zeros(3, 3, dtype=torch.float64, requires_grad=True),))
    terms = built(DIST(), inputs)(inputs)
    assert float(terms["inter_class"].detach()) == pytest.approx(2 * 4**2)
    total(terms).backward()
    assert torch.isfinite(inputs.logits[0].grad).all()


def test_one_image_is_enough():
    inputs = taught_inputs(images=1)
    for method in (DIST(), NKD(), MLKD()):
        assert torch.isfinite(total(built(method, inputs)(inputs)))


@pytest.mark.parametrize("images", [4, 5])
def test_images_that_the_teacher_is_equally_sure_of_all_count(images):
    """Saturated probabilities are equal, so that all of them are at most their median."""
    logits = torch.zeros(images, 3, dtype=torch.float64)
    logits[:, 0] = 1000
    inputs = replace(taught_inputs(images=images), teacher_logits=logits)
    check_terms(MLKD(), mlkd, inputs=inputs)


def test_the_defaults_are_those_of_the_authors():
    """Constants of image_classification_sota d9662f7, cls_KD 1e5d48f and Multi-Level-Logit-Distillation 5ee473f."""
    assert DIST() == DIST(temperature=4, beta=2 * 1, gamma=2 * 1)
    assert NKD() == NKD(temperature=3, gamma=3.5)
    assert MLKD() == MLKD(temperature=4, label_weight=0.1, weight=0.9)


def test_a_step_of_mlkd_has_two_passes_of_each_network():
    assert (MLKD.student_passes(), MLKD.teacher_passes()) == (6, 2)
    assert (KD.student_passes(), KD.teacher_passes()) == (3, 1)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (DIST, {"temperature": 0}, "0 < temperature"),
        (DIST, {"gamma": -1}, "0 <= gamma"),
        (NKD, {"temperature": -1}, "0 < temperature"),
        (NKD, {"gamma": float("inf")}, "gamma is finite"),
        (MLKD, {"weight": -0.1}, "0 <= weight"),
        (MLKD, {"label_weight": "a"}, "label_weight"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, settings, said):
    with pytest.raises(SpecError, match=said):
        kind(**settings)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (DIST(beta=0, gamma=0, temperature=2), DIST(beta=0, gamma=0)),
        (NKD(gamma=0, temperature=2), NKD(gamma=0)),
        (MLKD(weight=0, temperature=2), MLKD(weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()

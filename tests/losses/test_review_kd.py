from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import NetworkShape, ReviewKD
from exeunt.specs import SpecError

from .formulas import (
    CHANNELS,
    PROGRESS,
    TEACHER_CHANNELS,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    taught_inputs,
)

SHAPE = NetworkShape(
    exits=1,
    classes=3,
    feature_dim=700,
    stage_channels=CHANNELS,
    teacher_stage_channels=TEACHER_CHANNELS,
    teacher_feature_dim=6,
)


def convolved(maps, weight, bias=None):
    """Convolve maps (N, channels, h, w) with an odd kernel, padded with zeros."""
    margin = weight.shape[2] // 2
    padded = np.pad(maps, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    height, width = maps.shape[2:]
    result = sum(
        np.einsum("oc,nchw->nohw", weight[:, :, i, j], padded[:, :, i : i + height, j : j + width])
        for i, j in np.ndindex(weight.shape[2:])
    )
    return result if bias is None else result + bias[:, None, None]


def normalised(maps):
    centred = maps - maps.mean(axis=(0, 2, 3), keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=(0, 2, 3), keepdims=True) + 1e-5)


def nearest(maps, size):
    rows, columns = ([at * old // new for at in range(new)] for old, new in zip(maps.shape[2:], size, strict=True))
    return maps[:, :, rows][:, :, :, columns]


def pooled(maps, size):
    """Pool adaptively by definition: output i covers the rows from floor(i h / n) to ceil((i + 1) h / n)."""
    bounds = [[(i * old // size, -(-(i + 1) * old // size)) for i in range(size)] for old in maps.shape[2:]]
    return np.array(
        [
            [maps[:, :, top:bottom, left:right].mean(axis=(2, 3)) for left, right in bounds[1]]
            for top, bottom in bounds[0]
        ]
    )


def hierarchical(maps, target):
    total, weights, weight = ((maps - target) ** 2).mean(), 1.0, 1.0
    for size in (4, 2, 1):
        if size < min(maps.shape[2:]):
            weight /= 2
            total += weight * ((pooled(maps, size) - pooled(target, size)) ** 2).mean()
            weights += weight
    return total / weights


def review(method, now, past, labels, loss):
    weights = {name: weight.detach().numpy() for name, weight in loss.named_parameters()}
    student = [now["features"][0][:, :, None, None], *reversed(now["stage_maps"])]
    teacher = [past["teacher_features"][0][:, :, None, None], *reversed(past["teacher_stage_maps"])]
    fused, distance = None, 0.0
    for number, (maps, target) in enumerate(zip(student, teacher, strict=False)):
        own = normalised(convolved(maps, weights[f"inward.{number}.0.weight"]))
        if fused is not None:
            deeper = nearest(fused, own.shape[2:])
            name = f"attention.{number - 1}.0"
            scores = convolved(
                np.concatenate([own, deeper], axis=1), weights[f"{name}.weight"], weights[f"{name}.bias"]
            )
            own, deeper = (each * (1 / (1 + np.exp(-scores[:, [part]]))) for part, each in enumerate((own, deeper)))
            own = own + deeper
        fused = nearest(own, target.shape[2:])
        output = normalised(convolved(fused, weights[f"outward.{number}.0.weight"]))
        distance += hierarchical(output, target)
    ramp = min(1, PROGRESS / method.warm_up) if method.warm_up else 1
    return {
        "label": cross_entropies(now["logits"][0], labels).mean(),
        "review": ramp * method.weight * distance,
    }


METHODS = [ReviewKD(), ReviewKD(weight=5, warm_up=0.5), ReviewKD(weight=0.6, warm_up=0)]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(2))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, review, inputs=taught_inputs(images=5, classes=4, seed=seed))


def test_a_student_of_more_stages_than_its_teacher_leaves_out_the_first():
    inputs = taught_inputs(images=4)
    inputs = replace(inputs, stage_maps=inputs.teacher_stage_maps, teacher_stage_maps=inputs.stage_maps)
    inputs = replace(inputs, teacher_stage_maps=tuple(maps.detach() for maps in inputs.teacher_stage_maps))
    check_terms(ReviewKD(), review, inputs=inputs)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[:2], ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, review, inputs=taught_inputs(images=3))


def test_all_modules_learn():
    inputs = taught_inputs()
    loss = built(ReviewKD(), inputs)
    loss(inputs)["review"].backward()
    norms = [name for name, _ in loss.named_parameters() if name.endswith("0.1.bias")]
    assert norms
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in loss.parameters())


def test_the_modules_have_the_channels_of_the_stages_and_at_most_512_between():
    loss = ReviewKD().build(SHAPE)
    shapes = {name: tuple(weight.shape) for name, weight in loss.named_parameters() if name.endswith("0.weight")}
    assert shapes == {
        "inward.0.0.weight": (512, 700, 1, 1),
        "inward.1.0.weight": (512, 3, 1, 1),
        "inward.2.0.weight": (512, 2, 1, 1),
        "attention.0.0.weight": (2, 1024, 1, 1),
        "attention.1.0.weight": (2, 1024, 1, 1),
        "outward.0.0.weight": (6, 512, 3, 3),
        "outward.1.0.weight": (3, 512, 3, 3),
        "outward.2.0.weight": (4, 512, 3, 3),
    }


@pytest.mark.parametrize(("progress", "share"), [(1 / 24, 0.5), (1 / 12, 1.0), (0.5, 1.0)])
def test_the_review_term_grows_over_the_warm_up(progress, share):
    inputs = taught_inputs()
    terms, full = (built(ReviewKD(), inputs)(replace(inputs, progress=at)) for at in (progress, 1.0))
    torch.testing.assert_close(terms["review"], share * full["review"])


def test_the_defaults_are_those_of_the_authors():
    """Constants of the arguments `--kd-loss-weight` and `--kd-warm-up` in CIFAR-100/train.py of ReviewKD cede6ea."""
    assert ReviewKD() == ReviewKD(weight=1, warm_up=20 / 240)


@pytest.mark.parametrize(("settings", "said"), [({"weight": -1}, "0 <= weight"), ({"warm_up": 20}, "warm_up <= 1")])
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        ReviewKD(**settings)


def test_without_weight_the_warm_up_has_no_effect():
    assert ReviewKD(weight=0, warm_up=0.5).canonical() == ReviewKD(weight=0).canonical()

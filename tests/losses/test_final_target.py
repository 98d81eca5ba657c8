import numpy as np
import pytest
import torch
from exeunt.losses import FinalTarget

from .formulas import (
    PROGRESS,
    arrays,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    divergence,
    inputs_of,
    masked,
    softmax,
    total,
)

METHODS = [
    *(
        FinalTarget(output_loss=output_loss, temperature=2.5, output_weight=0.7, feature_weight=feature_weight)
        for output_loss in ("mse", "kl")
        for feature_weight in (0, 0.3)
    ),
    FinalTarget(label_weight=0.4, ramp_up=0.5),
]


def final_target(method, now, past, labels, _):
    share = min(1, PROGRESS / method.ramp_up) if method.ramp_up else 1
    z, f, target = now["logits"], now["features"], past["logits"][-1]
    if method.output_loss == "mse":
        output = sum(np.mean((zi - target) ** 2) for zi in z[:-1])
    else:
        output = sum(divergence(target, zi, method.temperature) for zi in z[:-1])
    terms = {
        "label": method.label_weight * sum(cross_entropies(zi, labels).mean() for zi in z),
        "output": share * method.output_weight * output,
    }
    if method.feature_weight:
        feature = sum(masked(fi, past["features"][-1]) for fi in f[:-1])
        terms["feature"] = share * method.feature_weight * feature
    return terms


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, final_target, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, final_target)


@pytest.mark.parametrize("output_loss", ["mse", "kl"])
@pytest.mark.parametrize("features", [True, False])
def test_the_defaults_are_the_authors_program(output_loss, features):
    """Reductions and constants of hjdw2/Exit-Ensemble-Distillation at 146c9cf, use_EED off."""
    inputs = inputs_of(exits=4, images=8, classes=7, width=6)
    z, f = arrays(inputs)["logits"], arrays(inputs)["features"]
    t, tf, taught = z[-1], f[-1], 3
    whole = sum(cross_entropies(zi, inputs.labels.numpy()).mean() for zi in z)
    if features:
        whole += sum(masked(fi, tf) for fi in f[:taught])
    if output_loss == "mse":
        whole += sum(((zi - t) ** 2).mean() for zi in z[:taught])
    else:
        p = softmax(t / 3)
        crossed = [-(p * np.log(softmax(zi / 3))).sum(1).mean() for zi in z[:taught]]
        entropy = -(p * np.log(p)).sum(1).mean()
        whole += 0.1 * 9 * (sum(crossed) - taught * entropy)  # the authors' code uses the cross-entropy
    method = FinalTarget(output_loss=output_loss, **({} if features else {"feature_weight": 0}))
    assert float(total(built(method, inputs)(inputs)).detach()) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("output_loss", ["mse", "kl"])
def test_the_final_exit_learns_from_labels_alone(output_loss):
    inputs = inputs_of()
    method = FinalTarget(output_loss=output_loss)
    total(built(method, inputs)(inputs)).backward()
    alone = inputs.logits[-1].detach().requires_grad_()
    torch.nn.functional.cross_entropy(alone, inputs.labels).backward()
    torch.testing.assert_close(inputs.logits[-1].grad, alone.grad, rtol=0, atol=0)
    assert inputs.features[-1].grad is None
    assert all(feature.grad.abs().sum() > 0 for feature in inputs.features[:-1])


def test_features_inactive_in_both_exit_and_target_are_asked_nothing():
    inputs = inputs_of(exits=2, images=1, classes=2, width=3)
    with torch.no_grad():  # both inactive; only the exit active; only the target active
        inputs.features[0].copy_(torch.tensor([[-1.0, 2.0, -1.0]]))
        inputs.features[1].copy_(torch.tensor([[-3.0, -4.0, 5.0]]))
    built(FinalTarget(), inputs)(inputs)["feature"].backward()
    assert inputs.features[0].grad.tolist() == [[0, 2 * 6 / 3, 2 * -6 / 3]]


def test_what_shapes_terms_without_weight_has_no_effect():
    assert FinalTarget(output_weight=0, feature_weight=0, ramp_up=0.5).canonical() == (
        FinalTarget(output_weight=0, feature_weight=0).canonical()
    )

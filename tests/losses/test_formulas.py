"""Every method against its equations, written once more in NumPy, one image and one class at a time."""

import numpy as np
import pytest
import torch
from exeunt.losses import EED, KD, Baseline, FinalTarget, LossInputs, NetworkShape
from hypothesis import given, settings
from hypothesis import strategies as st

STEP = 1e-6


def softmax(z):
    powers = [np.exp(value - max(z)) for value in z]
    return [power / sum(powers) for power in powers]


def cross_entropy(z, labels):
    return np.mean([-np.log(softmax(row)[label]) for row, label in zip(z, labels, strict=True)])


def divergence(t, z, temperature):
    rows = []
    for target_row, row in zip(t, z, strict=True):
        p, q = softmax(target_row / temperature), softmax(row / temperature)
        rows.append(sum(pi * (np.log(pi) - np.log(qi)) for pi, qi in zip(p, q, strict=True)))
    return temperature**2 * np.mean(rows)


def feature_distance(f, t):
    return np.mean([(a - b) ** 2 if a > 0 or b > 0 else 0.0 for a, b in zip(f.ravel(), t.ravel(), strict=True)])


def expected(method, z, f, labels, targets):
    """The terms; the targets (logits, features) are constants, made by `targets_of`."""
    label = sum(cross_entropy(zi, labels) for zi in z)
    t_z, t_f = targets
    if isinstance(method, Baseline):
        return {"label": label}
    if isinstance(method, KD):
        teacher = sum(divergence(t_z, zi, method.temperature) for zi in z)
        return {"label": (1 - method.weight) * label, "teacher": method.weight * teacher}
    taught = len(z) if isinstance(method, EED) else len(z) - 1
    if method.output_loss == "mse":
        output = sum(np.mean((zi - t_z) ** 2) for zi in z[:taught])
    else:
        output = sum(divergence(t_z, zi, method.temperature) for zi in z[:taught])
    terms = {"label": label, "output": method.output_weight * output}
    if method.feature_weight > 0:
        terms["feature"] = method.feature_weight * sum(feature_distance(fi, t_f) for fi in f[:taught])
    return terms


def targets_of(method, z, f, teacher):
    if isinstance(method, KD):
        return teacher, None
    if isinstance(method, EED):
        return sum(z) / len(z), sum(f) / len(f)
    return z[-1].copy(), f[-1].copy()


def arrays(inputs):
    z, f = ([tensor.detach().double().numpy() for tensor in part] for part in (inputs.logits, inputs.features))
    return z, f, inputs.labels.numpy(), inputs.teacher_logits.detach().double().numpy()


def exits_of(method):
    return 1 if isinstance(method, Baseline) else 3


METHODS = [
    Baseline(),
    KD(),
    KD(temperature=1, weight=0.25),
    *(
        kind(output_loss=output_loss, temperature=2.5, output_weight=0.7, feature_weight=feature_weight)
        for kind in (EED, FinalTarget)
        for output_loss in ("mse", "kl")
        for feature_weight in (0, 0.3)
    ),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=repr)


@each_method
def test_the_terms_are_those_of_the_equations(draw, method):
    inputs = draw(exits=exits_of(method))
    z, f, labels, teacher = arrays(inputs)
    terms = method.build(NetworkShape(exits=len(z), classes=z[0].shape[1], width=1))(inputs)
    named = expected(method, z, f, labels, targets_of(method, z, f, teacher))
    assert {name: float(term.detach()) for name, term in terms.items()} == pytest.approx(named, rel=1e-12)


@each_method
def test_the_gradient_is_that_of_the_equations_with_constant_targets(draw, method):
    inputs = draw(exits=exits_of(method), images=2, classes=3, width=4)
    z, f, labels, teacher = arrays(inputs)
    targets = targets_of(method, z, f, teacher)
    torch.stack(
        list(method.build(NetworkShape(exits=len(z), classes=z[0].shape[1], width=1))(inputs).values())
    ).sum().backward()
    for tensor, array in zip(inputs.logits + inputs.features, z + f, strict=True):
        numeric = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            sums = []
            for step in (STEP, -STEP):
                moved = array[place]
                array[place] = moved + step
                sums.append(sum(expected(method, z, f, labels, targets).values()))
                array[place] = moved
            numeric[place] = (sums[0] - sums[1]) / (2 * STEP)
        exact = np.zeros_like(array) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8)
    assert inputs.teacher_logits.grad is None


@settings(max_examples=40, deadline=None)
@given(
    method=st.builds(EED, output_loss=st.just("kl"), temperature=st.floats(0.5, 20), output_weight=st.floats(0.01, 2)),
    logits=st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=2, max_size=5),
)
def test_a_divergence_is_the_cross_entropy_less_the_targets_entropy(method, logits):
    """The authors' program takes the cross-entropy to the softened target: another value, the same gradient."""
    z = [torch.tensor([row], dtype=torch.float64, requires_grad=True) for row in logits]
    features = tuple(torch.zeros(1, 2, dtype=torch.float64) for _ in z)
    inputs = LossInputs(logits=tuple(z), features=features, labels=torch.tensor([0]))
    term = method.build(NetworkShape(exits=len(z), classes=z[0].shape[1], width=1))(inputs)["output"]
    target = torch.stack(z).detach().mean(0).div(method.temperature).softmax(1)
    scale = method.temperature**2 * method.output_weight
    crossed = [-(target * (zi / method.temperature).log_softmax(1)).sum() for zi in z]
    entropy = torch.special.entr(target).sum()
    torch.testing.assert_close(term, scale * (sum(crossed) - len(z) * entropy), rtol=1e-6, atol=1e-9 * scale)
    ours, theirs = torch.autograd.grad(term, z), torch.autograd.grad(scale * sum(crossed), z)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)

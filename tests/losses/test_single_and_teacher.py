"""Tests of single-network and teacher methods against the equations of their papers in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import LossInputs, NetworkShape
from exeunt.losses.at import AT
from exeunt.losses.cs_kd import CSKD
from exeunt.losses.dkd import DKD
from exeunt.losses.fitnet import FitNet
from exeunt.losses.kd import KD
from exeunt.losses.label_smoothing import LabelSmoothing
from exeunt.losses.ps_kd import PSKD
from exeunt.losses.tf_kd_reg import TfKDReg
from exeunt.losses.tf_kd_self import TfKDSelf
from exeunt.specs import SpecError

STEP = 1e-5
CHANNELS, TEACHER_CHANNELS = (2, 3, 4), (3, 2, 5, 4)
SIZES, TEACHER_SIZES = ((4, 6), (4, 3), (2, 2)), ((8, 8), (4, 4), (3, 5), (1, 2))
SHAPE = NetworkShape(
    exits=1, classes=4, feature_dim=2, stage_channels=CHANNELS, teacher_stage_channels=TEACHER_CHANNELS
)

SINGLE = [
    LabelSmoothing(),
    LabelSmoothing(smoothing=0.3),
    TfKDReg(),
    TfKDReg(accuracy=0.7, temperature=0.5, weight=0.4, factor=3),
    PSKD(),
    CSKD(),
    CSKD(temperature=1.5, weight=2.5),
]
EXITS = [
    TfKDSelf(),
    TfKDSelf(temperature=1.5, weight=0.25, factor=2),
    DKD(),
    DKD(temperature=1.5, alpha=0.5, beta=2, warm_up=0),
    DKD(warm_up=1),
    KD(),
    KD(standardise=True),
    KD(standardise=True, temperature=1.5, weight=0.25, factor=2),
]
STAGES = [AT(), AT(weight=3), FitNet(), FitNet(rectified=False, weight=3), FitNet(hint_stage=3)]
ALL = SINGLE + EXITS + STAGES
each_method = pytest.mark.parametrize("method", ALL, ids=repr)


def make(method, *, images=3, seed=0, dtype=torch.float64, mixed=False, progress=0.05, scale=2.0) -> LossInputs:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    exits = 2 if method.exits == "optional" else 1
    labels = torch.randint(0, 4, (images,), generator=generator)
    if mixed:
        labels = torch.rand(images, 4, generator=generator, dtype=torch.float64).to(dtype)
        labels = labels / labels.sum(dim=1, keepdim=True)
    return LossInputs(
        logits=tuple(normal(images, 4) for _ in range(exits)),
        features=tuple(normal(images, 2) for _ in range(exits)),
        labels=labels,
        progress=progress,
        stage_maps=tuple(normal(images, c, *size) for c, size in zip(CHANNELS, SIZES, strict=True)),
        teacher_logits=normal(images, 4),
        teacher_stage_maps=tuple(
            normal(images, c, *size) for c, size in zip(TEACHER_CHANNELS, TEACHER_SIZES, strict=True)
        ),
        previous_epoch_logits=normal(images, 4),
        same_class_logits=normal(images, 4),
    )


def targets(inputs: LossInputs):
    return (inputs.teacher_logits, inputs.previous_epoch_logits, inputs.same_class_logits, *inputs.teacher_stage_maps)


def loss_of(method, dtype=torch.float64):
    torch.manual_seed(7)
    return method.build(replace(SHAPE, exits=2 if method.exits == "optional" else 1)).to(dtype)


def total(terms):
    return torch.stack(list(terms.values())).sum()


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def crossed(z, target):
    return np.mean(
        [-sum(t * np.log(p) for t, p in zip(*pair, strict=True)) for pair in zip(target, softmax(z), strict=True)]
    )


def relative(p, q):
    return np.mean([sum(pi * np.log(pi / qi) for pi, qi in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)])


def pooled(maps, size):
    """Pool adaptively by definition: output i covers the rows from floor(i h / n) to ceil((i + 1) h / n)."""
    (height, width), (rows, columns) = maps.shape[2:], size
    result = np.empty((*maps.shape[:2], rows, columns))
    for i, j in np.ndindex(rows, columns):
        top, bottom = i * height // rows, -(-(i + 1) * height // rows)
        left, right = j * width // columns, -(-(j + 1) * width // columns)
        result[:, :, i, j] = maps[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return result


def attention(maps):
    looks = (maps**2).mean(axis=1).reshape(len(maps), -1)
    return looks / np.sqrt((looks**2).sum(axis=1, keepdims=True))


def regressed(maps, weight, *, rectified):
    result = np.einsum("oi,nihw->nohw", weight, maps)
    result = result - result.mean(axis=(0, 2, 3), keepdims=True)
    result = result / np.sqrt((result**2).mean(axis=(0, 2, 3), keepdims=True) + 1e-5)
    return np.maximum(result, 0) if rectified else result


def smaller(first, second):
    size = tuple(np.minimum(first.shape[2:], second.shape[2:]))
    return pooled(first, size), pooled(second, size)


def single_terms(method, z, y, others, progress):
    classes = y.shape[1]
    if isinstance(method, LabelSmoothing):
        s = method.smoothing
        return {"label": crossed(z, (1 - s) * y + s / classes)}
    if isinstance(method, TfKDReg):
        u = np.where(y == 1, method.accuracy, (1 - method.accuracy) / (classes - 1))
        if not set(np.unique(y)) <= {0, 1}:
            u = sum(
                y[:, [k]] * np.where(np.arange(classes) == k, method.accuracy, (1 - method.accuracy) / (classes - 1))
                for k in range(classes)
            )
        divergence = relative(softmax(u / method.temperature), softmax(z))
        return {
            "label": (1 - method.weight) * crossed(z, y),
            "virtual_teacher": method.weight * method.factor * divergence,
        }
    if isinstance(method, PSKD):
        a = method.alpha * progress
        return {"sum": crossed(z, (1 - a) * y + a * softmax(others["past"]))}
    t = method.temperature
    divergence = t**2 * relative(softmax(others["pair"] / t), softmax(z / t))
    return {"label": crossed(z, y), "pair": method.weight * divergence}


def standard(z):
    return (z - z.mean(axis=1, keepdims=True)) / (z.std(axis=1, ddof=1, keepdims=True) + 1e-7)


def exit_terms(method, z, y, teacher, progress):
    label, t = sum(crossed(zi, y) for zi in z), method.temperature
    if isinstance(method, DKD):
        mine, others = y == 1, y != 1
        p_teacher, target, rest = softmax(teacher / t), 0.0, 0.0
        for zi in z:
            p = softmax(zi / t)
            split = [np.stack([q[mine], 1 - q[mine]], axis=1) for q in (p_teacher, p)]
            among = [(q / (1 - q[mine][:, None]))[others].reshape(len(y), -1) for q in (p_teacher, p)]
            target, rest = target + relative(*split), rest + relative(*among)
        ramp = 1 if method.warm_up == 0 else min(progress / method.warm_up, 1)
        return {
            "label": label,
            "target_class": ramp * method.alpha * t**2 * target,
            "other_classes": ramp * method.beta * t**2 * rest,
        }
    if isinstance(method, KD) and method.standardise:
        z, teacher = [standard(zi) for zi in z], standard(teacher)
    divergence = t**2 * sum(relative(softmax(teacher / t), softmax(zi / t)) for zi in z)
    return {"label": (1 - method.weight) * label, "teacher": method.weight * method.factor * divergence}


def stage_terms(method, z, y, stages, teacher_stage_maps, weight):
    if isinstance(method, AT):
        pairs = [smaller(stages[-j], teacher_stage_maps[-j]) for j in (1, 2, 3)]
        term = sum(((attention(s) - attention(t)) ** 2).mean() for s, t in pairs)
        return {"label": crossed(z, y), "attention": method.weight * term}
    stage = method.hint_stage or 2  # the middle stage of three and of four
    s, t = smaller(stages[stage - 1], teacher_stage_maps[stage - 1])
    hint = ((regressed(s, weight, rectified=method.rectified) - t) ** 2).mean()
    return {"label": crossed(z, y), "hint": method.weight * hint}


def expected(method, inputs, arrays, weight):
    y = inputs.labels.numpy()
    y = np.eye(4)[y] if y.ndim == 1 else y
    z, stages = arrays[: len(inputs.logits)], arrays[len(inputs.logits) :]
    given = {"teacher": inputs.teacher_logits, "past": inputs.previous_epoch_logits, "pair": inputs.same_class_logits}
    constant = {name: logits.detach().numpy() for name, logits in given.items()}
    if any(isinstance(method, type(single)) for single in SINGLE):
        return single_terms(method, z[0], y, constant, inputs.progress)
    if method.exits == "optional":
        return exit_terms(method, z, y, constant["teacher"], inputs.progress)
    return stage_terms(method, z[0], y, stages, [s.detach().numpy() for s in inputs.teacher_stage_maps], weight)


def first_weight(loss):
    return next((p.detach().numpy()[:, :, 0, 0] for p in loss.parameters() if p.ndim == 4), None)


def arrays_of(inputs):
    return [tensor.detach().numpy() for tensor in (*inputs.logits, *inputs.stage_maps)]


def assert_equations(method, inputs):
    loss = loss_of(method)
    terms = {name: float(term.detach()) for name, term in loss(inputs).items()}
    named = expected(method, inputs, arrays_of(inputs), first_weight(loss))
    if "sum" in named:
        terms = {"sum": sum(terms.values())}
    assert terms == pytest.approx(named, rel=1e-11)


@each_method
def test_the_terms_are_those_of_the_equations(method):
    assert_equations(method, make(method))
    assert_equations(method, make(method, images=5, seed=1, progress=0.9))


@pytest.mark.parametrize("method", [method for method in ALL if not isinstance(method, DKD)], ids=repr)
def test_labels_of_mixed_images_are_probabilities(method):
    assert_equations(method, make(method, mixed=True))


def test_a_mixed_image_has_no_class_to_set_apart():
    with pytest.raises(AssertionError, match="no mixed images"):
        loss_of(DKD())(make(DKD(), mixed=True))


@pytest.mark.slow
@each_method
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    inputs = make(method, images=2, seed=3)
    loss = loss_of(method)
    total(loss(inputs)).backward()
    arrays = [array.copy() for array in arrays_of(inputs)]
    for tensor, array in zip((*inputs.logits, *inputs.stage_maps), arrays, strict=True):
        numeric = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            sums = []
            for step in (STEP, -STEP):
                moved = array[place]
                array[place] = moved + step
                sums.append(sum(expected(method, inputs, arrays, first_weight(loss)).values()))
                array[place] = moved
            numeric[place] = (sums[0] - sums[1]) / (2 * STEP)
        exact = np.zeros_like(array) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-6)
    assert all(target.grad is None for target in targets(inputs))


def test_standardised_logits_have_no_scale_and_no_offset():
    inputs = make(KD())
    moved = replace(inputs, logits=tuple(3 * z + 5 for z in inputs.logits), teacher_logits=inputs.teacher_logits / 7)
    terms, moved_terms = (loss_of(KD(standardise=True))(each) for each in (inputs, moved))
    torch.testing.assert_close(moved_terms["teacher"], terms["teacher"], rtol=1e-5, atol=0)


def test_logits_that_are_all_alike_can_be_standardised():
    inputs = make(KD())
    inputs = replace(inputs, logits=(torch.ones(3, 4, requires_grad=True),))
    total(loss_of(KD(standardise=True))(inputs)).backward()
    assert torch.isfinite(inputs.logits[0].grad).all()


def test_decoupled_terms_with_their_coupling_are_the_undecoupled_divergence():
    """Equation 7 of the paper: KL = TCKD + (1 - p_y) NCKD, for one image."""
    inputs = make(DKD(), images=1)
    terms = loss_of(DKD(alpha=1, beta=1, warm_up=0))(inputs)
    unsure = 1 - (inputs.teacher_logits.detach() / 4).softmax(1)[0, inputs.labels[0]]
    coupled = loss_of(KD(weight=1))(inputs)["teacher"]
    torch.testing.assert_close(terms["target_class"] + unsure * terms["other_classes"], coupled)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (1 / 24, 0.5), (1 / 12, 1.0), (0.5, 1.0)])
def test_the_teachers_terms_of_dkd_grow_over_the_warm_up(progress, share):
    terms, full = (loss_of(DKD())(replace(make(DKD()), progress=at)) for at in (progress, 0.99))
    for name in ("target_class", "other_classes"):
        torch.testing.assert_close(terms[name], share * full[name])


def test_without_a_past_ps_kd_is_plain_cross_entropy():
    inputs = replace(make(PSKD()), previous_epoch_logits=None, progress=0.3)
    terms = loss_of(PSKD())(inputs)
    assert list(terms) == ["label"]
    torch.testing.assert_close(terms["label"], torch.nn.functional.cross_entropy(inputs.logits[0], inputs.labels))


def test_the_regressor_of_fitnet_learns():
    loss = loss_of(FitNet())
    total(loss(make(FitNet()))).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())


@pytest.mark.parametrize(("stages", "middle"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (7, 4)])
def test_the_hint_is_at_half_the_depth_unless_given(stages, middle):
    numbered, teacher_numbered = tuple(range(1, stages + 1)), (1, 2, 3, 4)
    loss = FitNet().build(replace(SHAPE, stage_channels=numbered, teacher_stage_channels=teacher_numbered))
    assert (loss.regressor[0].in_channels, loss.regressor[0].out_channels) == (middle, 2)


def test_a_hint_from_a_stage_that_a_network_lacks_is_refused_before_anything_is_built():
    for refuse in (lambda: FitNet(hint_stage=4).build(SHAPE), lambda: FitNet(hint_stage=4).check(1, stages=3)):
        with pytest.raises(SpecError, match="hint_stage=4, stages=3") as refusal:
            refuse()
        assert refusal.value.field == "hint_stage"
    FitNet(hint_stage=3).check(1, stages=3)
    FitNet(hint_stage=3).build(SHAPE)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (LabelSmoothing, {"smoothing": 1.1}, "0 <= smoothing <= 1"),
        (TfKDReg, {"accuracy": 0}, "0 < accuracy <= 1"),
        (TfKDReg, {"temperature": 0}, "0 < temperature"),
        (TfKDSelf, {"weight": -0.1}, "0 <= weight <= 1"),
        (TfKDSelf, {"factor": -1}, "0 <= factor"),
        (PSKD, {"alpha": 1.5}, "0 <= alpha <= 1"),
        (CSKD, {"temperature": -4}, "0 < temperature"),
        (CSKD, {"weight": float("nan")}, "weight is finite"),
        (DKD, {"beta": -1}, "0 <= beta"),
        (DKD, {"warm_up": 20}, "0 <= warm_up <= 1"),
        (KD, {"temperature": 0}, "0 < temperature"),
        (KD, {"factor": -1}, "0 <= factor"),
        (FitNet, {"hint_stage": 0}, "1 <= hint_stage"),
        (FitNet, {"weight": -1}, "0 <= weight"),
        (AT, {"weight": float("inf")}, "weight is finite"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, settings, said):
    with pytest.raises(SpecError, match=said):
        kind(**settings)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (KD(standardise=True), KD(standardise=True, temperature=2, factor=10)),
        (KD(), KD(temperature=4, factor=1)),
        (KD(weight=0, standardise=True, temperature=3), KD(weight=0)),
        (KD(factor=0, standardise=True), KD(factor=0)),
        (TfKDReg(weight=0, accuracy=0.5), TfKDReg(weight=0)),
        (TfKDSelf(factor=0, temperature=2), TfKDSelf(factor=0)),
        (CSKD(weight=0, temperature=2), CSKD(weight=0)),
        (DKD(alpha=0, beta=0, warm_up=0), DKD(alpha=0, beta=0)),
        (FitNet(weight=0, hint_stage=3), FitNet(weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()

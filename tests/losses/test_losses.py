from dataclasses import replace

import pytest
import torch
from exeunt.losses import EED, KD, Baseline, FinalTarget, LossInputs, NetworkShape, methods
from exeunt.specs import SpecError
from hypothesis import given, settings
from hypothesis import strategies as st

EXIT_METHODS = [kind(output_loss=output_loss) for kind in (EED, FinalTarget) for output_loss in ("mse", "kl")]
ALL_METHODS = [Baseline(), KD(), *EXIT_METHODS]
each_method = pytest.mark.parametrize("method", ALL_METHODS, ids=repr)
each_exit_method = pytest.mark.parametrize("method", EXIT_METHODS, ids=repr)


def terms_of(method, inputs):
    exits = 1 if isinstance(method, Baseline) else len(inputs.logits)
    if exits == 1:
        inputs = replace(inputs, logits=inputs.logits[-1:], features=inputs.features[-1:])
    return method.build(
        NetworkShape(exits=exits, classes=inputs.logits[0].shape[1], width=inputs.features[0].shape[1])
    )(inputs)


def total(terms):
    return torch.stack(list(terms.values())).sum()


def cast(inputs: LossInputs, dtype: torch.dtype) -> LossInputs:
    return LossInputs(
        logits=tuple(z.detach().to(dtype).requires_grad_() for z in inputs.logits),
        features=tuple(f.detach().to(dtype).requires_grad_() for f in inputs.features),
        labels=inputs.labels,
        teacher_logits=inputs.teacher_logits.detach().to(dtype),
    )


@pytest.mark.parametrize("output_loss", ["mse", "kl"])
def test_the_final_exit_learns_from_labels_alone_where_it_is_the_target(draw, output_loss):
    inputs = draw()
    total(terms_of(FinalTarget(output_loss=output_loss), inputs)).backward()
    alone = inputs.logits[-1].detach().requires_grad_()
    torch.nn.functional.cross_entropy(alone, inputs.labels).backward()
    torch.testing.assert_close(inputs.logits[-1].grad, alone.grad, rtol=0, atol=0)
    assert inputs.features[-1].grad is None
    assert all(feature.grad.abs().sum() > 0 for feature in inputs.features[:-1])


def test_no_gradient_reaches_a_teacher(draw):
    inputs = draw()
    total(terms_of(KD(), inputs)).backward()
    assert inputs.teacher_logits.grad is None


@each_exit_method
@given(seed=st.integers(0, 99), exits=st.integers(2, 5))
@settings(max_examples=10, deadline=None)
def test_exits_that_agree_have_nothing_to_learn_from_each_other(method, seed, exits):
    generator = torch.Generator().manual_seed(seed)
    z, f = (torch.randn(4, width, generator=generator, dtype=torch.float64) for width in (5, 6))
    inputs = LossInputs(logits=(z,) * exits, features=(f,) * exits, labels=torch.arange(4))
    terms = terms_of(method, inputs)
    assert float(terms["output"]) == pytest.approx(0, abs=1e-14)
    assert float(terms["feature"]) == pytest.approx(0, abs=1e-14)


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn_from_it(draw):
    inputs = draw(exits=1)
    terms = terms_of(KD(), replace(inputs, teacher_logits=inputs.logits[0].detach()))
    assert float(terms["teacher"].detach()) == pytest.approx(0, abs=1e-14)


@each_method
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_images_changes_nothing(draw, method, seed):
    inputs = draw(images=9, seed=seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    permuted = LossInputs(
        logits=tuple(z[order] for z in inputs.logits),
        features=tuple(f[order] for f in inputs.features),
        labels=inputs.labels[order],
        teacher_logits=inputs.teacher_logits[order],
    )
    torch.testing.assert_close(terms_of(method, permuted), terms_of(method, inputs), rtol=1e-12, atol=0)


@each_exit_method
def test_the_loss_of_an_ensemble_does_not_depend_on_the_order_of_the_taught_exits(draw, method):
    inputs = draw(exits=4)
    order = (2, 0, 3, 1) if isinstance(method, EED) else (2, 0, 1, 3)
    shuffled = replace(
        inputs, logits=tuple(inputs.logits[i] for i in order), features=tuple(inputs.features[i] for i in order)
    )
    torch.testing.assert_close(terms_of(method, shuffled), terms_of(method, inputs), rtol=1e-12, atol=0)


@each_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_reduced_in_float32(draw, method, dtype):
    inputs = cast(draw(images=64, classes=100, width=512), dtype)
    terms = terms_of(method, inputs)
    in_float32 = terms_of(method, cast(inputs, torch.float32))
    assert {term.dtype for term in terms.values()} == {torch.float32}
    torch.testing.assert_close(terms, in_float32, rtol=0, atol=0)


@each_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_ten_thousand_leave_loss_and_gradient_finite(draw, method, dtype):
    inputs = draw(dtype=dtype)
    with torch.no_grad():
        for z in inputs.logits:
            z.copy_(1e4 * z.sign())
        inputs.teacher_logits.copy_(-1e4 * inputs.teacher_logits.sign())
    loss = total(terms_of(method, inputs))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss > 1
    assert all(torch.isfinite(z.grad).all() for z in inputs.logits if z.grad is not None)


def test_features_inactive_in_both_exit_and_target_are_asked_nothing(draw):
    inputs = draw(exits=2, images=1, classes=2, width=3)
    with torch.no_grad():  # both inactive; only the exit active; only the target active
        inputs.features[0].copy_(torch.tensor([[-1.0, 2.0, -1.0]]))
        inputs.features[1].copy_(torch.tensor([[-3.0, -4.0, 5.0]]))
    terms_of(FinalTarget(), inputs)["feature"].backward()
    assert inputs.features[0].grad.tolist() == [[0, 2 * 6 / 3, 2 * -6 / 3]]


@pytest.mark.parametrize("kind", [EED, FinalTarget])
def test_the_output_weight_is_the_authors_unless_given(kind):
    assert kind().output_weight == 1.0
    assert kind(output_loss="kl").output_weight == 0.1
    assert kind(output_loss="kl", output_weight=1).output_weight == 1.0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (EED(temperature=7), EED()),
        (EED(output_weight=1), EED()),
        (EED(output_loss="kl", output_weight=0.1), EED(output_loss="kl")),
        (EED(output_loss="kl", temperature=9, output_weight=0), EED(output_weight=0)),
        (KD(temperature=4), KD(temperature=4.0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()


def test_a_temperature_that_softens_something_is_kept():
    assert EED(output_loss="kl", temperature=7).canonical().temperature == 7


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("eed", {"output_loss": "kll"}, "'kl'"),
        ("eed", {"temperature": 0}, "0 < temperature"),
        ("eed", {"feature_weight": -1}, "0 <= feature_weight"),
        ("final_target", {"output_weight": -1}, "0 <= output_weight"),
        ("kd", {"weight": 1.1}, "0 <= weight <= 1"),
    ],
)
def test_settings_outside_their_range_are_refused(name, settings, said):
    with pytest.raises(SpecError, match=said):
        methods[name](**settings)

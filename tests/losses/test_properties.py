"""Properties of every registered method, new methods included."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from exeunt.losses import Loss, LossInputs, Method, NetworkShape, methods
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

EXITS, CLASSES, WIDTH = 3, 5, 6
CHANNELS = (2, 3)

SETTINGS = {
    "eed": [
        {"output_loss": output_loss, "ensemble": ensemble, **axes}
        for output_loss in ("mse", "kl")
        for ensemble in ("logits", "probabilities")
        for axes in ({}, {"ensemble_weights": "learned"}, {"ensemble_weights": "beed", "leave_one_out": True})
    ],
    "final_target": [{"output_loss": "mse"}, {"output_loss": "kl"}],
    "kd": [{}, {"standardise": True}],
    "kdcl": [{"ensemble": ensemble} for ensemble in ("naive", "minlogit", "mean")],
}
"""Settings under which a method has a different loss; other methods are tested with their defaults only."""

METHODS = [methods[name](**settings) for name in methods for settings in SETTINGS.get(name, [{}])]
each_method = pytest.mark.parametrize("method", METHODS, ids=repr)

LABELS = {"label", "auxiliary", "ensemble", "gate"}
"""Names of terms that use the labels; all other terms are distillation."""
CROSS_ENTROPIES = {"past", "non_target"}
"""Names of terms that equal the entropy of the target, not 0, if student and target agree."""
NO_AGREEMENT = {"virtual_teacher", "hint", "review", "contrast", "target"}
"""Names of terms that no student output brings to 0: those of a fixed target, of learned layers, or a cross-entropy."""
ALMOST_ZERO = {"inter_class", "intra_class"}
"""Names of terms that a constant of 1e-8 in the authors' denominators keeps from 0 if student and teacher agree."""
NO_T_SQUARED: list[dict[str, Any]] = [
    {"name": "tf_kd_reg"},  # the temperature softens only the virtual teacher
    {"name": "byot"},  # its authors leave the factor out
    {"standardise": True},  # standardised logits have no scale
    {"ensemble": "naive"},  # the best network depends on the scale of the logits
    {"name": "nkd"},  # the term of the target class has no temperature
    {"name": "mlkd"},  # the other temperatures are fixed
    {"name": "crd"},  # the temperature divides products of embeddings
]
"""Methods whose loss does not scale with the squared temperature."""
TARGETS = (
    "teacher_logits",
    "teacher_features",
    "teacher_stage_maps",
    "previous_epoch_logits",
    "same_class_logits",
    "second_view_teacher_logits",
)
"""Inputs that never receive a gradient."""
TRAINING_IMAGES = 20


def outputs_of(method: Method) -> int:
    return method.networks if method.cohort else 1 if method.exits == "ignored" else EXITS  # type: ignore[attr-defined]


def described(method: Method) -> dict[str, Any]:
    return {"name": method.name, **method.to_dict()}


def draw(method: Method, *, images: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> LossInputs:
    """Draw random values for all fields that any loss reads."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        values = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.to(dtype).requires_grad_()

    exits = range(outputs_of(method))
    return LossInputs(
        logits=tuple(normal(images, CLASSES) for _ in exits),
        features=tuple(normal(images, WIDTH) for _ in exits),
        labels=torch.randint(0, CLASSES, (images,), generator=generator),
        progress=0.4,
        feature_maps=tuple(normal(images, WIDTH, 2, 2) for _ in exits),
        stage_maps=tuple(normal(images, channels, 4, 4) for channels in CHANNELS),
        teacher_logits=normal(images, CLASSES),
        teacher_stage_maps=tuple(normal(images, channels, 4, 4) for channels in CHANNELS),
        teacher_features=normal(images, WIDTH),
        previous_epoch_logits=normal(images, CLASSES),
        same_class_logits=normal(images, CLASSES),
        image_numbers=torch.arange(images) % TRAINING_IMAGES,
        second_view_logits=tuple(normal(images, CLASSES) for _ in exits),
        second_view_teacher_logits=normal(images, CLASSES),
    )


def change(inputs: LossInputs, alter: Callable[[Tensor], Tensor], *names: str) -> LossInputs:
    """Alter every tensor of the named fields; by default, of all fields except labels and image numbers."""
    kept = "labels", "progress", "image_numbers"
    chosen = names or [field.name for field in fields(inputs) if field.name not in kept]
    old = {name: getattr(inputs, name) for name in chosen}
    return replace(inputs, **{n: tuple(map(alter, v)) if isinstance(v, tuple) else alter(v) for n, v in old.items()})


def shape_for(method: Method) -> NetworkShape:
    return NetworkShape(
        exits=outputs_of(method),
        classes=CLASSES,
        feature_dim=WIDTH,
        stage_channels=CHANNELS,
        teacher_stage_channels=CHANNELS,
        exit_costs=tuple((i + 1) / outputs_of(method) for i in range(outputs_of(method))),
        teacher_feature_dim=WIDTH,
        image_labels=torch.arange(TRAINING_IMAGES) % CLASSES if method.needs_image_numbers else None,
    )


def built(method: Method, dtype: torch.dtype = torch.float64) -> Loss[Any]:
    """Build the loss with the same weights, and the same random choices of its first step, at each call."""
    torch.manual_seed(3)
    return method.build(shape_for(method)).to(dtype)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def distillation(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: term for name, term in terms.items() if name not in LABELS}


def in_agreement(method: Method) -> LossInputs:
    """Return inputs with equal outputs of all exits, networks, teachers, views and previous epochs."""
    inputs = draw(method)
    same = {name: (getattr(inputs, name)[0],) * outputs_of(method) for name in ("logits", "features", "feature_maps")}
    same["second_view_logits"] = same["logits"]
    said = inputs.logits[0].detach()
    stages = tuple(stage.detach() for stage in inputs.stage_maps)
    return replace(
        inputs,
        **same,
        teacher_logits=said,
        previous_epoch_logits=said,
        same_class_logits=said,
        teacher_stage_maps=stages,
        teacher_features=inputs.features[0].detach(),
        second_view_teacher_logits=said,
    )


@each_method
def test_no_gradient_reaches_what_another_network_or_an_earlier_epoch_said(method):
    inputs = draw(method)
    total(built(method)(inputs)).backward()
    targets = tree_leaves([getattr(inputs, name) for name in TARGETS])
    assert all(target.grad is None for target in targets)


BETWEEN_EXITS = [m for m in METHODS if outputs_of(m) > 1 and distillation(built(m)(draw(m)))]


@pytest.mark.parametrize("method", BETWEEN_EXITS, ids=repr)
def test_no_gradient_flows_into_a_target_made_of_the_exits_themselves(method):
    """With constant targets, distillation is a sum over the exits, so mixed second derivatives are 0."""
    inputs = draw(method)
    terms = distillation(built(method)(inputs))
    exits = list(zip(inputs.logits, inputs.features, inputs.feature_maps, strict=True))
    for exit_, own in enumerate(exits):
        slopes = torch.autograd.grad(total(terms), own, create_graph=True, allow_unused=True)
        known = [slope for slope in slopes if slope is not None and slope.requires_grad]
        if not known:
            continue
        slope = torch.stack([(s * torch.linspace(1, 2, s.numel()).view_as(s)).sum() for s in known]).sum()
        others = [tensor for number, other in enumerate(exits) if number != exit_ for tensor in other]
        mixed = torch.autograd.grad(slope, others, allow_unused=True, retain_graph=True)
        assert all(part is None or not part.any() for part in mixed)


@each_method
def test_who_agrees_with_all_targets_has_nothing_to_learn_from_them(method):
    inputs = in_agreement(method)
    terms = distillation(built(method)(inputs))
    for name, term in terms.items():
        if name in NO_AGREEMENT:
            continue
        nothing = 1e-4 if name in ALMOST_ZERO else 1e-12
        if name not in CROSS_ENTROPIES:
            assert float(term.detach()) == pytest.approx(0, abs=nothing)
        own = (inputs.logits[0], inputs.features[0], *inputs.stage_maps)
        slopes = torch.autograd.grad(term, own, retain_graph=True, allow_unused=True)
        assert all(slope is None or float(slope.abs().max()) < nothing for slope in slopes)


SOFTENED = [
    method
    for method in METHODS
    if "temperature" in method.to_dict()
    and not any(settings.items() <= described(method).items() for settings in NO_T_SQUARED)
]


@pytest.mark.parametrize("method", SOFTENED, ids=repr)
@pytest.mark.parametrize("temperature", [0.5, 3.0, 8.0])
def test_a_divergence_of_logits_t_times_as_large_is_t_squared_times_as_large_at_t(method, temperature):
    inputs = draw(method)
    hotter = change(
        inputs, lambda z: temperature * z, "logits", "teacher_logits", "previous_epoch_logits", "same_class_logits"
    )
    terms = distillation(built(replace(method, temperature=1.0))(inputs))
    hot_terms = distillation(built(replace(method, temperature=temperature))(hotter))
    divergences = terms.keys() - {"feature"}
    assert divergences
    for name in divergences:
        torch.testing.assert_close(hot_terms[name], temperature**2 * terms[name], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("method", [method for method in METHODS if method.name != "crd"], ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_images_changes_nothing(method, seed):
    inputs = draw(method, images=9, seed=seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    permuted = replace(change(inputs, lambda tensor: tensor[order]), labels=inputs.labels[order])
    torch.testing.assert_close(built(method)(permuted), built(method)(inputs), rtol=1e-11, atol=1e-13)


RAMPS = [methods["eed"](ramp_up=0.7), methods["eed"](output_loss="kl", ramp_up=0.7), methods["dkd"](warm_up=0.7)]


@pytest.mark.parametrize("method", [*RAMPS, *METHODS], ids=repr)
def test_progress_in_a_tensor_gives_the_bits_of_a_number(method):
    """In a training, `progress` is a float64 tensor; losses and gradients are in float32."""
    results = []
    for progress in (1 / 3, torch.tensor(1 / 3, dtype=torch.float64)):
        inputs = replace(draw(method, dtype=torch.float32), progress=progress)
        terms = built(method, torch.float32)(inputs)
        total(terms).backward()
        results.append((terms, [z.grad for z in inputs.logits]))
    assert {term.dtype for terms, _ in results for term in terms.values()} == {torch.float32}
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@each_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_reduced_in_float32(method, dtype):
    inputs = draw(method, images=64, dtype=dtype)
    terms = built(method, torch.float32)(inputs)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    torch.testing.assert_close(terms, built(method, torch.float32)(change(inputs, torch.Tensor.float)), rtol=0, atol=0)


@each_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("target", [1, -1])
def test_outputs_of_ten_thousand_leave_loss_and_gradient_finite(method, dtype, target):
    """Every output is 1e4 or -1e4; the targets equal the student outputs or their negatives."""
    inputs = change(draw(method, dtype=dtype), lambda tensor: (1e4 * tensor.detach().sign()).requires_grad_())
    opposed = tuple(target * z.detach() for z in inputs.logits)
    inputs = replace(inputs, teacher_logits=opposed[0], previous_epoch_logits=opposed[0], same_class_logits=opposed[0])
    inputs = replace(inputs, second_view_logits=inputs.logits, second_view_teacher_logits=opposed[0])
    loss = total(built(method, torch.float32)(inputs))
    loss.backward()
    assert torch.isfinite(loss)
    own = (*inputs.logits, *inputs.features, *inputs.feature_maps, *inputs.stage_maps)
    assert any(tensor.grad is not None for tensor in own)
    assert all(torch.isfinite(tensor.grad).all() for tensor in own if tensor.grad is not None)


@each_method
def test_a_loss_reads_nothing_but_what_its_method_says_it_needs(method):
    """The trainer provides only the inputs that a method declares."""
    inputs = draw(method)
    unneeded: dict[str, Any] = {}
    if method.teacher == "ignored":
        unneeded |= {"teacher_logits": None, "teacher_stage_maps": (), "teacher_features": None}
    if not method.needs_previous_epoch:
        unneeded["previous_epoch_logits"] = None
    if not method.needs_same_class_pairs:
        unneeded["same_class_logits"] = None
    if not method.needs_image_numbers:
        unneeded["image_numbers"] = None
    if method.second_view is None:
        unneeded |= {"second_view_logits": (), "second_view_teacher_logits": None}
    torch.testing.assert_close(built(method)(replace(inputs, **unneeded)), built(method)(inputs), rtol=0, atol=0)


@each_method
def test_a_method_survives_being_written_and_read_again(method):
    assert type(method).from_dict(method.to_dict()) == method.canonical() == method.canonical().canonical()


class ToTheHost(TorchDispatchMode):
    """Dispatch mode that counts copies from the GPU to the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        sources = {value.device.type for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        for result in tree_leaves(results):
            if isinstance(result, Tensor) and result.device.type == "cpu" and "cuda" in sources:
                self.copies.append(str(func))
        return results


@each_method
def test_a_loss_takes_nothing_from_an_accelerator_to_the_host(method):
    """Fake tensors on the device "cuda" have no values, so any operation that reads a value raises an error."""
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, ToTheHost() as to_the_host:

        def there(tensor: Tensor) -> Tensor:
            return fake.from_tensor(tensor.detach()).to("cuda")

        inputs = change(draw(method, dtype=torch.float32), there)
        inputs = replace(inputs, labels=there(inputs.labels), image_numbers=there(inputs.image_numbers))
        with torch.device("cuda"):
            loss = method.build(shape_for(method))
        terms = loss(inputs)
        assert {term.device.type for term in terms.values()} == {"cuda"}
        assert to_the_host.copies == []


def test_what_is_taken_from_an_accelerator_is_seen():
    with FakeTensorMode(), ToTheHost() as to_the_host:
        values = torch.zeros(3, device="cuda")
        assert len(values.cpu()) == len(to_the_host.copies) + 2
        with pytest.raises(DataDependentOutputException):
            values.sum().item()

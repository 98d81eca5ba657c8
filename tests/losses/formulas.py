"""Helpers for tests of methods with several exits: their equations, implemented independently in NumPy.

A reference is a function of the method, the exits' outputs `now`, the outputs `past` that form the targets, the labels
(N,) and the loss, which may have its own weights. It returns the terms by name. Both outputs have a list of arrays for
each field of `LossInputs`, with one array for a field that is one tensor, such as `teacher_logits`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from exeunt.losses import Loss, LossInputs, Method, NetworkShape
from torch.utils._pytree import tree_leaves

STEP = 1e-6
EXITS = 3
PROGRESS = 0.25

TRAINED = ("logits", "features", "feature_maps", "stage_maps", "second_view_logits")
CONSTANT = ("teacher_logits", "teacher_stage_maps", "teacher_features", "second_view_teacher_logits", "image_numbers")
CHANNELS, TEACHER_CHANNELS, TEACHER_WIDTH = (2, 3), (2, 4, 3), 5
SIZES, TEACHER_SIZES = ((5, 4), (2, 2)), ((6, 6), (3, 2), (1, 2))

Outputs = dict[str, list[np.ndarray]]
Reference = Callable[[Any, Outputs, Outputs, np.ndarray, Any], dict[str, float]]


def softmax(z: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(z - z.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def cross_entropies(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(softmax(z)[np.arange(len(labels)), labels])


def divergence(target: np.ndarray, z: np.ndarray, temperature: float = 1.0) -> float:
    """Return the KL divergence of logits from target logits: mean over the images, times the squared temperature."""
    return distribution_divergence(softmax(target / temperature), z, temperature)


def distribution_divergence(p: np.ndarray, z: np.ndarray, temperature: float) -> float:
    return temperature**2 * np.mean(np.sum(p * (np.log(p) - np.log(softmax(z / temperature))), axis=1))


def masked(f: np.ndarray, t: np.ndarray) -> float:
    return np.mean((f - t) ** 2 * ((f > 0) | (t > 0)))


def powers_of(base: float, count: int) -> np.ndarray:
    return np.array([base**k for k in range(count)])


def inputs_of(*, exits: int = EXITS, images: int = 3, classes: int = 3, width: int = 4, seed: int = 0) -> LossInputs:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        values = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        return (values + 0.1 * values.sign()).requires_grad_()  # away from 0, where the feature loss is discontinuous

    return LossInputs(
        logits=tuple(drawn(images, classes) for _ in range(exits)),
        features=tuple(drawn(images, width) for _ in range(exits)),
        feature_maps=tuple(drawn(images, width, 2, 1) for _ in range(exits)),
        labels=torch.randint(0, classes, (images,), generator=generator),
        progress=PROGRESS,
    )


def taught_inputs(*, exits: int = 1, images: int = 3, classes: int = 3, seed: int = 0, **given: Any) -> LossInputs:
    """Return inputs of a student with a teacher: stages of other sizes, other features, and a second view."""
    generator = torch.Generator().manual_seed(100 + seed)

    def drawn(*shape: int) -> torch.Tensor:
        return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()

    inputs = inputs_of(exits=exits, images=images, classes=classes, seed=seed)
    taught: dict[str, Any] = {
        "stage_maps": tuple(drawn(images, c, *size) for c, size in zip(CHANNELS, SIZES, strict=True)),
        "teacher_stage_maps": tuple(
            drawn(images, c, *size) for c, size in zip(TEACHER_CHANNELS, TEACHER_SIZES, strict=True)
        ),
        "teacher_logits": drawn(images, classes),
        "teacher_features": drawn(images, TEACHER_WIDTH),
        "second_view_logits": tuple(drawn(images, classes) for _ in range(exits)),
        "second_view_teacher_logits": drawn(images, classes),
    }
    return replace(inputs, **{**taught, **given})


def shape_of(inputs: LossInputs, image_labels: torch.Tensor | None = None) -> NetworkShape:
    return NetworkShape(
        exits=len(inputs.logits),
        classes=inputs.logits[0].shape[1],
        feature_dim=inputs.features[0].shape[1],
        stage_channels=tuple(maps.shape[1] for maps in inputs.stage_maps),
        teacher_stage_channels=tuple(maps.shape[1] for maps in inputs.teacher_stage_maps),
        teacher_feature_dim=0 if inputs.teacher_features is None else inputs.teacher_features.shape[1],
        image_labels=image_labels,
        exit_costs=tuple((i + 1) / len(inputs.logits) for i in range(len(inputs.logits))),
    )


def built(method: Method, inputs: LossInputs, image_labels: torch.Tensor | None = None) -> Loss[Any]:
    """Build the loss for inputs of these shapes, with the same weights at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        loss = method.build(shape_of(inputs, image_labels))
    return loss.to(inputs.logits[0].dtype)


def outputs_of(inputs: LossInputs) -> dict[str, tuple[torch.Tensor, ...]]:
    return {name: getattr(inputs, name) for name in TRAINED}


def arrays(inputs: LossInputs) -> Outputs:
    given = {name: getattr(inputs, name) for name in CONSTANT}
    constant = {name: part if isinstance(part, tuple) else (part,) for name, part in given.items() if part is not None}
    every = {**outputs_of(inputs), **constant}
    return {name: [part.detach().numpy().copy() for part in parts] for name, parts in every.items()}


def total(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(terms.values())).sum()


def check_terms(
    method: Method,
    reference: Reference,
    seed: int = 0,
    loss: Loss[Any] | None = None,
    inputs: LossInputs | None = None,
) -> None:
    """Check that the terms equal those of the reference."""
    inputs = inputs or inputs_of(images=5, classes=4, seed=seed)
    loss, values = loss or built(method, inputs), arrays(inputs)
    named = reference(method, values, values, inputs.labels.numpy(), loss)
    assert {name: float(term.detach()) for name, term in loss(inputs).items()} == pytest.approx(named, rel=1e-10)


def check_gradient(
    method: Method, reference: Reference, loss: Loss[Any] | None = None, inputs: LossInputs | None = None
) -> None:
    """Check the gradient against central differences of the reference with constant targets."""
    inputs = inputs or inputs_of()
    loss, now, past = loss or built(method, inputs), arrays(inputs), arrays(inputs)
    total(loss(inputs)).backward()
    for name, parts in outputs_of(inputs).items():
        for tensor, array in zip(parts, now[name], strict=True):
            numeric = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                sums = []
                for step in (STEP, -STEP):
                    moved = array[place]
                    array[place] = moved + step
                    sums.append(sum(reference(method, now, past, inputs.labels.numpy(), loss).values()))
                    array[place] = moved
                numeric[place] = (sums[0] - sums[1]) / (2 * STEP)
            exact = np.zeros_like(array) if tensor.grad is None else tensor.grad.numpy()
            np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8)
    targets = [getattr(inputs, name) for name in CONSTANT]
    assert all(part.grad is None for part in tree_leaves(targets) if part is not None)

"""Helpers for tests of methods with several exits: their equations, implemented independently in NumPy.

A reference is a function of the method, the exits' outputs `now`, the outputs `past` that form the targets, the labels
(N,) and the loss, which may have its own weights. It returns the terms by name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from exeunt.losses import Loss, LossInputs, Method, NetworkShape

STEP = 1e-6
EXITS = 3
PROGRESS = 0.25

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


def built(method: Method, inputs: LossInputs) -> Loss[Any]:
    """Build the loss for inputs of these shapes, with the same weights at each call."""
    classes, width = inputs.logits[0].shape[1], inputs.features[0].shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        exits = len(inputs.logits)
        costs = tuple((i + 1) / exits for i in range(exits))
        loss = method.build(NetworkShape(exits=exits, classes=classes, feature_dim=width, exit_costs=costs))
    return loss.to(inputs.logits[0].dtype)


def outputs_of(inputs: LossInputs) -> dict[str, tuple[torch.Tensor, ...]]:
    return {name: getattr(inputs, name) for name in ("logits", "features", "feature_maps")}


def arrays(inputs: LossInputs) -> Outputs:
    return {name: [part.detach().numpy().copy() for part in parts] for name, parts in outputs_of(inputs).items()}


def total(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(terms.values())).sum()


def check_terms(method: Method, reference: Reference, seed: int = 0, loss: Loss[Any] | None = None) -> None:
    """Check that the terms equal those of the reference."""
    inputs = inputs_of(images=5, classes=4, seed=seed)
    loss, values = loss or built(method, inputs), arrays(inputs)
    named = reference(method, values, values, inputs.labels.numpy(), loss)
    assert {name: float(term.detach()) for name, term in loss(inputs).items()} == pytest.approx(named, rel=1e-10)


def check_gradient(method: Method, reference: Reference, loss: Loss[Any] | None = None) -> None:
    """Check the gradient against central differences of the reference with constant targets."""
    inputs = inputs_of()
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

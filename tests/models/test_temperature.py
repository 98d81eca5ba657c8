"""Temperatures of exits: the fit against a second formulation, and what a temperature changes."""

import pytest
import torch
from exeunt.models import fit_temperatures, scaled
from torch.nn.functional import cross_entropy


def sampled(images, temperatures, seed=0):
    """Return logits of exits that are wrong by known temperatures, with labels drawn from their probabilities."""
    generator = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(images, 5, generator=generator, dtype=torch.float64)
    labels = true.softmax(1).multinomial(1, generator=generator)[:, 0]
    return torch.stack([temperature * true for temperature in temperatures]), labels


def test_the_temperature_has_the_lowest_likelihood_of_a_fine_grid():
    logits, labels = sampled(200, (0.4, 1.0, 3.0))
    grid = torch.logspace(-1, 1, 4001, dtype=torch.float64)
    for exit_logits, found in zip(logits, fit_temperatures(logits, labels), strict=True):
        best = min(grid.tolist(), key=lambda t: cross_entropy(exit_logits / t, labels).item())
        assert found == pytest.approx(best, rel=1e-3)


def test_known_temperatures_are_found_in_float32_and_float64():
    logits, labels = sampled(20_000, (0.5, 1.0, 2.5))
    assert fit_temperatures(logits, labels) == pytest.approx((0.5, 1.0, 2.5), rel=0.03)
    assert fit_temperatures(logits.float(), labels) == pytest.approx(fit_temperatures(logits, labels), rel=1e-5)


def test_an_exit_without_errors_or_without_knowledge_stays_within_the_range():
    labels = torch.tensor([0, 1, 0])
    right = torch.nn.functional.one_hot(labels, 2).double()
    assert fit_temperatures(torch.stack([right, -right]), labels) == pytest.approx((0.1, 10))


def test_top_classes_stay_and_confidences_change():
    logits, labels = sampled(100, (0.5, 3.0))
    divided = scaled(logits, fit_temperatures(logits, labels))
    assert torch.equal(divided.argmax(2), logits.argmax(2))
    assert (divided[0].softmax(1).amax(1) > logits[0].softmax(1).amax(1)).all()
    assert (divided[1].softmax(1).amax(1) < logits[1].softmax(1).amax(1)).all()

"""Risk control of early exits: the binomial test by hand, the guarantee over resplits, and refusals."""

import math

import pytest
import torch
from exeunt.models import control_risk, fit_temperatures, scaled
from exeunt.models.early_exit.calibration import ExitAnswers, evaluate
from exeunt.models.early_exit.risk import allowed_errors
from exeunt.specs import SpecError

COSTS = (1.0, 2.0, 4.0)


def population(images, seed=0):
    """Return logits (3, N, 4) and labels (N,); images differ in difficulty, and later exits are better."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (images,), generator=generator)
    strength = 6 * torch.rand(images, 1, generator=generator) * torch.nn.functional.one_hot(labels, 4)
    noise = torch.randn(3, images, 4, generator=generator)
    return strength + noise * torch.tensor([1.6, 1.1, 0.7])[:, None, None], labels


def part(logits, labels, rows):
    return logits[:, rows], labels[rows]


@pytest.mark.parametrize(
    ("images", "risk", "delta"), [(10, 0.3, 0.2), (45, 0.05, 0.1), (44, 0.05, 0.1), (300, 0.02, 0.05)]
)
def test_the_allowed_number_of_errors_is_that_of_the_binomial_distribution(images, risk, delta):
    def at_most(count):
        return sum(math.comb(images, k) * risk**k * (1 - risk) ** (images - k) for k in range(count + 1))

    allowed = allowed_errors(images, risk, delta)
    assert allowed == -1 or at_most(allowed) <= delta
    assert at_most(allowed + 1) > delta


@pytest.mark.slow
@pytest.mark.parametrize(
    ("risk", "confidence", "criterion"),
    [
        pytest.param(0.05, 0.9, "max_probability", marks=pytest.mark.nightly),
        (0.1, 0.8, "entropy"),
    ],
)
def test_over_500_resplits_the_risk_keeps_within_the_level_as_often_as_promised(risk, confidence, criterion):
    logits, labels = population(6000)
    generator = torch.Generator().manual_seed(1)
    kept, risks, costs = 0, 0.0, 0.0
    for _ in range(500):
        order = torch.randperm(len(labels), generator=generator)
        fitting, testing, unseen = (part(logits, labels, rows) for rows in order.split([150, 300, 5550]))
        temperatures = fit_temperatures(*fitting)
        fitting, testing, unseen = ((scaled(one, temperatures), of) for one, of in (fitting, testing, unseen))
        point, guarantee = control_risk(fitting, testing, COSTS, risk=risk, confidence=confidence, criterion=criterion)
        assert guarantee.errors <= guarantee.allowed
        found = evaluate(*unseen, COSTS, criterion, point.thresholds)
        kept += found.risk <= risk
        risks, costs = risks + found.risk / 500, costs + found.cost / 500
    assert kept >= 500 * confidence
    assert risks > risk / 2  # the level is used
    assert costs < 0.75 * COSTS[-1]


def test_the_risk_is_an_upper_bound_of_the_lost_accuracy():
    logits, labels = population(500)
    final = (logits[-1].argmax(1) == labels).double().mean().item()
    for threshold in (0.3, 0.6, 0.9):
        point = evaluate(logits, labels, COSTS, "max_probability", threshold)
        assert final - point.accuracy <= point.risk + 1e-12


def test_a_lower_level_or_a_higher_confidence_does_not_cost_less():
    logits, labels = population(1200)
    halves = part(logits, labels, slice(0, 400)), part(logits, labels, slice(400, None))

    def cost(risk, confidence):
        point, _ = control_risk(*halves, COSTS, risk=risk, confidence=confidence, criterion="max_probability")
        return point.cost

    assert cost(0.2, 0.9) <= cost(0.1, 0.9) <= cost(0.05, 0.9) <= cost(0.05, 0.99)


def test_candidates_after_the_first_rejection_are_not_chosen():
    logits, labels = population(230)
    fitting, testing = part(logits, labels, slice(0, 30)), part(logits, labels, slice(30, None))
    point, guarantee = control_risk(fitting, testing, COSTS, risk=0.1, confidence=0.9, criterion="max_probability")
    family = [one for one in ExitAnswers(*fitting, COSTS, "max_probability").family() if one.shares[-1] < 1]
    family.sort(key=lambda one: (one.risk, -one.cost))
    tested = [evaluate(*testing, COSTS, "max_probability", one.thresholds) for one in family]
    accepted = [round(one.risk * 200) <= guarantee.allowed for one in tested]
    before = tested[: accepted.index(False)]
    cheapest = min(
        (one for one, is_accepted in zip(tested, accepted, strict=True) if is_accepted), key=lambda one: one.cost
    )
    assert min(before, key=lambda one: one.cost) == point
    assert cheapest.cost < point.cost  # so the order has an effect


@pytest.mark.parametrize(
    ("images", "risk", "confidence", "message"),
    [
        (
            40,
            0.05,
            0.9,
            "risk 0.05 cannot be guaranteed with confidence 0.9: it needs at least 45 images .* are 40. Raise",
        ),
        (400, 0.001, 0.1, "the most cautious thresholds make more than 0 of 400 images wrong. Raise the risk, lower"),
        (400, 0, 0.9, "0 < risk < 1"),
        (400, 0.1, 1, "0 < confidence < 1"),
    ],
)
def test_a_level_that_cannot_be_guaranteed_is_refused_in_one_message(images, risk, confidence, message):
    logits, labels = population(images)
    logits[0] = -logits[0]  # the first exit is always wrong
    logits[1] = -logits[1]
    halves = (logits, labels), (logits, labels)
    with pytest.raises(SpecError, match=message):
        control_risk(*halves, COSTS, risk=risk, confidence=confidence, criterion="max_probability")

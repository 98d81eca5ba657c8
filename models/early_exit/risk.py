"""Thresholds of early exits with a guaranteed risk, by Learn then Test.

The risk is the probability that early exits make an image wrong: its own exit classifies it incorrectly, but the final
exit would classify it correctly. The accuracy that is lost is never above the risk, because leaving early can also
correct an image.

Angelopoulos et al., "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control", arXiv 2110.01052.
The order of its fixed-sequence testing comes from other images. Jazbec et al. control risks of early exits: "Fast yet
Safe: Early-Exiting with Risk Control", arXiv 2405.20915. Here the loss of an image is 0 or 1, so its sum is binomial
and the p-value is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...specs import SpecError, require
from .calibration import ExitAnswers, OperatingPoint


@dataclass(frozen=True, kw_only=True)
class RiskGuarantee:
    """Guarantee of thresholds: with probability `confidence` over the tested images, the risk is at most `risk`."""

    risk: float
    """Maximum risk, between 0 and 1."""
    confidence: float
    """Minimum probability that the risk is at most `risk`, between 0 and 1."""
    images: int
    """Number of tested images; temperatures and candidates were fitted on others."""
    errors: int
    """Number of these images that the thresholds make wrong."""
    allowed: int
    """Maximum number of such images with which the test accepts thresholds."""


def control_risk(
    fitting: tuple[Tensor, Tensor],
    testing: tuple[Tensor, Tensor],
    costs: Sequence[float],
    *,
    risk: float,
    confidence: float,
    criterion: str,
) -> tuple[OperatingPoint, RiskGuarantee]:
    """Return the cheapest thresholds whose risk is guaranteed, with their cost and accuracy on the tested images.

    The candidates are those of `calibrate_to_budget`, found on the fitting images. They are tested on the testing
    images in the order of their risk on the fitting images, up to the first that is not accepted. A candidate is
    accepted if a binomial number of errors with probability `risk` would be as low as its own with probability at most
    1 - `confidence`. So the probability of accepting any candidate with a higher risk is at most 1 - `confidence`.

    Args:
        fitting: Logits (exits, images, classes) and labels (images,) that may also have chosen temperatures.
        testing: Logits and labels of other images, drawn from the same distribution as those of later use.
        costs: Cost of an image that leaves at each exit.
        risk: Maximum risk, between 0 and 1.
        confidence: Minimum probability of the guarantee, between 0 and 1.
        criterion: Name of the exit criterion.

    Raises:
        SpecError: if no thresholds with which images leave early can be guaranteed.
    """
    require(0 < risk < 1, "0 < risk < 1", risk=risk)
    require(0 < confidence < 1, "0 < confidence < 1", confidence=confidence)
    images = len(testing[1])
    allowed = allowed_errors(images, risk, 1 - confidence)
    if allowed < 0:
        needed = math.ceil(math.log(1 - confidence) / math.log(1 - risk))
        raise _no_guarantee(risk, confidence, f"it needs at least {needed} images for the test, but there are {images}")
    candidates = [point for point in ExitAnswers(*fitting, costs, criterion).family() if point.shares[-1] < 1]
    candidates.sort(key=lambda point: (point.risk, -point.cost))
    answers = ExitAnswers(*testing, costs, criterion)
    accepted: list[OperatingPoint] = []
    for candidate in candidates:
        point = answers.point(candidate.thresholds)
        if round(point.risk * images) > allowed:
            break
        accepted.append(point)
    if not accepted:
        problem = f"the most cautious thresholds make more than {allowed} of {images} images wrong"
        raise _no_guarantee(risk, confidence, problem)
    chosen = min(accepted, key=lambda point: point.cost)
    errors = round(chosen.risk * images)
    return chosen, RiskGuarantee(risk=risk, confidence=confidence, images=images, errors=errors, allowed=allowed)


def allowed_errors(images: int, risk: float, delta: float) -> int:
    """Return the largest k for which a binomial (images, risk) is at most k with probability at most delta; or -1."""
    counts = torch.arange(images + 1, dtype=torch.float64)
    total = torch.tensor(float(images), dtype=torch.float64)
    ways = torch.lgamma(total + 1) - torch.lgamma(counts + 1) - torch.lgamma(total - counts + 1)
    logs = ways + counts * math.log(risk) + (total - counts) * math.log1p(-risk)
    return int((logs.logcumsumexp(0) <= math.log(delta)).sum()) - 1


def _no_guarantee(risk: float, confidence: float, problem: str) -> SpecError:
    remedy = "Raise the risk, lower the confidence, or hold out more validation images"
    return SpecError(
        f"risk {risk:g} cannot be guaranteed with confidence {confidence:g}: {problem}. {remedy}.", field="risk"
    )

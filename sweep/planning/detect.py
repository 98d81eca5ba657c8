"""Difference that a sweep should detect."""

from dataclasses import dataclass
from typing import Annotated

from ...specs import Range, Spec

PointsOfPercent = Annotated[float, Range(above=0, maximum=100)]


@dataclass(frozen=True, kw_only=True)
class Detect(Spec):
    """Smallest difference from the baseline that the sweep should detect, in percentage points."""

    difference: PointsOfPercent
    """Difference between two means over seeds."""
    spread: PointsOfPercent | None = None
    """Standard deviation of the paired differences. Default: that of recorded trials, or 0.5."""

"""Equivalence of a method and the baseline within a margin: two one-sided paired t-tests (Schuirmann 1987)."""

from typing import TYPE_CHECKING

import numpy as np

from ..specs.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import special
else:
    special = LazyModule("scipy.special")


def equivalence_p(differences: np.ndarray, margin: float) -> float:
    """Return p of the null hypothesis that the mean paired difference is at least `margin` from zero.

    It is the larger p of two one-sided t-tests, against `margin` and against `-margin`. It is below 0.05 if and only if
    the 90% t interval of the mean lies within the margins.

    Args:
        differences: paired differences, not all equal.
        margin: largest difference that does not matter, above 0.
    """
    pairs = len(differences)
    error = differences.std(ddof=1) / np.sqrt(pairs)
    return float(special.stdtr(pairs - 1, (abs(differences.mean()) - margin) / error))

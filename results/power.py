"""Power of paired t-tests for a difference that is named before the sweep, and the number of seeds for it."""

from typing import TYPE_CHECKING

import numpy as np

from ..specs.lazy import LazyModule
from .statistics import LEAST_PAIRS, LEVEL

if TYPE_CHECKING:
    from scipy import special
else:
    special = LazyModule("scipy.special")

DESIRED_POWER = 0.8
"""Power that a number of seeds is calculated for (Cohen 1988)."""

_NORMAL_GRID = np.linspace(-9, 9, 4001)
_WEIGHTS = np.exp(-(_NORMAL_GRID**2) / 2) / np.exp(-(_NORMAL_GRID**2) / 2).sum()


def power(difference: float, *, spread: float, pairs: int, tests: int = 1) -> float:
    """Return the probability that a two-sided paired t-test is significant if the true difference is this one.

    The t statistic has a noncentral t distribution. It is integrated numerically, because SciPy's `nct` returns NaN for
    many large effects.

    Args:
        difference: true mean of the paired differences.
        spread: standard deviation of the paired differences, above 0.
        pairs: number of paired seeds.
        tests: number of Holm-corrected comparisons; the power is that of the worst case, at the level 0.05 / tests.
    """
    if pairs < LEAST_PAIRS:
        return 0.0
    freedom = pairs - 1
    critical = special.stdtrit(freedom, 1 - LEVEL / tests / 2)
    noncentrality = difference / spread * np.sqrt(pairs)
    # |t| = |z + noncentrality| / s is above the critical value if s is small enough; freedom * s^2 is chi-squared.
    largest_s = np.abs(_NORMAL_GRID + noncentrality) / critical
    return float(min(_WEIGHTS @ special.chdtr(freedom, freedom * largest_s**2), 1.0))


def seeds_needed(difference: float, *, spread: float, tests: int = 1) -> int:
    """Return the smallest number of paired seeds with a power of 80%; arguments as in `power`."""

    def is_enough(pairs: int) -> bool:
        return power(difference, spread=spread, pairs=pairs, tests=tests) >= DESIRED_POWER

    enough = LEAST_PAIRS
    while not is_enough(enough):
        enough *= 2
    too_few = max(enough // 2, LEAST_PAIRS - 1)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if is_enough(middle) else (enough, middle)
    return enough

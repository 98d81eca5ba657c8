"""Probability that a method is better than the baseline with the same seed (Agarwal et al. 2021, section 4.3)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..specs.lazy import LazyModule
from .statistics import LEVEL, PairedTest

if TYPE_CHECKING:
    from scipy import special

    from .metrics import Best
else:
    special = LazyModule("scipy.special")


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """Share of the paired seeds with which a method is better than the baseline."""

    better: float
    """Number of pairs in which the method is better; a tie counts half."""
    pairs: int
    low: float
    """Lower end of the 95% Clopper-Pearson interval of the probability."""
    high: float

    @property
    def probability(self) -> float:
        """Estimated probability of improvement, in [0, 1]."""
        return self.better / self.pairs


def improvement(test: PairedTest, best: "Best | None") -> Improvement | None:
    """Return the probability of improvement over the pairs of a test.

    Args:
        test: test of a method against the baseline.
        best: direction of better values; None if no value is better.

    Returns:
        The probability with its interval; None with fewer than 3 pairs, or if no value is better.
    """
    if best is None or not test.is_tested:
        return None
    better, pairs = test.higher if best == "highest" else test.pairs - test.higher, test.pairs
    low = special.betaincinv(better, pairs - better + 1, LEVEL / 2) if better > 0 else 0.0
    high = special.betaincinv(better + 1, pairs - better, 1 - LEVEL / 2) if better < pairs else 1.0
    return Improvement(better=better, pairs=pairs, low=float(low), high=float(high))

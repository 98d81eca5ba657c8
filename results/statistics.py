"""Paired significance tests against a baseline, and rank tests over several rows.

The tests are those of SciPy; `docs/statistics.md` describes them, with an example calculated by hand. SciPy is imported
when something is tested.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..specs.lazy import LazyModule
from .equivalence import equivalence_p

if TYPE_CHECKING:
    from scipy import stats

    from .metrics import Best
else:
    stats = LazyModule("scipy.stats")

LEVEL = 0.05
"""Significance level of the corrected p."""
LEAST_PAIRS = 3
"""Minimum number of pairs for a test."""

_EXACT, _EXACT_WITH_TIES = 50, 10
"""Maximum numbers of pairs for an exact Wilcoxon p; above, the normal approximation is used, corrected for ties."""
_DECIMALS = 10
"""Decimals of rounded differences, so that differences equal up to rounding errors tie."""

Interval = tuple[float, float]
Verdict = Literal["better", "worse", "different", "equal", "undecided"]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Statistics of paired differences, method minus baseline; None if there are too few pairs.

    If all differences are equal, the t-test is undefined; only the Wilcoxon signed-rank test is then given.
    """

    pairs: int
    mean: float
    """Mean difference in the metric's unit, as the interval."""
    higher: float
    """Number of pairs in which the method has the higher value; a tie counts half."""
    spread: float | None = None
    """Sample standard deviation of the differences (ddof=1)."""
    t_interval: Interval | None = None
    """95% Student's t interval of the mean."""
    effect: float | None = None
    """Cohen's d_z: mean difference over the standard deviation of the differences (Lakens 2013, equation 6)."""
    t_p: float | None = None
    """Two-sided p of the paired t-test."""
    wilcoxon_p: float | None = None
    """Two-sided p of the Wilcoxon signed-rank test, exact up to 50 pairs; pairs without a difference are omitted."""
    t_p_holm: float | None = None
    """Value of `t_p` after Holm correction over all tested differences of the table."""
    wilcoxon_p_holm: float | None = None
    equivalence_p: float | None = None
    """Value of `equivalence_p` for the margin of the sweep; None without a margin."""
    equivalence_p_holm: float | None = None

    @property
    def is_tested(self) -> bool:
        """True if there are enough pairs; all such tests are one family of the Holm correction."""
        return self.pairs >= LEAST_PAIRS

    @property
    def is_significant(self) -> bool:
        """True if the corrected p of the t-test is below 0.05."""
        return self.t_p_holm is not None and self.t_p_holm < LEVEL

    @property
    def is_equivalent(self) -> bool:
        """True if the corrected p of the equivalence test is below 0.05."""
        return self.equivalence_p_holm is not None and self.equivalence_p_holm < LEVEL

    def verdict(self, best: "Best | None") -> Verdict:
        """Return the result of both tests: a significant difference within the margins is `equal`.

        Args:
            best: direction of better values; with None, a significant difference is `different`.
        """
        if self.is_equivalent:
            return "equal"
        if not self.is_significant:
            return "undecided"
        if best is None:
            return "different"
        return "better" if (self.mean > 0) == (best == "highest") else "worse"


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Comparison of methods by their mean ranks over rows (Demsar 2006, section 3.2)."""

    rows: int
    ranks: tuple[float, ...]
    """Mean rank of each method; 1 is best. Methods that tie on a row share their mean rank."""
    statistic: float
    """Friedman's chi-squared, corrected for ties."""
    p: float
    """p of the Friedman test that all methods are equal."""
    critical_difference: float
    """Nemenyi critical difference: mean ranks further apart differ significantly (p < 0.05)."""
    pairwise_p: tuple[tuple[float, ...], ...]
    """p of the Nemenyi test for each pair of methods."""


def paired_test(differences: Sequence[float], margin: float | None = None) -> PairedTest | None:
    """Return tests of the null hypothesis that the mean paired difference is zero; None without pairs.

    Args:
        differences: method minus baseline, one for each pair.
        margin: largest difference that does not matter, for the equivalence test; without it, there is no such test.
    """
    if not len(differences):
        return None
    values = np.round(np.asarray(differences, dtype=float), _DECIMALS)
    test = PairedTest(pairs=len(values), mean=float(values.mean()), higher=float((np.sign(values) + 1).sum() / 2))
    if not test.is_tested:
        return test
    test = replace(test, wilcoxon_p=_wilcoxon(values))
    if np.ptp(values) == 0:
        return test
    student: Any = stats.ttest_1samp(values, 0)
    return replace(
        test,
        spread=float(values.std(ddof=1)),
        t_interval=t_interval(values),
        effect=float(values.mean() / values.std(ddof=1)),
        t_p=float(student.pvalue),
        equivalence_p=None if margin is None else equivalence_p(values, margin),
    )


def t_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """Return the 95% Student's t interval of the mean; None for fewer than two values or if all are equal."""
    if len(values) < 2 or np.ptp(np.round(values, _DECIMALS)) == 0:
        return None
    student: Any = stats.ttest_1samp(values, 0)
    low, high = student.confidence_interval(1 - LEVEL)
    return float(low), float(high)


def holm(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Apply the Holm correction to the p values of several tests (Holm 1979), separately for each kind of test.

    A test without a t-test, because all of its differences are equal, counts with p = 1.
    """
    tested = [test for test in tests if test.is_tested]
    t = _corrected([test.t_p for test in tested])
    wilcoxon = _corrected([test.wilcoxon_p for test in tested])
    equivalence = _corrected([test.equivalence_p for test in tested])
    corrected = iter(zip(t, wilcoxon, equivalence, strict=True))
    names = ("t_p_holm", "wilcoxon_p_holm", "equivalence_p_holm")
    return [
        replace(test, **dict(zip(names, next(corrected), strict=True))) if test.is_tested else test for test in tests
    ]


def smallest_wilcoxon_p(pairs: int) -> float:
    """Return the smallest possible p of the two-sided Wilcoxon signed-rank test: all differences have one sign."""
    return min(1.0, 2 / 2**pairs)


def pairs_needed(tests: int = 1) -> int:
    """Return the number of pairs at which the Wilcoxon p, Holm-corrected over `tests`, can be below 0.05."""
    return next(pairs for pairs in itertools.count(1) if tests * smallest_wilcoxon_p(pairs) < LEVEL)


def ranking(values: Sequence[Sequence[float]], *, highest_is_best: bool) -> Ranking | None:
    """Rank methods (columns) on each of several rows, and test their mean ranks.

    Args:
        values: array of shape (rows, methods).
        highest_is_best: rank the highest value first.

    Returns:
        The ranking; None with fewer than 3 rows or 3 methods, or if all methods are equal on every row.
    """
    numbers = np.round(np.asarray(values, dtype=float), _DECIMALS)
    if numbers.ndim != 2 or min(numbers.shape) < 3 or not np.ptp(numbers, axis=1).any():
        return None
    rows, methods = numbers.shape
    ranks = stats.rankdata(-numbers if highest_is_best else numbers, axis=1).mean(axis=0)
    friedman = stats.friedmanchisquare(*numbers.T)
    # Nemenyi: a difference of mean ranks, over its standard error, has the distribution of a studentized range over
    # sqrt(2), with infinite degrees of freedom (Demsar 2006, section 3.2.2).
    range_of_one = np.sqrt(methods * (methods + 1) / (12 * rows))
    apart = np.abs(ranks[:, None] - ranks[None, :])
    pairwise = stats.studentized_range.sf(apart / range_of_one, methods, np.inf)
    return Ranking(
        rows=rows,
        ranks=tuple(map(float, ranks)),
        statistic=float(friedman.statistic),
        p=float(friedman.pvalue),
        critical_difference=float(stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) * range_of_one),
        pairwise_p=tuple(tuple(map(float, line)) for line in np.clip(pairwise, 0, 1)),
    )


def _wilcoxon(values: np.ndarray) -> float:
    values = values[values != 0]
    if not len(values):
        return 1.0
    return _wilcoxon_of_ranks(tuple(map(float, np.sign(values) * stats.rankdata(np.abs(values)))))


@cache
def _wilcoxon_of_ranks(signed_ranks: tuple[float, ...]) -> float:
    """Return the Wilcoxon p of signed ranks; cached, because tables of few seeds repeat the same ranks."""
    pairs = len(signed_ranks)
    method: Any = "exact" if pairs <= _EXACT else "asymptotic"
    if len({abs(rank) for rank in signed_ranks}) < pairs:  # SciPy's exact method has no ties: enumerate all signs
        everything = stats.PermutationMethod(n_resamples=2**_EXACT_WITH_TIES)
        method = everything if pairs <= _EXACT_WITH_TIES else "asymptotic"
    result: Any = stats.wilcoxon(signed_ranks, method=method)
    return float(result.pvalue)


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Return Holm's corrected p values in the order of the tests; a missing p counts as 1 and stays missing.

    The smallest of m values is multiplied by m, the next by m - 1, and so on. No corrected value is above 1 or below
    that of a smaller p (Holm 1979).
    """
    corrected: list[float | None] = [None] * len(p_values)
    complete = [1.0 if p is None else p for p in p_values]
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(complete)), key=complete.__getitem__)):
        largest = max(largest, complete[place] * (len(complete) - rank))
        corrected[place] = None if p_values[place] is None else min(largest, 1.0)
    return corrected

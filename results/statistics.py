"""Is a difference more than chance? Pairs of results against a baseline, and ranks over several rows.

Everything is SciPy's and statsmodels'; `docs/statistics.md` says what is tested, how, and has an example by hand.
"""

import gc
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05
"""A difference is called significant below this corrected p."""
LEAST_PAIRS = 3
"""With fewer pairs nothing is tested."""
LEAST_PAIRS_FOR_BOOTSTRAP = 6
"""Three pairs have 10 different resamples, five 126, six 462: an interval from fewer would be too narrow."""

_RESAMPLES = 9999
_EXACT, _EXACT_WITH_TIES = 50, 10
"""Up to so many pairs Wilcoxon's p is exact; with more it is that of a normal distribution, corrected for ties."""
_DECIMALS = 10
"""Differences are rounded to so many, for those that are alike up to rounding errors have to tie."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """What the differences of pairs, method minus baseline, tell. None wherever there is too little to tell it.

    Where all differences are alike, a t-test would call them certain; there Wilcoxon's test alone is given.
    """

    pairs: int
    mean: float
    """In the metric's unit, like both intervals."""
    t_interval: Interval | None = None
    """95% interval of the mean by Student's t."""
    bootstrap_interval: Interval | None = None
    """95% interval of the mean by the bootstrap (BCa), from 6 pairs on."""
    effect: float | None = None
    """Cohen's d_z: mean difference over the standard deviation of the differences (Lakens 2013, equation 6)."""
    t_p: float | None = None
    """Two-sided p of the paired t-test."""
    wilcoxon_p: float | None = None
    """Two-sided p of Wilcoxon's signed-rank test, exact up to 50 pairs; those without a difference are left out."""
    t_p_holm: float | None = None
    """`t_p` after Holm's correction over all differences of the table that are tested."""
    wilcoxon_p_holm: float | None = None

    @property
    def is_tested(self) -> bool:
        """Whether there are enough pairs. All that are tested are one family for Holm's correction."""
        return self.pairs >= LEAST_PAIRS

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p of the t-test is below 0.05."""
        return self.t_p_holm is not None and self.t_p_holm < LEVEL


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Methods ranked on each row, then compared by their mean ranks (Demsar 2006, section 3.2)."""

    rows: int
    ranks: tuple[float, ...]
    """Mean rank of each method; 1 is the best. Methods that tie on a row share the mean of their ranks."""
    statistic: float
    """Friedman's chi-squared, corrected for ties."""
    p: float
    """Of Friedman's test: that no method differs from any other."""
    critical_difference: float
    """Two methods differ significantly (Nemenyi, p < 0.05) where their mean ranks are further apart."""
    pairwise_p: tuple[tuple[float, ...], ...]
    """Nemenyi's p for each pair of methods."""


def paired_test(differences: Sequence[float]) -> PairedTest | None:
    """Test whether the mean of paired differences is zero; None without any pair."""
    if not len(differences):
        return None
    values = np.round(np.asarray(differences, dtype=float), _DECIMALS)
    test = PairedTest(pairs=len(values), mean=float(values.mean()))
    if not test.is_tested:
        return test
    test = replace(test, wilcoxon_p=_wilcoxon(values))
    if np.ptp(values) == 0:
        return test
    student: Any = stats.ttest_1samp(values, 0)
    return replace(
        test,
        t_interval=_bounds(student.confidence_interval(1 - LEVEL)),
        bootstrap_interval=_bootstrapped(values),
        effect=float(values.mean() / values.std(ddof=1)),
        t_p=float(student.pvalue),
    )


def holm(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Correct the p of each test for there being several (Holm 1979).

    What has no t-test, since its differences are all alike, counts as one with p = 1.
    """
    tested = [test for test in tests if test.is_tested]
    t = iter(_corrected([test.t_p for test in tested]))
    wilcoxon = iter(_corrected([test.wilcoxon_p for test in tested]))
    return [
        replace(test, t_p_holm=next(t), wilcoxon_p_holm=next(wilcoxon)) if test.is_tested else test for test in tests
    ]


def smallest_wilcoxon_p(pairs: int) -> float:
    """The p that Wilcoxon's two-sided test has where all differences have one sign; none is smaller."""
    return min(1.0, 2 / 2**pairs)


def pairs_needed(tests: int = 1) -> int:
    """How many pairs let Wilcoxon's test go below 0.05, after Holm's correction over so many tests."""
    return next(pairs for pairs in itertools.count(1) if tests * smallest_wilcoxon_p(pairs) < LEVEL)


def ranking(values: Sequence[Sequence[float]], *, highest_is_best: bool) -> Ranking | None:
    """Rank methods (columns) on each of several rows, and test their mean ranks.

    None with fewer than three rows or three methods, or where all methods are alike on every row.
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
    """The test depends on nothing else, and a table of few seeds has few different ones."""
    pairs = len(signed_ranks)
    method: Any = "exact" if pairs <= _EXACT else "asymptotic"
    if len({abs(rank) for rank in signed_ranks}) < pairs:  # SciPy's exact method knows no ties; all signs are tried
        everything = stats.PermutationMethod(n_resamples=2**_EXACT_WITH_TIES)
        method = everything if pairs <= _EXACT_WITH_TIES else "asymptotic"
    result: Any = stats.wilcoxon(signed_ranks, method=method)
    return float(result.pvalue)


def _bootstrapped(values: np.ndarray) -> Interval | None:
    if len(values) < LEAST_PAIRS_FOR_BOOTSTRAP:
        return None
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=1 - LEVEL,
        n_resamples=_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    return _bounds(found.confidence_interval)


def _bounds(interval: tuple[float, float]) -> Interval:
    low, high = interval
    return float(low), float(high)


def _corrected(p_values: list[float | None]) -> list[float | None]:
    complete = [1.0 if p is None else p for p in p_values]
    gc.freeze()  # `multipletests` has Python look for garbage among all that is not frozen, for a tenth of a second
    try:
        corrected = np.asarray(multipletests(complete, method="holm")[1]) if complete else ()
    finally:
        gc.unfreeze()
    return [None if p is None else float(adjusted) for p, adjusted in zip(p_values, corrected, strict=True)]

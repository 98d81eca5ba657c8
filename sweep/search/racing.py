"""Racing: a suggestion that is worse than the best one so far gets no further seeds."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from ..planning.search_space import Direction

LEVEL = 0.05
"""Significance level of the test."""
FEWEST_PAIRS = 5
"""Smallest number of pairs with which a one-sided Wilcoxon test can reach the level: 1 / 2**5 = 0.03."""


def is_worse(values: Sequence[float], best: Sequence[float], direction: Direction) -> bool:
    """Return True if a suggestion loses the race against the best one so far.

    With at least five seeds, this is a one-sided Wilcoxon signed-rank test (level 0.05) of the differences with equal
    seeds. With fewer seeds, the test cannot reach the level. Then a suggestion loses if each of its values is worse
    than the mean of the best. The mean is compared, because the best suggestion may owe a single value to luck.

    Args:
        values: value of the suggestion for each seed so far.
        best: value of the best suggestion for each seed, at least as many, in the same order of seeds.
        direction: direction of optimization.
    """
    sign = 1 if direction == "maximize" else -1
    if len(values) < FEWEST_PAIRS:
        return all(sign * value < sign * fmean(best) for value in values)
    gains = [sign * (own - other) for own, other in zip(values, best, strict=False)]
    if not any(gains):
        return False
    from scipy import stats  # noqa: PLC0415 (it takes half a second to load)

    result: Any = stats.wilcoxon(gains, alternative="less")
    return float(result.pvalue) < LEVEL

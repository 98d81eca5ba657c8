"""Simulation of whole comparison tables: error rates of the tests, their power, and the coverage of an interval.

Numbers of methods, rows and seeds vary. Differences are normal with a common baseline for each row and seed, so that
the comparisons of a row are correlated as in a real sweep. The tests are those of the program, applied to arrays.
"""

import argparse
import itertools

import numpy as np
from exeunt.results.equivalence import equivalence_p
from exeunt.results.improvement import improvement
from exeunt.results.power import power, seeds_needed
from exeunt.results.statistics import LEVEL, PairedTest, paired_test
from scipy import special, stats

MARGIN = 0.3
LEVELS_OF_P = np.linspace(0.02, 0.98, 49)


def tables(
    rng: np.random.Generator, number: int, *, rows: int, methods: int, seeds: int, shifts: np.ndarray, spread: float
) -> np.ndarray:
    """Return differences of shape (tables, comparisons, seeds) with these means and standard deviation."""
    own = rng.normal(0, spread / np.sqrt(2), (number, rows, methods, seeds))
    baseline = rng.normal(0, spread / np.sqrt(2), (number, rows, 1, seeds))
    return (own - baseline).reshape(number, rows * methods, seeds) + shifts[:, None]


def holm_rejects(p_values: np.ndarray) -> np.ndarray:
    """Return where Holm's procedure rejects, for p values of shape (tables, comparisons)."""
    order = p_values.argsort(axis=1)
    number = p_values.shape[1]
    ordered = np.take_along_axis(p_values, order, axis=1) * (number - np.arange(number))
    rejected = np.maximum.accumulate(ordered, axis=1) < LEVEL
    answer = np.empty_like(rejected)
    np.put_along_axis(answer, order, rejected, axis=1)
    return answer


def t_p(differences: np.ndarray) -> np.ndarray:
    """Return two-sided p values of paired t-tests along the last axis."""
    seeds = differences.shape[-1]
    t = differences.mean(-1) / (differences.std(-1, ddof=1) / np.sqrt(seeds))
    return 2 * special.stdtr(seeds - 1, -np.abs(t))


def tost_p(differences: np.ndarray, margin: float) -> np.ndarray:
    """Return p values of the equivalence test along the last axis."""
    seeds = differences.shape[-1]
    error = differences.std(-1, ddof=1) / np.sqrt(seeds)
    return special.stdtr(seeds - 1, (np.abs(differences.mean(-1)) - margin) / error)


def check_formulas(rng: np.random.Generator) -> None:
    """Raise `AssertionError` if the array formulas differ from the program's functions."""
    sample = rng.normal(0.2, 0.5, (1, 1, 7))
    test = paired_test(sample[0, 0].tolist(), MARGIN)
    assert test is not None
    assert test.t_p is not None
    assert test.equivalence_p is not None
    assert np.isclose(t_p(sample)[0, 0], test.t_p)
    assert np.isclose(tost_p(sample, MARGIN)[0, 0], test.equivalence_p)
    assert np.isclose(equivalence_p(sample[0, 0], MARGIN), test.equivalence_p)


def error_rates(rng: np.random.Generator, number: int) -> dict[str, float]:
    """Return the largest family-wise error rates over tables of several sizes.

    The null hypotheses that are true are: all differences are zero, half of them are zero, all or half of them are at
    the margin of equivalence.
    """
    names = (
        "difference, all equal",
        "difference, half equal",
        "equivalence, all at margin",
        "equivalence, half at margin",
    )
    worst = dict.fromkeys(names, 0.0)
    for rows, methods, seeds in itertools.product((1, 4), (1, 4, 8), (3, 6, 10)):
        size = {"rows": rows, "methods": methods, "seeds": seeds, "spread": 0.5}
        count = rows * methods
        half = np.arange(count) % 2 == 0
        signs = np.where(np.arange(count) % 4 < 2, 1.0, -1.0)
        null = tables(rng, number, shifts=np.zeros(count), **size)
        shifted = tables(rng, number, shifts=np.where(half, 0.0, 1.0), **size)
        at_margin = tables(rng, number, shifts=MARGIN * signs, **size)
        mixed = tables(rng, number, shifts=np.where(half, MARGIN, 0.0) * signs, **(size | {"spread": 0.2}))
        rejected = (
            holm_rejects(t_p(null)),
            holm_rejects(t_p(shifted))[:, half],
            holm_rejects(tost_p(at_margin, MARGIN)),
            holm_rejects(tost_p(mixed, MARGIN))[:, half],
        )
        for name, wrong in zip(names, rejected, strict=True):
            worst[name] = max(worst[name], float(wrong.any(axis=1).mean()))
    return worst


def power_errors(rng: np.random.Generator, number: int) -> tuple[float, float]:
    """Return the largest difference between stated and simulated power, and the least power with the seeds needed."""
    largest, least = 0.0, 1.0
    for comparisons, ratio in itertools.product((1, 4, 8), (0.5, 1.0, 2.0)):
        needed = seeds_needed(ratio, spread=1.0, tests=comparisons)
        for seeds in (3, 6, needed):
            differences = rng.normal(ratio, 1.0, (number, seeds))
            simulated = float((t_p(differences) < LEVEL / comparisons).mean())
            largest = max(largest, abs(simulated - power(ratio, spread=1.0, pairs=seeds, tests=comparisons)))
            least = min(least, simulated) if seeds == needed else least
    return largest, least


def coverage(pairs: int, ties: float) -> tuple[float, float]:
    """Return the least exact coverage of Clopper-Pearson's and Wilson's intervals of the probability of improvement.

    Args:
        pairs: number of pairs.
        ties: share of ties among the pairs; each counts half.
    """
    least = [1.0, 1.0]
    z = stats.norm.ppf(1 - LEVEL / 2)
    wins = {
        better: improvement(PairedTest(pairs=pairs, mean=0.0, higher=better), "highest")
        for better in np.arange(0, pairs + 0.5, 0.5).tolist()
    }
    for p in LEVELS_OF_P:
        decided = stats.binom.pmf(np.arange(pairs + 1), pairs, 1 - ties)
        inside = [0.0, 0.0]
        for number, chance in enumerate(decided):
            # The true probability counts ties half: (1 - ties) * p + ties / 2.
            true = (1 - ties) * p + ties / 2
            for won, of_wins in enumerate(stats.binom.pmf(np.arange(number + 1), number, p)):
                better = won + (pairs - number) / 2
                found = wins[better]
                assert found is not None
                share, squared = better / pairs, z**2 / pairs
                middle, half = share + squared / 2, z * np.sqrt(share * (1 - share) / pairs + squared / (4 * pairs))
                wilson = (middle - half) / (1 + squared), (middle + half) / (1 + squared)
                inside[0] += chance * of_wins * (found.low <= true <= found.high)
                inside[1] += chance * of_wins * (wilson[0] <= true <= wilson[1])
        least = [min(pair) for pair in zip(least, inside, strict=True)]
    return least[0], least[1]


def main() -> None:
    """Print error rates, power and coverage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=20_000, help="simulated tables of each size")
    rng, number = np.random.default_rng(0), parser.parse_args().tables
    check_formulas(rng)
    for name, rate in error_rates(rng, number).items():
        print(f"family-wise error, {name}: at most {rate:.2%}")
    largest, least = power_errors(rng, number)
    print(f"power: stated and simulated differ by at most {largest:.2%}; least power with the seeds needed {least:.2%}")
    for pairs, ties in itertools.product((3, 6, 10, 20), (0.0, 0.2)):
        exact, wilson = coverage(pairs, ties)
        print(f"coverage with {pairs} pairs, {ties:.0%} ties: Clopper-Pearson {exact:.1%}, Wilson {wilson:.1%}")


if __name__ == "__main__":
    main()

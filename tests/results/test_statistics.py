import math

import numpy as np
import pytest
from exeunt.results import PairedTest, Ranking, paired_test, ranking
from exeunt.results.equivalence import equivalence_p
from exeunt.results.improvement import improvement
from exeunt.results.power import power, seeds_needed
from exeunt.results.statistics import holm, pairs_needed, smallest_wilcoxon_p
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Heights of crossed minus self-fertilised maize in eighths of an inch, 15 pairs (Darwin 1876; Fisher 1935)."""

DEMSAR = [
    [0.763, 0.768, 0.771, 0.798],
    [0.599, 0.591, 0.590, 0.569],
    [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657],
    [0.882, 0.888, 0.886, 0.898],
    [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685],
    [0.583, 0.583, 0.563, 0.625],
    [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000],
    [0.940, 0.962, 0.965, 0.962],
    [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.975, 0.9749],
    [0.957, 0.978, 0.946, 0.970],
]
"""AUC of four classifiers on 14 data sets (Demsar 2006, table 6); 0.9749 is printed as 0.975 there."""


def test_the_example_of_the_docs():
    """The pairs 71.0, 71.4, 70.9 and 70.2, 70.4, 70.3 of docs/statistics.md."""
    test = paired_test([71.0 - 70.2, 71.4 - 70.4, 70.9 - 70.3])
    assert test is not None
    assert (test.pairs, test.mean) == (3, pytest.approx(0.8))
    assert test.effect == pytest.approx(4.0)  # 0.8 / 0.2
    assert test.t_p == pytest.approx(0.0202, abs=5e-5)  # t = 0.8 / (0.2 / sqrt(3)) = 6.93, two degrees of freedom
    assert test.t_interval == pytest.approx((0.303, 1.297), abs=5e-4)  # 0.8 -+ 4.303 * 0.2 / sqrt(3)
    assert test.wilcoxon_p == pytest.approx(0.25)  # one of 2 * 2 * 2 signs, twice


def test_paired_tests_are_those_of_scipy_and_statsmodels():
    first = np.random.default_rng(7).normal(70, 1, len(DARWIN))
    second = first + DARWIN
    test = paired_test(second - first)
    assert test is not None
    student = stats.ttest_rel(second, first)
    assert test.t_p == pytest.approx(student.pvalue)
    assert test.t_interval == pytest.approx(tuple(student.confidence_interval()))
    assert test.t_interval == pytest.approx(DescrStatsW(DARWIN).tconfint_mean())
    assert test.wilcoxon_p == pytest.approx(stats.wilcoxon(DARWIN, method="exact").pvalue)
    assert test.t_p == pytest.approx(0.0497, abs=5e-5)  # as in Fisher's book: t = 2.148


def test_ties_and_zeros_have_an_exact_wilcoxon_p():
    # 0.5 and 0.5 tie, and the zero is omitted: 2 of 16 sign patterns are at least as extreme.
    assert paired_test([0.5, 0.5, 0.0, 0.75, 0.25]).wilcoxon_p == pytest.approx(2 / 16)
    assert paired_test([0.1 + 0.2, 0.3, -0.4]).wilcoxon_p == paired_test([0.3, 0.3, -0.4]).wilcoxon_p


def test_many_pairs_have_the_wilcoxon_p_of_the_normal_approximation():
    differences = np.round(np.random.default_rng(0).normal(0.2, 1, 300), 2)
    reference = stats.wilcoxon(differences[differences != 0], method="approx").pvalue
    assert paired_test(differences).wilcoxon_p == pytest.approx(reference)


@pytest.mark.parametrize("differences", [[0.5], [0.5, 0.7]])
def test_two_pairs_are_not_tested(differences):
    test = paired_test(differences, margin=0.3)
    mean = pytest.approx(np.mean(differences))
    assert test == PairedTest(pairs=len(differences), mean=mean, higher=len(differences))
    assert improvement(test, "highest") is None


def test_without_pairs_there_is_no_test():
    assert paired_test([]) is None


@pytest.mark.parametrize(("difference", "p"), [(0.5, 0.25), (0.0, 1.0)])
def test_differences_that_are_all_alike_are_not_certain(difference, p):
    test = paired_test([difference] * 3, margin=0.7)
    assert test == PairedTest(pairs=3, mean=difference, higher=3.0 if difference else 1.5, wilcoxon_p=p)
    assert test.verdict("highest") == "undecided"


@pytest.mark.parametrize(("pairs", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_no_wilcoxon_p_is_smaller(pairs, p):
    assert smallest_wilcoxon_p(pairs) == p
    assert stats.wilcoxon(np.arange(1, pairs + 1), method="exact").pvalue == p
    assert paired_test(np.arange(1.0, pairs + 1)).wilcoxon_p == p


@pytest.mark.parametrize(("tests", "pairs"), [(1, 6), (2, 7), (20, 10)])
def test_pairs_needed(tests, pairs):
    assert pairs_needed(tests) == pairs
    assert tests * smallest_wilcoxon_p(pairs) < 0.05 <= tests * smallest_wilcoxon_p(pairs - 1)


@pytest.mark.slow
def test_holm_is_that_of_statsmodels_and_leaves_out_what_was_not_tested():
    p_values = [0.01, None, 0.04, 0.03, 0.005]
    corrected = holm([PairedTest(pairs=3 if p else 2, mean=1.0, higher=2.0, t_p=p) for p in p_values])
    assert [test.t_p_holm for test in corrected] == [
        pytest.approx(0.03),  # 3 * 0.01
        None,
        pytest.approx(0.06),  # as large as the one before it in order
        pytest.approx(0.06),  # 2 * 0.03
        pytest.approx(0.02),  # 4 * 0.005
    ]
    known = [p for p in p_values if p is not None]
    assert [test.t_p_holm for test in corrected if test.t_p_holm] == pytest.approx(
        multipletests(known, method="holm")[1]
    )
    assert [test.is_significant for test in corrected] == [True, False, False, False, True]
    assert holm([]) == []


def test_what_has_no_t_test_counts_in_holms_correction_as_what_wilcoxons_test_has():
    tests = [paired_test(differences) for differences in ([0.8, 1.0, 0.6], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0])]
    corrected = holm(tests)
    assert corrected[0].t_p_holm == pytest.approx(3 * tests[0].t_p)
    assert not corrected[0].is_significant
    assert [test.t_p_holm for test in corrected[1:]] == [None, None]
    assert [test.wilcoxon_p_holm for test in corrected] == [0.75, 0.75, 1.0]


def test_ranks_are_those_of_demsar():
    found = ranking(DEMSAR, highest_is_best=True)
    assert isinstance(found, Ranking)
    assert found.rows == 14
    assert found.ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    reference = stats.friedmanchisquare(*np.transpose(DEMSAR))
    untied = 12 * 14 / (4 * 5) * sum(rank**2 for rank in found.ranks) - 3 * 14 * 5
    assert untied == pytest.approx(9.28, abs=0.01), "the paper's, which does not correct for ties"
    assert (found.statistic, found.p) == pytest.approx((reference.statistic, reference.pvalue))
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert found.pairwise_p[0][0] == pytest.approx(1.0)
    assert np.allclose(found.pairwise_p, np.transpose(found.pairwise_p))


@pytest.mark.parametrize(("methods", "q"), [(3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_demsars_table_5(methods, q):
    values = np.random.default_rng(0).normal(size=(12, methods))
    found = ranking(values, highest_is_best=True)
    assert found.critical_difference / math.sqrt(methods * (methods + 1) / (6 * 12)) == pytest.approx(q, abs=1e-3)


def test_where_the_lowest_is_best_the_ranks_are_turned_round():
    highest, lowest = (ranking(DEMSAR, highest_is_best=best) for best in (True, False))
    assert np.add(highest.ranks, lowest.ranks) == pytest.approx([5.0] * 4)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0, 3.0]] * 2, [[1.0, 2.0]] * 5, [[1.0, 1.0, 1.0]] * 4])
def test_too_little_is_not_ranked(values):
    assert ranking(values, highest_is_best=True) is None


@pytest.mark.parametrize("tests", [1, 8])
@pytest.mark.parametrize("pairs", [3, 5, 10, 30])
@pytest.mark.parametrize("effect", [0.1, 0.5, 1.0])
def test_power_is_that_of_statsmodels(effect, pairs, tests):
    reference = TTestPower().power(effect, pairs, 0.05 / tests)
    assert power(effect * 0.4, spread=0.4, pairs=pairs, tests=tests) == pytest.approx(reference, abs=1e-9)


def test_power_has_a_value_where_scipys_noncentral_t_has_none():
    assert power(5.0, spread=1.0, pairs=10) == pytest.approx(1.0)
    assert power(20.0, spread=1.0, pairs=3, tests=1000) == pytest.approx(0.05828114, abs=1e-6)
    assert power(0.5, spread=0.5, pairs=2) == 0.0


def test_seeds_needed():
    """The difference of one standard deviation of docs/statistics.md."""
    assert seeds_needed(0.5, spread=0.5) == 10
    assert seeds_needed(0.5, spread=0.5, tests=8) == 17
    assert power(0.5, spread=0.5, pairs=9) < 0.8 <= power(0.5, spread=0.5, pairs=10)
    assert seeds_needed(50.0, spread=0.1) == 3
    assert seeds_needed(0.001, spread=5.0) == pytest.approx(7.849 * 5000**2, rel=1e-3)  # (1.96 + 0.84)^2 = 7.849


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.1, 2.0])
def test_the_equivalence_test_is_that_of_statsmodels(shift):
    rng = np.random.default_rng(3)
    first, second = rng.normal(70, 1, 9), rng.normal(70 + shift, 1, 9)
    reference, *_ = ttost_paired(second, first, -0.5, 0.5)
    assert paired_test(second - first, margin=0.5).equivalence_p == pytest.approx(reference)


@pytest.mark.parametrize(
    ("differences", "highest", "lowest"),
    [
        ([0.8, 1.0, 0.6], "better", "worse"),
        ([-0.8, -1.0, -0.6], "worse", "better"),
        ([0.8, -1.0, 0.6], "undecided", "undecided"),
        ([0.02, -0.03, 0.0, 0.01], "equal", "equal"),
        ([0.12, 0.1, 0.11, 0.12], "equal", "equal"),  # significant, and within the margin
    ],
)
def test_verdicts(differences, highest, lowest):
    (test,) = holm([paired_test(differences, margin=0.3)])
    assert test.verdict("highest") == highest
    assert test.verdict("lowest") == lowest
    assert test.verdict(None) == {"better": "different", "worse": "different"}.get(highest, highest)


def test_a_difference_of_less_than_the_margin_can_be_significant_too():
    (test,) = holm([paired_test([0.12, 0.1, 0.11, 0.12], margin=0.3)])
    assert test.is_significant
    assert test.is_equivalent


def test_probability_of_improvement_with_the_interval_of_scipy():
    test = paired_test([0.5, 0.7, -0.1, 0.3, 0.2])
    found = improvement(test, "highest")
    interval = stats.binomtest(4, 5).proportion_ci(method="exact")
    assert found is not None
    assert (found.probability, found.low, found.high) == pytest.approx((0.8, interval.low, interval.high))
    lower = improvement(test, "lowest")
    assert lower is not None
    assert (lower.probability, lower.low) == pytest.approx((0.2, 1 - found.high))
    assert improvement(test, None) is None
    tied = improvement(paired_test([0.0, 0.0, 1.0, 1.0]), "highest")
    assert tied is not None
    assert (tied.better, tied.high) == (3.0, pytest.approx(stats.beta.ppf(0.975, 4, 1)))


def test_few_of_many_simulated_tables_have_a_wrong_mark():
    """Four methods without a difference, and four at the margin; benchmarks/error_rates.py simulates more tables."""
    noise = np.random.default_rng(0).normal(0, 0.35, (1000, 5, 6))
    differences = noise[:, 1:] - noise[:, :1]
    t_p = stats.ttest_1samp(differences, 0, axis=-1).pvalue
    marked = np.zeros(2)
    for table, of_table in zip(differences, t_p, strict=True):
        known = [(p, equivalence_p(values + 0.3, 0.3)) for p, values in zip(of_table, table, strict=True)]
        tests = holm([PairedTest(pairs=6, mean=0.0, higher=3.0, t_p=p, equivalence_p=own) for p, own in known])
        marked += any(test.is_significant for test in tests), any(test.is_equivalent for test in tests)
    assert (marked / 1000 < 0.07).all()  # 5%, and three standard errors

"""Tests of the sentences of the summary."""

import pytest
from exeunt.results import comparison, significance
from exeunt.results.report.summary import Summary, summary
from exeunt.store import Margins


def said(sweep, planned: int | None = None, **margins: float) -> Summary:
    table = comparison(sweep.frame())
    return summary(sweep.frame(), planned, table, significance(table, Margins(**margins)))


def sentences(found: Summary) -> list[str]:
    return [*found.facts, *(text for finding in found.findings for text in finding.sentences), *found.cautions]


@pytest.fixture
def made(new_sweep):
    return new_sweep()


def test_a_difference_with_its_interval_as_in_the_example_of_the_documentation(made):
    made.seeds("baseline", 70.2, 70.4, 70.3)
    made.seeds("eed", 71.0, 71.4, 70.9)
    found = sentences(said(made, planned=6))
    assert found[0] == "6 of 6 planned trials completed."
    assert "3 seeds: 0, 1, 2." in found
    assert "Protocol: last epoch on test." in found
    assert "Best mean: eed, 71.10 ± 0.26%." in found
    assert (
        "eed is 0.80 percentage points above baseline over 3 pairs of seeds, 95% interval +0.30 to +1.30: significant "
        "(paired t-test, p = 0.02)." in found
    )
    assert any("Repeat significant comparisons with at least 6 seeds" in text for text in found)


def test_eed_that_is_worse_is_said_to_be(made):
    made.seeds("baseline", 70.2, 70.4, 70.3)
    made.seeds("eed", 69.4, 69.3, 69.7)
    found = sentences(said(made))
    assert "No method has a better mean than baseline." in found
    assert any(text.startswith("eed is 0.83 percentage points below (worse than) baseline over 3") for text in found)
    assert not any("not significant" in text for text in found)


def test_nothing_significant_is_not_called_alike(made):
    made.seeds("baseline", 70.0, 71.0, 72.0)
    made.seeds("eed", 71.0, 70.5, 73.5)
    found = sentences(said(made))
    assert any("not significant (paired t-test" in text for text in found)
    assert any("No difference from baseline is significant. This does not show" in text for text in found)


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_to_say_anything(made, seeds):
    made.seeds("baseline", *[70.0, 70.5][:seeds])
    made.seeds("eed", *[72.0, 72.7][:seeds])
    found = sentences(said(made))
    assert any("too few for an interval or a test, which need at least 3" in text for text in found)
    assert any(text.startswith("No significance test") for text in found)
    assert not any("significant" in text for text in found)
    assert (seeds == 1) == any(text.startswith("One seed (0): the variation") for text in found)


def test_differences_that_are_all_the_same_are_not_certain(made):
    made.seeds("baseline", 70.0, 71.0, 72.0)
    made.seeds("eed", 71.0, 72.0, 73.0)
    found = sentences(said(made))
    assert any("all differences are equal" in text and text.endswith("not significant.") for text in found)


def test_of_many_settings_the_best_and_the_worst(made):
    made.seeds("baseline", 75.0, 75.5, 75.2)
    for temperature, top1 in (("1", 74.0), ("2", 74.6), ("3", 74.3), ("4", 73.1)):
        made.seeds("eed", top1, top1 + 0.3, top1 + 0.4, method__temperature=temperature)
    found = sentences(said(made))
    assert sum("of the 4 settings of eed" in text for text in found) == 2
    assert any(text.startswith("Best of the 4 settings of eed: eed temperature=2 is") for text in found)
    assert any(text.startswith("Worst of the 4 settings of eed: eed temperature=4 is") for text in found)
    assert any("difference of the best method is biased upwards" in text for text in found)


def test_failures_and_what_is_missing_are_counted(made):
    made.seeds("baseline", 70.0, 70.4, 70.3)
    made.trial("eed", 71.0, seed=0)
    made.trial("eed", None, seed=1, state="failed", error="out of memory")
    made.trial("baseline", 60.0, architecture="resnet20", role="teacher", seeds=1)
    made.trial("baseline", 60.0, seed=9, role="unplanned")
    found = sentences(said(made, planned=9))
    assert found[0] == "5 of 9 planned trials completed; 1 failed, 3 not started."
    assert "1 trial is trained only as a teacher." in found
    assert "1 trial is no longer in the sweep file and not counted here." in found
    assert "Cells with missing seeds: 1 of 2. Their means are over the completed seeds." in found


def test_without_a_baseline_there_is_no_difference(made):
    made.seeds("eed", 71.0, 71.4, 70.9)
    found = sentences(said(made))
    assert "No baseline, so no difference." in found


def test_an_epoch_that_is_chosen_on_test_is_warned_of(made):
    made.seeds("baseline", 70.0, 70.4, 70.3, protocol="best epoch on test, chosen on test")
    assert any("Best-epoch numbers are biased upwards" in text for text in sentences(said(made)))


def test_all_rows_together(sweep):
    found = said(sweep)
    assert [finding.label for finding in found.findings] == ["resnet8", "resnet14", "All 2 rows together"]
    assert any("(Wilcoxon signed-rank test, p = " in text for text in found.findings[-1].sentences)
    assert any(
        ". Better in 6 of 6 pairs of seeds: 100%, 95% interval 54% to 100%." in text
        for text in found.findings[-1].sentences
    )


def test_power_and_equivalence_of_a_sweep_that_names_its_differences(made):
    made.seeds("baseline", 70.0, 71.0, 72.0, 70.5)
    made.seeds("eed", 70.1, 71.1, 71.9, 70.5)
    found = sentences(said(made, detect=0.5, equivalent=0.3))
    assert any("Within ±0.3 percentage points: equal (paired equivalence test, p = 0.00" in text for text in found)
    assert (
        "Within ±0.3 percentage points, a method counts as equal to the baseline. "
        "Verdicts: 0 better, 0 worse, 1 equal, 0 undecided." in found
    )
    assert (
        "Power to detect 0.5 percentage points at the observed spread of differences: 100%. 80% power requires 3 seeds."
        in found
    )
    plain = sentences(said(made))
    assert not any("ower" in text or "Within" in text for text in plain)


def test_caps_and_price_are_facts_of_the_summary(made):
    made.seeds("eed", 71.0)
    found = summary(made.frame(), None, None, None, ("Cap: 1 of 2 joules used.",))
    assert found.facts[-1] == "Cap: 1 of 2 joules used."

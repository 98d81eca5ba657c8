import pytest
from exeunt.results import comparison, main, tabulate
from exeunt.store import Margins

from .made_up import Sweep


def test_every_commit_is_named_with_what_was_changed_in_it(sweep):
    frame = sweep.frame()
    frame["commit"] = ["0123456789ab", "ba9876543210+changes"] * (len(frame) // 2) + [""] * (len(frame) % 2)
    assert "Commit: 0123456789ab, ba9876543210+changes" in tabulate(frame).remarks


def test_the_limits_of_a_record_are_on_both_sides_of_its_difference():
    sweep = Sweep()
    for seed, gain in enumerate((1.0, 0.5, 2.0, 1.5, 0.25, 3.0, 1.25, 0.75)):
        sweep.trial("baseline", 70.0, seed=seed)
        sweep.trial("label_smoothing", 70.0 + gain, seed=seed)
    (record,) = (record for record in tabulate(sweep.frame()).records if record["method"] == "label_smoothing")
    assert record["t_low"] < record["paired_difference"] < record["t_high"]


@pytest.fixture
def margins() -> Sweep:
    """One method that is better, one that is equal, and one with a large spread."""
    made = Sweep()
    for seed, noise in enumerate((0.1, -0.1, 0.05, 0.0, -0.05)):
        made.trial("baseline", 70.0 + seed, seed=seed, seeds=5)
        made.trial("kd", 72.0 + seed + noise, seed=seed, seeds=5)
        made.trial("dkd", 70.0 + seed + noise, seed=seed, seeds=5)
        made.trial("dist", 70.5 + seed + 20 * noise, seed=seed, seeds=5)
    return made


def test_the_power_and_the_verdicts_of_a_table(margins):
    sheet = tabulate(margins.frame(), margins=Margins(detect=0.5, equivalent=0.3))
    assert [entry.mark for entry in sheet.rows[0][1:]] == ["", "†", "=", ""]
    assert [record["verdict"] for record in sheet.records] == [None, "better", "equal", "undecided"]
    assert (
        "= equal to baseline within ±0.3 percentage points: p < 0.05 in a paired equivalence test, Holm-corrected over "
        "3 comparisons" in sheet.remarks
    )
    assert (
        "Power to detect 0.5 percentage points at the observed spread of differences, as the worst of 3 comparisons: "
        "median 100%, lowest 3%" in sheet.remarks
    )


def test_a_table_without_margins_says_nothing_of_power_and_equivalence(margins):
    sheet = tabulate(margins.frame())
    assert not any("ower" in remark or "equal" in remark for remark in sheet.remarks)
    assert "verdict" not in sheet.records[0]
    assert [record["improvement"] for record in sheet.records] == [None, 1.0, 0.5, 0.6]


def test_lower_is_better_for_some_metrics(margins):
    frame = margins.frame().assign(**{"test/final/nll": margins.frame()["test/final/top1"]})
    sheet = main(comparison(frame, "test/final/nll"), Margins(equivalent=0.3))
    assert [record["verdict"] for record in sheet.records] == [None, "worse", "equal", "undecided"]
    assert sheet.records[1]["improvement"] == 0.0
    few = main(comparison(frame, "test/final/nll"), Margins(equivalent=0.01))
    assert "No method is shown to be equal to baseline within ±0.01 nats (p < 0.05" in " ".join(few.remarks)

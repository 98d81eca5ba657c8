from exeunt.results import tabulate

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

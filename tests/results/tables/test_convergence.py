import pytest
from exeunt.results import tabulate

from .made_up import Sweep, made, shown


def test_convergence(sweep):
    sheet = made(sweep, "convergence")
    assert [heading.lines[-1] for heading in sheet.headings[2:]] == ["90%", "95%", "99%", "100%", "area"]
    assert sheet.remarks[0] == "Accuracy: validation top-1 accuracy of the final exit, after each epoch"
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    # The baseline ends at 68, 69 and 70, so the target is 69.
    assert lines["resnet20", "baseline"][3] == "3.5 ± 0.7 2 of 3"
    assert lines["resnet20", "kd teacher=resnet56"][:4] == ["2.0 ± 0.0", "2.0 ± 0.0", "2.3 ± 0.6", "2.3 ± 0.6"]
    # (32 + 69) / 2, (69 + 70) / 2 and (70 + 71) / 2 of the middle seed, by three.
    assert lines["resnet20", "kd teacher=resnet56"][4] == "63.50 ± 1.00"
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][4].endswith("2 of 3")
    (record, *_) = (record for record in sheet.records if record["quantity"] == "epochs to 100%")
    assert record["target"] == pytest.approx(69.0)


def test_epochs_without_an_evaluation_count_as_epochs(sweep):
    def rarely():
        history = sweep.history()
        return history[(history["split"] == "train") | history["epoch"].isin((1, 4))]

    lines = {tuple(row[:2]): row[2:] for row in shown(tabulate(sweep.frame(), "convergence", history=rarely))}
    assert lines["resnet20", "kd teacher=resnet56"][:4] == ["4.0 ± 0.0"] * 4
    assert lines["resnet20", "kd teacher=resnet56"][4] == "51.50 ± 1.00"  # (32 + 71) / 2 of the middle seed


def test_a_method_that_stays_below_the_baseline_does_not_reach_it():
    sweep = Sweep()
    sweep.trial("baseline", 70.0, seeds=1)
    sweep.trial("eed", 60.0, seeds=1)
    sweep.trial("kd", state="diverged", seeds=1)
    _, eed, kd = shown(made(sweep, "convergence"))
    assert eed[2:6] == ["not reached 0 of 1"] * 4
    assert kd[2] == "diverged 0 of 1"

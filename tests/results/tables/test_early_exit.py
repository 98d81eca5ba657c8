import json

import pytest
from exeunt.results import tabulate
from exeunt.specs import SpecError

from .made_up import made, shown


def test_early_exit_at_one_exit(sweep):
    sheet = made(sweep, "early-exit")
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["at one exit", "–", "–", "–", "70.00 ± 1.00", "1.00"]
    first, second = "64.00 ± 1.00", "71.00 ± 1.00"
    of_eed = ["at one exit", first, first, second, "73.00 ± 1.00", "1.60"]
    assert lines["resnet20", "eed temperature=1, exits=all"] == of_eed
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][3] == "70.50 ± 0.71 2 of 3"
    assert lines["resnet20", "kd teacher=self"][-1] == "1.00"


def test_early_exit_when_sure(sweep):
    frame = sweep.frame()
    own = (frame["architecture"] == "resnet20") & (frame["method"] == "eed") & (frame["state"] == "done")
    own &= (frame["param.method.temperature"] == "3") & (frame["param.exits.placement"] == "all")
    assert own.sum() == 3
    for number, index in enumerate(frame.index[own]):
        points = [[0.1, 8e6, 60.0 + number], [0.5, 16e6, 69.0 + number], [0.9, 32e6, 71.0 + number]]
        frame.loc[index, "early_exit"] = json.dumps([*points, [0.99, 44e6, 80.0]])
    sheet = tabulate(frame, "early-exit")
    (line,) = (row for row in shown(sheet) if row[2] == "when confident")
    assert line[:2] == ["resnet20", "eed temperature=3, exits=all"]
    assert line[3:7] == ["61.00 ± 1.00", "70.00 ± 1.00", "70.00 ± 1.00", "72.00 ± 1.00"]
    # The baseline's mean is 70: reached at 32e6, 16e6 (70.0) and 16e6 (71.0) of 40e6.
    assert line[7] == f"{(40 / 32 + 40 / 16 + 40 / 16) / 3:.2f}"
    quantities = [record["quantity"] for record in sheet.records if record["leaving"] == "when confident"]
    assert quantities == ["within 25%", "within 50%", "within 75%", "within 100%", "speed-up at equal accuracy"]


@pytest.mark.slow
def test_what_is_never_as_accurate_as_the_baseline_has_no_speed_up(sweep):
    frame = sweep.frame()
    frame.loc[frame["method"] == "eed", ["test/exit1/top1", "test/exit2/top1", "test/final/top1"]] -= 20
    lines = {tuple(row[:2]): row[2:] for row in shown(tabulate(frame, "early-exit"))}
    assert lines["resnet20", "eed temperature=1, exits=all"][-1] == "–"


def test_without_the_cost_of_exits_there_is_no_early_exit(sweep):
    frame = sweep.frame().drop(columns="cost/final/multiply_adds")
    with pytest.raises(SpecError, match="no trial of this sweep has recorded the cost of its exits"):
        tabulate(frame, "early-exit")

import json
import math

import pytest
import scipy.stats
from exeunt.results import tabulate
from exeunt.results.tables.early_exit import _area
from exeunt.specs import SpecError

from .made_up import made, shown

AREA = "area under the accuracy-cost curve"


def test_early_exit_at_one_exit(sweep):
    sheet = made(sweep, "early-exit")
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["at one exit", "–", "–", "–", "70.00 ± 1.00", "–", "1.00"]
    first, second = "64.00 ± 1.00", "71.00 ± 1.00"
    of_eed = ["at one exit", first, first, second, "73.00 ± 1.00", "–", "1.60"]
    assert lines["resnet20", "eed temperature=1, exits=all"] == of_eed
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][3] == "70.50 ± 0.71 2 of 3"
    assert lines["resnet20", "kd teacher=self"][-1] == "1.00"


def test_early_exit_when_sure(sweep):
    frame = sweep.frame()
    own = (frame["architecture"] == "resnet20") & (frame["method"] == "eed") & (frame["state"] == "done")
    own &= (frame["param.method.temperature"] == "3") & (frame["param.exits.placement"] == "all")
    assert own.sum() == 3
    for number, index in enumerate(frame.index[own]):
        points = [[0.1, 9e6, 60.0 + number], [0.5, 16e6, 69.0 + number], [0.9, 32e6, 71.0 + number]]
        frame.loc[index, "early_exit"] = json.dumps([*points, [0.99, 44e6, 80.0]])
    sheet = tabulate(frame, "early-exit")
    (line,) = (row for row in shown(sheet) if row[2] == "when confident")
    assert line[:2] == ["resnet20", "eed temperature=3, exits=all"]
    assert line[3:7] == ["61.00 ± 1.00", "70.00 ± 1.00", "70.00 ± 1.00", "72.00 ± 1.00"]
    assert line[8] == f"{(40 / 32 + 40 / 16 + 40 / 16) / 3:.2f}"
    # Exit 1 has 20% of the cost and 64 + seed. The thresholds have 22.5%, 40%, 80% and 110%; at 100%, 1/3 of 71 + seed
    # and 2/3 of 80.
    areas = [
        (0.025 * (124 / 2 + s) + 0.175 * (129 / 2 + s) + 0.4 * (140 / 2 + s) + 0.1 * (71 + s + (71 + s + 160) / 3))
        / 0.8
        for s in range(3)
    ]
    quantities = [record["quantity"] for record in sheet.records if record["leaving"] == "when confident"]
    assert quantities == ["within 25%", "within 50%", "within 75%", "within 100%", AREA, "speed-up at equal accuracy"]
    (area,) = (record for record in sheet.records if record["quantity"] == AREA and record["n"])
    assert area["mean"] == pytest.approx(sum(areas) / 3)
    interval = scipy.stats.t.interval(0.95, 2, sum(areas) / 3, scipy.stats.sem(areas))
    assert (area["t_low"], area["t_high"]) == pytest.approx(interval)
    assert line[7] == f"{area['mean']:.2f} {interval[0]:.2f} to {interval[1]:.2f}"
    assert all(record["t_low"] is None for record in sheet.records if record["quantity"] != AREA)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0.5, 60.0), (0.5, 60.0), (1.0, 70.0)], 65),
        ([(0.5, 60.0), (0.75, 70.0)], (65 + 70) / 2),  # beyond the last threshold, the accuracy stays
        ([(0.5, 60.0), (1.5, 80.0)], 65),  # the heads of earlier exits can cost more than 100%
        ([(0.5, 60.0)], math.nan),
        ([(math.nan, 60.0), (0.75, 70.0)], math.nan),
    ],
)
def test_the_area_is_a_mean_accuracy_up_to_the_full_cost(points, expected):
    assert _area(points) == pytest.approx(expected, nan_ok=True)


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

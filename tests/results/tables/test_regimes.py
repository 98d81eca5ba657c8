import json

import pytest
from exeunt.results import tabulate
from exeunt.specs import SpecError

from .made_up import Sweep, shown

COSTS = {"cost/exit1/multiply_adds": 1e7, "cost/final/multiply_adds": 4e7}


def trial(sweep, accuracy, seed, *, method="eed", regime=None, early=64.0, **more):
    parameters = {"method__output_loss": "kl", "exits__placement": "all"}
    if regime:
        parameters["regime"] = regime
    key = sweep.trial(method, accuracy, seed=seed, seeds=2, **COSTS, **{"test/exit1/top1": early}, **more)
    sweep.trials[-1] |= {f"param.{name.replace('__', '.')}": value for name, value in parameters.items()}
    return key


@pytest.fixture
def regimes():
    made = Sweep()
    for seed in range(2):
        made.trial("baseline", 70.0 + seed, seed=seed, seeds=2, **{"cost/final/multiply_adds": 4e7})
        trial(made, 71.0 + seed, seed)
        trial(made, 70.0 + seed, seed, regime="disjoint", early=55.0)
        points = json.dumps([[0.5, 2e7, 69.0 + seed], [0.9, 3.6e7, 73.0 + seed]])
        trial(made, 73.0 + seed, seed, regime="mixed", early_exit=points)
    return made


def test_each_regime_has_a_row_and_each_budget_a_column(regimes):
    sheet = tabulate(regimes.frame(), "regimes")
    assert shown(sheet) == [
        ["resnet20", "eed", "joint", *3 * ["64.00 ± 0.00"], "71.50 ± 0.71"],
        ["resnet20", "eed", "disjoint", *3 * ["55.00 ± 0.00"], "70.50 ± 0.71"],
        ["resnet20", "eed", "mixed", "–", "69.50 ± 0.71", "69.50 ± 0.71", "73.50 ± 0.71"],
    ]
    assert [[entry.rank for entry in row[3:]] for row in sheet.rows] == [
        ["best", "second", "second", "second"],
        ["second", None, None, None],
        [None, "best", "best", "best"],
    ]


def test_the_records_have_the_numbers(regimes):
    records = [r for r in tabulate(regimes.frame(), "regimes").records if r["regime"] == "mixed"]
    assert [(r["quantity"], r["mean"], r["n"]) for r in records] == [
        ("within 25%", None, 0),
        ("within 50%", 69.5, 2),
        ("within 75%", 69.5, 2),
        ("within 100%", 73.5, 2),
    ]
    assert {(r["method"], r["leaving"]) for r in records} == {("eed", "when confident")}


def test_without_several_regimes_the_error_says_what_to_set():
    made = Sweep()
    trial(made, 70.0, 0)
    with pytest.raises(SpecError, match=r"no method of this sweep has several training regimes; set `regime: \["):
        tabulate(made.frame(), "regimes")

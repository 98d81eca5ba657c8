import pytest
from exeunt.results import comparison, significance
from exeunt.results.report.best import best_settings, caution


@pytest.fixture
def made(new_sweep):
    made = new_sweep()
    made.seeds("baseline", 75.0, 75.5, 75.2)
    made.seeds("kd", 75.5, 75.0)
    for temperature, top1 in (("1", 74.0), ("2", 76.6), ("4", 73.1)):
        made.seeds("eed", top1, top1 + 0.3, top1 + 0.7, method__temperature=temperature)
    return made


def test_each_method_has_its_best_setting_with_its_difference(made):
    table = comparison(made.frame())
    found = {one.method: one for one in best_settings(table, significance(table))}
    eed, kd, baseline = found["eed"], found["kd"], found["baseline"]
    assert (eed.settings, eed.tried, eed.value, eed.n) == ("temperature=2", 3, "76.93 ± 0.35", "3")
    assert (eed.difference, eed.interval) == ("+1.70", "+0.80 to +2.60")
    assert (kd.settings, kd.tried, kd.n, kd.difference, kd.interval) == ("", 1, "2", "+0.00", "")
    assert (baseline.difference, baseline.interval) == ("", "")


def test_a_selection_by_the_shown_numbers_is_cautioned(made):
    table = comparison(made.frame())
    found = best_settings(table, significance(table))
    assert caution(table, found).startswith("Best of up to 3 settings, selected by the test top-1 accuracy")
    assert caution(table, [one for one in found if one.method != "eed"]) == ""
    page = made.report()
    assert '<h3 id="best">Best setting of each method</h3>' in page
    assert caution(table, found) in page

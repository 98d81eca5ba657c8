import pytest
from exeunt.results import comparison, significance
from exeunt.results.figures.data import SweepData
from exeunt.results.figures.ranks import groups, ranks


def test_lines_begin_at_the_mean_ranks(full, drawn):
    found = significance(comparison(full.frame)).ranking
    (axes,) = drawn["ranks"].drawing.axes
    elbows = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert sorted(line.get_xdata()[0] for line in elbows) == pytest.approx(sorted(found.ranks))
    assert f"CD = {found.critical_difference:.2f}" in [text.get_text() for text in axes.texts]
    written = [text.get_text() for text in axes.texts]
    assert all(f"{rank:.2f}" in written for rank in found.ranks)


def test_bars_join_what_differs_by_no_more_than_the_critical_difference():
    assert groups([3.0, 1.0, 2.0, 6.0], 1.0) == [(1.0, 2.0), (2.0, 3.0)]
    assert groups([1.0, 2.0, 3.0], 2.0) == [(1.0, 3.0)]
    assert groups([1.0, 3.0, 5.0], 1.5) == []
    assert groups([1.5, 1.5, 3.0], 1.0) == [(1.5, 1.5)]


def test_two_rows_are_too_few(sweep):
    for architecture in ("resnet8", "resnet20"):
        for method in ("baseline", "kd", "eed"):
            sweep.trials(method, 70.0 + len(method), 71.0, 72.0, architecture=architecture)
    assert ranks(SweepData(frame=sweep.frame, history=sweep.history)) == []

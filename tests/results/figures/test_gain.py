import numpy as np
import pytest
from exeunt.results.figures.data import SweepData
from exeunt.results.figures.gain import gain
from scipy import stats


def of_seeds(full, architecture, method):
    trials = full.frame
    chosen = (trials["architecture"] == architecture) & (trials["method"] == method) & (trials["state"] == "done")
    return trials[chosen].set_index("seed")["test/final/top1"]


def panel(figure, title):
    return next(axes for axes in figure.drawing.axes if axes.get_title() == title)


def drawn_at(axes, place):
    """Return the ends of the bars and the means drawn at the height of a method."""
    height = axes.get_yticks()[place]
    lines = [line for line in axes.get_lines() if set(np.atleast_1d(line.get_ydata())) == {height}]
    bars = [line.get_xdata() for line in lines if np.size(line.get_xdata()) == 2]
    means = [float(np.ravel(line.get_xdata())[0]) for line in lines if np.size(line.get_xdata()) == 1]
    return bars, means


@pytest.mark.parametrize("architecture", ["resnet8", "vgg8"])
@pytest.mark.parametrize("place", [0, 1])
def test_points_are_mean_differences_and_bars_intervals_by_students_t(full, drawn, architecture, place):
    method = [full.hostile, "kd"][place]
    differences = (of_seeds(full, architecture, method) - of_seeds(full, architecture, "baseline")).to_numpy()
    interval = stats.t.interval(0.95, len(differences) - 1, differences.mean(), stats.sem(differences))
    bars, (mean,) = drawn_at(panel(drawn["gain"], architecture), place)
    assert mean == pytest.approx(differences.mean())
    for bar in bars:
        np.testing.assert_allclose(bar, interval, rtol=1e-6)
    assert bars


def test_two_pairs_have_a_point_without_an_interval_and_their_number(full, drawn):
    axes = panel(drawn["gain"], "resnet20")
    bars, (mean,) = drawn_at(axes, 1)
    differences = (of_seeds(full, "resnet20", "kd") - of_seeds(full, "resnet20", "baseline")).dropna()
    assert not bars
    assert mean == pytest.approx(differences.mean())
    assert "2 of 3" in [text.get_text() for text in axes.texts]


def test_the_last_panel_pools_all_rows(full, drawn):
    axes = drawn["gain"].drawing.axes[-1]
    assert axes.get_title() == "all 3 rows"
    differences = [
        of_seeds(full, architecture, "kd") - of_seeds(full, architecture, "baseline")
        for architecture in ("resnet8", "resnet20", "vgg8")
    ]
    _, (mean,) = drawn_at(axes, 1)
    assert mean == pytest.approx(np.concatenate([one.dropna() for one in differences]).mean())


def test_filled_markers_are_significant(sweep):
    sweep.trials("baseline", 70.0, 71.0, 72.0)
    sweep.trials("sure", 75.0, 76.1, 77.0)
    sweep.trials("unsure", 69.0, 73.0, 72.0)
    sweep.trials("alike", 71.0, 72.0, 73.0)
    figure = gain(SweepData(frame=sweep.frame, history=sweep.history))[0]
    marks = [line for line in figure.drawing.axes[0].get_lines() if line.get_marker() in ("s", "^", "D")]
    assert [line.get_markerfacecolor() != "white" for line in marks] == [True, False, False]
    assert "Holm-corrected over 3 comparisons" in figure.caption
    assert "or if all differences are equal" in figure.caption


def test_a_diverged_method_is_said_and_has_no_point(sweep):
    sweep.trials("baseline", 70.0, 71.0, 72.0)
    sweep.trials("eed", 75.0, 76.1, 77.0)
    for seed in range(3):
        sweep.trial("kd", None, seed=seed, state="diverged")
    axes = gain(SweepData(frame=sweep.frame, history=sweep.history))[0].drawing.axes[0]
    assert drawn_at(axes, 1) == ([], [])
    assert [text.get_text() for text in axes.texts] == ["n=3", "diverged"]


def test_without_a_baseline_there_is_no_gain(sweep):
    sweep.trials("eed", 75.0, 76.1, 77.0)
    sweep.trials("kd", 75.0, 76.1, 77.0)
    assert gain(SweepData(frame=sweep.frame, history=sweep.history)) == []

"""Early-exit figure, compared with plain means over seeds."""

import json

import numpy as np
import pytest
from exeunt.results.figures import draw


@pytest.fixture
def measured(sweep):
    """Baseline without exits, and EED with two of three seeds; returns also the points of these two."""
    sweep.trials("baseline", 70.0, 71.0, 72.0, exits=False)
    sweep.trials("eed", 71.0, 72.0)
    sweep.trial("eed", None, seed=2, state="failed", error="no room")
    points = np.array([[[0.1, 4e7, 60.0], [0.9, 9e7, 70.0]], [[0.1, 5e7, 61.0], [0.9, 8e7, 72.0]]])
    frame = sweep.frame
    frame["early_exit"] = [None] * 3 + [json.dumps(own.tolist()) for own in points] + [None]
    return frame, sweep.history, points


def test_a_curve_is_the_mean_over_seeds_at_each_threshold(measured):
    frame, history, points = measured
    (figure,) = (figure for figure in draw(frame, history) if figure.name == "early-exit")
    (line,) = figure.drawing.axes[0].get_lines()
    assert line.get_xdata() == pytest.approx(points[:, :, 1].mean(0) / 1e6)
    assert line.get_ydata() == pytest.approx(points[:, :, 2].mean(0))
    assert "eed: 2 of 3 seeds (seed 2 failed (no room))" in figure.caption
    assert "baseline" not in figure.svg().split("aria-label")[-1].split(">", 1)[1]


@pytest.mark.slow
def test_the_order_of_the_trials_does_not_matter(measured):
    frame, history, _ = measured
    figures = [draw(frame.sample(frac=1, random_state=seed), history) for seed in (0, 1, 2)]
    assert len({next(one.pdf() for one in each if one.name == "early-exit") for each in figures}) == 1

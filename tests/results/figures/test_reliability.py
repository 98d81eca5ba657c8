"""Reliability figure, compared with plain sums over images."""

import json

import numpy as np
import pytest
from exeunt.results.figures import draw

BINS = 15


def recorded(confidence, hit):
    """Return the bins that a trial would record, added up image by image."""
    bins = [[0, 0.0, 0.0] for _ in range(BINS)]
    for sure, right in zip(confidence, hit, strict=True):
        own = bins[min(int(sure * BINS), BINS - 1)]
        own[0] += 1
        own[1] += sure
        own[2] += right
    return json.dumps([[n, a / max(n, 1), b / max(n, 1)] for n, a, b in bins])


@pytest.fixture
def measured(sweep):
    """Baseline of two seeds with different numbers of images, and a diverged one; returns also the images."""
    random = np.random.default_rng(0)
    images = [(random.uniform(0.2, 1, size), random.uniform(size=size) < 0.6) for size in (400, 100)]
    sweep.trials("baseline", 70.0, 71.0)
    sweep.trial("baseline", None, seed=2, state="diverged", error="the loss is nan")
    frame = sweep.frame
    frame["reliability.final"] = [*(recorded(*seed) for seed in images), None]
    return frame, sweep.history, tuple(np.concatenate(part) for part in zip(*images, strict=True))


def test_lines_are_means_over_the_images_of_all_seeds(measured):
    frame, history, (confidence, hit) = measured
    (figure,) = (figure for figure in draw(frame, history) if figure.name == "reliability")
    _, line = figure.drawing.axes[0].get_lines()[:2]
    numbers = (confidence * BINS).astype(int).clip(max=BINS - 1)
    inside = [numbers == number for number in range(BINS) if (numbers == number).any()]
    assert line.get_xdata() == pytest.approx([confidence[own].mean() for own in inside])
    assert line.get_ydata() == pytest.approx([hit[own].mean() for own in inside])
    assert "seed 2 diverged (the loss is nan)" in figure.caption


@pytest.mark.slow
def test_the_order_of_the_trials_does_not_matter(measured):
    frame, history, _ = measured
    figures = [draw(frame.sample(frac=1, random_state=seed), history) for seed in (0, 1, 2)]
    assert len({next(one.pdf() for one in each if one.name == "reliability") for each in figures}) == 1


def test_without_what_is_recorded_there_is_none(sweep):
    sweep.trials("baseline", 70.0, 71.0)
    assert "reliability" not in [figure.name for figure in draw(sweep.frame, sweep.history)]

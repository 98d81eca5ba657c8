import numpy as np
import pytest
from exeunt.results.figures.convergence import convergence
from exeunt.results.figures.data import SweepData

HIDDEN = "Lower values in the first epochs are not shown"


def curve(full, architecture, **of_method):
    """Return mean and sample standard deviation by epoch, calculated with pandas."""
    trials = full.frame
    for name, value in {"architecture": architecture, **of_method}.items():
        trials = trials[trials[name.replace("__", ".")] == value]
    rows = full.history[full.history["key"].isin(trials["key"])]
    return rows.groupby("epoch")["top1"].agg(["mean", "std"])


def panels(figure, architecture):
    """Return the panels of both groups; the second one repeats the baseline."""
    return [axes for axes in figure.drawing.axes if axes.get_title().startswith(f"{architecture}: ")]


@pytest.mark.parametrize("architecture", ["resnet8", "resnet20", "vgg8"])
def test_lines_are_means_and_bands_standard_deviations_over_seeds(full, drawn, architecture):
    of_methods = [
        {"method": "baseline"},
        {"method": full.hostile},
        {"method": "kd"},
        *(
            {"method": "eed", "param__method.temperature": temperature, "param__method.output_loss": loss}
            for temperature in ("10.0", "3.0")
            for loss in ("mse", "kl")
        ),
    ]
    first, second = panels(drawn["convergence"], architecture)
    lines = [*first.get_lines(), *second.get_lines()[1:]]
    bands = [*first.collections, *second.collections[1:]]
    for line, band, of_method in zip(lines, bands, of_methods, strict=True):
        expected = curve(full, architecture, **of_method)
        np.testing.assert_array_equal(line.get_xdata(), expected.index)
        np.testing.assert_allclose(line.get_ydata(), expected["mean"])
        (path,) = band.get_paths()
        heights = {round(float(height), 6) for height in path.vertices[:, 1]}
        for bound in (expected["mean"] - expected["std"], expected["mean"] + expected["std"]):
            assert heights >= set(bound.round(6))


def test_each_method_has_a_style_and_a_marker_of_its_own_besides_its_colour(drawn):
    def looks(architecture):
        return [
            [(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in axes.get_lines()]
            for axes in panels(drawn["convergence"], architecture)
        ]

    first, second = looks("resnet8")
    assert first[0] == second[0], "the baseline is repeated"
    shapes = [shape for _, *shape in [*first, *second[1:]]]
    assert all(shape not in shapes[:place] for place, shape in enumerate(shapes))
    for group in (first, second):
        assert len({color for color, *_ in group}) == len(group) <= 6
    assert looks("vgg8") == [first, second]


def test_a_diverged_trial_is_no_zero(drawn):
    for axes in drawn["convergence"].drawing.axes:
        assert min(np.nanmin(line.get_ydata()) for line in axes.get_lines()) > 15


def test_a_method_that_always_diverged_has_no_line_and_is_named(sweep):
    sweep.trials("baseline", 70.0, 71.0, 72.0)
    for seed in range(3):
        sweep.trial("kd", None, seed=seed, state="diverged")
    figure = convergence(SweepData(frame=sweep.frame, history=sweep.history))[0]
    assert len(figure.drawing.axes[0].get_lines()) == 1
    assert [text.get_text() for text in figure.drawing.legends[0].get_texts()] == ["baseline", "kd (0 of 3 seeds)"]
    assert "resnet8, kd: 0 of 3 seeds (seed 0 diverged, seed 1 diverged, seed 2 diverged)" in figure.caption


def test_epochs_that_a_seed_lacks_are_a_gap(sweep):
    sweep.trials("baseline", 70.0, 71.0)
    sweep.seeds = 2
    history = sweep.history
    kept = history[(history["seed"] == 0) | (history["epoch"] != 5)]
    figure = convergence(SweepData(frame=sweep.frame, history=kept))[0]
    (line,) = figure.drawing.axes[0].get_lines()
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [4]


def test_a_single_seed_has_no_band(sweep):
    sweep.seeds = 1
    sweep.trials("baseline", 70.0)
    figure = convergence(SweepData(frame=sweep.frame, history=sweep.history))[0]
    assert not figure.drawing.axes[0].collections
    assert "Bands" not in figure.caption
    assert "Lines: one seed." in figure.caption


@pytest.mark.slow
def test_the_axis_begins_where_training_is_under_way_and_the_caption_says_so(sweep):
    sweep.trials("baseline", 70.0, 71.0, 72.0)
    history = sweep.history
    figure = convergence(SweepData(frame=sweep.frame, history=history))[0]
    assert HIDDEN in figure.caption
    low, high = figure.drawing.axes[0].get_ylim()
    means = history.groupby("epoch")["top1"].mean()
    assert means[1] < means[2] < low < means[3]
    assert high > means.max()
    flat = convergence(SweepData(frame=sweep.frame, history=history.assign(top1=50.0)))[0]
    assert HIDDEN not in flat.caption


def test_the_images_are_those_that_the_protocol_looks_at_by_epoch(sweep):
    sweep.trials("baseline", 70.0, 71.0, 72.0)
    frame = sweep.frame.assign(**{"validation/final/top1": 60.0})
    history = sweep.history
    figure = convergence(SweepData(frame=frame, history=history.assign(split="validation")))[0]
    assert "validation top-1 accuracy of the final exit by epoch" in figure.title
    assert "Protocol: last epoch on test" in figure.caption

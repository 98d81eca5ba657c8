import numpy as np
import pytest
from exeunt.results.figures.axes import coordinates, grids, shares
from exeunt.results.figures.data import SweepData
from exeunt.results.figures.importance import importance
from exeunt.results.figures.parallel import parallel
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm


@pytest.fixture
def made(sweep):
    """EED with two temperatures and two losses on two architectures, and a baseline."""
    random = np.random.default_rng(0)
    for place, architecture in enumerate(("resnet8", "resnet20")):
        sweep.trials("baseline", *np.round(70 + place + random.normal(0, 0.3, 3), 2), architecture=architecture)
        for temperature in ("1", "10"):
            for loss in ("mse", "kl"):
                means = 72 + 2 * place + float(temperature) / 5 + (loss == "kl") * (1 + place)
                settings = {"method__temperature": temperature, "method__output_loss": loss}
                sweep.trials(
                    "eed", *np.round(means + random.normal(0, 0.3, 3), 2), architecture=architecture, **settings
                )
    return sweep


def test_shares_are_those_of_an_analysis_of_variance(made):
    everything, eed = grids(made.frame)
    assert [axis.name for axis in everything.axes] == ["architecture", "method"]
    assert [axis.name for axis in eed.axes] == ["architecture", "output_loss", "temperature"]
    found = shares(eed)
    trials = eed.trials.rename(columns={"value": "top1"})
    squares = anova_lm(ols("top1 ~ architecture * output_loss * temperature", trials).fit())["sum_sq"]
    expected = 100 * squares / squares.sum()
    for name, share in found.axes.items():
        assert share == pytest.approx(expected[name])
    assert found.seeds == pytest.approx(expected["Residual"])
    assert found.interactions == pytest.approx(expected[[name for name in expected.index if ":" in name]].sum())


def test_shares_of_an_incomplete_grid_sum_to_the_whole(made):
    frame = made.frame.iloc[:-4]
    for grid in grids(frame):
        found = shares(grid)
        assert sum(found.axes.values()) + found.interactions + found.seeds == pytest.approx(100)
        assert min(found.axes.values()) > 0


def test_each_configuration_is_a_line_to_its_mean(made):
    (figure,) = parallel(SweepData(frame=made.frame, history=made.history))
    (axes,) = figure.drawing.axes
    names = ["architecture", "method", "param.method.temperature", "param.method.output_loss"]
    means = made.frame.groupby(names, dropna=False)["test/final/top1"].mean()
    ends = sorted(float(line.get_ydata()[-1]) for line in axes.get_lines())
    assert ends == pytest.approx(sorted((means - means.min()) / (means.max() - means.min())))
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names[:4] == ["architecture", "method", "output_loss", "temperature"]
    assert [text.get_text() for text in axes.texts][:2] == ["resnet8", "resnet20"]


def test_axes_that_are_too_many_are_divided_by_method(made):
    assert [len(grid.axes) for grid in coordinates(made.frame, 4)] == [4]
    assert [grid.name for grid in coordinates(made.frame, 3)] == ["eed"]


def test_one_axis_has_neither_figure(sweep):
    sweep.trials("baseline", 70.0, 71.0)
    sweep.trials("eed", 72.0, 73.0)
    data = SweepData(frame=sweep.frame, history=sweep.history)
    assert importance(data) == parallel(data) == []
    assert [axis.values for axis in coordinates(sweep.frame.assign(dataset=list("aabb")), 6)[0].axes] == [
        ("a", "b"),
        ("baseline", "eed"),
    ]

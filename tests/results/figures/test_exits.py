import numpy as np
import pytest
from exeunt.results.figures.exits import exits


def container(drawn, architecture, index):
    axes = next(axes for axes in drawn["exits"].drawing.axes if axes.get_title() == architecture)
    return axes.containers[index]


def expected(full, architecture, names, method, **settings):
    trials = full.frame
    for name, value in {"architecture": architecture, "method": method, "state": "done", **settings}.items():
        trials = trials[trials[name] == value]
    return [
        (
            trials[f"cost/{exit}/multiply_adds"].mean() / 1e6,
            trials[f"test/{exit}/top1"].mean(),
            trials[f"test/{exit}/top1"].std(ddof=1),
        )
        for exit in names
    ]


@pytest.mark.parametrize("architecture", ["resnet8", "resnet20", "vgg8"])
@pytest.mark.parametrize(
    ("index", "names", "method", "settings"),
    [
        (0, ["final"], "baseline", {}),
        (2, ["final"], "kd", {}),
        (
            4,
            ["exit1", "exit2", "final"],
            "eed",
            {"param.method.temperature": "10.0", "param.method.output_loss": "kl"},
        ),
    ],
)
def test_points_are_means_at_their_costs_and_bars_deviations(full, drawn, architecture, index, names, method, settings):
    line, _, (bars,) = container(drawn, architecture, index)
    costs, means, deviations = np.transpose(expected(full, architecture, names, method, **settings))
    np.testing.assert_allclose(line.get_xdata().astype(float), costs)
    np.testing.assert_allclose(line.get_ydata().astype(float), means)
    for segment, mean, deviation in zip(bars.get_segments(), means, deviations, strict=True):
        np.testing.assert_allclose(segment[:, 1], [mean - deviation, mean + deviation])


def test_all_points_lie_inside_their_panel(drawn):
    drawing = drawn["exits"].drawing
    for axes in drawing.axes:
        for line, _, _ in axes.containers:
            shown = line.get_transform().transform(np.column_stack(line.get_data()))
            assert (shown >= axes.bbox.min).all()
            assert (shown <= axes.bbox.max).all()


def test_networks_without_exits_have_no_such_figure(sweep):
    sweep.trials("baseline", 70.0, 71.0, exits=False)
    assert exits(sweep.frame, sweep.history) == []


def test_the_unit_follows_the_size(sweep):
    sweep.trials("eed", 70.0, 71.0)
    frame = sweep.frame
    costs = [name for name in frame if name.startswith("cost/")]
    for factor, unit in ((1e-3, "thousands"), (1, "millions"), (1e3, "billions")):
        (figure,) = exits(frame.assign(**{name: frame[name] * factor for name in costs}), sweep.history)
        assert figure.drawing.axes[0].get_xlabel() == f"multiply-adds per image, {unit}"

import numpy as np
import pytest
from exeunt.results.figures.data import SweepData
from exeunt.results.figures.exits import exits

from .conftest import EXITS


def container(drawn, architecture, index):
    first, second = (axes for axes in drawn["exits"].drawing.axes if axes.get_title().startswith(f"{architecture}: "))
    return [*first.containers, *second.containers[1:]][index]


def expected(full, architecture, names, method, **settings):
    trials = full.frame
    for name, value in {"architecture": architecture, "method": method, "state": "done", **settings}.items():
        trials = trials[trials[name] == value]
    return [
        (
            list(EXITS).index(exit),
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
def test_points_are_means_by_exit_and_bars_deviations(full, drawn, architecture, index, names, method, settings):
    line, _, (bars,) = container(drawn, architecture, index)
    positions, means, deviations = np.transpose(expected(full, architecture, names, method, **settings))
    np.testing.assert_allclose(line.get_xdata().astype(float), positions)
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
    assert exits(SweepData(frame=sweep.frame, history=sweep.history)) == []


def test_exits_of_equal_cost_are_apart_and_their_cost_is_written(sweep, drawn):
    axes = drawn["exits"].drawing.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1\n40", "2\n80", "final\n120"]
    equal = (
        "Equal cost: every method needs the same multiply-adds up to an exit, in millions: resnet8 exit 1 40, exit 2"
    )
    assert equal in drawn["exits"].caption
    sweep.trials("eed", 70.0, 71.0)
    frame = sweep.frame
    costs = [name for name in frame if name.startswith("cost/")]
    (figure,) = exits(SweepData(frame=frame.assign(**dict.fromkeys(costs, 5e6)), history=sweep.history))
    line, *_ = figure.drawing.axes[0].containers[0]
    assert line.get_xdata().tolist() == [0, 1, 2]


def test_points_of_different_cost_are_at_their_cost_in_a_fitting_unit(sweep):
    sweep.trials("eed", 70.0, 71.0)
    sweep.trials("kd", 71.0, 72.0)
    frame = sweep.frame
    frame.loc[frame["method"] == "kd", "cost/exit1/multiply_adds"] *= 1.5
    costs = [name for name in frame if name.startswith("cost/")]
    for factor, unit in ((1e-3, "thousands"), (1, "millions"), (1e3, "billions")):
        scaled = frame.assign(**{name: frame[name] * factor for name in costs})
        (figure,) = exits(SweepData(frame=scaled, history=sweep.history))
        assert figure.drawing.axes[0].get_xlabel() == f"multiply-adds per image, {unit}"
        first, second = (line.get_xdata().tolist() for line, *_ in figure.drawing.axes[0].containers)
        assert (first, second) == ([40, 80, 120], [60, 80, 120])

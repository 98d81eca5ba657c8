import numpy as np
import pytest
from exeunt.results.figures.ablation import ablation
from exeunt.results.figures.data import SweepData
from matplotlib.patches import Rectangle


def cells(axes):
    """Return colour, hatch and text of each cell, row by row."""
    fills = {
        (round(patch.get_y() + 0.5), round(patch.get_x() + 0.5)): patch
        for patch in axes.patches
        if isinstance(patch, Rectangle)
    }
    texts = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    return {place: (fills[place].get_facecolor(), fills[place].get_hatch(), texts[place]) for place in sorted(fills)}


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.slow
def test_cells_are_means_and_numbers_are_in_order(full, drawn):
    axes = drawn["ablation-eed-output_loss-temperature"].drawing.axes[0]
    assert (axes.get_ylabel(), ticks(axes.yaxis)) == ("output_loss", ["mse", "kl"])
    assert (axes.get_xlabel(), ticks(axes.xaxis)) == ("temperature", ["3.0", "10.0"])
    trials = full.frame.query("method == 'eed' and architecture == 'resnet8'")
    found = cells(axes)
    for (row, column), (_, _, text) in found.items():
        loss, temperature = ["mse", "kl"][row], ["3.0", "10.0"][column]
        own = (trials["param.method.output_loss"] == loss) & (trials["param.method.temperature"] == temperature)
        values = trials.loc[own, "test/final/top1"]
        assert text == f"{values.mean():.2f}\n± {values.std():.2f}"
    brightness = {place: np.sum(color[:3]) for place, (color, _, _) in found.items()}
    best = max(found, key=lambda place: float(found[place][2].split()[0]))
    assert max(brightness, key=brightness.__getitem__) == best


def test_every_two_settings_have_a_figure(sweep):
    for loss in ("mse", "kl"):
        for temperature in ("1", "3"):
            for exits in ("all", "1"):
                sweep.trials("eed", 70.0, 71.0, method__loss=loss, method__t=temperature, exits__placement=exits)
    names = [figure.name for figure in ablation(SweepData(frame=sweep.frame, history=sweep.history))]
    assert names == ["ablation-eed-exits-loss", "ablation-eed-exits-t", "ablation-eed-loss-t"]


def test_what_follows_from_another_setting_is_no_axis(sweep):
    for loss, weight in (("mse", "1"), ("kl", "0.1")):
        sweep.trials("eed", 70.0, 71.0, method__loss=loss, method__weight=weight)
    assert ablation(SweepData(frame=sweep.frame, history=sweep.history)) == []


def test_failed_seeds_and_places_outside_the_sweep_are_told_apart(sweep):
    for loss, temperature in (("mse", "1"), ("kl", "1"), ("kl", "3"), ("kl", "9")):
        settings = {"method__loss": loss, "method__temperature": temperature}
        if temperature == "9":
            for seed in range(3):
                sweep.trial("eed", None, seed=seed, state="failed", error="boom", **settings)
        else:
            sweep.trials("eed", *([70.0, 71.0] if temperature == "3" else [70.0, 71.0, 72.0]), **settings)
    figure = ablation(SweepData(frame=sweep.frame, history=sweep.history))[0]
    found = cells(figure.drawing.axes[0])
    assert [text for *_, text in found.values()] == [
        "71.00\n± 1.00", "–", "–",
        "71.00\n± 1.00", "70.50\n± 0.71\n2 of 3", "0 of 3",
    ]  # fmt: skip
    assert [hatch for _, hatch, _ in found.values()] == [None] * 5 + ["////"]
    assert "Hatched: no completed seed. –: not run." in figure.caption
    assert "loss=kl, temperature=3: 2 of 3 seeds (1 not run)" in figure.caption
    assert "loss=kl, temperature=9: 0 of 3 seeds (seed 0 failed (boom)" in figure.caption

"""Reliability figure: accuracy of the final exit against its confidence."""

import pandas as pd
from matplotlib.axes import Axes

from ..captions import title
from ..details import reliability as bins_of
from ..labels import Column, RowLabel
from ..table import comparison
from .figure import Figure
from .panels import (
    caption,
    done_places,
    is_leftmost,
    is_lowest,
    labels,
    legend,
    missing,
    over_seeds,
    panels,
    protocol,
    sign,
)
from .style import GREY, Look, look

_FEWEST = 20
"""Minimum number of images in a bin; the accuracy of fewer images is too noisy."""


def reliability(frame: pd.DataFrame, history: pd.DataFrame) -> list[Figure]:  # noqa: ARG001
    """Draw the final exit's accuracy against its confidence, one panel per row; empty without such data."""
    points = _points(frame)
    if not points:
        return []
    table = comparison(frame)
    drawing, axes = panels(table, height=2.4)
    for row, panel in zip(table.rows, axes, strict=True):
        panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        for index, column in enumerate(table.columns):
            if (row, column) in points:
                _draw(panel, points[row, column], look(index))
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.set_xlabel("confidence" if is_lowest(panel, axes) else "")
        panel.set_ylabel("accuracy" if is_leftmost(panel) else "")
    legend(drawing, {name: sign(look(index)) for index, name in enumerate(labels(table).values())})
    return [
        Figure(
            name="reliability",
            title=title(table, "reliability of the final exit"),
            caption=caption(
                "Accuracy against mean confidence, which is the top-class probability of the final exit, in 15 bins of "
                "equal width",
                f"Images of {over_seeds(table)} are pooled; bins with fewer than {_FEWEST} images are omitted",
                "Grey line: perfect calibration; below it, the network is overconfident",
                *protocol(table),
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _points(frame: pd.DataFrame) -> dict[tuple[RowLabel, Column], pd.DataFrame]:
    """Return mean confidence and accuracy by bin, over the images of all seeds."""
    done, places = done_places(frame)
    bins = bins_of(done)
    bins = bins.loc[bins["exit"] == "final"]
    sums = pd.DataFrame(
        {
            "key": bins["key"],
            "bin": bins["bin"],
            "images": bins["images"],
            "confidence": bins["confidence"] * bins["images"],
            "correct": bins["correct"] * bins["images"],
        }
    )
    points = {}
    for place in dict.fromkeys(places.values()):
        own = sums.loc[[places[key] == place for key in sums["key"]]].drop(columns="key").groupby("bin").sum()
        own = own.loc[own["images"] >= _FEWEST]
        if len(own):
            points[place] = own.div(own["images"], axis="index")
    return points


def _draw(panel: Axes, points: pd.DataFrame, own: Look) -> None:
    panel.plot(
        points["confidence"],
        points["correct"],
        color=own.color,
        linestyle=own.line,
        marker=own.marker,
        clip_on=False,
    )

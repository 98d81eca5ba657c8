"""Reliability figure: accuracy of the final exit against its confidence."""

import pandas as pd
from matplotlib.axes import Axes

from ..captions import title
from ..details import reliability as bins_of
from ..labels import Column, RowLabel
from .data import SweepData
from .figure import Figure
from .panels import caption, done_places, missing, over_seeds, protocol, sheets
from .style import GREY, Look

_FEWEST = 20
"""Minimum number of images in a bin; the accuracy of fewer images is too noisy."""


def reliability(data: SweepData) -> list[Figure]:
    """Draw the final exit's accuracy against its confidence; empty without such data."""
    points = _points(data)
    if not points:
        return []
    table = data.table
    drawn = sheets(data, height=2.4)
    for panel in (panel for sheet in drawn for panel in sheet.panels):
        panel.axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        for column in panel.columns:
            if (panel.row, column) in points:
                _draw(panel.axes, points[panel.row, column], data.looks[column])
        panel.axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.axes.set_xlabel("confidence" if panel.has_lower_label else "")
        panel.axes.set_ylabel("accuracy" if panel.has_left_label else "")
    return [
        Figure(
            name="reliability",
            title=title(table, "reliability of the final exit") + sheet.subtitle,
            sentences=caption(
                "Accuracy against mean confidence of the final exit",
                "Confidence: top-class probability, in 15 bins of equal width",
                f"Images of {over_seeds(table)} are pooled; bins with fewer than {_FEWEST} images are omitted",
                "Grey line: perfect calibration; below it, the network is overconfident",
                *protocol(table),
                missing(table),
            ),
            drawing=sheet.drawing,
        )
        for sheet in drawn
    ]


def _points(data: SweepData) -> dict[tuple[RowLabel, Column], pd.DataFrame]:
    """Return mean confidence and accuracy by bin, over the images of all seeds."""
    done, places = done_places(data)
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

"""How right the networks are where they are how sure."""

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
"""Images of a bin; the share of fewer that is right is mostly chance."""


def reliability(frame: pd.DataFrame, history: pd.DataFrame) -> list[Figure]:  # noqa: ARG001
    """Draw the final exit's accuracy against its confidence, a panel for each row; empty where neither is recorded."""
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
        panel.set_ylabel("share that is right" if is_leftmost(panel) else "")
    legend(drawing, {name: sign(look(index)) for index, name in enumerate(labels(table).values())})
    return [
        Figure(
            name="reliability",
            title=title(table, "reliability of the final exit"),
            caption=caption(
                "Images of the same confidence, which is the probability of the final exit's top class, are put "
                "together in 15 bins of equal width; drawn are their mean confidence and the share that is right",
                f"All images of {over_seeds(table)} together; bins with fewer than {_FEWEST} of them are left out",
                "On the grey line confidence is right; below it the network is too sure of itself",
                *protocol(table),
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _points(frame: pd.DataFrame) -> dict[tuple[RowLabel, Column], pd.DataFrame]:
    """Mean confidence and share that is right, by bin, of the images of all seeds."""
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

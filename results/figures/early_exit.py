"""Early-exit figure: accuracy of early-exit inference against its mean cost per image."""

import pandas as pd
from matplotlib.axes import Axes

from ..captions import title
from ..details import early_exit_points
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
from .style import Look, look

_UNIT = 1e6


def early_exit(frame: pd.DataFrame, history: pd.DataFrame) -> list[Figure]:  # noqa: ARG001
    """Draw early-exit inference at each threshold, one panel per row; empty without such data."""
    curves = _curves(frame)
    if not curves:
        return []
    table = comparison(frame)
    drawing, axes = panels(table)
    for row, panel in zip(table.rows, axes, strict=True):
        for index, column in enumerate(table.columns):
            if (row, column) in curves:
                _draw(panel, curves[row, column], look(index))
        panel.set_xlabel("multiply-adds per image, millions" if is_lowest(panel, axes) else "")
        panel.set_ylabel(f"top-1 accuracy, {table.metric.unit}" if is_leftmost(panel) else "")
    shown = {column for _, column in curves}
    names = labels(table)
    legend(drawing, {names[c]: sign(look(index)) for index, c in enumerate(table.columns) if c in shown})
    return [
        Figure(
            name="early-exit",
            title=title(table, "accuracy of early-exit inference by its cost"),
            caption=caption(
                "Each image leaves at the first exit whose top-class probability reaches a threshold, the same at all "
                "exits",
                "Markers: thresholds from 0.1 to 0.9999",
                "Horizontal axis: multiply-adds (MACs) per image, including all evaluated heads; vertical axis: top-1 "
                f"accuracy in {table.metric.unit}; both are means over images and over {over_seeds(table)}",
                *protocol(table),
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _curves(frame: pd.DataFrame) -> dict[tuple[RowLabel, Column], pd.DataFrame]:
    """Return multiply-adds and accuracy by threshold, as means over completed seeds."""
    done, places = done_places(frame)
    points = early_exit_points(done)
    return {
        place: points.loc[[places[key] == place for key in points["key"]]]
        .groupby("threshold")[["multiply_adds", "top1"]]
        .mean()
        for place in dict.fromkeys(places[key] for key in points["key"])
    }


def _draw(panel: Axes, curve: pd.DataFrame, own: Look) -> None:
    panel.plot(curve["multiply_adds"] / _UNIT, curve["top1"], color=own.color, linestyle=own.line, marker=own.marker)

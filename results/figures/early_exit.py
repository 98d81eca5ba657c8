"""Early-exit figure: accuracy of early-exit inference against its mean cost per image."""

import pandas as pd
from matplotlib.axes import Axes

from ..captions import title
from ..details import early_exit_points
from ..labels import Column, RowLabel
from .data import SweepData
from .figure import Figure
from .panels import caption, done_places, missing, over_seeds, protocol, sheets
from .style import Look

_UNIT = 1e6


def early_exit(data: SweepData) -> list[Figure]:
    """Draw early-exit inference at each threshold; empty without such data."""
    curves = exit_curves(data)
    if not curves:
        return []
    table = data.table
    drawn = sheets(data, shown={column for _, column in curves})
    for panel in (panel for sheet in drawn for panel in sheet.panels):
        for column in panel.columns:
            if (panel.row, column) in curves:
                _draw(panel.axes, curves[panel.row, column], data.looks[column])
        panel.axes.set_xlabel("multiply-adds per image, millions" if panel.has_lower_label else "")
        panel.axes.set_ylabel(f"top-1 accuracy, {table.metric.unit}" if panel.has_left_label else "")
    return [
        Figure(
            name="early-exit",
            title=title(table, "accuracy of early-exit inference by its cost") + sheet.subtitle,
            sentences=caption(
                "Accuracy of early-exit inference against its cost",
                "Each image leaves at the first exit whose top-class probability reaches a threshold, the same at all "
                "exits",
                "Markers: thresholds from 0.1 to 0.9999",
                "Horizontal axis: multiply-adds (MACs) per image, including all evaluated heads; vertical axis: top-1 "
                f"accuracy in {table.metric.unit}; both are means over images and over {over_seeds(table)}",
                *protocol(table),
                missing(table),
            ),
            drawing=sheet.drawing,
        )
        for sheet in drawn
    ]


def exit_curves(data: SweepData) -> dict[tuple[RowLabel, Column], pd.DataFrame]:
    """Return multiply-adds and accuracy by threshold, as means over completed seeds."""
    done, places = done_places(data)
    points = early_exit_points(done)
    return {
        place: points.loc[[places[key] == place for key in points["key"]]]
        .groupby("threshold")[["multiply_adds", "top1"]]
        .mean()
        for place in dict.fromkeys(places[key] for key in points["key"])
    }


def _draw(panel: Axes, curve: pd.DataFrame, own: Look) -> None:
    panel.plot(curve["multiply_adds"] / _UNIT, curve["top1"], color=own.color, linestyle=own.line, marker=own.marker)

"""Convergence figure: accuracy by epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...specs import SpecError
from ..captions import title
from ..labels import Column, RowLabel
from ..table import comparison
from ..tables.curves import Curves, curves
from .data import SweepData
from .figure import Figure
from .panels import caption, deviations, means, missing, protocol, sheets
from .style import Look

_SETTLED = 0.1
"""Share of the epochs after which the vertical axis starts."""
_MARKED = 8
"""Approximate number of markers on a curve."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Accuracy of one method on one row by epoch, as arrays of equal length."""

    epochs: np.ndarray
    mean: np.ndarray
    """Mean in % over completed seeds; NaN if a seed is not measured."""
    deviation: np.ndarray
    """Sample standard deviation over the same seeds; NaN for one seed."""


def convergence(data: SweepData) -> list[Figure]:
    """Draw the final exit's top-1 accuracy after each epoch; empty without such data."""
    try:
        found = curves(data.frame, data.history)
    except SpecError:  # no accuracy by epoch is recorded
        return []
    table = comparison(data.frame, found.metric.name)
    by_place = summed_curves(found, data.history)
    drawn = sheets(data)
    hidden = False
    for panel in (panel for sheet in drawn for panel in sheet.panels):
        for index, column in enumerate(panel.columns):
            if (panel.row, column) in by_place:
                _draw(panel.axes, by_place[panel.row, column], data.looks[column], index)
        hidden |= _limit(panel.axes, [curve for (own, _), curve in by_place.items() if own == panel.row])
        panel.axes.set_xlabel("epoch" if panel.has_lower_label else "")
        panel.axes.set_ylabel(f"top-1 accuracy, {table.metric.unit}" if panel.has_left_label else "")
        panel.axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    what = table.metric.title.removesuffix(" in the last epoch").removesuffix(" after the last epoch")
    return [
        Figure(
            name="convergence",
            title=title(table, f"{what} by epoch") + sheet.subtitle,
            sentences=caption(
                f"{what[0].upper()}{what[1:]} after each epoch, in {table.metric.unit}",
                f"Lines: {means(table)}",
                deviations(table, "Bands"),
                "Lower values in the first epochs are not shown" if hidden else "",
                *protocol(table),
                missing(table),
            ),
            drawing=sheet.drawing,
        )
        for sheet in drawn
    ]


def summed_curves(found: Curves, history: pd.DataFrame) -> dict[tuple[RowLabel, Column], Curve]:
    """Return the curves of completed trials by row and column of the table."""
    split, exit, measure = found.metric.name.split("/")
    of_split = history.loc[(history["split"] == split) & (history["exit"] == exit)]
    points = of_split.pivot(index="epoch", columns="key", values=measure).replace([np.inf, -np.inf], np.nan)
    done = found.runs.loc[found.runs["value"].notna() & found.runs["key"].isin(list(points.columns))]
    keys: dict[tuple[RowLabel, Column], list[str]] = {}
    for row, column, key in zip(done["row"], done["column"], done["key"], strict=True):
        keys.setdefault((row, column), []).append(key)
    return {place: _curve(points.loc[:, of_place].dropna(how="all")) for place, of_place in keys.items()}


def _curve(points: pd.DataFrame) -> Curve:
    values = points.to_numpy("float64")
    nothing = np.full(len(values), np.nan)
    return Curve(
        epochs=points.index.to_numpy("float64"),
        mean=values.mean(axis=1),
        deviation=values.std(axis=1, ddof=1) if values.shape[1] > 1 else nothing,
    )


def _draw(panel: Axes, curve: Curve, own: Look, index: int) -> None:
    step = max(1, math.ceil(len(curve.epochs) / _MARKED))
    marked = (index % step, step)  # markers of methods at different epochs
    panel.plot(
        curve.epochs, curve.mean, color=own.color, linestyle=own.line, marker=own.marker, markevery=marked, zorder=3
    )
    if np.isfinite(curve.deviation).any():
        low, high = curve.mean - curve.deviation, curve.mean + curve.deviation
        panel.fill_between(curve.epochs, low, high, color=own.color, alpha=0.15, linewidth=0)


def _limit(panel: Axes, shown: Sequence[Curve]) -> bool:
    """Start the vertical axis after the first epochs, and return True if values are hidden."""
    early = [np.nanmin(curve.mean) for curve in shown if np.isfinite(curve.mean).any()]
    later = [curve.mean[math.floor(_SETTLED * len(curve.mean)) :] for curve in shown]
    settled = [np.nanmin(mean) for mean in later if np.isfinite(mean).any()]
    if not settled or min(settled) <= min(early):
        return False
    highest = max(np.nanmax(curve.mean + np.nan_to_num(curve.deviation)) for curve in shown)
    room = 0.05 * (highest - min(settled)) or 0.5
    panel.set_ylim(min(settled) - room, highest + room)
    return True

"""Exit figure: accuracy of each exit against its cost per image."""

import math
import re

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.transforms import ScaledTranslation

from ..captions import places, title
from ..frame import metric_names
from ..labels import Column, RowLabel
from ..table import Cell, Table, comparison
from .figure import Figure
from .panels import caption, deviations, is_leftmost, is_lowest, labels, legend, means, missing, panels, protocol, sign
from .style import Look, look

_UNITS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))
_APART = 2.5
"""Maximum distance in points between markers of methods with equal cost."""
_FARTHEST = 20
"""Maximum width in points over which all methods are spread."""
_Place = tuple[RowLabel, Column]
_Point = tuple[float, Cell]
"""Multiply-adds per image, and the accuracy at that cost."""


def exits(frame: pd.DataFrame, history: pd.DataFrame) -> list[Figure]:  # noqa: ARG001
    """Draw the accuracy of each exit against its multiply-adds; empty if no network has two such exits."""
    final = comparison(frame)
    points = _points(frame, final)
    if not any(len(found) > 1 for found in points.values()):
        return []
    per, unit = _unit(points)
    drawing, axes = panels(final)
    width = len(final.columns)
    for row, panel in zip(final.rows, axes, strict=True):
        for index, column in enumerate(final.columns):
            apart = (index - (width - 1) / 2) * min(_APART, _FARTHEST / width)
            _draw(panel, points[row, column], look(index), per, drawing, apart)
        panel.set_xlabel(f"multiply-adds per image{unit}" if is_lowest(panel, axes) else "")
        panel.set_ylabel(f"top-1 accuracy, {final.metric.unit}" if is_leftmost(panel) else "")
    legend(drawing, {name: sign(look(index)) for index, name in enumerate(labels(final).values())})
    what = final.metric.title.replace(" of the final exit", " of each exit")
    return [
        Figure(
            name="exits",
            title=title(final).replace(
                f"{final.metric.title} in {final.metric.unit}", f"{what} against its multiply-adds"
            ),
            caption=caption(
                f"{what[0].upper()}{what[1:]}, in {final.metric.unit}, against the multiply-adds (MACs) of the network "
                "truncated at that exit",
                f"Markers: {means(final)}; a line joins the exits of one method and ends at the final exit",
                deviations(final, "Bars"),
                "Markers are shifted slightly sideways to avoid overlap",
                *protocol(final),
                missing(final),
            ),
            drawing=drawing,
        )
    ]


def _points(frame: pd.DataFrame, final: Table) -> dict[_Place, list[_Point]]:
    """Return the points of each method on each row, ordered by cost."""
    split, _, measure = final.metric.name.split("/")
    known = set(metric_names(frame))
    points: dict[_Place, list[_Point]] = {(row, column): [] for row, column, _ in places(final)}
    for cost in sorted(known):
        match = re.fullmatch(r"cost/(\w+)/multiply_adds", cost)
        if match is None or (accuracy := f"{split}/{match[1]}/{measure}") not in known:
            continue
        costs = places(comparison(frame, cost))
        for (row, column, own), (_, _, reached) in zip(costs, places(comparison(frame, accuracy)), strict=True):
            if own.mean is not None and reached.mean is not None:
                points[row, column].append((own.mean, reached))
    return {place: sorted(found, key=lambda point: point[0]) for place, found in points.items()}


def _unit(points: dict[_Place, list[_Point]]) -> tuple[float, str]:
    """Return the unit of multiply-adds: its size, and its label for the axis."""
    most = max(cost for found in points.values() for cost, _ in found)
    return next(((per, f", {name}") for per, name in _UNITS if most >= per), (1.0, ""))


def _draw(panel: Axes, points: list[_Point], own: Look, per: float, drawing: Drawing, apart: float) -> None:
    if not points:
        return
    costs = [cost / per for cost, _ in points]
    means = [math.nan if cell.mean is None else cell.mean for _, cell in points]
    bars = [cell.std or 0.0 for _, cell in points]
    drawn = panel.errorbar(
        costs,
        means,
        yerr=bars if any(bars) else None,
        color=own.color,
        linestyle=own.line,
        marker=own.marker,
        capsize=2,
        elinewidth=0.8,
    )
    panel.margins(x=0.1)
    aside = panel.transData + ScaledTranslation(apart / 72, 0, drawing.dpi_scale_trans)
    for artist in drawn.get_children():
        artist.set_transform(aside)

"""Exit figure: accuracy of each exit against its cost per image, or by exit where costs do not differ."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from ..captions import places, row_label, title
from ..frame import metric_names
from ..labels import Column, RowLabel
from ..table import Table
from .data import SweepData
from .figure import Figure
from .panels import Panel, caption, deviations, means, missing, protocol, sheets
from .style import Look

_UNITS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))
_NEAR = 0.02
"""Costs that differ by at most this share count as equal."""
_TICKS = 5
"""Maximum number of labelled exits below a panel."""
_APART = 2.5
"""Maximum distance in points between markers of methods with equal cost."""
_FARTHEST = 20
"""Maximum width in points over which all methods are spread."""
_Place = tuple[RowLabel, Column]


@dataclass(frozen=True, kw_only=True)
class ExitPoint:
    """Exit of one configuration on one row."""

    name: str
    cost: float
    """Multiply-adds per image."""
    mean: float
    """Accuracy over completed seeds."""
    deviation: float
    """Sample standard deviation over the same seeds; NaN for one seed."""


def exits(data: SweepData) -> list[Figure]:
    """Draw the accuracy of each exit against its multiply-adds; empty if no network has two such exits.

    If the multiply-adds do not tell configurations or exits apart, exits have equal distances on the horizontal axis,
    and their multiply-adds are written below them.
    """
    final = data.table
    points = exit_points(data)
    if not any(len(found) > 1 for found in points.values()):
        return []
    per, unit = unit_of(points)
    equal = {row: _shared(points, row) for row in final.rows}
    by_exit = any(equal.values()) or any(_is_one_column(points, row) for row in final.rows)
    order = _order(points)
    drawn = sheets(data, tick_lines=2 if by_exit else 1)
    for panel in (panel for sheet in drawn for panel in sheet.panels):
        costs = _costs(points, panel.row, order)
        for index, column in enumerate(panel.columns):
            own = points[panel.row, column]
            positions = [float(costs.index(next(c for c in costs if c[0] == point.name))) for point in own]
            _draw(
                panel,
                own,
                positions if by_exit else [point.cost / per for point in own],
                data.looks[column],
                _aside(index, len(panel.columns)),
            )
        if by_exit:
            _label(panel.axes, costs, per)
        panel.axes.set_xlabel(_axis(by_exit, unit) if panel.has_lower_label else "")
        panel.axes.set_ylabel(f"top-1 accuracy, {final.metric.unit}" if panel.has_left_label else "")
    what = final.metric.title.replace(" of the final exit", " of each exit")
    against = "" if by_exit else " against its multiply-adds"
    return [
        Figure(
            name="exits",
            title=title(final).replace(f"{final.metric.title} in {final.metric.unit}", f"{what}{against}")
            + sheet.subtitle,
            sentences=caption(
                f"{what[0].upper()}{what[1:]}{against}",
                _equal_costs(final, equal, per, unit),
                "Multiply-adds (MACs) are those of the network truncated at the exit",
                f"Markers: {means(final)}; a line joins the exits of one method and ends at the final exit",
                deviations(final, "Bars"),
                "Markers are shifted slightly sideways to avoid overlap",
                *protocol(final),
                missing(final),
            ),
            drawing=sheet.drawing,
        )
        for sheet in drawn
    ]


def exit_points(data: SweepData) -> dict[_Place, list[ExitPoint]]:
    """Return the exits of each method on each row, ordered by cost."""
    split, _, measure = data.table.metric.name.split("/")
    known = set(metric_names(data.frame))
    points: dict[_Place, list[ExitPoint]] = {(row, column): [] for row, column, _ in places(data.table)}
    done = data.runs.loc[data.runs["state"] == "done"]
    for cost in sorted(known):
        match = re.fullmatch(r"cost/(\w+)/multiply_adds", cost)
        if match is None or (accuracy := f"{split}/{match[1]}/{measure}") not in known:
            continue
        measured = done.loc[np.isfinite(done[cost]) & np.isfinite(done[accuracy]), ["row", "column", cost, accuracy]]
        for (row, column), trials in measured.groupby(["row", "column"], sort=False):
            point = ExitPoint(
                name=match[1],
                cost=float(trials[cost].mean()),
                mean=float(trials[accuracy].mean()),
                deviation=float(trials[accuracy].std(ddof=1)),
            )
            points[row, column].append(point)
    return {place: sorted(found, key=lambda point: (point.cost, _rank(point.name))) for place, found in points.items()}


def unit_of(points: Mapping[_Place, Sequence[ExitPoint]]) -> tuple[float, str]:
    """Return the unit of multiply-adds: its size, and its name, which is empty for single multiply-adds."""
    most = max(point.cost for found in points.values() for point in found)
    return next(((per, name) for per, name in _UNITS if most >= per), (1.0, ""))


def _rank(name: str) -> tuple[bool, int, str]:
    """Return a sort key: `exit2`, `exit10`, `final`."""
    number = name.removeprefix("exit")
    return (not number.isdigit(), int(number) if number.isdigit() else 0, name)


def _order(points: Mapping[_Place, Sequence[ExitPoint]]) -> list[str]:
    return sorted({point.name for found in points.values() for point in found}, key=_rank)


def _costs(
    points: Mapping[_Place, Sequence[ExitPoint]], row: RowLabel, order: Sequence[str]
) -> list[tuple[str, float, float]]:
    """Return each exit of a row with its lowest and highest cost over configurations."""
    own = [point for (of_row, _), found in points.items() if of_row == row for point in found]
    costs = {name: [point.cost for point in own if point.name == name] for name in order}
    return [(name, min(found), max(found)) for name, found in costs.items() if found]


def _shared(points: Mapping[_Place, Sequence[ExitPoint]], row: RowLabel) -> list[tuple[str, float]]:
    """Return the cost of each exit of a row; empty if it differs between configurations."""
    costs = _costs(points, row, _order(points))
    return [(name, low) for name, low, _ in costs] if all(_is_near(low, high) for _, low, high in costs) else []


def _is_one_column(points: Mapping[_Place, Sequence[ExitPoint]], row: RowLabel) -> bool:
    """Return True if all exits of a row have the same cost."""
    costs = _costs(points, row, _order(points))
    return len(costs) > 1 and _is_near(min(low for _, low, _ in costs), max(high for *_, high in costs))


def _is_near(low: float, high: float) -> bool:
    return high - low <= _NEAR * high


def _axis(by_exit: bool, unit: str) -> str:
    if by_exit:
        return f"exit, multiply-adds ({unit})" if unit else "exit, multiply-adds"
    return f"multiply-adds per image, {unit}" if unit else "multiply-adds per image"


def _label(axes: Axes, costs: Sequence[tuple[str, float, float]], per: float) -> None:
    """Write the name and the cost of each exit below the panel; of many exits, the first of each few and the last."""
    step = max(1, math.ceil((len(costs) - 1) / (_TICKS - 1)))
    shown = sorted({*range(0, len(costs) - step // 2 - 1, step), len(costs) - 1})
    texts = [f"{name.removeprefix('exit')}\n{_range(low, high, per)}" for name, low, high in (costs[i] for i in shown)]
    axes.set_xticks(shown, texts)
    axes.set_xlim(-0.5, len(costs) - 0.5)


def _range(low: float, high: float, per: float) -> str:
    return _text(low, per) if _is_near(low, high) else f"{_text(low, per)}–{_text(high, per)}"


def _text(cost: float, per: float) -> str:
    return f"{cost / per:.3g}" if cost < 100 * per else f"{cost / per:.0f}"


def _equal_costs(table: Table, equal: Mapping[RowLabel, Sequence[tuple[str, float]]], per: float, unit: str) -> str:
    """Return the sentence on costs that do not differ between configurations; empty if they differ on all rows."""
    said = [
        f"{row_label(table, row)} " + ", ".join(f"{_named(name)} {_text(cost, per)}" for name, cost in costs)
        for row, costs in equal.items()
        if costs
    ]
    if not said:
        return ""
    of_unit = f", in {unit}" if unit else ""
    return f"Equal cost: every method needs the same multiply-adds up to an exit{of_unit}: {'; '.join(said)}"


def _named(exit: str) -> str:
    number = exit.removeprefix("exit")
    return f"exit {number}" if number.isdigit() else exit


def _aside(index: int, width: int) -> float:
    """Return the sideways shift of a method, in points."""
    return (index - (width - 1) / 2) * min(_APART, _FARTHEST / width)


def _draw(panel: Panel, points: Sequence[ExitPoint], positions: Sequence[float], own: Look, aside: float) -> None:
    drawing = panel.axes.get_figure(root=True)
    if not points or drawing is None:
        return
    means = [point.mean for point in points]
    bars = [0.0 if math.isnan(point.deviation) else point.deviation for point in points]
    drawn = panel.axes.errorbar(
        positions,
        means,
        yerr=bars if any(bars) else None,
        color=own.color,
        linestyle=own.line,
        marker=own.marker,
        capsize=2,
        elinewidth=0.8,
    )
    panel.axes.margins(x=0.1)
    shifted = panel.axes.transData + ScaledTranslation(aside / 72, 0, drawing.dpi_scale_trans)
    for artist in drawn.get_children():
        artist.set_transform(shifted)

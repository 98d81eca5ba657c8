"""Interactive figures of a sweep as one self-contained HTML page, drawn by plotly."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.offline
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from ...specs import SpecError
from ..captions import row_label
from ..labels import Column, RowLabel
from ..tables.curves import curves
from .axes import AxisGrid, coordinates, grids, shares
from .convergence import summed_curves
from .data import SweepData
from .early_exit import exit_curves
from .exits import exit_points
from .style import BASELINE_COLOR, COLORS, GREY

_ACROSS = 2
"""Maximum number of panels per row."""
_HEIGHT = 380
"""Height of a panel in pixels."""
_MOST_AXES = 12
"""Maximum number of axes in parallel coordinates."""
_DASHES = ("solid", "dash", "dashdot", "dot", "longdash")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left", "star")
_Place = tuple[RowLabel, Column]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Line of one configuration in one panel."""

    x: Sequence[float]
    y: Sequence[float]
    deviation: Sequence[float] | None = None
    """Standard deviations; None without error bars."""
    notes: Sequence[str] = ()
    """Text of each point when the pointer is over it."""


def interactive(frame: pd.DataFrame, history: pd.DataFrame) -> str:
    """Return a page of interactive figures of one loaded sweep; it loads nothing from other places.

    Args:
        frame: a sweep loaded by `load`.
        history: its metrics by epoch, loaded by `history`.

    Raises:
        SpecError: A `ValueError`, if there is nothing to compare yet.
    """
    data = SweepData(frame=frame, history=history)
    unit = data.table.metric.unit
    accuracy = f"top-1 accuracy, {unit}"
    drawn = {
        "Accuracy by epoch": _panels(data, _convergence(data), "epoch", accuracy),
        "Accuracy of each exit": _panels(data, _exits(data), "multiply-adds per image, millions", accuracy),
        "Early-exit inference": _panels(data, _early_exit(data), "multiply-adds per image, millions", accuracy),
        "Difference from the baseline": _gain(data),
        "Importance of the axes": _importance(data),
        **{
            f"Parallel coordinates{f' of {grid.name}' if grid.name else ''}": _parallel(grid, accuracy)
            for grid in coordinates(frame, _MOST_AXES)
        },
    }
    sections = [_section(name, figure) for name, figure in drawn.items() if figure is not None]
    return page(f"{data.table.sweep}: {data.table.metric.title}", sections)


def page(title: str, sections: Iterable[str]) -> str:
    """Return an HTML page of plotly figures, with the code of plotly."""
    name, body = html.escape(title), "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>body {{font-family: sans-serif; margin: 2em; overflow-x: auto}}</style>
<script>{plotly.offline.get_plotlyjs()}</script>
</head>
<body>
<h1>{name}</h1>
{body}
</body>
</html>
"""


def section(name: str, heading: str, figure: go.Figure) -> str:
    """Return a figure as a section of the page, with the id `name`."""
    config = {"displaylogo": False, "responsive": True}
    shown = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    return f"<h2>{html.escape(heading)}</h2>\n{shown}"


def _section(heading: str, figure: go.Figure) -> str:
    figure.update_layout(template="plotly_white", margin={"t": 60})
    return section("".join(letter if letter.isalnum() else "-" for letter in heading.lower()), heading, figure)


def _convergence(data: SweepData) -> dict[_Place, _Line]:
    try:
        found = curves(data.frame, data.history)
    except SpecError:  # no accuracy by epoch is recorded
        return {}
    return {
        place: _Line(x=curve.epochs.tolist(), y=curve.mean.tolist(), deviation=_known(curve.deviation))
        for place, curve in summed_curves(found, data.history).items()
    }


def _exits(data: SweepData) -> dict[_Place, _Line]:
    return {
        place: _Line(
            x=[point.cost / 1e6 for point in points],
            y=[point.mean for point in points],
            deviation=_known(np.array([point.deviation for point in points])),
            notes=[point.name for point in points],
        )
        for place, points in exit_points(data).items()
        if points
    }


def _early_exit(data: SweepData) -> dict[_Place, _Line]:
    return {
        place: _Line(
            x=(curve["multiply_adds"] / 1e6).tolist(),
            y=curve["top1"].tolist(),
            notes=[f"threshold {threshold}" for threshold in curve.index],
        )
        for place, curve in exit_curves(data).items()
    }


def _known(deviation: np.ndarray) -> list[float] | None:
    return np.nan_to_num(deviation).tolist() if np.isfinite(deviation).any() else None


def _panels(data: SweepData, lines: Mapping[_Place, _Line], x: str, y: str) -> go.Figure | None:
    """Return a figure with a panel for each row; a click on a name in the legend hides a configuration everywhere."""
    rows = [row for row in data.table.rows if any(place[0] == row for place in lines)]
    if not rows:
        return None
    across = min(len(rows), _ACROSS)
    down = math.ceil(len(rows) / across)
    figure = make_subplots(rows=down, cols=across, subplot_titles=[_text(row_label(data.table, row)) for row in rows])
    figure.update_layout(height=_HEIGHT * down + 60)
    named: set[Column] = set()
    for place, row in enumerate(rows):
        for index, column in enumerate(data.table.columns):
            if (row, column) in lines:
                trace = _trace(lines[row, column], column, index, data, is_named=column not in named)
                figure.add_trace(trace, row=place // across + 1, col=place % across + 1)
                named.add(column)
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure


def _trace(line: _Line, column: Column, index: int, data: SweepData, *, is_named: bool) -> go.Scatter:
    name = _text(column.label)
    color = BASELINE_COLOR if column == data.table.baseline else qualitative.Dark24[index % len(qualitative.Dark24)]
    return go.Scatter(
        x=line.x,
        y=line.y,
        error_y=None if line.deviation is None else {"array": line.deviation, "thickness": 1, "width": 2},
        text=list(line.notes) or None,
        name=name,
        legendgroup=name,
        showlegend=is_named,
        mode="lines+markers",
        line={"color": color, "dash": _DASHES[index % len(_DASHES)], "width": 1.5},
        marker={"symbol": _SYMBOLS[index % len(_SYMBOLS)], "size": 6},
    )


def _gain(data: SweepData) -> go.Figure | None:
    table, tests = data.table, data.tests
    if table.baseline is None or not any(test for row in tests.cells for test in row):
        return None
    figure = go.Figure()
    for row, of_row in zip(table.rows, tests.cells, strict=True):
        known = [(column, test) for column, test in zip(table.columns, of_row, strict=True) if test]
        half = [(test.t_interval[1] - test.t_interval[0]) / 2 if test.t_interval else 0.0 for _, test in known]
        figure.add_scatter(
            x=[test.mean for _, test in known],
            y=[_text(column.label) for column, _ in known],
            error_x={"array": half, "thickness": 1.5},
            text=[f"{test.pairs} pairs" for _, test in known],
            name=_text(row_label(table, row)),
            mode="markers",
            orientation="h",
        )
    figure.add_vline(0, line_color="black", line_width=1)
    figure.update_layout(height=150 + 32 * len(table.columns), scattermode="group", colorway=COLORS)
    figure.update_xaxes(title_text=f"difference from {_text(table.baseline.label)}, {table.metric.difference_unit}")
    figure.update_yaxes(autorange="reversed")
    return figure


def _importance(data: SweepData) -> go.Figure | None:
    found = [(grid.name or "all methods", of_grid) for grid in grids(data.frame) if (of_grid := shares(grid))]
    if not found:
        return None
    figure = make_subplots(rows=1, cols=len(found), subplot_titles=[_text(name) for name, _ in found])
    for place, (_, of_grid) in enumerate(found, start=1):
        bars = {**of_grid.axes, "interactions": of_grid.interactions, "seeds": of_grid.seeds}
        colors = [COLORS[0]] * len(of_grid.axes) + [GREY] * 2
        names = [_text(name) for name in bars]
        bar = go.Bar(x=list(bars.values()), y=names, orientation="h", marker_color=colors, showlegend=False)
        figure.add_trace(bar, row=1, col=place)
    figure.update_xaxes(title_text="share of variance, %", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return figure


def _parallel(grid: AxisGrid, metric: str) -> go.Figure:
    cells = grid.cells
    dimensions = [
        {
            "label": _text(axis.name),
            "values": [axis.values.index(value) for value in cells[axis.name]],
            "tickvals": list(range(len(axis.values))),
            "ticktext": [_text(value) for value in axis.values],
        }
        for axis in grid.axes
    ]
    values = cells["value"].tolist()
    line = {"color": values, "colorscale": "Viridis", "reversescale": True, "showscale": True}
    return go.Figure(go.Parcoords(line=line, dimensions=[*dimensions, {"label": metric, "values": values}]))


def _text(name: str) -> str:
    """Return a name as plain text, because plotly reads HTML."""
    return html.escape(name, quote=False)

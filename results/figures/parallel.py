"""Parallel coordinates: each configuration as a line over the axes of the sweep, coloured by the reported metric."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing

from ..captions import title
from .axes import NONE, Axis, AxisGrid, coordinates
from .data import SweepData
from .figure import Figure
from .panels import caption, means, missing, protocol
from .style import GREY, WIDTH, written

_MOST = 6
"""Maximum number of axes beside the metric."""
_LETTERS = 18
"""Maximum letters per line of a value."""
_SPREAD = 0.28
"""Distance from a value, as a share of that between values, over which the lines through it are spread."""
_STEPS = np.linspace(0, 1, 24)


def parallel(data: SweepData) -> list[Figure]:
    """Draw a figure for each grid of the sweep; empty without two varying axes."""
    table = data.table
    return [
        Figure(
            name="parallel" + (f"-{place}" if place else ""),
            title=title(table, f"{table.metric.title}, parallel coordinates{f' of {one.name}' if one.name else ''}"),
            sentences=caption(
                f"Each line is one configuration{f' of {one.name}' if one.name else ''}, from its settings to its "
                f"{table.metric.title}",
                f"Colour and right-hand axis: {means(table)}",
                "Lines through one value are spread in the order of the metric",
                "–: the setting has no effect" if any(NONE in axis.values for axis in one.axes) else "",
                *protocol(table),
                missing(table),
            ),
            drawing=_drawn(one, f"top-1 accuracy,\n{table.metric.unit}"),
        )
        for place, one in enumerate(coordinates(data.frame, _MOST))
    ]


def _drawn(grid: AxisGrid, metric: str) -> Drawing:
    cells = grid.cells.sort_values("value", kind="stable").reset_index(drop=True)
    values = cells["value"].to_numpy("float64")
    low, high = float(values.min()), float(values.max())
    scale = Normalize(low, high) if high > low else Normalize(low - 1, high + 1)
    most = max(len(axis.values) for axis in grid.axes)
    drawing = Drawing(figsize=(WIDTH, max(2.2, 0.9 + 0.2 * most)), layout="constrained")
    panel = drawing.add_subplot()
    heights = np.column_stack([*(_heights(pd.Series(cells[axis.name]), axis) for axis in grid.axes), scale(values)])
    colors = mpl.colormaps["viridis_r"]
    places = np.arange(heights.shape[1])
    for own, share in zip(heights, heights[:, -1], strict=True):
        across, along = _curve(places, own)
        panel.plot(across, along, color=colors(float(0.1 + 0.9 * share)), linewidth=1)
    _axes(panel, grid.axes, scale, metric)
    return drawing


def _heights(column: pd.Series, axis: Axis) -> np.ndarray:
    """Return the height of each line at an axis, from 0 to 1; lines through one value are spread in their order."""
    count = len(axis.values)
    place = column.map({value: index for index, value in enumerate(axis.values)}).to_numpy("float64")
    order = column.groupby(column).cumcount().to_numpy("float64")
    size = column.groupby(column).transform("size").to_numpy("float64")
    return (place + 0.5 + 2 * _SPREAD * ((order + 0.5) / size - 0.5)) / count


def _curve(places: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a smooth line that is level at each axis, so that lines can be followed through it."""
    ease = _STEPS**2 * (3 - 2 * _STEPS)
    across = np.concatenate([start + _STEPS for start in places[:-1]])
    along = np.concatenate([a + (b - a) * ease for a, b in pairwise(heights)])
    return across, along


def _axes(panel: Axes, axes: Sequence[Axis], scale: Normalize, metric: str) -> None:
    """Draw the axes with their values, and that of the metric at the right."""
    last = len(axes)
    panel.set(xlim=(-0.1, last + 0.1), ylim=(-0.02, 1.02))
    panel.set_xticks(range(last + 1), [*(written(axis.name, _LETTERS) for axis in axes), metric])
    panel.tick_params(axis="both", length=0)
    panel.xaxis.tick_top()
    panel.set_yticks([])
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    panel.vlines(range(last + 1), 0, 1, color=GREY, linewidth=0.8, zorder=1)
    for place, axis in enumerate(axes):
        for index, value in enumerate(axis.values):
            panel.annotate(
                written(value, _LETTERS),
                (place, (index + 0.5) / len(axis.values)),
                xytext=(-4 if place == 0 else 4, 0),
                textcoords="offset points",
                horizontalalignment="right" if place == 0 else "left",
                verticalalignment="center",
                fontsize=7,
                annotation_clip=False,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
                zorder=4,
            )
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = scale.inverse(share)
        panel.annotate(
            f"{value:.2f}",
            (last, share),
            xytext=(4, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=7,
            annotation_clip=False,
        )

"""Layout corrections that make Optuna's matplotlib figures readable in print."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FuncFormatter, LogFormatter

from ...results.figures.style import COLORS

_INFEASIBLE = "#CCCCCC"
"""Colour in which Optuna draws trials that violate a constraint."""
_COLUMNS = 4
"""Maximum number of panels in a row."""
_PANEL = 2.8
"""Width of a panel in inches."""
_PARETO = {
    "Infeasible Trial": _INFEASIBLE,
    "Trial": COLORS[0],
    "Feasible Trial": COLORS[0],
    "Best Trial": COLORS[1],
}
"""Colours of a Pareto plot, by Optuna's labels."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure, which Optuna draws with matplotlib and with plotly."""

    name: str
    """Name of the files, without extension."""
    heading: str
    function: str
    """Function in `optuna.visualization` and `optuna.visualization.matplotlib`."""
    arguments: Mapping[str, Any]
    parameters: int = 0
    """Number of parameters in the figure."""
    limits: tuple[float, float] | None = None
    """Minimum and maximum of the colour scale; None unless colours show an objective."""


def tidy(figure: Figure, drawing: Drawing) -> None:
    """Adjust sizes, legends, category names and logarithmic tick labels of a figure."""
    figure.set_layout_engine("constrained", w_pad=0.1)
    axes = [one for one in figure.axes if one.get_subplotspec() is not None and one.get_label() != "<colorbar>"]
    for one in axes:
        _show_ticks(one)
    if drawing.function == "plot_intermediate_values":
        _color_lines(axes[0])
    elif drawing.function == "plot_pareto_front":
        for points in axes[0].collections:
            points.set_color(_PARETO[str(points.get_label())])
    elif drawing.function == "plot_param_importances":
        figure.set_figheight(max(figure.get_figheight(), 0.4 * drawing.parameters + 1))
    elif drawing.function == "plot_slice":
        _break_row(figure, axes)
    elif drawing.function == "plot_contour" and drawing.parameters > 2 and drawing.limits is not None:
        figure.set_size_inches(_PANEL * drawing.parameters + 1, _PANEL * drawing.parameters)
        _share_colors(figure, axes, drawing.limits)
        for one in axes:
            one.label_outer()
    for one in axes:
        _move_legend(figure, one)


def _show_ticks(axes: Axes) -> None:
    """Rotate category names, and write tick labels of logarithmic axes as plain numbers."""
    if isinstance(axes.xaxis.get_major_formatter(), FixedFormatter | FuncFormatter | StrCategoryFormatter):
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter(LogFormatter())
            axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))


def _color_lines(axes: Axes) -> None:
    """Colour the line of each trial by its number, with a colour bar in place of a long legend."""
    figure, lines = axes.get_figure(root=True), axes.get_lines()
    if figure is None or len(lines) < 2:
        return
    numbers = [int(str(line.get_label()).removeprefix("Trial")) for line in lines]
    scale, colors = Normalize(min(numbers), max(numbers)), mpl.colormaps["cividis"]
    for line, number in zip(lines, numbers, strict=True):
        if line.get_color() != _INFEASIBLE:
            line.set_color(colors(float(scale(number))))
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    figure.colorbar(ScalarMappable(scale, colors), ax=axes, label="Trial")


def _share_colors(figure: Figure, axes: list[Axes], limits: tuple[float, float]) -> None:
    """Use one colour scale for all panels; Optuna's colour bar holds for the first panel only."""
    filled = [one for panel in axes for one in panel.collections if isinstance(one, QuadContourSet) and one.filled]
    bars = [one.colorbar for one in filled if one.colorbar is not None]
    for one in filled:
        one.set_clim(*limits)
    for bar in bars:
        label = bar.ax.get_ylabel()
        bar.remove()
        figure.colorbar(ScalarMappable(Normalize(*limits), filled[0].cmap), ax=axes, label=label)


def _break_row(figure: Figure, axes: list[Axes]) -> None:
    """Split a row of panels into several rows, so that the figure fits a page."""
    rows = math.ceil(len(axes) / _COLUMNS)
    if rows == 1:
        return
    grid = figure.add_gridspec(rows, _COLUMNS)
    figure.set_size_inches(_PANEL * _COLUMNS + 1, _PANEL * rows * 1.2)
    for index, one in enumerate(axes):
        one.set_subplotspec(grid[index // _COLUMNS, index % _COLUMNS])
        if index % _COLUMNS == 0:
            one.set_ylabel(axes[0].get_ylabel())
            one.tick_params(labelleft=True)


def _move_legend(figure: Figure, axes: Axes) -> None:
    """Move the legend below the panel, where it hides no point."""
    if (legend := axes.get_legend()) is not None:
        legend.remove()
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))

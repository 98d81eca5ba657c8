"""Accuracy by epoch."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...specs import SpecError
from ..kinds.curves import curves
from ..table import comparison
from ..wording import title
from .figure import Figure
from .panels import caption, labels, legend, missing, panels
from .style import Look, look

_SETTLED = 0.1
"""The vertical axis shows what is reached from this share of the epochs on."""
_MARKED = 8
"""Markers on a curve, about."""


def convergence(frame: pd.DataFrame, history: pd.DataFrame) -> list[Figure]:
    """Draw the final exit's top-1 accuracy after each epoch, a panel for each row of the table; empty without any."""
    table = comparison(frame)
    try:
        found = curves(frame, history)
    except SpecError:  # no accuracy is recorded epoch by epoch
        return []
    measured = _measured(found.runs, history, found.metric.name.split("/")[0])
    names = labels(table)
    drawing, axes = panels(table)
    cut = False
    for row, panel in zip(table.rows, axes, strict=True):
        shown: list[pd.DataFrame] = []
        for index, column in enumerate(table.columns):
            of_cell = measured.loc[[own == (row, column) for own in measured["place"]]]
            if not of_cell.empty:
                shown.append(_by_epoch(of_cell))
                _draw(panel, shown[-1], look(index), index)
        cut |= _limit(panel, shown)
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0].set_ylabel(f"top-1 accuracy, {found.metric.unit}")
    legend(drawing, {name: _sign(look(index)) for index, name in enumerate(names.values())})
    what = found.metric.title.removesuffix(" in the last epoch").removesuffix(" after the last epoch")
    return [
        Figure(
            name="convergence",
            title=title(table).replace(table.metric.title, f"{what}, by epoch"),
            caption=caption(
                f"{what[0].upper()}{what[1:]} after each epoch, in {found.metric.unit}",
                f"Lines: mean over the {_seeds(table.seeds)}; bands: ± one sample standard deviation",
                "The first epochs, below the vertical axis, are not shown" if cut else "",
                f"Protocol of the tables: {table.protocol}",
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _measured(runs: pd.DataFrame, history: pd.DataFrame, split: str) -> pd.DataFrame:
    """A row per trial that is done and epoch, in the order of the plan: `place`, `epoch` and `top1`."""
    done = runs.loc[runs["state"] == "done"]
    places = {
        key: (index, (row, column))
        for index, (key, row, column) in enumerate(zip(done["key"], done["row"], done["column"], strict=True))
    }
    chosen = history.loc[
        (history["exit"] == "final")
        & (history["split"] == split)
        & history["key"].isin(list(places))
        & np.isfinite(history["top1"]),
        ["key", "epoch", "top1"],
    ]
    known = [places[key] for key in chosen["key"]]
    chosen = chosen.assign(
        order=[order for order, _ in known],
        place=pd.Series([place for _, place in known], index=chosen.index, dtype="object"),
    )
    return chosen.sort_values(["order", "epoch"])


def _by_epoch(points: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation by epoch, missing where a seed of those that are done is not measured."""
    summed = points.groupby("epoch")["top1"].agg(["mean", "std", "count"])
    return summed.where(summed["count"] == summed["count"].max())


def _draw(panel: Axes, curve: pd.DataFrame, own: Look, index: int) -> None:
    epochs = curve.index.to_numpy("float64")
    mean, deviation = curve["mean"].to_numpy("float64"), curve["std"].to_numpy("float64")
    step = max(1, math.ceil(len(epochs) / _MARKED))
    panel.plot(epochs, mean, color=own.color, linestyle=own.line, marker=own.marker, markevery=(index % step, step))
    if np.isfinite(deviation).any():
        panel.fill_between(epochs, mean - deviation, mean + deviation, color=own.color, alpha=0.15, linewidth=0)


def _limit(panel: Axes, shown: Sequence[pd.DataFrame]) -> bool:
    """Begin the vertical axis where training is under way, and say whether that hides something."""
    means = [curve["mean"].iloc[math.floor(_SETTLED * len(curve)) :].min() for curve in shown]
    lowest = min((curve["mean"].min() for curve in shown), default=0.0)
    settled = min(means, default=0.0)
    if not settled > lowest:
        return False
    highest = max(float((curve["mean"] + curve["std"].fillna(0)).max()) for curve in shown)
    room = 0.05 * (highest - settled)
    panel.set_ylim(settled - room, highest + room)
    return True


def _sign(own: Look) -> Line2D:
    return Line2D([], [], color=own.color, linestyle=own.line, marker=own.marker)


def _seeds(seeds: int | None) -> str:
    return "seeds that are done" if seeds is None else f"n = {seeds} seeds"

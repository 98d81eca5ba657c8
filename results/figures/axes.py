"""Axes of a sweep: what varies between its configurations, and how much of the metric's variance each explains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from ...specs import SpecError
from ...store.labels import setting
from ..frame import PARAMETER_PREFIX
from ..search import has_search
from ..table import labelled
from ..tables.ablation import OF_ROWS

MOST = 8
"""Maximum number of axes whose shares are computed: the number of regressions doubles with each."""
NONE = "–"
"""Value of a setting that has no effect on a trial."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Varying property of the configurations, such as `architecture` or `temperature`."""

    name: str
    values: tuple[str, ...]
    """Distinct values: numbers by size, others in plan order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AxisGrid:
    """Completed trials by their values on axes."""

    name: str
    """Method of the trials; empty for all methods."""
    axes: tuple[Axis, ...]
    trials: pd.DataFrame
    """Column of each axis by its name, and `value`: the reported metric."""

    @property
    def cells(self) -> pd.DataFrame:
        """Mean over seeds of each combination of values, in plan order."""
        names = [axis.name for axis in self.axes]
        return pd.DataFrame(self.trials.groupby(names, sort=False, as_index=False)[["value"]].mean())


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of the metric's variance over trials, in %."""

    axes: Mapping[str, float]
    """Share of each axis."""
    interactions: float
    """Share of the differences between configurations that the axes do not explain one by one."""
    seeds: float
    """Share of the differences between seeds of one configuration."""


def grids(frame: pd.DataFrame) -> list[AxisGrid]:
    """Return the grid of all trials, then that of each method with a varying setting; those with two axes or more.

    All trials have the axes `dataset`, `architecture`, those of the recipe, and `method`, with its settings. A search
    has no grid.
    """
    if (runs := _completed(frame)) is None:
        return []
    everything = _grid("", runs.assign(method=[column.label for column in runs["column"]]), [*_shared(runs), "method"])
    found = [everything] if len(set(runs["method"])) > 1 else []
    return [grid for grid in [*found, *_of_methods(runs)] if len(grid.axes) > 1]


def coordinates(frame: pd.DataFrame, most: int) -> list[AxisGrid]:
    """Return the grid of all trials with an axis for each setting, or that of each method if it has too many axes.

    Args:
        frame: a loaded sweep.
        most: maximum number of axes. Grids with more are left out, and those with one.
    """
    if (runs := _completed(frame)) is None:
        return []
    own = dict.fromkeys(name for _, trials in runs.groupby("method", sort=False) for name in _settings(trials))
    everything = _grid("", runs, [*_shared(runs), "method", *own])
    found = [everything] if len(everything.axes) <= most else _of_methods(runs)
    return [grid for grid in found if 1 < len(grid.axes) <= most]


def shares(grid: AxisGrid) -> Shares | None:
    """Return the shares of variance of a grid's axes; None if all values are equal, or if there are too many axes.

    The share of an axis is the increase of R² of a linear model of main effects, averaged over all orders in which axes
    enter it (Lindeman, Merenda and Gold 1980, chapter 4). In a complete grid this is the main effect of the analysis of
    variance: the sum of squares between the means of its values, divided by the total.
    """
    values = grid.trials["value"].to_numpy("float64")
    total = float(((values - values.mean()) ** 2).sum())
    names = [axis.name for axis in grid.axes]
    if total < 1e-12 or len(names) > MOST:
        return None
    codes = {name: _indicators(pd.Series(grid.trials[name])) for name in names}
    explained = {
        chosen: _explained([codes[name] for name in chosen], values)
        for size in range(len(names) + 1)
        for chosen in combinations(names, size)
    }
    within = grid.trials.groupby(names, sort=False)["value"].transform("mean").to_numpy("float64")
    seeds = float(((values - within) ** 2).sum())
    main = explained[tuple(names)]
    return Shares(
        axes={name: 100 * _averaged(name, names, explained) / total for name in names},
        interactions=100 * max(0.0, total - seeds - main) / total,
        seeds=100 * seeds / total,
    )


def _completed(frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the labelled trials with a value; None for a search, or if there is nothing to compare."""
    if has_search(frame):
        return None
    try:
        runs, _ = labelled(frame)
    except SpecError:
        return None
    return runs.loc[runs["value"].notna()]


def _shared(runs: pd.DataFrame) -> list[str]:
    """Return the columns that distinguish the rows of the comparison."""
    return ["dataset", "architecture", *(name for name in _parameters(runs) if _short(name).startswith(OF_ROWS))]


def _of_methods(runs: pd.DataFrame) -> list[AxisGrid]:
    """Return the grid of each method with a varying setting."""
    return [
        _grid(str(method), own, [*_shared(own), *_settings(own)])
        for method, own in runs.groupby("method", sort=False)
        if _settings(own)
    ]


def _averaged(name: str, names: Sequence[str], explained: Mapping[tuple[str, ...], float]) -> float:
    """Return the sum of squares that an axis adds, averaged over all orders of the axes."""
    others = [other for other in names if other != name]
    added = 0.0
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(names))
        for before in combinations(others, size):
            after = tuple(other for other in names if other in before or other == name)
            added += weight * (explained[after] - explained[before])
    return added


def _explained(codes: Sequence[np.ndarray], values: np.ndarray) -> float:
    """Return the sum of squares that the main effects explain by least squares."""
    design = np.hstack([np.ones((len(values), 1)), *codes])
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    return float(((design @ solution - values.mean()) ** 2).sum())


def _indicators(column: pd.Series) -> np.ndarray:
    codes, found = pd.factorize(column)
    return np.eye(len(found))[codes][:, 1:]


def _grid(name: str, runs: pd.DataFrame, columns: Sequence[str]) -> AxisGrid:
    """Return the grid of the columns that vary."""
    names = {column: setting(_short(column)) for column in columns}
    values = {names[column]: runs[column].fillna(NONE).astype(str) for column in columns}
    varying = {own: column for own, column in values.items() if len(set(column)) > 1}
    return AxisGrid(
        name=name,
        axes=tuple(Axis(name=own, values=_ordered(pd.Series(column))) for own, column in varying.items()),
        trials=pd.DataFrame(varying | {"value": runs["value"]}),
    )


def _settings(runs: pd.DataFrame) -> list[str]:
    """Return the columns of a method's varying settings that distinguish its columns in the comparison."""
    telling = {text.partition("=")[0] for column in runs["column"] for text in column.settings}
    return [
        name
        for name in _parameters(runs)
        if not _short(name).startswith(OF_ROWS)
        and setting(_short(name)) in telling
        and len(set(runs[name].dropna())) > 1
    ]


def _parameters(runs: pd.DataFrame) -> list[str]:
    left_out = {
        f"{PARAMETER_PREFIX}teacher.key",
        f"{PARAMETER_PREFIX}dataset.name",
        f"{PARAMETER_PREFIX}architecture.name",
    }
    return [name for name in map(str, runs) if name.startswith(PARAMETER_PREFIX) and name not in left_out]


def _short(column: str) -> str:
    return column.removeprefix(PARAMETER_PREFIX)


def _ordered(column: pd.Series) -> tuple[str, ...]:
    values = list(dict.fromkeys(column))
    try:
        return tuple(sorted(values, key=lambda value: -math.inf if value == NONE else float(value)))
    except ValueError:
        return tuple(values)

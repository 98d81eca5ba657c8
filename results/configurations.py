"""Comparison of configurations as metrics of their runs in MLflow."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..specs import SpecError
from .frame import metric_names
from .significance import significance
from .statistics import PairedTest
from .table import Cell, comparison, labelled, reported_metric, summed

MEASURES = ("mean", "std", "n", "difference", "difference_low", "difference_high", "gain")
"""Names of the metrics of a configuration, after the name of the reported metric: `test/final/top1/mean`."""


def configuration_metrics(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the metrics of each configuration of a loaded sweep, by its ID.

    They are those of the sweep's main table: mean, sample standard deviation and number of completed seeds of the
    reported metric, difference from the baseline of its row, and the limits of the paired 95% t interval of this
    difference. In a search, `gain` is the difference of tuned from default settings. A configuration that no table
    shows, such as a teacher, has the first three.
    """
    if frame.empty:
        return {}
    metric = reported_metric(frame)
    compared = {id: _measured(*of_cell) for id, of_cell in _compared(frame, metric).items()}
    others = frame.loc[~_configurations(frame).isin(compared) & frame["role"].ne("search")]
    found = compared | {id: _measured(cell, None) for id, cell in _others(others, metric).items()}
    return {id: {f"{metric}/{name}": value for name, value in values.items()} for id, values in found.items()}


def _compared(frame: pd.DataFrame, metric: str) -> dict[str, tuple[Cell, PairedTest | None]]:
    """Return the cell and the test of each configuration in the main table; none while there is nothing to compare."""
    try:
        runs, _ = labelled(frame, metric)
        table = comparison(frame, metric)
    except SpecError:
        return {}
    tests = significance(table).cells
    cells = {
        (row, column): (cell, test)
        for row, of_row, of_tests in zip(table.rows, table.cells, tests, strict=True)
        for column, cell, test in zip(table.columns, of_row, of_tests, strict=True)
    }
    places = zip(_configurations(runs), runs["row"], runs["column"], strict=True)
    return {id: cells[row, column] for id, row, column in places}


def _others(frame: pd.DataFrame, metric: str) -> dict[str, Cell]:
    """Return the summary of each configuration outside the main table."""
    known = metric in metric_names(frame)
    recorded = frame[metric] if known else pd.Series(np.nan, index=frame.index)
    value = recorded.where(frame["state"].eq("done") & np.isfinite(recorded))
    trials = frame.loc[:, ["key", "state", "error", "seed", "seeds"]].assign(value=value, gain=np.nan, search=None)
    return {str(id): summed(own) for id, own in trials.groupby(_configurations(frame), sort=False)}


def _configurations(frame: pd.DataFrame) -> pd.Series:
    """Return the ID of each trial's configuration."""
    ids = [key.rpartition("-s")[0] for key in frame["key"]]
    return pd.Series(ids, index=frame.index, dtype="str")


def _measured(cell: Cell, test: PairedTest | None) -> Mapping[str, float]:
    """Return the metrics of a cell that have a value."""
    low, high = (test and test.t_interval) or (None, None)
    values = (cell.mean, cell.std, cell.n, cell.difference, low, high, cell.gain)
    named = zip(MEASURES, values, strict=True)
    return {name: float(value) for name, value in named if value is not None and math.isfinite(value)}

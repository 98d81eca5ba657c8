"""Stability tables: standard deviation of the accuracy over seeds and over the last epochs."""

import math

import numpy as np
import pandas as pd

from ..captions import PLACE_HEADINGS, names, notes, number, place, places, remarks, title
from ..rendered_table import Heading, RenderedTable, one_line
from ..table import comparison
from .curves import curves

_EPOCHS = 10


def stability(frame: pd.DataFrame, history: pd.DataFrame) -> RenderedTable:
    """Return a table of the standard deviations over seeds and over the last ten epochs.

    Raises:
        SpecError: If there is nothing to compare, or no accuracy by epoch is recorded.
    """
    table, found = comparison(frame), curves(frame, history)
    over_epochs = found.cells(lambda _, curve: _deviation(curve.loc[curve.index[-1] - _EPOCHS + 1 :].to_numpy()))
    shown = [(row, column, cell) for row, column, cell in places(table) if cell.planned is not None]
    unit = table.metric.difference_unit
    return RenderedTable(
        sweep=table.sweep,
        subject="stability",
        title=one_line(f"{title(table)}, with sample standard deviations in {unit}"),
        remarks=(
            *remarks(table),
            "Over seeds: standard deviation of the reported accuracy",
            f"Over epochs: standard deviation of the {found.title} over the last {_EPOCHS} epochs of each trial (all "
            "epochs if fewer), mean over seeds",
        ),
        headings=(
            *PLACE_HEADINGS,
            Heading(lines=("mean",)),
            Heading(lines=("deviation", "over seeds")),
            Heading(lines=("deviation", "over epochs")),
        ),
        stubs=2,
        rows=tuple(
            (
                *place(table, row, column),
                number(cell, cell.mean, table.metric.digits),
                number(cell, cell.std, table.metric.digits),
                number(over_epochs[row, column], over_epochs[row, column].mean, table.metric.digits),
            )
            for row, column, cell in shown
        ),
        notes=tuple(notes(table)),
        records=tuple(
            {
                **names(row, column.label),
                "metric": table.metric.name,
                "mean": cell.mean,
                "std_over_seeds": cell.std,
                "n": cell.n,
                "planned": cell.planned,
                "metric_of_epochs": found.metric.name,
                "std_over_epochs": over_epochs[row, column].mean,
            }
            for row, column, cell in shown
        ),
    )


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan

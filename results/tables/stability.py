"""How much accuracy varies: from seed to seed, and from epoch to epoch at the end."""

import math

import numpy as np
import pandas as pd

from ..captions import PLACE_HEADINGS, names, notes, number, place, places, remarks, title
from ..rendered_table import Heading, RenderedTable, one_line
from ..table import comparison
from .curves import curves

_EPOCHS = 10


def stability(frame: pd.DataFrame, history: pd.DataFrame) -> RenderedTable:
    """Set the standard deviation over seeds beside that over the last ten epochs.

    Raises `SpecError` where there is nothing to compare, or no accuracy is recorded epoch by epoch.
    """
    table, found = comparison(frame), curves(frame, history)
    over_epochs = found.cells(lambda _, curve: _deviation(curve[-_EPOCHS:]))
    shown = [(row, column, cell) for row, column, cell in places(table) if cell.planned is not None]
    unit = table.metric.difference_unit
    return RenderedTable(
        sweep=table.sweep,
        subject="stability",
        title=one_line(f"{title(table)}, and its sample standard deviations in {unit}"),
        remarks=(
            *remarks(table),
            "Over seeds: of what is reported",
            f"Over epochs: of the {found.title}, within each trial over its last {_EPOCHS} epochs, or all where there "
            "are fewer; then the mean over seeds",
        ),
        headings=(
            *PLACE_HEADINGS,
            Heading(lines=("mean",)),
            Heading(lines=("deviation", "over seeds")),
            Heading(lines=("deviation", "over epochs")),
        ),
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

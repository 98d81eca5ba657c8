"""Convergence tables: epochs until a method reaches the baseline's final accuracy."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ..captions import PLACE_HEADINGS, names, notes, number, place, places, remarks, title
from ..labels import RowLabel
from ..rendered_table import Heading, RenderedTable, TableEntry
from ..table import Cell, Table, comparison
from .curves import Curves, curves

_SHARES = (0.9, 0.95, 0.99, 1.0)
"""Shares of the baseline's final accuracy."""


def convergence(frame: pd.DataFrame, history: pd.DataFrame) -> RenderedTable:
    """Return a table of the epochs that each method needs to reach shares of the baseline's final accuracy.

    Raises:
        SpecError: If there is nothing to compare, or no accuracy by epoch is recorded.
    """
    table, found = comparison(frame), curves(frame, history)
    targets = _targets(table, found)
    areas = found.cells(lambda _, curve: _area(curve))
    reached = {
        share: found.cells(partial(_epoch_of, {row: share * target for row, target in targets.items()}))
        for share in _SHARES
    }
    shown = [(row, column) for row, column, cell in places(table) if cell.planned is not None]
    return RenderedTable(
        sweep=table.sweep,
        subject="convergence",
        title=title(table, "epochs to reach a share of the baseline's final accuracy"),
        remarks=(
            f"Accuracy: {found.title}, after each epoch",
            "Target: share of the baseline's mean accuracy over seeds after the last epoch",
            *remarks(table)[1:],
            "Epochs: first epoch at or above the target, mean over trials that reach it; 2 of 3: one trial does not",
            "Area: mean accuracy in % over all epochs (trapezoid rule)",
        ),
        headings=(
            *PLACE_HEADINGS,
            *(Heading(lines=("epochs to", f"{share:.0%}")) for share in _SHARES),
            Heading(lines=("area",)),
        ),
        stubs=2,
        rows=tuple(
            (
                *place(table, row, column),
                *(_entry(reached[share][row, column], digits=1) for share in _SHARES),
                _entry(areas[row, column], digits=2),
            )
            for row, column in shown
        ),
        notes=tuple(notes(table)),
        records=tuple(
            {
                **names(row, column.label),
                "metric": found.metric.name,
                "quantity": quantity,
                "mean": cell.mean,
                "std": cell.std,
                "n": cell.n,
                "planned": cell.planned,
                "target": None if share is None else share * targets[row] if row in targets else None,
            }
            for row, column in shown
            for quantity, share, cell in (
                *((f"epochs to {share:.0%}", share, reached[share][row, column]) for share in _SHARES),
                ("area", None, areas[row, column]),
            )
        ),
    )


def _targets(table: Table, found: Curves) -> dict[RowLabel, float]:
    """Return the baseline's final accuracy on each row that has one."""
    final = found.cells(lambda _, curve: float(curve.iloc[-1]))
    ends = {
        row: final[row, table.baseline].mean for row in table.rows if table.baseline and (row, table.baseline) in final
    }
    return {row: mean for row, mean in ends.items() if mean is not None}


def _epoch_of(targets: dict[RowLabel, float], row: RowLabel, curve: pd.Series) -> float:
    """Return the first epoch, counted from 1, that reaches the target; NaN if none does."""
    reaching = curve.index.to_numpy()[(curve >= targets.get(row, math.inf)).to_numpy()]
    return float(reaching[0]) if len(reaching) else math.nan


def _area(curve: pd.Series) -> float:
    epochs = curve.index.to_numpy("float64")
    return float(np.trapezoid(curve, epochs) / (epochs[-1] - epochs[0])) if len(curve) > 1 else float(curve.iloc[0])


def _entry(cell: Cell, *, digits: int) -> TableEntry:
    written = number(cell, cell.mean, digits)
    if cell.mean is None:
        return replace(written, text=cell.outcome.replace("not measured", "not reached"))
    return written if cell.std is None else replace(written, text=f"{written.text} ± {cell.std:.{digits}f}")

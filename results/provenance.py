"""Trials behind a cell of the comparison, with their MLflow runs and files."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..specs import unknown
from .captions import detail, places, row_label, value
from .frame import PARAMETER_PREFIX
from .metrics import Metric
from .rendered_table import Heading, RenderedTable, TableEntry, one_line
from .table import Cell, Table, comparison, labelled

_SOURCES = {"teacher": f"{PARAMETER_PREFIX}teacher.key", "backbone": "backbone"}
"""Column with the key of the trial whose weights a trial needed, by the role of that trial."""
_HEADINGS: dict[str, Literal["left", "right", "wrap"]] = {
    "method": "left",
    "seed": "right",
    "role": "left",
    "state": "left",
    "value": "right",
    "trial": "left",
    "MLflow run": "left",
    "commit": "left",
    "files": "wrap",
}


def explain(
    frame: pd.DataFrame, architecture: str, method: str, files: Callable[[str], Iterable[str]] = lambda _: ()
) -> RenderedTable:
    """Return a table of the trials behind a method on an architecture, and of their teachers and backbones.

    Args:
        frame: a loaded sweep.
        architecture: name as in the sweep file.
        method: name of a method, for all its settings, or the label of a column of the main table.
        files: returns the names of a trial's files by its key.

    Raises:
        SpecError: A `ValueError`, if the sweep does not compare the architecture or the method.
    """
    table, (runs, metric) = comparison(frame), labelled(frame)
    known = list(dict.fromkeys(row.architecture for row in table.rows))
    if architecture not in known:
        raise unknown("architecture", architecture, known, field="architecture")
    named = list(dict.fromkeys(name for column in table.columns for name in (column.method, column.label)))
    if method not in named:
        raise unknown("method", method, named, field="method")
    is_asked = [
        row.architecture == architecture and method in (column.method, column.label)
        for row, column in zip(runs["row"], runs["column"], strict=True)
    ]
    trials = runs.loc[is_asked]
    sources = [
        of_role.assign(
            label=of_role["method"] + " on " + of_role["architecture"],
            role=role,
            number=of_role.get(metric.name, np.nan),
        )
        for role, name in _SOURCES.items()
        for of_role in (frame.loc[frame["key"].isin(trials[name].dropna() if name in trials else [])],)
    ]
    compared = trials.assign(label=[column.label for column in trials["column"]], number=trials["value"])
    behind = pd.concat([compared, *sources])
    records = [_record(trial, files(trial["key"])) for trial in behind.to_dict("records")]
    return RenderedTable(
        sweep=table.sweep,
        subject=f"{architecture} {method}",
        title=one_line(f"{table.sweep}: trials of {method} on {architecture}"),
        remarks=(f"Value: {metric.title}{f' in {metric.unit}' if metric.unit else ''}", f"Protocol: {table.protocol}"),
        headings=tuple(Heading(lines=(name,), align=align) for name, align in _HEADINGS.items()),
        stubs=2,
        rows=tuple(
            tuple(TableEntry(text=_written(record[name], metric.digits)) for name in _HEADINGS) for record in records
        ),
        notes=tuple(_cells(table, architecture, method)),
        records=tuple(records),
    )


def _record(trial: Mapping[Any, Any], files: Iterable[str]) -> dict[str, str | int | float | None]:
    return {
        "method": trial["label"],
        "seed": trial["seed"],
        "role": trial["role"],
        "state": trial["state"],
        "value": None if pd.isna(trial["number"]) else trial["number"],
        "trial": trial["key"],
        "MLflow run": trial["run_id"],
        "commit": "" if pd.isna(trial["commit"]) else trial["commit"],
        "files": ", ".join(files),
    }


def _written(content: str | float | None, digits: int) -> str:
    if content is None:
        return "–"
    return f"{content:.{digits}f}" if isinstance(content, float) else one_line(str(content))


def _cells(table: Table, architecture: str, method: str) -> list[str]:
    """Return notes with the cells of the main table."""
    return [
        one_line(f"{row_label(table, row)}, {column.label}: {', '.join(_said(cell, table.metric))}.")
        for row, column, cell in places(table)
        if row.architecture == architecture and method in (column.method, column.label) and cell.planned is not None
    ]


def _said(cell: Cell, metric: Metric) -> list[str]:
    return [value(cell, metric), *detail(cell, metric)]

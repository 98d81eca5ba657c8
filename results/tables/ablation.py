"""Ablation tables: two settings of one method against each other."""

import itertools
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from ...specs import SpecError, unknown
from ...store.labels import setting
from ..captions import gaps, plain, spread
from ..frame import PARAMETER_PREFIX
from ..labels import besides, with_labels
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..search import has_search
from ..table import NOT_RUN, Cell, labelled, ranked, results, summed

_NONE = "none"
"""Value of a setting that has no effect on the trial."""
OF_ROWS = ("dataset.", "architecture.", "recipe.")
"""Parameters that distinguish the rows of the comparison."""
_Place = tuple[str, str]
"""Other varying settings, and the value of the row axis."""


def ablation(
    frame: pd.DataFrame, *, rows: str | None = None, columns: str | None = None, method: str | None = None
) -> RenderedTable:
    """Return a table of two axes of one method; other varying settings get rows of their own.

    An axis is the name of a setting in the sweep file, such as `temperature`; `architecture`; or `dataset`. If two
    settings have the same name, use the full name, such as `method.temperature`.

    Args:
        frame: a loaded sweep.
        rows: axis along the rows.
        columns: axis along the columns.
        method: method to show; optional if only one method varies in both axes.

    Raises:
        SpecError: If an axis is missing or unknown, if no method or several vary in both, or if the sweep is a search.
    """
    if has_search(frame):
        raise SpecError(
            "a search has no ablation: it tunes the settings of each method, so they are not axes; choose another kind."
        )
    runs, metric = labelled(frame)
    down, across = _axis(runs, rows, "rows"), _axis(runs, columns, "columns")
    runs = _of_method(runs, down, across, method)
    runs = runs.assign(
        down=runs[down].fillna(_NONE), across=runs[across].fillna(_NONE), other=besides(runs, [down, across])
    )
    values = [str(value) for value in dict.fromkeys(runs["across"])]
    grid: dict[_Place, list[Cell]] = {}
    for other, of_other in runs.groupby("other", sort=False):
        for value, of_row in of_other.groupby("down", sort=False):
            cells = {str(own): summed(trials) for own, trials in of_row.groupby("across", sort=False)}
            found = [cells.get(own, NOT_RUN) for own in values]
            grid[str(other), str(value)] = ranked(found, metric)

    name, of_rows, of_columns = str(runs["method"].iloc[0]), _said(down), _said(across)
    places = [
        (other, value, own, cell)
        for (other, value), cells in grid.items()
        for own, cell in zip(values, cells, strict=True)
    ]
    counts = {cell.n if cell.complete else None for *_, cell in places}
    unit = f" in {metric.unit}" if metric.unit else ""
    return RenderedTable(
        sweep=runs["sweep"].iloc[0],
        subject=f"ablation {of_rows} {of_columns}",
        title=one_line(f"{runs['sweep'].iloc[0]}: {name}, {of_rows} against {of_columns}: {metric.title}{unit}"),
        remarks=(
            f"Protocol: {' and '.join(runs['protocol'].unique())}",
            f"Cells: {spread(counts.pop() if len(counts) == 1 else None)}",
            *gaps(grid.values()),
        ),
        ranked="mean of each row" if metric.best else "",
        headings=(
            Heading(lines=("",), align="left"),
            *(Heading(lines=(one_line(f"{of_columns}={own}"),)) for own in values),
        ),
        rows=tuple(
            (TableEntry(text=one_line(f"{other} {of_rows}={value}")), *(plain(cell, metric) for cell in cells))
            for (other, value), cells in grid.items()
        ),
        notes=tuple(
            one_line(f"{other} {of_rows}={value}, {of_columns}={own}: {cell.note}.")
            for other, value, own, cell in places
            if cell.note
        ),
        records=tuple(
            {
                "method": name,
                "besides": other,
                "rows": of_rows,
                "row": value,
                "columns": of_columns,
                "column": own,
                "metric": metric.name,
                "mean": cell.mean,
                "std": cell.std,
                "n": cell.n,
                "planned": cell.planned,
                "note": cell.note,
            }
            for other, value, own, cell in places
        ),
    )


def varying_pairs(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return all pairs of varying settings of each method, as (method, row axis, column axis) with full names.

    A setting that follows from another one is not an axis, because it distinguishes no columns of the comparison.

    Raises:
        SpecError: If there is nothing to compare.
    """
    runs = with_labels(results(frame))
    pairs: list[tuple[str, str, str]] = []
    for method, trials in runs.groupby("method", sort=False):
        telling = {text.partition("=")[0] for column in trials["column"] for text in column.settings}
        names = [
            name.removeprefix(PARAMETER_PREFIX)
            for name in map(str, trials.columns)
            if name.startswith(PARAMETER_PREFIX) and len(set(trials[name].fillna(""))) > 1
        ]
        varying = [
            name
            for name in names
            if not name.startswith(OF_ROWS) and name != "teacher.key" and setting(name) in telling
        ]
        pairs += [(str(method), down, across) for down, across in itertools.combinations(varying, 2)]
    return pairs


def _axis(runs: pd.DataFrame, name: str | None, field: str) -> str:
    """Return the column of the frame that an axis denotes."""
    axes = _axes(runs)
    if name is None:
        raise SpecError("an ablation needs two axes; give one for the rows and one for the columns.", field=field)
    if name not in axes:
        raise unknown("axis", name, axes, field=field)
    return axes[name]


def _axes(runs: pd.DataFrame) -> Mapping[str, str]:
    """Return the column of each axis name; ambiguous short names are omitted, full names are not."""
    names = [name for name in map(str, runs.columns) if name.startswith(PARAMETER_PREFIX)]
    count = Counter(map(_said, names))
    full = {name.removeprefix(PARAMETER_PREFIX): name for name in names}
    short = {_said(name): name for name in names if count[_said(name)] == 1}
    return full | short | {"architecture": "architecture", "dataset": "dataset"}


def _said(column: str) -> str:
    """Return the name of a column of the frame in the sweep file."""
    return setting(column.removeprefix(PARAMETER_PREFIX))


def _of_method(runs: pd.DataFrame, down: str, across: str, method: str | None) -> pd.DataFrame:
    """Return the trials of `method`, or of the only method that varies in both axes."""
    if down == across:
        raise SpecError("the two axes of an ablation must differ; choose another setting.", field="columns")
    able = [
        str(name)
        for name, trials in runs.groupby("method", sort=False)
        if all(trials[axis].nunique(dropna=False) > 1 for axis in (down, across))
    ]
    axes = f"{_said(down)} and {_said(across)}"
    if method is None and len(able) != 1:
        several = f"several methods vary in both {axes}: {', '.join(able)}; choose one."
        raise SpecError(several if able else f"no method varies in both {axes}; choose other axes.", field="method")
    if method is not None and method not in able:
        raise unknown(f"method that varies in both {axes}:", method, able, field="method")
    return runs.loc[runs["method"] == (method or able[0])]

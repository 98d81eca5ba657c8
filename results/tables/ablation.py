"""Two settings of one method against each other."""

import itertools
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from ...specs import SpecError, unknown
from ..captions import gaps, plain, spread
from ..frame import PARAMETER_PREFIX
from ..labels import besides, setting
from ..labels import columns as columns_of
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..search import has_search
from ..table import NOT_RUN, Cell, labelled, ranked, results, summed

_NONE = "none"
"""Stands for a setting where it does not matter for the trial."""
_OF_ROWS = ("dataset.", "architecture.", "recipe.")
"""Parameters that tell the rows of the comparison apart."""
_Place = tuple[str, str]
"""What else varies, and the value of the axis that goes down the rows."""


def ablation(
    frame: pd.DataFrame, *, rows: str | None = None, columns: str | None = None, method: str | None = None
) -> RenderedTable:
    """Set two axes of one method against each other; whatever else varies makes further rows.

    An axis is a setting as the sweep file names it, such as `temperature`, in full where two have one name, such as
    `method.temperature`, or `architecture` or `dataset`. `method` may be left out where one method alone has both.

    Raises `SpecError` where an axis is missing or unknown, no method or several have both, or the sweep is a search.
    """
    if has_search(frame):
        raise SpecError("a search tunes its settings for each method: there are no axes to set against each other.")
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
    """List each two settings of a method that vary, in full, after the method: what an ablation can be of.

    What tells no columns of the comparison apart, as it follows from another setting, is none. Raises `SpecError`
    where there is nothing to compare.
    """
    runs = results(frame)
    told = pd.Series(columns_of(runs), index=runs.index)
    pairs: list[tuple[str, str, str]] = []
    for method, trials in runs.groupby("method", sort=False):
        telling = {text.partition("=")[0] for column in told[trials.index] for text in column.settings}
        names = [
            name.removeprefix(PARAMETER_PREFIX)
            for name in map(str, trials.columns)
            if name.startswith(PARAMETER_PREFIX) and len(set(trials[name].fillna(""))) > 1
        ]
        varying = [
            name
            for name in names
            if not name.startswith(_OF_ROWS) and name != "teacher.key" and setting(name) in telling
        ]
        pairs += [(str(method), down, across) for down, across in itertools.combinations(varying, 2)]
    return pairs


def _axis(runs: pd.DataFrame, name: str | None, field: str) -> str:
    """The column of the frame that an axis is."""
    axes = _axes(runs)
    if name is None:
        raise SpecError("an ablation needs two axes: one for the rows and one for the columns.", field=field)
    if name not in axes:
        raise unknown("axis", name, axes, field=field)
    return axes[name]


def _axes(runs: pd.DataFrame) -> Mapping[str, str]:
    """What an axis may be called, and its column; names that two columns have are left out, full names are not."""
    names = [name for name in map(str, runs.columns) if name.startswith(PARAMETER_PREFIX)]
    count = Counter(map(_said, names))
    full = {name.removeprefix(PARAMETER_PREFIX): name for name in names}
    short = {_said(name): name for name in names if count[_said(name)] == 1}
    return full | short | {"architecture": "architecture", "dataset": "dataset"}


def _said(column: str) -> str:
    """Name a column of the frame as the sweep file does."""
    return setting(column.removeprefix(PARAMETER_PREFIX))


def _of_method(runs: pd.DataFrame, down: str, across: str, method: str | None) -> pd.DataFrame:
    """The trials of the method that is asked for, or of the only one that varies in both axes."""
    if down == across:
        raise SpecError("the two axes of an ablation must differ.", field="columns")
    able = [
        str(name)
        for name, trials in runs.groupby("method", sort=False)
        if all(trials[axis].nunique(dropna=False) > 1 for axis in (down, across))
    ]
    axes = f"{_said(down)} and {_said(across)}"
    if method is None and len(able) != 1:
        which = f"these do: {', '.join(able)}; say which" if able else "none does"
        raise SpecError(f"one method has to vary in both {axes}, but {which}.", field="method")
    if method is not None and method not in able:
        raise unknown(f"method that varies in both {axes}:", method, able, field="method")
    return runs.loc[runs["method"] == (method or able[0])]

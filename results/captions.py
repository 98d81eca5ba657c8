"""Titles, remarks, notes and cells of tables, as texts that all formats share."""

from collections.abc import Iterable, Iterator

from .labels import Column, RowLabel
from .metrics import Metric
from .rendered_table import Heading, Rank, TableEntry, one_line
from .table import Cell, Table


def title(table: Table, shown: str = "") -> str:
    """Return the title of a table: its metric with unit, or `shown` instead."""
    datasets = {row.dataset for row in table.rows}
    where = f" on {dataset_name(datasets.pop())}" if len(datasets) == 1 else ""
    unit = f" in {table.metric.unit}" if table.metric.unit else ""
    return one_line(f"{table.sweep}{where}: {shown or f'{table.metric.title}{unit}'}")


def remarks(table: Table) -> list[str]:
    """Return the remarks on protocol, search budgets, spread over seeds and commits."""
    said = [f"Protocol: {table.protocol}"]
    if table.is_of_search:
        said.append(_budgets(table))
    said.append(spread(table.seeds))
    if table.commits:
        said.append(f"Commit: {', '.join(table.commits)}")
    return said


def signs(table: Table) -> list[str]:
    """Return the remarks that explain the signed numbers of the cells."""
    said = []
    if table.baseline:
        said.append(f"Signed numbers: difference from {table.baseline.label} in {table.metric.difference_unit}")
    if any(cell.gain is not None for _, _, cell in places(table)):
        over = "tuned minus default settings, mean over shared seeds"
        said.append(f"Gain: {over}, in {table.metric.difference_unit}")
    return said


def gaps(rows: Iterable[Iterable[Cell]]) -> list[str]:
    """Return the remark on cells without a trial; empty if every cell has one.

    Where `25%` and `50%` select the same block, the trial is listed under the first.
    """
    is_there = any(cell.planned is None for cells in rows for cell in cells)
    return ["Not run: no recorded trial, or identical to another column"] if is_there else []


def spread(seeds: int | None) -> str:
    """Return the remark that explains `97.10 ± 0.22`; `seeds` is None if cells have different numbers of seeds."""
    match seeds:
        case None:
            return "Mean ± sample standard deviation over the n completed seeds"
        case 1:
            return "Single seed (n = 1), no standard deviation"
        case _:
            return f"Mean ± sample standard deviation over n = {seeds} seeds"


def notes(table: Table) -> list[str]:
    """Return a note for each cell with missing seeds, with the reasons, and for each search that mostly failed."""
    lacking = [
        one_line(f"{row_label(table, row)}, {column.label}: {cell.note}.")
        for row, column, cell in places(table)
        if cell.planned and not cell.complete
    ]
    failed = [
        one_line(f"{row_label(table, row)}, {cell.search.column.label}: {cell.warning}.")
        for row, _, cell in places(table)
        if cell.search and cell.warning
    ]
    return [*lacking, *dict.fromkeys(failed)]  # several cells may come from one search


def row_label(table: Table, row: RowLabel) -> str:
    """Return the label of a row: dataset if the table has several, architecture, settings that vary."""
    several = len({row.dataset for row in table.rows}) > 1
    names = (dataset_name(row.dataset), row.architecture) if several else (row.architecture,)
    return one_line(" ".join([*names, ", ".join(row.settings)]))


def dataset_name(dataset: str) -> str:
    """Return the name of a dataset for people: the last part of the path of a directory of images."""
    kind, separator, path = dataset.partition(":")
    return path.rstrip("/").rpartition("/")[2] or dataset if separator and kind == "folder" else dataset


PLACE_HEADINGS = (Heading(lines=("architecture",), align="left"), Heading(lines=("method",), align="left"))
"""Headings of the two entries that `place` returns."""


def place(table: Table, row: RowLabel, column: Column) -> tuple[TableEntry, TableEntry]:
    """Return the entries for architecture and method, for tables with one row per cell of the comparison."""
    return TableEntry(text=row_label(table, row)), TableEntry(text=one_line(column.label))


def heading(column: Column) -> Heading:
    """Return the heading of a column: the method, and its settings below."""
    return Heading(lines=(one_line(column.method), *map(one_line, column.settings)))


def entry(cell: Cell, metric: Metric, *, mark: str = "") -> TableEntry:
    """Return the entry of a cell: its value, and difference, gain and number of seeds below."""
    beside = ", ".join(detail(cell, metric))
    return TableEntry(text=value(cell, metric), details=(beside,) if beside else (), rank=_rank(cell), mark=mark)


def plain(cell: Cell, metric: Metric) -> TableEntry:
    """Return the entry of a cell without its difference: its value, and `2 of 3` below if seeds are missing."""
    return TableEntry(text=value(cell, metric), details=_missing(cell), rank=_rank(cell))


def number(cell: Cell, quantity: float | None, digits: int) -> TableEntry:
    """Return the entry of one number of a cell, with `2 of 3` below if seeds are missing; – without a number."""
    return TableEntry(text="–" if quantity is None else f"{quantity:.{digits}f}", details=_missing(cell))


def record(table: Table, row: RowLabel, column: Column, cell: Cell) -> dict[str, str | float | int | None]:
    """Return the numbers of a cell in full precision, in the metric's unit."""
    return {
        **names(row, column.label),
        "metric": table.metric.name,
        "protocol": table.protocol,
        "mean": cell.mean,
        "std": cell.std,
        "n": cell.n,
        "planned": cell.planned,
        "difference": cell.difference,
        **({"gain": cell.gain} if table.is_of_search else {}),
        "note": ", ".join(filter(None, (cell.note, cell.warning))),
    }


def names(row: RowLabel, method: str) -> dict[str, str]:
    """Return the fields that identify a record within its table."""
    return {
        "dataset": row.dataset,
        "architecture": row.architecture,
        "settings": ", ".join(row.settings),
        "method": method,
    }


def value(cell: Cell, metric: Metric) -> str:
    """Format a cell as `97.10 ± 0.22`, without ± for a single seed; without a mean, return the outcome of the seeds."""
    if cell.mean is None:
        return cell.outcome
    deviation = "" if cell.std is None else f" ± {cell.std:.{metric.digits}f}"
    return f"{cell.mean:.{metric.digits}f}{deviation}"


def detail(cell: Cell, metric: Metric) -> list[str]:
    """Return difference, gain and number of seeds of a cell, such as `+1.17`, `gain +0.42`, `n=3`.

    The number of seeds is `2 of 3` if seeds are missing, and is omitted if no trial is recorded.
    """
    signed = [] if cell.difference is None else [f"{cell.difference:+z.{metric.digits}f}"]
    if cell.gain is not None:
        signed.append(f"gain {cell.gain:+z.{metric.digits}f}")
    if cell.planned is None:
        return signed
    return [*signed, f"n={cell.n}" if cell.complete else f"{cell.n} of {cell.planned}"]


def places(table: Table) -> Iterator[tuple[RowLabel, Column, Cell]]:
    """Iterate over all shown cells with their row and column, row by row."""
    for row, cells in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            if table.is_shown(row, column):
                yield row, column, cell


def _missing(cell: Cell) -> tuple[str, ...]:
    is_short = cell.planned is not None and not cell.complete
    return (f"{cell.n} of {cell.planned}",) if is_short else ()


def _rank(cell: Cell) -> Rank | None:
    return "best" if cell.best else "second" if cell.second else None


def _budgets(table: Table) -> str:
    """Return the remark on the search budget of each method; one sentence if all budgets are equal."""
    budgets: dict[tuple[str, str], str] = {}
    for row, column, cell in places(table):
        if cell.search:
            budgets[row_label(table, row), cell.search.column.label] = cell.search.budget
        elif cell.planned is not None:
            budgets[row_label(table, row), column.label] = "no search"
    distinct = list(dict.fromkeys(budgets.values()))
    if len(distinct) == 1:
        return f"Each method tuned with {distinct[0]}"
    named = {method: budget for (_, method), budget in budgets.items()}
    if any(named[method] != budget for (_, method), budget in budgets.items()):
        named = {f"{row} {method}": budget for (row, method), budget in budgets.items()}
    names = {budget: ", ".join(name for name, own in named.items() if own == budget) for budget in distinct}
    return "Budgets differ: " + "; ".join(f"{names[budget]} with {budget}" for budget in distinct)

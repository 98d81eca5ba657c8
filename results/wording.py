"""What a table says in the same words in every format."""

from collections.abc import Iterator
from itertools import zip_longest

from .labels import Column, Row
from .metrics import Metric
from .table import Cell, Table


def one_line(text: str) -> str:
    """Return recorded text without line breaks and control characters, which would break every layout."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def caption(table: Table, *, best: str) -> str:
    """Say what the numbers are; `best` is how the best mean of a row is marked, e.g. `in bold`."""
    datasets = {row.dataset for row in table.rows}
    where = f" on {datasets.pop()}" if len(datasets) == 1 else ""
    unit = f" in {table.metric.unit}" if table.metric.unit else ""
    spread = "mean ± sample standard deviation over"
    sentences = [f"{table.sweep}{where}: {table.metric.title}{unit}", f"Protocol: {table.protocol}"]
    if table.is_of_search:
        sentences.append(_budgets(table))
    match table.seeds:
        case None:
            sentences.append(f"Cells: {spread} the n seeds that are done")
        case 1:
            sentences.append("Cells: n = 1 seed, hence no standard deviation")
        case seeds:
            sentences.append(f"Cells: {spread} n = {seeds} seeds")
    if table.baseline:
        sentences.append(f"Signed numbers: difference to {table.baseline.label} in {table.metric.difference_unit}")
    if any(cell.gain is not None for _, _, cell in _places(table)):
        over = "tuned minus default settings over the same seeds"
        sentences.append(f"Gain: {over} in {table.metric.difference_unit}")
    if table.metric.best:
        sentences.append(f"Best mean of each row {best}")
    return one_line(". ".join(sentences)) + "."


def notes(table: Table) -> list[str]:
    """Write a sentence for each cell that lacks planned seeds: which, and why; and one for each search that failed."""
    lacking = [
        one_line(f"{row_label(table, row)}, {column.label}: {cell.note}.")
        for row, column, cell in _places(table)
        if cell.planned and not cell.complete
    ]
    failed = [
        one_line(f"{row_label(table, row)}, {cell.search.column.label}: {cell.warning}.")
        for row, _, cell in _places(table)
        if cell.search and cell.warning
    ]
    return [*lacking, *dict.fromkeys(failed)]  # several cells may come from one search


def row_label(table: Table, row: Row) -> str:
    """Name the architecture, after the data set if the table has several, before the settings that vary."""
    several = len({row.dataset for row in table.rows}) > 1
    names = (row.dataset, row.architecture) if several else (row.architecture,)
    return one_line(" ".join([*names, ", ".join(row.settings)]))


def header(table: Table) -> list[tuple[str, ...]]:
    """Return the lines of the heading: the methods, then their settings, one under the other."""
    columns = [(one_line(column.method), *map(one_line, column.settings)) for column in table.columns]
    return list(zip_longest(("architecture",), *columns, fillvalue=""))


def value(cell: Cell, metric: Metric) -> str:
    """Write `97.10 ± 0.22`, below two seeds without the ±; or, without a mean, what became of the seeds."""
    if cell.mean is None:
        return cell.outcome
    spread = "" if cell.std is None else f" ± {cell.std:.{metric.digits}f}"
    return f"{cell.mean:.{metric.digits}f}{spread}"


def detail(cell: Cell, metric: Metric) -> list[str]:
    """Say what stands beside the value: difference, gain and count of seeds, such as `+1.17`, `gain +0.42`, `n=3`.

    The count is `2 of 3` where seeds are missing; there is none where no trial is recorded.
    """
    signed = [] if cell.difference is None else [f"{cell.difference:+z.{metric.digits}f}"]
    if cell.gain is not None:
        signed.append(f"gain {cell.gain:+z.{metric.digits}f}")
    if cell.planned is None:
        return signed
    return [*signed, f"n={cell.n}" if cell.complete else f"{cell.n} of {cell.planned}"]


def _budgets(table: Table) -> str:
    """Say with what effort each method was tuned; that it was equal, only where it was."""
    budgets: dict[tuple[str, str], str] = {}
    for row, column, cell in _places(table):
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


def _places(table: Table) -> Iterator[tuple[Row, Column, Cell]]:
    for row, cells in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            yield row, column, cell

"""What a table says in the same words in every format."""

from collections.abc import Iterable, Iterator

from .labels import Column, RowLabel
from .metrics import Metric
from .rendered_table import Heading, Rank, TableEntry, one_line
from .table import Cell, Table


def title(table: Table, shown: str = "") -> str:
    """Say what the numbers are, or what else of the same trials is shown."""
    datasets = {row.dataset for row in table.rows}
    where = f" on {datasets.pop()}" if len(datasets) == 1 else ""
    unit = f" in {table.metric.unit}" if table.metric.unit else ""
    return one_line(f"{table.sweep}{where}: {shown or f'{table.metric.title}{unit}'}")


def remarks(table: Table) -> list[str]:
    """Say how the numbers came about: protocol, budgets of a search, spread over seeds, commits."""
    said = [f"Protocol: {table.protocol}"]
    if table.is_of_search:
        said.append(_budgets(table))
    said.append(f"Cells: {spread(table.seeds)}")
    if table.commits:
        said.append(f"Commit: {', '.join(table.commits)}")
    return said


def signs(table: Table) -> list[str]:
    """Say what the signed numbers beside the values are."""
    said = []
    if table.baseline:
        said.append(f"Signed numbers: difference to {table.baseline.label} in {table.metric.difference_unit}")
    if any(cell.gain is not None for _, _, cell in places(table)):
        over = "tuned minus default settings over the same seeds"
        said.append(f"Gain: {over} in {table.metric.difference_unit}")
    return said


def gaps(rows: Iterable[Iterable[Cell]]) -> list[str]:
    """Say what cells without a trial may be: where `25%` and `50%` are one block, the trial stands under the first."""
    is_there = any(cell.planned is None for cells in rows for cell in cells)
    return ["Not run: no trial is recorded, or it is the same as another that is shown"] if is_there else []


def spread(seeds: int | None) -> str:
    """Say what `97.10 ± 0.22` is over; `seeds` is None where cells differ in their number."""
    match seeds:
        case None:
            return "mean ± sample standard deviation over the n seeds that are done"
        case 1:
            return "n = 1 seed, hence no standard deviation"
        case _:
            return f"mean ± sample standard deviation over n = {seeds} seeds"


def notes(table: Table) -> list[str]:
    """Write a sentence for each cell that lacks planned seeds: which, and why; and one for each search that failed."""
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
    """Name the architecture, after the data set if the table has several, before the settings that vary."""
    several = len({row.dataset for row in table.rows}) > 1
    names = (row.dataset, row.architecture) if several else (row.architecture,)
    return one_line(" ".join([*names, ", ".join(row.settings)]))


PLACE_HEADINGS = (Heading(lines=("architecture",), align="left"), Heading(lines=("method",), align="left"))
"""What stands over the entries of `place`."""


def place(table: Table, row: RowLabel, column: Column) -> tuple[TableEntry, TableEntry]:
    """Write the architecture and the method, for sheets with a row for each cell of the table."""
    return TableEntry(text=row_label(table, row)), TableEntry(text=one_line(column.label))


def heading(column: Column) -> Heading:
    """Name the method, and below it its settings."""
    return Heading(lines=(one_line(column.method), *map(one_line, column.settings)))


def entry(cell: Cell, metric: Metric, *, mark: str = "") -> TableEntry:
    """Write a cell: its value and below it what stands beside the value."""
    beside = ", ".join(detail(cell, metric))
    return TableEntry(text=value(cell, metric), details=(beside,) if beside else (), rank=_rank(cell), mark=mark)


def plain(cell: Cell, metric: Metric) -> TableEntry:
    """Write a cell without its difference: its value, and below it `2 of 3` where seeds are missing."""
    return TableEntry(text=value(cell, metric), details=_missing(cell), rank=_rank(cell))


def number(cell: Cell, quantity: float | None, digits: int) -> TableEntry:
    """Write a number of a cell, with `2 of 3` below it where seeds are missing; a – where there is none."""
    return TableEntry(text="–" if quantity is None else f"{quantity:.{digits}f}", details=_missing(cell))


def record(table: Table, row: RowLabel, column: Column, cell: Cell) -> dict[str, str | float | int | None]:
    """Give the numbers of a cell in full, in the metric's unit."""
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
    """Give what tells a record from others of its sheet."""
    return {
        "dataset": row.dataset,
        "architecture": row.architecture,
        "settings": ", ".join(row.settings),
        "method": method,
    }


def value(cell: Cell, metric: Metric) -> str:
    """Write `97.10 ± 0.22`, below two seeds without the ±; or, without a mean, what became of the seeds."""
    if cell.mean is None:
        return cell.outcome
    deviation = "" if cell.std is None else f" ± {cell.std:.{metric.digits}f}"
    return f"{cell.mean:.{metric.digits}f}{deviation}"


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


def places(table: Table) -> Iterator[tuple[RowLabel, Column, Cell]]:
    """Give each cell with the row and column that it is of, row by row."""
    for row, cells in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            yield row, column, cell


def _missing(cell: Cell) -> tuple[str, ...]:
    is_short = cell.planned is not None and not cell.complete
    return (f"{cell.n} of {cell.planned}",) if is_short else ()


def _rank(cell: Cell) -> Rank | None:
    return "best" if cell.best else "second" if cell.second else None


def _budgets(table: Table) -> str:
    """Say with what effort each method was tuned; that it was equal, only where it was."""
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

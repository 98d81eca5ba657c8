"""Best setting of each method, by the reported metric."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..captions import row_label, value
from ..labels import Column, RowLabel
from ..rendered_table import one_line
from ..significance import Significance
from ..statistics import PairedTest
from ..table import Cell, Table

_Place = tuple[Column, Cell, PairedTest | None]


@dataclass(frozen=True, kw_only=True)
class BestSetting:
    """Best setting of one method on one row of the comparison."""

    row: str
    architecture: str
    method: str
    settings: str
    """Settings of the best column; empty for a method with one column."""
    tried: int
    """Number of settings of the method with a mean."""
    value: str
    number: str
    """Mean in full precision, for sorting."""
    n: str
    """Number of completed seeds; `2 of 3` if seeds are missing."""
    difference: str
    """Difference from the baseline; empty for the baseline itself."""
    interval: str
    """95% t interval of the difference; empty with fewer than 3 pairs of seeds."""
    is_significant: bool


def best_settings(table: Table, tests: Significance) -> tuple[BestSetting, ...]:
    """Return the best setting of each method on each row; equal means count as the first in plan order."""
    found = []
    for row, cells, of_row in zip(table.rows, table.cells, tests.cells, strict=True):
        places = list(zip(table.columns, cells, of_row, strict=True))
        for method in dict.fromkeys(column.method for column in table.columns):
            known = [place for place in places if place[0].method == method and place[1].mean is not None]
            if known and (best := _best(table, known)) is not None:
                found.append(_described(table, row, best, len(known)))
    return tuple(found)


def caution(table: Table, settings: Iterable[BestSetting]) -> str:
    """Return the caution about settings that were selected by the numbers they are shown with; empty without such."""
    several = max((one.tried for one in settings), default=0)
    if several < 2 or table.is_of_search:
        return ""
    return (
        f"Best of up to {several} settings, selected by the {table.metric.title} that is shown here, with the same "
        "images and seeds: its mean and difference are biased upwards. To select settings without this bias, run "
        "exeunt search."
    )


def _best(table: Table, known: list[_Place]) -> _Place | None:
    means = [cell.mean for _, cell, _ in known if cell.mean is not None]
    best = table.metric.best_of(means)
    return next((place for place in known if place[1].mean == best), None)


def _described(table: Table, row: RowLabel, place: _Place, tried: int) -> BestSetting:
    column, cell, test = place
    digits = table.metric.digits
    interval = test.t_interval if test else None
    return BestSetting(
        row=row_label(table, row),
        architecture=one_line(row.architecture),
        method=one_line(column.method),
        settings=one_line(", ".join(column.settings)),
        tried=tried,
        value=value(cell, table.metric),
        number=repr(cell.mean),
        n=f"{cell.n}" if cell.complete else f"{cell.n} of {cell.planned}",
        difference=f"{test.mean:+z.{digits}f}" if test else "",
        interval=f"{interval[0]:+z.{digits}f} to {interval[1]:+z.{digits}f}" if interval else "",
        is_significant=bool(test and test.is_significant),
    )

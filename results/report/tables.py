"""Tables of the page: sortable, filtered by architecture, linked to trials."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from ...specs import SpecError
from ...store import Margins
from ..captions import row_label
from ..labels import Column, RowLabel
from ..layout import Page, fitting
from ..rendered_table import Heading, RenderedTable, TableEntry, aligned, one_line
from ..table import Table
from ..tables import KINDS, TableOptions, tabulate
from ..tables.ablation import varying_pairs
from .trials import Trial

NAMES = {
    "main": "Comparison of methods",
    "exits": "Accuracy by exit",
    "early-exit": "Early exit",
    "regimes": "Training regimes",
    "ablation": "Ablation",
    "kd": "Distillation from a teacher",
    "convergence": "Convergence",
    "stability": "Stability",
    "cost": "Cost",
    "published": "Published results",
    "failures": "Trials without a result",
}
"""Headings of the kinds of tables; other kinds use their name."""

_OF_ARCHITECTURES = ("architecture", "student")
"""Headings of the first column of tables with a row for each architecture."""
_PAGE = Page(width=150, gap=3)
"""Characters per line of a window of 1280 pixels."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(?= ± |$)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Cell of a table, with its trials."""

    entry: TableEntry
    text: str
    hidden: str
    """Invisible padding after the text, which aligns numbers."""
    number: str
    """Number to sort by; empty for text."""
    trials: tuple[Trial, ...] = ()
    is_of_seeds: bool = False
    """True if each trial is labelled with its seed."""

    @property
    def anchors(self) -> str:
        """Anchors of the trials, separated by spaces."""
        return " ".join(trial.anchor for trial in self.trials)


@dataclass(frozen=True, kw_only=True)
class Line:
    """Row of a table."""

    places: tuple[Place, ...]
    architecture: str | None
    """Architecture to filter by; None for a row that is always shown."""


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """Table, ready for the page."""

    id: str
    kind: str
    name: str
    sheet: RenderedTable
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    foot: tuple[Line, ...] = ()
    """Rows that summarize the others and are not sorted."""
    columns: tuple[str | None, ...]
    """Architecture of each column to filter by: None for a column that is always shown, empty for one of all."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks below the table, with the explanation of ranks."""
        return (*self.sheet.remarks, *self.sheet.ranks(best="in bold", second="underlined"))


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Kind of table that the data does not allow, with the reason."""

    name: str
    reason: str


def grids(
    frame: pd.DataFrame,
    history: Callable[[], pd.DataFrame],
    table: Table | None,
    cells: Mapping[tuple[RowLabel, Column], tuple[Trial, ...]],
    margins: Margins | None = None,
) -> tuple[tuple[ReportTable, ...], tuple[Absent, ...]]:
    """Return the tables of all kinds that the data allows, and the kinds that it does not allow.

    Args:
        frame: a loaded sweep.
        history: returns the sweep's history.
        table: comparison of the sweep; None if there is nothing to compare.
        cells: trials of the cells of the comparison.
        margins: differences that matter, named in the sweep file.
    """
    made: list[ReportTable] = []
    absent: list[Absent] = []
    no_ablation = "no method has several values of two settings."
    for kind, options in _wanted(frame):
        try:
            sheet = fitting(tabulate(frame, kind, history=history, margins=margins, **options), _PAGE)
        except SpecError as error:
            if kind == "ablation":  # the page lists ablation as missing only if all pairs fail
                no_ablation = str(error)
                continue
            absent.append(Absent(name=NAMES.get(kind, kind), reason=one_line(str(error))))
            continue
        links = _links(table, cells) if table and kind == "main" else {}
        made.append(_grid(sheet, kind, len(made), table, links))
    if not any(grid.kind == "ablation" for grid in made):
        absent.append(Absent(name=NAMES["ablation"], reason=one_line(no_ablation)))
    return tuple(made), tuple(absent)


def _wanted(frame: pd.DataFrame) -> Iterable[tuple[str, TableOptions]]:
    """Iterate over the kinds, with one ablation for each method and pair of its varying settings."""
    for kind in KINDS:
        if kind != "ablation":
            yield kind, {}
            continue
        with suppress(SpecError):  # nothing to compare: the other kinds report it
            for method, down, across in varying_pairs(frame):
                yield kind, {"rows": down, "columns": across, "method": method}


def _grid(
    sheet: RenderedTable, kind: str, index: int, table: Table | None, links: Mapping[tuple[int, int], tuple[Trial, ...]]
) -> ReportTable:
    texts = list(zip(*map(aligned, zip(*sheet.rows, strict=True)), strict=True))
    architectures = _architectures(sheet, kind, table)
    rows = len(table.rows) if table and kind == "main" else 0

    def is_pooled(entry: TableEntry) -> bool:
        return entry.place is not None and entry.place[0] == rows

    lines = tuple(
        Line(
            places=tuple(
                Place(
                    entry=entry,
                    text=text,
                    hidden=hidden,
                    number=_number(text),
                    trials=links.get(entry.place, ()) if entry.place else (),
                    is_of_seeds=not is_pooled(entry),
                )
                for entry, (text, hidden) in zip(row, of_row, strict=True)
            ),
            architecture=architecture,
        )
        for row, of_row, architecture in zip(sheet.rows, texts, architectures, strict=True)
    )
    last = sum(any(entry.place is None or not is_pooled(entry) for entry in row[sheet.stubs :]) for row in sheet.rows)
    name = NAMES.get(kind, kind)
    return ReportTable(
        id=f"table-{index}-{kind}",
        kind=kind,
        name=one_line(sheet.subject.capitalize()) if kind == "ablation" else name,
        sheet=sheet,
        headings=tuple(map(_named, sheet.headings)),
        lines=lines[:last],
        foot=lines[last:],
        columns=_architectures_across(sheet, table if kind == "main" else None),
    )


def _named(heading: Heading) -> Heading:
    """Return a heading that is not empty, because it becomes the sort button."""
    return heading if any(heading.lines) else Heading(lines=("settings",), align=heading.align)


def _links(
    table: Table, cells: Mapping[tuple[RowLabel, Column], tuple[Trial, ...]]
) -> dict[tuple[int, int], tuple[Trial, ...]]:
    """Return the trials of each entry of the main table by its place; pooled entries have those of all rows."""
    links: dict[tuple[int, int], tuple[Trial, ...]] = {}
    for place, column in enumerate(table.columns):
        for number, row in enumerate(table.rows):
            links[number, place] = cells.get((row, column), ())
        compared = [column] if table.baseline in (None, column) else [column, table.baseline]
        links[len(table.rows), place] = tuple(
            trial for row in table.rows for one in compared if one for trial in cells.get((row, one), ())
        )
    return links


def _architectures(sheet: RenderedTable, kind: str, table: Table | None) -> list[str | None]:
    """Return the architecture of each row of a table; None for a row of no architecture, or of all."""
    names = {row_label(table, row): one_line(row.architecture) for row in table.rows} if table else {}
    if kind == "ablation":
        found = {
            one_line(f"{record['besides']} {record['rows']}={record['row']}"): f" {one_line(str(record['besides']))} "
            for record in sheet.records
        }
        said = [found.get(row[0].text, "") for row in sheet.rows]
        return [next((name for name in names.values() if f" {name} " in text), None) for text in said]
    if sheet.headings[0].lines[0] not in _OF_ARCHITECTURES or (kind == "main" and sheet.stubs > 1):
        return [None] * len(sheet.rows)
    if len(sheet.records) == len(sheet.rows):
        return [one_line(str(record["architecture"])) for record in sheet.records]
    return [names.get(row[0].text) for row in sheet.rows]


def _architectures_across(sheet: RenderedTable, table: Table | None) -> tuple[str | None, ...]:
    """Return the architecture of each column: None for several or for names of rows, empty for a column of all."""
    if table is None:
        return (None,) * len(sheet.headings)
    names = [one_line(row.architecture) for row in table.rows]
    found = [{entry.place[0] for entry in column if entry.place} for column in zip(*sheet.rows, strict=True)]
    several = [{names[row] if row < len(names) else "" for row in rows} for rows in found]
    return tuple(of_column.pop() if len(of_column) == 1 else None for of_column in several)


def _number(text: str) -> str:
    found = _NUMBER.match(text)
    return found.group() if found else ""

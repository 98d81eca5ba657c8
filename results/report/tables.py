"""Tables of every kind as the page shows them: sortable, filtered by architecture, linked to trials."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from ...specs import SpecError
from ..captions import row_label
from ..labels import Column, RowLabel
from ..rendered_table import Heading, RenderedTable, TableEntry, aligned, one_line
from ..table import Table
from ..tables import KINDS, tabulate
from ..tables.ablation import varying_pairs
from .trials import Trial

NAMES = {
    "main": "Comparison of methods",
    "exits": "Exit by exit",
    "early-exit": "Early exit",
    "ablation": "Ablation",
    "kd": "With a teacher and without",
    "convergence": "Convergence",
    "stability": "Stability",
    "cost": "Cost",
    "published": "Beside published figures",
    "failures": "Trials without a result",
}
"""What a kind is called in headings; others are called as they are."""

_OF_ARCHITECTURES = ("architecture", "student")
"""How the first column of a table is headed that has a row for each architecture."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(?= ± |$)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What stands in one place of a table, with the trials behind it."""

    entry: TableEntry
    text: str
    hidden: str
    """What has to be left blank behind the text, so that numbers are in line."""
    number: str
    """What it is sorted by; empty for text."""
    trials: tuple[Trial, ...] = ()
    is_of_seeds: bool = False
    """Whether each trial is named by its seed."""

    @property
    def anchors(self) -> str:
        """Of the trials, divided by blanks."""
        return " ".join(trial.anchor for trial in self.trials)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of a table."""

    places: tuple[Place, ...]
    architecture: str | None
    """By which it is filtered; None for one that is always shown."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table, ready for the page."""

    id: str
    kind: str
    name: str
    sheet: RenderedTable
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    foot: tuple[Line, ...] = ()
    """Rows about all others, which are not sorted."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """How it is to be read."""
        return (*self.sheet.remarks, *self.sheet.ranks(best="in bold", second="underlined"))


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A kind of table that the data does not allow."""

    name: str
    reason: str


def grids(
    frame: pd.DataFrame,
    history: Callable[[], pd.DataFrame],
    table: Table | None,
    cells: Mapping[tuple[RowLabel, Column], tuple[Trial, ...]],
) -> tuple[tuple[Grid, ...], tuple[Absent, ...]]:
    """Give the tables of all kinds that the data allows, and the kinds that it does not.

    `table` is the comparison of the sweep, if there is one, and `cells` the trials behind its cells.
    """
    made: list[Grid] = []
    absent: list[Absent] = []
    no_ablation = "no method was trained with several values of two settings."
    for kind, options in _wanted(frame):
        try:
            sheet = tabulate(frame, kind, history=history, **options)
        except SpecError as error:
            if kind == "ablation":  # one pair of settings of several: only that there is none at all is said
                no_ablation = str(error)
                continue
            absent.append(Absent(name=NAMES.get(kind, kind), reason=one_line(str(error))))
            continue
        links = _links(table, cells) if table and kind == "main" else {}
        made.append(_grid(sheet, kind, len(made), table, links))
    if not any(grid.kind == "ablation" for grid in made):
        absent.append(Absent(name=NAMES["ablation"], reason=one_line(no_ablation)))
    return tuple(made), tuple(absent)


def _wanted(frame: pd.DataFrame) -> Iterable[tuple[str, dict[str, str]]]:
    """Each kind, and the ablation once for each method and pair of its settings that vary."""
    for kind in KINDS:
        if kind != "ablation":
            yield kind, {}
            continue
        with suppress(SpecError):  # there is nothing to compare, as the other kinds say
            for method, down, across in varying_pairs(frame):
                yield kind, {"rows": down, "columns": across, "method": method}


def _grid(
    sheet: RenderedTable, kind: str, index: int, table: Table | None, links: Mapping[tuple[int, int], tuple[Trial, ...]]
) -> Grid:
    texts = list(zip(*map(aligned, zip(*sheet.rows, strict=True)), strict=True))
    architectures = _architectures(sheet, kind, table)
    last = len(table.rows) if table and kind == "main" else len(sheet.rows)
    lines = tuple(
        Line(
            places=tuple(
                Place(
                    entry=entry,
                    text=text,
                    hidden=hidden,
                    number=_number(text),
                    trials=links.get((number, place), ()),
                    is_of_seeds=number < last,
                )
                for place, (entry, (text, hidden)) in enumerate(zip(row, of_row, strict=True))
            ),
            architecture=architectures[number],
        )
        for number, (row, of_row) in enumerate(zip(sheet.rows, texts, strict=True))
    )
    name = NAMES.get(kind, kind)
    return Grid(
        id=f"table-{index}-{kind}",
        kind=kind,
        name=one_line(sheet.subject.capitalize()) if kind == "ablation" else name,
        sheet=sheet,
        headings=tuple(map(_named, sheet.headings)),
        lines=lines[:last],
        foot=lines[last:],
    )


def _named(heading: Heading) -> Heading:
    """Never empty, for it is pressed to sort."""
    return heading if any(heading.lines) else Heading(lines=("settings",), align=heading.align)


def _links(
    table: Table, cells: Mapping[tuple[RowLabel, Column], tuple[Trial, ...]]
) -> dict[tuple[int, int], tuple[Trial, ...]]:
    """The trials behind each number of the main table, by row and column of the sheet; the last row is about all."""
    links: dict[tuple[int, int], tuple[Trial, ...]] = {}
    for place, column in enumerate(table.columns, start=1):
        for number, row in enumerate(table.rows):
            links[number, place] = cells.get((row, column), ())
        compared = [column] if table.baseline in (None, column) else [column, table.baseline]
        links[len(table.rows), place] = tuple(
            trial for row in table.rows for one in compared if one for trial in cells.get((row, one), ())
        )
    return links


def _architectures(sheet: RenderedTable, kind: str, table: Table | None) -> list[str | None]:
    """The architecture that each row of a sheet is of; None for a row that is of no architecture, or of all."""
    names = {row_label(table, row): one_line(row.architecture) for row in table.rows} if table else {}
    if kind == "ablation":
        found = {
            one_line(f"{record['besides']} {record['rows']}={record['row']}"): f" {one_line(str(record['besides']))} "
            for record in sheet.records
        }
        said = [found.get(row[0].text, "") for row in sheet.rows]
        return [next((name for name in names.values() if f" {name} " in text), None) for text in said]
    if sheet.headings[0].lines[0] not in _OF_ARCHITECTURES:
        return [None] * len(sheet.rows)
    if len(sheet.records) == len(sheet.rows):
        return [one_line(str(record["architecture"])) for record in sheet.records]
    return [names.get(row[0].text) for row in sheet.rows]


def _number(text: str) -> str:
    found = _NUMBER.match(text)
    return found.group() if found else ""

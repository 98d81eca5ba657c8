"""Exit tables: each exit of each method, and the ensemble of its exits."""

import re

import pandas as pd

from ..captions import PLACE_HEADINGS, gaps, notes, place, places, plain, record, remarks, title
from ..frame import metric_names
from ..rendered_table import Heading, RenderedTable, TableEntry
from ..table import Cell, Table, comparison


def exits(frame: pd.DataFrame) -> RenderedTable:
    """Return a comparison of the methods exit by exit.

    Raises:
        SpecError: If there is nothing to compare.
    """
    final = comparison(frame)
    split, _, measure = final.metric.name.split("/")
    names = exit_names(frame, split, measure)
    tables = {name: comparison(frame, f"{split}/{name}/{measure}") for name in names} or {"final": final}
    cells = {name: [cell for _, _, cell in places(table)] for name, table in tables.items()}
    rows = [
        (
            *place(final, row, column),
            *(_entry(cells[name][index], whole, tables[name]) for name in tables),
        )
        for index, (row, column, whole) in enumerate(places(final))
    ]
    return RenderedTable(
        sweep=final.sweep,
        subject="exits",
        title=title(final).replace(" of the final exit", " of each exit"),
        remarks=(*remarks(final), *gaps(final.cells), "–: the network has no such exit"),
        ranked="mean of each architecture at each exit",
        headings=(
            *PLACE_HEADINGS,
            *(Heading(lines=(name.replace("exit", "exit "),)) for name in tables),
        ),
        stubs=2,
        rows=tuple(rows),
        notes=tuple(notes(final)),
        records=tuple(
            {"exit": name} | record(table, row, column, cell)
            for name, table in tables.items()
            for row, column, cell in places(table)
        ),
    )


def exit_names(frame: pd.DataFrame, split: str, measure: str) -> list[str]:
    """Return the exits with a recorded measure: in order, then the final one and the ensemble."""
    found = {name.split("/")[1] for name in metric_names(frame) if re.fullmatch(rf"{split}/\w+/{measure}", name)}
    numbered = sorted(found - {"final", "ensemble"}, key=lambda name: int(name.removeprefix("exit")))
    return [*numbered, *(name for name in ("final", "ensemble") if name in found)]


def _entry(cell: Cell, whole: Cell, table: Table) -> TableEntry:
    """Return the entry of a cell; – if the network was measured, but not at this exit."""
    return TableEntry(text="–") if cell.mean is None and whole.mean is not None else plain(cell, table.metric)

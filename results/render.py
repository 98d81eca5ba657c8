import csv
import io
import re
import textwrap
from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ..specs import unknown
from .latex import latex
from .table import Cell, Table
from .wording import caption, detail, header, notes, one_line, row_label, value


def render(table: Table, format: str = "text") -> str:
    """Write a table as `text`, `csv`, `latex` or `markdown`, ending in a line break.

    Raises `SpecError` (a `ValueError`) for any other format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS, field="format")
    return FORMATS[format](table)


def to_rich(table: Table) -> RichTable:
    """Build the table for a terminal, best means in bold."""
    grid = _grid(table, mark="")
    grid.title = Text(caption(table, best="in bold"))
    grid.caption = Text("\n".join(notes(table)))
    return grid


def text(table: Table) -> str:
    """Write aligned plain text, as wide as it needs to be and without escape codes; a `*` marks the best."""
    console = Console(file=io.StringIO(), width=10_000, color_system=None, force_jupyter=False)
    with console.capture() as printed:
        console.print(_grid(table, mark="* "))
    lines = [*textwrap.wrap(caption(table, best="marked *"), 100), *printed.get().splitlines(), *notes(table)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(table: Table) -> str:
    """Write a table in GitHub's Markdown, after its caption and before its notes."""
    heading = ["architecture", *(_escape_markdown(one_line(column.label)) for column in table.columns)]
    rows = [
        [_escape_markdown(row_label(table, row)), *(_markdown_cell(cell, table) for cell in cells)]
        for row, cells in zip(table.rows, table.cells, strict=True)
    ]
    rule = ["---", *("---:" for _ in table.columns)]
    lines = [
        _escape_markdown(caption(table, best="in bold")),
        "",
        *(f"| {' | '.join(line)} |" for line in [heading, rule, *rows]),
        *(f"\n{_escape_markdown(note)}" for note in notes(table)),
    ]
    return "\n".join(lines) + "\n"


def tidy_csv(table: Table) -> str:
    """Write a line for each cell; numbers in the metric's unit, in full, and empty where there is none."""
    lines = [
        {
            "dataset": _inert(row.dataset),
            "architecture": _inert(row.architecture),
            "settings": _inert(", ".join(row.settings)),
            "method": _inert(column.label),
            "metric": _inert(table.metric.name),
            "protocol": _inert(table.protocol),
            "mean": cell.mean,
            "std": cell.std,
            "n": cell.n,
            "planned": cell.planned,
            "difference": cell.difference,
            **({"gain": cell.gain} if table.is_of_search else {}),
            "note": _inert(", ".join(filter(None, (cell.note, cell.warning)))),
        }
        for row, cells in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, cells, strict=True)
    ]
    output = io.StringIO()
    writer = csv.DictWriter(output, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return output.getvalue()


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": text,
    "csv": tidy_csv,
    "latex": latex,
    "markdown": markdown,
}
"""The formats of `render`, by name."""


def _grid(table: Table, *, mark: str) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, leading=1, title_justify="left", caption_justify="left")
    for index, lines in enumerate(zip(*header(table), strict=True)):
        grid.add_column(Text("\n".join(lines)), justify="right" if index else "left", overflow="fold")
    for row, cells in zip(table.rows, table.cells, strict=True):
        grid.add_row(Text(row_label(table, row)), *(_rich_cell(cell, table, mark) for cell in cells))
    return grid


def _rich_cell(cell: Cell, table: Table, mark: str) -> Text:
    number = value(cell, table.metric)
    first = (f"{mark}{number}", "bold") if cell.best else number
    return Text.assemble(first, ("\n" + ", ".join(detail(cell, table.metric)), "dim"))


def _markdown_cell(cell: Cell, table: Table) -> str:
    number = value(cell, table.metric)
    more = ", ".join(detail(cell, table.metric))
    return (f"**{number}**" if cell.best else number) + (f" ({more})" if more else "")


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", text)


def _inert(text: str) -> str:
    """Return recorded text on one line, and marked as text where a spreadsheet would run it as a formula."""
    line = one_line(text)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line

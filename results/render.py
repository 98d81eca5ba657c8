import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from ..specs import unknown
from .html import html
from .latex import ARTICLE, Floating, latex
from .layout import Page, panels, wrapped
from .rendered_table import HIDDEN, RenderedTable, TableEntry, aligned, one_line, sentences

_BLANK = "\N{BRAILLE PATTERN BLANK}"
"""Blank character that Rich does not strip from the end of a line."""


TEXT_WIDTH = 100
"""Characters per line of text, if there is no terminal."""
_READABLE = 100
"""Largest number of characters per line of a paragraph."""


def render(
    sheet: RenderedTable,
    format: str = "text",
    *,
    width: float | None = None,
    floating: Floating = "table",
    siunitx: bool = False,
) -> str:
    """Return a table as `text`, `csv`, `latex`, `markdown`, `html` or `json`, ending in a line break.

    Args:
        sheet: the table.
        format: name of the format.
        width: width of the page, for `text` in characters (default 100) and for `latex` in points (default: the
            text of the class `article`). A wider table is turned round, wrapped or divided into panels.
        floating: LaTeX environment; `table*` spans both columns of a page.
        siunitx: align numbers by columns of the LaTeX package siunitx.

    Raises:
        SpecError: A `ValueError`, for any other format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS, field="format")
    if format == "text":
        return text(sheet, TEXT_WIDTH if width is None else width)
    if format == "latex":
        return latex(sheet, ARTICLE if width is None else width, floating=floating, siunitx=siunitx)
    return FORMATS[format](sheet)


def to_rich(sheet: RenderedTable, width: float = TEXT_WIDTH) -> Group:
    """Return a table for a terminal of a width, with best cells in bold and second-best cells underlined."""
    fitted, _ = panels(sheet, [Page(width=width, gap=3, margin=4)])
    said = _paragraph(_said(fitted[0], best="in bold", second="underlined"), width)
    grids = [_grid(panel, best="", second="") for panel in fitted]
    notes = [Text("\n".join(_paragraph(note, width)), style="dim") for note in sheet.notes]
    return Group(Text("\n".join(said), style="italic"), *grids, *notes)


def text(sheet: RenderedTable, width: float = TEXT_WIDTH) -> str:
    """Return aligned plain text without escape codes; `*` marks best cells and `°` second-best cells.

    No word is broken: a word that is longer than a line has one of its own.
    """
    page = Page(width=width, gap=3, margin=3, ranked=lambda characters: characters + 2)
    fitted, _ = panels(sheet, [page])
    console = Console(file=io.StringIO(), width=10_000, color_system=None, force_jupyter=False)
    with console.capture() as printed:
        for panel in fitted:
            console.print(_grid(panel, best="* ", second="° "))
    said = _paragraph(_said(fitted[0], best="marked *", second="°"), width)
    notes = [line for note in sheet.notes for line in _paragraph(note, width)]
    lines = [*said, *printed.get().replace(_BLANK, " ").splitlines(), *notes]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _paragraph(text: str, width: float) -> list[str]:
    return wrapped(text, min(width, _READABLE), len)


def markdown(sheet: RenderedTable) -> str:
    """Return title and remarks, a table in GitHub Markdown, and notes."""
    heading = [_escape_markdown(one_line(" ".join(heading.lines))) for heading in sheet.headings]
    rule = ["---:" if heading.align == "right" else "---" for heading in sheet.headings]
    rows = [[_markdown_entry(entry) for entry in row] for row in sheet.rows]
    lines = [
        _escape_markdown(_said(sheet, best="in bold", second="in italics")),
        "",
        *(f"| {' | '.join(line)} |" for line in [heading, rule, *rows]),
        *(f"\n{_escape_markdown(one_line(note))}" for note in sheet.notes),
    ]
    return "\n".join(lines) + "\n"


def tidy_csv(sheet: RenderedTable) -> str:
    """Return a CSV line for each record, with numbers in full precision; missing numbers are empty."""
    output = io.StringIO()
    names = list(sheet.records[0]) if sheet.records else []
    writer = csv.DictWriter(output, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    for record in sheet.records:
        writer.writerow({name: _inert(value) if isinstance(value, str) else value for name, value in record.items()})
    return output.getvalue()


def to_json(sheet: RenderedTable) -> str:
    """Return title, remarks, notes and records as one JSON object; missing numbers are null."""
    content = {
        "sweep": sheet.sweep,
        "subject": sheet.subject,
        "title": sheet.title,
        "remarks": sheet.remarks,
        "notes": sheet.notes,
        "records": [dict(record) for record in sheet.records],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)

FORMATS: dict[str, Callable[[RenderedTable], str]] = {
    "text": text,
    "csv": tidy_csv,
    "latex": latex,
    "markdown": markdown,
    "html": html,
    "json": to_json,
}
"""The formats of `render`, by name."""


def _said(sheet: RenderedTable, *, best: str, second: str) -> str:
    return sentences([sheet.title, *sheet.remarks, *sheet.ranks(best=best, second=second)])


def _grid(sheet: RenderedTable, *, best: str, second: str) -> RichTable:
    spaced = any(entry.details for row in sheet.rows for entry in row)
    grid = RichTable(box=box.SIMPLE_HEAD, leading=int(spaced), title_justify="left", caption_justify="left")
    for heading, lines in zip(sheet.headings, _even(heading.lines for heading in sheet.headings), strict=True):
        justify = "right" if heading.align == "right" else "left"
        grid.add_column(Text("\n".join(map(one_line, lines))), justify=justify, overflow="fold")
    leads = {"best": (best, "bold"), "second": (second, "underline"), None: ("", "")}
    columns = [
        [_rich_entry(entry, text, behind, *leads[entry.rank]) for entry, text, behind in _written(column)]
        for column in zip(*sheet.rows, strict=True)
    ]
    for row in zip(*columns, strict=True):
        grid.add_row(*row)
    return grid


def _written(column: Sequence[TableEntry]) -> list[tuple[TableEntry, str, str]]:
    """Return each entry of a column with its text, and its mark padded to the width of the column."""
    width = max(len(entry.mark) for entry in column)
    return [
        (
            entry,
            text.replace(HIDDEN, " "),
            entry.mark.ljust(width, _BLANK) + _BLANK * len(hidden),
        )
        for entry, (text, hidden) in zip(column, aligned(column), strict=True)
    ]


def _rich_entry(entry: TableEntry, text: str, behind: str, lead: str, style: str) -> Text:
    written = Text.assemble((f"{lead}{text}", style), behind)
    return Text.assemble(written, *(("\n" + one_line(detail), "dim") for detail in entry.details))


def _even(lines: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Pad headings with empty lines to an equal number of lines."""
    return list(zip(*zip_longest(*lines, fillvalue=""), strict=True))


def _markdown_entry(entry: TableEntry) -> str:
    text = _escape_markdown(one_line(entry.text))
    ranked = {"best": f"**{text}**", "second": f"*{text}*", None: text}[entry.rank] + entry.mark
    return ranked + (f" ({_escape_markdown(one_line(', '.join(entry.details)))})" if entry.details else "")


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", text)


def _inert(text: str) -> str:
    """Return recorded text on one line, quoted if a spreadsheet would run it as a formula; a number is none."""
    line = one_line(text)
    return f"'{line}" if line.startswith(FORMULA_STARTS) and not _NUMBER.fullmatch(line) else line

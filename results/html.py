from collections.abc import Iterable
from html import escape
from itertools import chain

from .rendered_table import HIDDEN, Heading, RenderedTable, TableEntry, aligned, one_line, sentences

_CELL = {"right": ' class="number"', "left": "", "wrap": ""}


def html(sheet: RenderedTable) -> str:
    """Return a `table` element with caption and scoped headings, and a paragraph per note; no style, no script.

    Numbers have the class `number`; to align them, use `text-align: right; font-variant-numeric: tabular-nums`.
    """
    said = sentences([sheet.title, *sheet.remarks, *sheet.ranks(best="in bold", second="underlined")])
    headings = [f'<th scope="col"{_CELL[heading.align]}>{_lines(heading.lines)}</th>' for heading in sheet.headings]
    texts = zip(*map(aligned, zip(*sheet.rows, strict=True)), strict=True)
    rows = [
        f"<tr>{''.join(_cells(sheet.headings, row, of_row))}</tr>"
        for row, of_row in zip(sheet.rows, texts, strict=True)
    ]
    lines = [
        "<table>",
        f"<caption>{escape(said)}</caption>",
        f"<thead><tr>{''.join(headings)}</tr></thead>",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        *(f"<p>{escape(one_line(note))}</p>" for note in sheet.notes),
    ]
    return "\n".join(lines) + "\n"


def _cells(headings: Iterable[Heading], row: Iterable[TableEntry], texts: Iterable[tuple[str, str]]) -> Iterable[str]:
    first, *others = [_entry(entry, *text) for entry, text in zip(row, texts, strict=True)]
    _, *aligns = [_CELL[heading.align] for heading in headings]
    cells = [f"<td{align}>{cell}</td>" for align, cell in zip(aligns, others, strict=True)]
    return chain([f'<th scope="row">{first}</th>'], cells)


def _entry(entry: TableEntry, text: str, hidden: str) -> str:
    written = escape(text)
    ranked = {"best": f"<strong>{written}</strong>", "second": f"<u>{written}</u>", None: written}[entry.rank]
    mark = f"<sup>{escape(entry.mark)}</sup>" if entry.mark else ""
    details = "".join(f"<br><small>{escape(one_line(detail))}</small>" for detail in entry.details)
    return ranked + mark + HIDDEN * len(hidden) + details


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(escape(one_line(line)) for line in lines)

import re
from collections.abc import Iterable

from .table import Cell, Table
from .wording import caption, detail, header, notes, row_label, value

_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "_%&#${}"}
    | {
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        # In the default font encoding these three print as other characters.
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # At the start of a row these two would be taken as arguments of the line break before it.
        "[": "{[}",
        "*": "{*}",
        "±": r"$\pm$",
    }
)


def latex(table: Table) -> str:
    r"""Write a `table` float with caption and label that compiles with `\usepackage{booktabs}` alone."""
    body = [
        line
        for row, cells in zip(table.rows, table.cells, strict=True)
        for line in (
            [escape(row_label(table, row)), *(_value(cell, table) for cell in cells)],
            ["", *(_detail(cell, table) for cell in cells)],
        )
    ]
    footnotes = [rf"\par\smallskip{{\footnotesize {escape(note)}\par}}" for note in notes(table)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption(table, best='in bold'))}}}",
        rf"\label{{tab:{_slug(table.sweep)}:{_slug(table.metric.name)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *_rows(map(escape, line) for line in header(table)),
        r"\midrule",
        *_rows(body),
        r"\bottomrule",
        r"\end{tabular}",
        *footnotes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Make LaTeX print a text as it is."""
    return text.translate(_SPECIAL)


def _rows(lines: Iterable[Iterable[str]]) -> list[str]:
    return [rf"{' & '.join(line)} \\" for line in lines]


def _value(cell: Cell, table: Table) -> str:
    text = escape(value(cell, table.metric))
    return rf"\textbf{{{text}}}" if cell.best else text


def _detail(cell: Cell, table: Table) -> str:
    # Only in math mode does a hyphen print as a minus sign.
    return ", ".join(re.sub(r"\S*\d", r"$\g<0>$", part) for part in detail(cell, table.metric))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")

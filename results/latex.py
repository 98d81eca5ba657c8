import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from .layout import Page, panels, wrapped
from .rendered_table import HIDDEN, RenderedTable, TableEntry, aligned, one_line, sentences

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
        # At the start of a row, LaTeX would read these two as arguments of the preceding line break.
        "[": "{[}",
        "*": "{*}",
        "±": r"$\pm$",
        "†": r"\dag{}",
        "–": "--",
        HIDDEN: r"\phantom{0}",
    }
)


_FOREIGN = re.compile(r"[^\x20-\u017f†–\u2007]")

Floating = Literal["table", "table*"]

ARTICLE = 345.0
"""Width in points of the text of the class `article` at 10 points."""
PAGES: dict[str, tuple[float, Floating]] = {
    "article": (ARTICLE, "table"),
    "column": (229.5, "table"),
    "page": (469.0, "table*"),
}
"""Width in points and environment by name: the class `article`, one column of its two, and both columns."""

_LONG_WORD = 25
"""Number of letters from which a word may be divided."""
_PAGE = 530.0
"""Height of a page in points (the class `article` on letter paper has 550)."""
_LINE = {"": 12.0, r"\small": 11.0, r"\footnotesize": 9.5}
"""Height of a line in points by size of letters."""
_RULES = 30.0
"""Height of the rules of a table, and of the space above it, in points."""
_NOTE_LINES = 25
"""Longest part of a note, in lines."""
_SIZES = {"": 1.0, r"\small": 0.925, r"\footnotesize": 0.85}
"""Sizes of letters, and their widths as shares of the normal ones (Computer Modern at 10, 9 and 8 points)."""
_GAP = 12.0
"""Space between two columns in points: twice `\\tabcolsep`."""
_CAUTION = 0.99
"""Used share of a page's width, because widths of letters are rounded."""
_NUMBER_MARGIN = 4.0
"""Space in points that a column of siunitx leaves around its numbers."""
_BOLD = 1.16
"""Width of bold digits, as a share of that of normal ones."""
_WIDTHS = {
    2.78: "!',.:;[]`il()|",
    3.06: "fj",
    3.33: "-",
    3.61: "I",
    3.93: "trs",
    4.45: "cez",
    5.0: '"$*/0123456789^ago\u2007_ ',
    5.28: "kqvxy?J",
    5.56: "Sbdhnpu",
    6.25: "LZ",
    6.81: "EPF",
    7.5: "BCTwRAHNUVXY",
    7.85: "DG&+=@KOQ<>±{}~\\",
    9.2: "#%mM",
    10.3: "W",
}
_WIDTH = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
"""Widths of letters of Computer Modern at 10 points, rounded up."""


def latex(sheet: RenderedTable, width: float = ARTICLE, *, floating: Floating = "table", siunitx: bool = False) -> str:
    r"""Return a LaTeX table with caption, label and footnotes; it needs `\usepackage{booktabs}`.

    A table that is wider than the page is turned round, wrapped, set in smaller letters or divided into panels. A table
    longer than a page is continued in further floats of the same number.

    Args:
        sheet: the table.
        width: width of the page in points.
        floating: environment; `table*` spans both columns of a page.
        siunitx: align numbers by columns of the package `siunitx`.
    """
    pages = [
        Page(
            width=_CAUTION * width / share,
            gap=(_GAP + _NUMBER_MARGIN * siunitx) / share,
            measure=_measured,
            ranked=lambda points: points * _BOLD,
            mark=lambda _: 0.0,
        )
        for share in _SIZES.values()
    ]
    fitted, page = panels(sheet, pages, breaks="=_/-")
    size = list(_SIZES)[pages.index(page)]
    sheet = fitted[0]  # its ranks are of rows or of columns
    # Siunitx leaves no room for bold digits, which are wider.
    best, second = ("marked *", "°") if siunitx else ("in bold", "underlined")
    ranks = sheet.ranks(best=best, second=second)
    caption = _breakable(escape(sentences([sheet.title, *ranks])))
    label = sheet.label or f"tab:{_slug(sheet.sweep)}:{_slug(sheet.subject)}"
    footnotes = [sentences(sheet.remarks)] * bool(sheet.remarks) + [one_line(note) for note in sheet.notes]
    line = _LINE[size]
    parts = [part for panel in fitted for part in _parts(panel, line)]
    blocks = [_Block(lines=_tabular(part, siunitx=siunitx), height=_height(part, line)) for part in parts]
    blocks += [_Block(lines=[note], height=lines, is_note=True) for note, lines in _notes(footnotes, width)]
    lines = [r"% Needs \usepackage{booktabs,siunitx}."] if siunitx else []
    for number, of_float in enumerate(_floats(blocks, _PAGE - _caption_height(sheet, width))):
        lines += [rf"\begin{{{floating}}}", r"\centering", *([r"\addtocounter{table}{-1}"] if number else [])]
        lines.append(rf"\caption{{{'Continued.' if number else caption}}}")
        lines += [] if number else [rf"\label{{{label}}}"]
        lines += [size] if size else []
        for place, block in enumerate(of_float):
            lines += [r"\par\medskip"] if place and not block.is_note else []
            lines += block.lines
        lines.append(rf"\end{{{floating}}}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Part of a float that is not divided: a tabular, or a footnote."""

    lines: list[str]
    height: float
    """Height in points."""
    is_note: bool = False


def _floats(blocks: Iterable[_Block], room: float) -> list[list[_Block]]:
    """Return the blocks of each float: as many as a page holds."""
    floats: list[list[_Block]] = [[]]
    used = 0.0
    for block in blocks:
        if floats[-1] and used + block.height > room:
            floats.append([])
            used = 0.0
        floats[-1].append(block)
        used += block.height
    return floats


def _measured(text: str) -> float:
    """Return the width of a text in points at normal size."""
    return sum(_WIDTH.get(letter, 7.5) for letter in text)


def _parts(panel: RenderedTable, line: float) -> list[RenderedTable]:
    """Return a panel in parts that are no longer than a page, with lines of a height in points."""
    head = _height(replace(panel, rows=()), line)
    parts: list[list[tuple[TableEntry, ...]]] = [[]]
    used = head
    for row in panel.rows:
        height = line * (1 + max(len(entry.details) for entry in row))
        if parts[-1] and used + height > _PAGE - 6 * line:
            parts.append([])
            used = head
        parts[-1].append(row)
        used += height
    return [replace(panel, rows=tuple(rows)) for rows in parts]


def _height(panel: RenderedTable, line: float) -> float:
    """Return the height of a panel in points."""
    rows = sum(1 + max(len(entry.details) for entry in row) for row in panel.rows)
    return line * (rows + max(len(heading.lines) for heading in panel.headings)) + _RULES


def _caption_height(sheet: RenderedTable, width: float) -> float:
    lines = 1 + _measured(f"Table 1: {sheet.title} {sheet.ranks(best='in bold', second='underlined')}") // (0.9 * width)
    return lines * _LINE[""] + _RULES


def _notes(footnotes: Iterable[str], width: float) -> Iterable[tuple[str, float]]:
    """Iterate over footnotes with their heights in points; a note that is longer than half a page is divided."""
    line, letters = _LINE[r"\footnotesize"], _SIZES[r"\footnotesize"]
    for note in footnotes:
        written = wrapped(note, 0.92 * width / letters, _measured)
        for start in range(0, len(written), _NOTE_LINES):
            part = written[start : start + _NOTE_LINES]
            yield (
                rf"\par\smallskip{{\footnotesize\raggedright {_note(' '.join(part))}\par}}",
                line * len(part) + 4,
            )


def _tabular(panel: RenderedTable, *, siunitx: bool) -> list[str]:
    texts = zip(*map(aligned, zip(*panel.rows, strict=True)), strict=True)
    numeric = [siunitx and place >= panel.stubs and _is_numeric(panel, place) for place in range(len(panel.headings))]
    body = [_body(row, of_row, numeric) for row, of_row in zip(panel.rows, texts, strict=True)]
    headings = zip_longest(*(heading.lines for heading in panel.headings), fillvalue="")
    columns = "".join(
        _number_column(panel, place) if is_numeric else "r" if heading.align == "right" else "l"
        for place, (heading, is_numeric) in enumerate(zip(panel.headings, numeric, strict=True))
    )
    return [
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *_rows(
            [_braced(escape(one_line(part)), one) for part, one in zip(line, numeric, strict=True)] for line in headings
        ),
        r"\midrule",
        *(line for row in body for line in _rows(row)),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _is_numeric(panel: RenderedTable, place: int) -> bool:
    """Return True if an entry of a column is a number with its spread."""
    return any(_NUMBER.fullmatch(row[place].text) for row in panel.rows)


def _number_column(panel: RenderedTable, place: int) -> str:
    """Return a column of siunitx that is as wide as the numbers in it."""
    found = [match for row in panel.rows if (match := _NUMBER.fullmatch(row[place].text))]
    whole = max(len(match["whole"]) for match in found)
    digits = max(len(match["digits"] or "") for match in found)
    spread = max((len((match["spread"] or "").replace(".", "").lstrip("0")) for match in found), default=0)
    sign = "+" if any(match["sign"] for match in found) else ""
    uncertain = f"({max(1, spread)})" if any(match["spread"] for match in found) else ""
    form = f"table-format={sign}{whole}.{digits}{uncertain}"
    return f"S[{form}, separate-uncertainty=true, retain-explicit-plus=true]"


_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d+)(\.(?P<digits>\d+))?( ± (?P<spread>\d+(\.\d+)?))?")


def escape(text: str) -> str:
    """Escape a text for LaTeX; characters that its default fonts lack become question marks."""
    return _FOREIGN.sub("?", text).translate(_SPECIAL)


def _rows(lines: Iterable[Iterable[str]]) -> list[str]:
    return [rf"{' & '.join(line)} \\" for line in lines]


def _body(row: tuple[TableEntry, ...], texts: tuple[tuple[str, str], ...], numeric: list[bool]) -> list[list[str]]:
    """Return the line of a row, and a line for each detail below it."""
    details = zip_longest(*(entry.details for entry in row), fillvalue="")
    first = [
        _number(entry) if is_numeric and _NUMBER.fullmatch(entry.text) else _braced(_entry(entry, *text), is_numeric)
        for entry, text, is_numeric in zip(row, texts, numeric, strict=True)
    ]
    return [
        first,
        *(
            [
                _braced(_numbers(escape(one_line(part))), is_numeric)
                for part, is_numeric in zip(line, numeric, strict=True)
            ]
            for line in details
        ),
    ]


def _braced(written: str, is_numeric: bool) -> str:
    """Return a text as siunitx leaves it alone in a column of numbers."""
    return f"{{{written}}}" if is_numeric and written else written


def _number(entry: TableEntry) -> str:
    """Return a number as siunitx reads it, with the sign of its rank and its mark."""
    signs = entry.mark + {"best": "*", "second": "°", None: ""}[entry.rank]
    return entry.text.replace("±", r"\pm") + (rf" {{\rlap{{\textsuperscript{{{escape(signs)}}}}}}}" if signs else "")


def _entry(entry: TableEntry, text: str, hidden: str) -> str:
    written = _numbers(escape(text))
    ranked = {"best": rf"\textbf{{{written}}}", "second": rf"\underline{{{written}}}", None: written}[entry.rank]
    # The mark has no width, so that numbers stay aligned.
    mark = rf"\rlap{{\textsuperscript{{{escape(entry.mark)}}}}}" if entry.mark else ""
    return ranked + mark + (rf"\phantom{{{escape(hidden)}}}" if hidden else "")


def _note(text: str) -> str:
    return _breakable(_numbers(escape(text)))


def _breakable(escaped: str) -> str:
    """Allow a line to end within a long name, after an underscore, a slash or an equals sign."""

    def divided(word: re.Match[str]) -> str:
        return re.sub(r"(?<=\w)(\\_|/|=)(?=\w)", r"\1\\allowbreak{}", word[0])

    return re.sub(rf"\S{{{_LONG_WORD},}}", divided, escaped)


def _numbers(escaped: str) -> str:
    """Set signed numbers in math mode, because a hyphen prints as a minus sign only there."""
    return re.sub(r"(?<![\w.)-])[+-]\d+(\.\d+)?(?![\w-])", r"$\g<0>$", escaped)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")

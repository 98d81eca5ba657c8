import re
from collections.abc import Iterable
from itertools import zip_longest

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
_ALIGN = {"left": "l", "right": "r", "wrap": r"p{0.4\linewidth}"}


_LONGEST = 40
"""Maximum number of body lines on a page, together with caption and footnotes."""


def latex(sheet: RenderedTable) -> str:
    r"""Return a LaTeX table with caption, label and footnotes; it needs `\usepackage{booktabs}`.

    The table is a `table` float. A table longer than a page is a `longtable`, which breaks between two rows and also
    needs `\usepackage{longtable}`.
    """
    texts = zip(*map(aligned, zip(*sheet.rows, strict=True)), strict=True)
    body = [_body(row, of_row) for row, of_row in zip(sheet.rows, texts, strict=True)]
    headings = zip_longest(*(heading.lines for heading in sheet.headings), fillvalue="")
    head = [r"\toprule", *_rows([escape(one_line(part)) for part in line] for line in headings), r"\midrule"]
    ranks = sheet.ranks(best="in bold", second="underlined")
    caption = rf"\caption{{{escape(sentences([sheet.title, *ranks]))}}}"
    label = rf"\label{{tab:{_slug(sheet.sweep)}:{_slug(sheet.subject)}}}"
    columns = "".join(_ALIGN[heading.align] for heading in sheet.headings)
    footnotes = [sentences(sheet.remarks)] * bool(sheet.remarks) + [one_line(note) for note in sheet.notes]
    below = [rf"\par\smallskip{{\footnotesize\raggedright {_numbers(escape(note))}\par}}" for note in footnotes]
    if sum(map(len, body)) > _LONGEST:
        lines = _long(columns, caption, label, head, body, below)
    else:
        lines = _float(columns, caption, label, head, body, below)
    return "\n".join(lines) + "\n"


_Body = Iterable[list[list[str]]]


def _float(columns: str, caption: str, label: str, head: list[str], body: _Body, below: list[str]) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        caption,
        label,
        rf"\begin{{tabular}}{{{columns}}}",
        *head,
        *(line for row in body for line in _rows(row)),
        r"\bottomrule",
        r"\end{tabular}",
        *below,
        r"\end{table}",
    ]


def _long(columns: str, caption: str, label: str, head: list[str], body: _Body, below: list[str]) -> list[str]:
    """Return the lines of a `longtable` that repeats its head and keeps each row with its details."""
    return [
        r"% Needs \usepackage{booktabs,longtable}.",
        rf"\begin{{longtable}}{{{columns}}}",
        rf"{caption}{label} \\",
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *(line for row in body for line in [*(f"{above}*" for above in _rows(row[:-1])), *_rows(row[-1:])]),
        r"\end{longtable}",
        *below,
    ]


def escape(text: str) -> str:
    """Escape a text for LaTeX; characters that its default fonts lack become question marks."""
    return _FOREIGN.sub("?", text).translate(_SPECIAL)


def _rows(lines: Iterable[Iterable[str]]) -> list[str]:
    return [rf"{' & '.join(line)} \\" for line in lines]


def _body(row: tuple[TableEntry, ...], texts: tuple[tuple[str, str], ...]) -> list[list[str]]:
    """Return the line of a row, and a line for each detail below it."""
    details = zip_longest(*(entry.details for entry in row), fillvalue="")
    first = [_entry(entry, *text) for entry, text in zip(row, texts, strict=True)]
    return [first, *([_numbers(escape(one_line(part))) for part in line] for line in details)]


def _entry(entry: TableEntry, text: str, hidden: str) -> str:
    written = _numbers(escape(text))
    ranked = {"best": rf"\textbf{{{written}}}", "second": rf"\underline{{{written}}}", None: written}[entry.rank]
    # The mark has no width, so that numbers stay aligned.
    mark = rf"\rlap{{\textsuperscript{{{escape(entry.mark)}}}}}" if entry.mark else ""
    return ranked + mark + (rf"\phantom{{{escape(hidden)}}}" if hidden else "")


def _numbers(escaped: str) -> str:
    """Set signed numbers in math mode, because a hyphen prints as a minus sign only there."""
    return re.sub(r"(?<![\w.)-])[+-]\d+(\.\d+)?(?![\w-])", r"$\g<0>$", escaped)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")

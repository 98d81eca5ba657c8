import re
from collections.abc import Iterable
from itertools import zip_longest

from .sheet import HIDDEN, Entry, Sheet, aligned, one_line, sentences

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
        "†": r"\dag{}",
        "–": "--",
        HIDDEN: r"\phantom{0}",
    }
)


_FOREIGN = re.compile(r"[^\x20-\u017f†–\u2007]")
_ALIGN = {"left": "l", "right": "r", "wrap": r"p{0.4\linewidth}"}


def latex(sheet: Sheet) -> str:
    r"""Write a `table` float with caption, label and footnotes that compiles with `\usepackage{booktabs}` alone."""
    texts = zip(*map(aligned, zip(*sheet.rows, strict=True)), strict=True)
    body = [line for row, of_row in zip(sheet.rows, texts, strict=True) for line in _body(row, of_row)]
    headings = zip_longest(*(heading.lines for heading in sheet.headings), fillvalue="")
    ranks = sheet.ranks(best="in bold", second="underlined")
    footnotes = [sentences(sheet.remarks)] * bool(sheet.remarks) + [one_line(note) for note in sheet.notes]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(sentences([sheet.title, *ranks]))}}}",
        rf"\label{{tab:{_slug(sheet.sweep)}:{_slug(sheet.subject)}}}",
        rf"\begin{{tabular}}{{{''.join(_ALIGN[heading.align] for heading in sheet.headings)}}}",
        r"\toprule",
        *_rows([escape(one_line(part)) for part in line] for line in headings),
        r"\midrule",
        *_rows(body),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize\raggedright {_numbers(escape(note))}\par}}" for note in footnotes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Make LaTeX print a text as it is; what its default fonts lack is printed as a question mark."""
    return _FOREIGN.sub("?", text).translate(_SPECIAL)


def _rows(lines: Iterable[Iterable[str]]) -> list[str]:
    return [rf"{' & '.join(line)} \\" for line in lines]


def _body(row: tuple[Entry, ...], texts: tuple[tuple[str, str], ...]) -> list[list[str]]:
    """The line of a row, and below it one for each detail."""
    details = zip_longest(*(entry.details for entry in row), fillvalue="")
    first = [_entry(entry, *text) for entry, text in zip(row, texts, strict=True)]
    return [first, *([_numbers(escape(one_line(part))) for part in line] for line in details)]


def _entry(entry: Entry, text: str, hidden: str) -> str:
    written = _numbers(escape(text))
    ranked = {"best": rf"\textbf{{{written}}}", "second": rf"\underline{{{written}}}", None: written}[entry.rank]
    # A mark takes no width, so that it moves no number out of its line.
    mark = rf"\rlap{{\textsuperscript{{{escape(entry.mark)}}}}}" if entry.mark else ""
    return ranked + mark + (rf"\phantom{{{escape(hidden)}}}" if hidden else "")


def _numbers(escaped: str) -> str:
    """Set signed numbers in math mode: only there does a hyphen print as a minus sign."""
    return re.sub(r"(?<![\w.)-])[+-]\d+(\.\d+)?(?![\w-])", r"$\g<0>$", escaped)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")

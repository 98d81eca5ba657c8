from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

HIDDEN = "\N{FIGURE SPACE}"
"""As wide as a digit, and keeps the place of one that is not there."""

Rank = Literal["best", "second"]

_SPREAD = " ± "


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """What stands in one place of a sheet."""

    text: str = ""
    details: tuple[str, ...] = ()
    """Lines below the text, in smaller print."""
    rank: Rank | None = None
    mark: str = ""
    """A sign behind the text that the remarks explain."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What stands over one column."""

    lines: tuple[str, ...]
    align: Literal["left", "right", "wrap"] = "right"
    """`wrap` is for sentences: to the left, and on several lines where the format has them."""


@dataclass(frozen=True, kw_only=True)
class RenderedTable:
    """A table of any kind as every format writes it. Texts are recorded ones, not yet escaped for any format."""

    sweep: str
    subject: str
    """What tells this sheet from others of the sweep: its kind, or the metric."""
    title: str
    """What the numbers are, without a full stop; here and in remarks and notes."""
    remarks: tuple[str, ...] = ()
    """How the numbers came about and are to be read."""
    ranked: str = ""
    """What `best` is the best of, such as `mean of each row`; empty where nothing is ranked."""
    headings: tuple[Heading, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    """As many entries in each as there are headings; the first names the row."""
    notes: tuple[str, ...] = ()
    """What stands below."""
    records: tuple[Mapping[str, str | float | int | None], ...]
    """The numbers in full, one record for each fact, all with the same names."""

    def ranks(self, *, best: str, second: str) -> list[str]:
        """The sentence that says how a format shows ranks; empty where nothing is ranked."""
        if not self.ranked:
            return []
        has_second = any(entry.rank == "second" for row in self.rows for entry in row)
        return [f"Best {self.ranked} {best}" + (f", second best {second}" if has_second else "")]


def one_line(text: str) -> str:
    """Return recorded text without line breaks and control characters, which would break every layout."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def sentences(texts: Iterable[str]) -> str:
    """Write texts one after the other, each with its full stop."""
    return " ".join(f"{one_line(text)}." for text in texts)


def aligned(column: Iterable[TableEntry]) -> list[tuple[str, str]]:
    """Give each text of a column, and what has to be left blank behind it, as wide as it would be printed.

    Then decimal points are in line where all is flush right.
    """
    parts = [one_line(entry.text).partition(_SPREAD) for entry in column]
    widest = max((spread for _, _, spread in parts), key=len, default="")
    return [
        (f"{value}{_SPREAD}{spread.rjust(len(widest), HIDDEN)}", "")
        if spread
        else (value, f"{_SPREAD}{widest}" if widest and _is_number(value) else "")
        for value, _, spread in parts
    ]


def _is_number(text: str) -> bool:
    return text[-1:].isdigit() and text.lstrip("+-")[:1].isdigit()

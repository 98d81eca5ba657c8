from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..specs import one_line

HIDDEN = "\N{FIGURE SPACE}"
"""Space as wide as a digit, in place of a missing digit."""

Rank = Literal["best", "second"]

_SPREAD = " ± "


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """Content of one cell of a rendered table."""

    text: str = ""
    details: tuple[str, ...] = ()
    """Lines below the text, in smaller print."""
    rank: Rank | None = None
    mark: str = ""
    """Symbol after the text, explained in the remarks."""
    place: tuple[int, int] | None = None
    """Row and column of the comparison, from 0; the row after the last one for all rows. None for other entries."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Heading of a column."""

    lines: tuple[str, ...]
    align: Literal["left", "right", "wrap"] = "right"
    """Alignment; `wrap` is for sentences: left-aligned, on several lines if the format allows."""


@dataclass(frozen=True, kw_only=True)
class RenderedTable:
    """Table of any kind, ready for every format; its texts are not yet escaped."""

    sweep: str
    subject: str
    """Identifier of this table within the sweep: its kind, or the metric."""
    title: str
    """Title: the metric and its unit. Title and remarks have no full stop at the end."""
    remarks: tuple[str, ...] = ()
    """Remarks: the origin of the numbers, and how to read them."""
    ranked: str = ""
    """Ranked quantity, such as `mean of each row`; empty without ranks."""
    headings: tuple[Heading, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    """Rows with one entry per heading."""
    stubs: int = 1
    """Number of leading entries that name a row."""
    notes: tuple[str, ...] = ()
    """Notes below the table, each a full sentence."""
    records: tuple[Mapping[str, str | float | int | None], ...]
    """Numbers in full precision, one record per value, all with the same fields."""
    alternatives: "tuple[RenderedTable, ...]" = ()
    """The same table in other forms, for pages on which this one is too wide; the most narrow one comes last."""
    label: str = ""
    """Label of the LaTeX table; empty for `tab:SWEEP:SUBJECT`."""

    def ranks(self, *, best: str, second: str) -> list[str]:
        """Return the remark that explains how a format shows ranks; empty without ranks."""
        if not self.ranked:
            return []
        has_second = any(entry.rank == "second" for row in self.rows for entry in row)
        return [f"Best {self.ranked} {best}" + (f", second best {second}" if has_second else "")]


def sentences(texts: Iterable[str]) -> str:
    """Join texts to a paragraph, adding a full stop to each."""
    return " ".join(f"{one_line(text)}." for text in texts)


def aligned(column: Iterable[TableEntry]) -> list[tuple[str, str]]:
    """Return each text of a column with the invisible padding after it.

    With this padding, decimal points are aligned in a right-aligned column.
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

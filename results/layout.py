"""Layout of a table on a page: which way round it fits, where its texts wrap, and its panels if nothing else fits."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .rendered_table import HIDDEN, Heading, RenderedTable, TableEntry, aligned, one_line

_STUB_SHARE = 0.5
"""Largest share of a panel's width that the columns which name its rows may take."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Space for a table, and the widths of texts in the same unit."""

    width: float
    """Width of the page."""
    gap: float
    """Space between two columns."""
    margin: float = 0.0
    """Space at both ends of a row, in all."""
    measure: Callable[[str], float] = len
    """Width of a text on one line."""
    ranked: Callable[[float], float] = float
    """Width of a best or second-best entry, by its width without this rank."""
    mark: Callable[[str], float] = len
    """Width of the mark after an entry."""

    def entry(self, entry: TableEntry, text: str, hidden: str) -> float:
        """Return the width of an entry whose text was aligned, with its details."""
        written = self.measure(text.replace(HIDDEN, "0"))
        whole = (self.ranked(written) if entry.rank else written) + self.mark(entry.mark) + self.measure(hidden)
        return max([whole, *(self.measure(one_line(detail)) for detail in entry.details)])

    def total(self, widths: Iterable[float]) -> float:
        """Return the width of a row with columns of these widths."""
        widths = list(widths)
        return sum(widths) + self.gap * (len(widths) - 1) + self.margin


def panels(table: RenderedTable, pages: Sequence[Page], *, breaks: str = "") -> tuple[list[RenderedTable], Page]:
    """Return a table as it fits a page: as one table or as several panels, which repeat what names the rows.

    The table is tried as it is, then with wrapped headings, then with wrapped names of rows; each first on the
    first page and in the table's first form.

    Args:
        table: the table, with its other forms as `alternatives`.
        pages: pages with smaller and smaller letters; panels use the last but one.
        breaks: characters after which a word may be broken if a column does not fit otherwise.
    """
    forms = (table, *table.alternatives)
    squeezes = [_natural, _with_wrapped_headings, _with_wrapped_names]
    if breaks:
        squeezes.append(partial(_with_wrapped_names, breaks=breaks))
    for page in pages:
        for squeeze in squeezes:
            for form in forms:
                if (found := squeeze(form, page)) is not None:
                    return [found], page
    page = pages[max(0, len(pages) - 2)]
    return min((_divided(form, page, breaks) for form in reversed(forms)), key=len), page


def fitting(table: RenderedTable, page: Page) -> RenderedTable:
    """Return the first form of a table that fits a page without wrapped names, or the most narrow form."""
    forms = (table, *table.alternatives)
    found = (squeezed for form in forms if (squeezed := _with_wrapped_headings(form, page)) is not None)
    return next(found, replace(forms[-1], alternatives=()))


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of a table."""

    heading: Heading
    entries: tuple[TableEntry, ...]

    @property
    def is_flexible(self) -> bool:
        """True if the column has sentences."""
        return self.heading.align == "wrap"

    def natural(self, page: Page) -> float:
        """Return the width without wrapping."""
        return max([self.body(page), *(page.measure(one_line(line)) for line in self.heading.lines)])

    def body(self, page: Page) -> float:
        """Return the width of the entries."""
        texts = aligned(self.entries)
        return max((page.entry(one, *text) for one, text in zip(self.entries, texts, strict=True)), default=0.0)

    def narrowest(self, page: Page, breaks: str = "") -> float:
        """Return the width of the longest word."""
        lines = (*self.heading.lines, *(line for one in self.entries for line in (one.text, *one.details)))
        return max((page.measure(word) for line in lines for word in _words(line, breaks)), default=0.0)

    def least(self, page: Page, breaks: str = "") -> float:
        """Return the width of a column of numbers, or that of the longest word of sentences."""
        return self.narrowest(page, breaks) if self.is_flexible else self.natural(page)

    def with_heading(self, page: Page, breaks: str = "") -> "_Column":
        """Return the column with a heading that is as narrow as its entries and its longest word."""
        words = (word for line in self.heading.lines for word in _words(line, breaks))
        width = max([self.body(page), *map(page.measure, words)])
        lines = tuple(part for line in self.heading.lines for part in wrapped(line, width, page.measure, breaks))
        if not lines:  # a heading without words
            return self
        return replace(self, heading=replace(self.heading, lines=lines))

    def within(self, width: float, page: Page, breaks: str = "") -> "_Column":
        """Return a column of texts that is wrapped to a width."""

        def lines(texts: Iterable[str]) -> list[str]:
            return [part for text in texts for part in wrapped(text, width, page.measure, breaks)] or [""]

        split = [lines((one.text, *one.details)) for one in self.entries]
        return _Column(
            heading=replace(self.heading, lines=tuple(lines(self.heading.lines))),
            entries=tuple(
                replace(one, text=first, details=tuple(rest))
                for one, (first, *rest) in zip(self.entries, split, strict=True)
            ),
        )


def wrapped(text: str, width: float, measure: Callable[[str], float], breaks: str = "") -> list[str]:
    """Return the lines of a text, broken between words. A word that is wider than the line has one of its own."""
    lines: list[str] = []
    for word in _words(text, breaks):
        joined = (lines[-1] + word if _is_part(lines[-1], breaks) else f"{lines[-1]} {word}") if lines else word
        if lines and measure(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _words(text: str, breaks: str) -> list[str]:
    words = one_line(text).split()
    if not breaks:
        return words
    return [part for word in words for part in re.findall(f"[^{breaks}]*[{breaks}]|[^{breaks}]+", word)]


def _is_part(line: str, breaks: str) -> bool:
    """Return True if a line ends within a word."""
    return bool(breaks) and line.endswith(tuple(breaks))


def _columns(table: RenderedTable) -> list[_Column]:
    entries = zip(*table.rows, strict=True) if table.rows else [()] * len(table.headings)
    return [_Column(heading=heading, entries=tuple(of)) for heading, of in zip(table.headings, entries, strict=True)]


def _assembled(table: RenderedTable, columns: Sequence[_Column]) -> RenderedTable:
    rows = tuple(zip(*(column.entries for column in columns), strict=True)) if table.rows else ()
    return replace(table, headings=tuple(column.heading for column in columns), rows=rows, alternatives=())


def _natural(table: RenderedTable, page: Page) -> RenderedTable | None:
    fits = page.total(column.natural(page) for column in _columns(table)) <= page.width
    return replace(table, alternatives=()) if fits else None


def _with_wrapped_headings(table: RenderedTable, page: Page) -> RenderedTable | None:
    columns = [column.with_heading(page) for column in _columns(table)]
    fits = page.total(column.natural(page) for column in columns) <= page.width
    return _assembled(table, columns) if fits else None


def _with_wrapped_names(table: RenderedTable, page: Page, breaks: str = "") -> RenderedTable | None:
    """Return the table with the names of its rows, and sentences, wrapped to the width that numbers leave them."""
    columns = [column.with_heading(page) for column in _columns(table)]
    is_text = [place < table.stubs or column.is_flexible for place, column in enumerate(columns)]
    texts = [column for column, text in zip(columns, is_text, strict=True) if text]
    fixed = [0.0 if text else column.natural(page) for column, text in zip(columns, is_text, strict=True)]
    room = page.width - page.total(fixed)
    if sum(column.narrowest(page, breaks) for column in texts) > room:
        return None
    narrow = iter(_shared(texts, room, page, breaks))
    return _assembled(table, [next(narrow) if text else one for one, text in zip(columns, is_text, strict=True)])


def _shared(columns: Sequence[_Column], width: float, page: Page, breaks: str = "") -> list[_Column]:
    """Return columns of texts wrapped to a width in all, without the gaps. Each has room for its longest word."""
    least = [column.narrowest(page, breaks) for column in columns]
    wanted = [max(column.natural(page) - narrow, 0.0) for column, narrow in zip(columns, least, strict=True)]
    share = min(1.0, max(0.0, width - sum(least)) / (sum(wanted) or 1.0))
    return [
        column.within(narrow + share * more, page, breaks)
        for column, narrow, more in zip(columns, least, wanted, strict=True)
    ]


def _divided(table: RenderedTable, page: Page, breaks: str) -> list[RenderedTable]:
    """Return the panels of a table: groups of its columns of about equal numbers."""
    for form, breakable in ((table, ""), (_stacked(table), ""), (_stacked(table), breaks)):
        columns = [column.with_heading(page, breakable) for column in _columns(form)]
        stubs, others = columns[: form.stubs], columns[form.stubs :]
        widest = max((one.least(page, breakable) + page.gap for one in others), default=0.0)
        room = page.width - page.margin - page.gap * (len(stubs) - 1)
        least = sum(one.narrowest(page, breakable) for one in stubs)
        named = _shared(stubs, max(least, min(room * _STUB_SHARE, room - widest)), page, breakable)
        left = page.width - page.total(one.natural(page) for one in named)
        if widest <= left:
            break
    if widest > left and not breaks:
        return [_listed(table, page)]
    others = [one.within(left - page.gap, page, breakable) if one.is_flexible else one for one in others]
    groups = _groups([one.natural(page) + page.gap for one in others], left)
    return [_assembled(form, [*named, *(others[at] for at in group)]) for group in groups]


def _stacked(table: RenderedTable) -> RenderedTable:
    """Return a table with one name for each row: its names below each other."""
    rows = [
        (
            replace(row[0], details=tuple(one.text for one in row[1 : table.stubs] if one.text)),
            *row[table.stubs :],
        )
        for row in table.rows
    ]
    lines = tuple(line for heading in table.headings[: table.stubs] for line in heading.lines)
    headings = (replace(table.headings[0], lines=lines), *table.headings[table.stubs :])
    return replace(table, headings=headings, rows=tuple(rows), stubs=1)


def _listed(table: RenderedTable, page: Page) -> RenderedTable:
    """Return a table of one column: below the names of each row, a line for each of its values."""
    ranks = {"best": " (best)", "second": " (second best)", None: ""}
    rows = []
    for row in table.rows:
        values = zip(table.headings[table.stubs :], row[table.stubs :], strict=True)
        texts = [
            f"{' '.join(heading.lines)}: {', '.join((f'{entry.text}{entry.mark}{ranks[entry.rank]}', *entry.details))}"
            for heading, entry in values
        ]
        first, *rest = (one.text for one in row[: table.stubs] if one.text)
        rows.append((TableEntry(text=first, details=(*rest, *texts)),))
    headings = (_stacked(table).headings[0],)
    (column,) = _columns(replace(table, headings=headings, rows=tuple(rows), stubs=1))
    return _assembled(replace(table, stubs=1), [column.within(page.width - page.margin, page)])


def _groups(widths: Sequence[float], room: float) -> list[list[int]]:
    """Return consecutive positions in groups that fit; the first groups are as long as the others."""
    groups: list[list[int]] = []
    used = 0.0
    for place, width in enumerate(widths):
        if groups and used + width <= room:
            groups[-1].append(place)
            used += width
        else:
            groups.append([place])
            used = width
    number = len(groups)
    even = [list(range(len(widths) * at // number, len(widths) * (at + 1) // number)) for at in range(number)]
    fits = all(sum(widths[at] for at in group) <= room for group in even)
    return even if fits and number else groups or [[]]

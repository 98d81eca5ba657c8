"""Main table: methods by architectures, with mean, spread, difference from the baseline and significance."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from ...specs import SpecError, unknown
from ..captions import dataset_name, entry, gaps, notes, record, remarks, row_label, signs, title
from ..labels import Column, RowLabel
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..significance import Significance, significance
from ..statistics import PairedTest, pairs_needed, smallest_wilcoxon_p
from ..table import Table

MARK = "†"
AXES = ("method", "architecture", "dataset")
"""Axes of the comparison that `main` accepts for rows and columns. The settings of an axis go with it."""

_ROW_AXES = ("dataset", "architecture")


def main(table: Table, *, rows: Collection[str] = (), columns: Collection[str] = ()) -> RenderedTable:
    """Return a comparison with its significance tests as a rendered table.

    Args:
        table: the comparison.
        rows: axes that go down, of `AXES`; by default those that are not in `columns`.
        columns: axes that go across. Without both, methods go across as long as they fit, otherwise down.

    Raises:
        SpecError: A `ValueError`, for an unknown axis, or an axis in both directions.
    """
    tests = significance(table)
    sheet = _Sheet(table=table, tests=tests)
    if not rows and not columns:
        across = replace(sheet, across=("method",))
        down = replace(sheet, across=_ROW_AXES)
        return replace(across.rendered(), alternatives=(down.rendered(), down.rendered(labelled=True)))
    chosen = replace(sheet, across=_across(rows, columns))
    return replace(chosen.rendered(), alternatives=(chosen.rendered(labelled=True),))


def _across(rows: Collection[str], columns: Collection[str]) -> tuple[str, ...]:
    """Return the axes across. Raises `SpecError` for an unknown axis, or one that is in both directions."""
    for field, names in {"rows": rows, "columns": columns}.items():
        for name in names:
            if name not in AXES:
                raise unknown("axis", name, AXES, field=field)
    if both := [name for name in rows if name in columns]:
        raise SpecError(f"{both[0]} is in both rows and columns; name it once.", field="rows")
    across = tuple(name for name in AXES if name in columns or (not columns and name not in rows))
    if len(across) == len(AXES) or not across:
        raise SpecError("a table needs an axis in its rows and one in its columns; leave one out.", field="rows")
    return across


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """Comparison with its tests and the axes that go across."""

    table: Table
    tests: Significance
    across: tuple[str, ...] = ("method",)

    def rendered(self, *, labelled: bool = False) -> RenderedTable:
        """Return the table.

        Args:
            labelled: name each row by the label of its configuration instead of one entry per setting.
        """
        table = self.table
        placed = {(self._down(row, column), self._over(row, column)): at for at, row, column in self._positions()}
        down, over = (list(dict.fromkeys(keys)) for keys in zip(*placed, strict=True))
        names = self._stub_names(down, labelled=labelled)
        pooled = any(self.tests.pooled)
        headings = [Heading(lines=(name,), align="left") for name in names]
        headings += [self._heading(key, over) for key in over]
        body = [
            (
                *self._stubs(key, names, labelled=labelled),
                *(self._entry(placed[key, other]) if (key, other) in placed else TableEntry() for other in over),
            )
            for key in down
        ]
        if pooled and self.across == ("method",):
            label = TableEntry(text=f"all {len(table.rows)} rows")
            body.append((label, *([TableEntry()] * (len(names) - 1)), *self._pooled()))
        if pooled and self.across == _ROW_AXES:
            headings.append(Heading(lines=(f"all {len(table.rows)}", "columns")))
            body = [(*entries, one) for entries, one in zip(body, self._pooled(), strict=True)]
        return RenderedTable(
            sweep=table.sweep,
            subject=table.metric.name,
            title=title(table),
            remarks=(*remarks(table), *signs(table), *gaps(table.cells), *_tests(table, self.tests, self._summary)),
            ranked=f"mean of each {self._group}" if table.metric.best else "",
            headings=tuple(headings),
            rows=tuple(body),
            stubs=len(names),
            notes=(*notes(table), *_ranking(table, self.tests)),
            records=tuple(
                record(table, row, column, table.cells[at][place]) | _tested(self.tests.cells[at][place])
                for (at, place), row, column in self._positions()
            ),
        )

    @property
    def _group(self) -> str:
        """Name of what shares a best mean: the trials of one dataset and architecture."""
        return {("method",): "row", _ROW_AXES: "column"}.get(self.across, "architecture and dataset")

    @property
    def _summary(self) -> str:
        """Place of the pooled tests; empty if the table has none."""
        return {("method",): "row", _ROW_AXES: "column"}.get(self.across, "")

    def _positions(self) -> Iterator[tuple[tuple[int, int], RowLabel, Column]]:
        for number, row in enumerate(self.table.rows):
            for place, column in enumerate(self.table.columns):
                if self.table.is_shown(row, column):
                    yield (number, place), row, column

    def _key(self, row: RowLabel, column: Column, axes: Collection[str]) -> "_Key":
        of_row = any(axis in axes for axis in _ROW_AXES)
        return _Key(
            dataset=row.dataset if "dataset" in axes else None,
            architecture=row.architecture if "architecture" in axes else None,
            row_settings=row.settings if of_row and ("architecture" in axes) else (),
            column=column if "method" in axes else None,
        )

    def _over(self, row: RowLabel, column: Column) -> "_Key":
        return self._key(row, column, self.across)

    def _down(self, row: RowLabel, column: Column) -> "_Key":
        return self._key(row, column, [axis for axis in AXES if axis not in self.across])

    def _stub_names(self, down: "Sequence[_Key]", *, labelled: bool) -> list[str]:
        """Return the headings of the entries that name a row."""
        if self.across == ("method",):
            return ["architecture"]
        if labelled:
            return [name for name in ("architecture", "method") if any(key.text(name, self.table) for key in down)]
        found = [
            name
            for name in ("dataset", "architecture")
            if len({getattr(key, name) for key in down} - {None}) > 1 or (name == "architecture" and _names(down, name))
        ]
        found += dict.fromkeys(setting.partition("=")[0] for key in down for setting in key.row_settings)
        if _names(down, "column"):
            found.append("method")
            found += dict.fromkeys(text.partition("=")[0] for key in down if key.column for text in key.column.settings)
        return found

    def _stubs(self, key: "_Key", names: Sequence[str], *, labelled: bool) -> Iterator[TableEntry]:
        if labelled or self.across == ("method",):
            return (TableEntry(text=key.text(name, self.table)) for name in names)
        values = key.values()
        return (TableEntry(text=one_line(values.get(name, ""))) for name in names)

    def _heading(self, key: "_Key", over: "Sequence[_Key]") -> Heading:
        """Return the heading of a column: its names that differ from other columns, and its settings below."""
        lines: list[str] = []
        if key.dataset is not None and (len({other.dataset for other in over}) > 1 or key.architecture is None):
            lines.append(dataset_name(key.dataset))
        if key.architecture is not None:
            lines += [key.architecture, *key.row_settings]
        if key.column is not None:
            lines += [key.column.method, *key.column.settings]
        return Heading(lines=tuple(map(one_line, lines)))

    def _entry(self, at: tuple[int, int]) -> TableEntry:
        number, place = at
        test, cell = self.tests.cells[number][place], self.table.cells[number][place]
        mark = MARK if test and test.is_significant else ""
        return replace(entry(cell, self.table.metric, mark=mark), place=at)

    def _pooled(self) -> Iterator[TableEntry]:
        """Iterate over the entries of the pooled tests: each method against the baseline over the pairs of all rows."""
        shown = {column for _, _, column in self._positions()}
        for column, test in zip(self.table.columns, self.tests.pooled, strict=True):
            if column in shown:
                yield _pooled_entry(test, self.table)


@dataclass(frozen=True, kw_only=True)
class _Key:
    """Names shared by a row or a column of the rendered table; None for axes that go the other way."""

    dataset: str | None
    architecture: str | None
    row_settings: tuple[str, ...]
    column: Column | None

    def values(self) -> dict[str, str]:
        """Return the names by heading."""
        pairs = (text.partition("=") for text in (*self.row_settings, *(self.column.settings if self.column else ())))
        found = {name: value or "yes" for name, _, value in pairs}
        if self.dataset is not None:
            found["dataset"] = dataset_name(self.dataset)
        if self.architecture is not None:
            found["architecture"] = self.architecture
        if self.column is not None:
            found["method"] = self.column.method
        return found

    def text(self, name: str, table: Table) -> str:
        """Return the label of the architecture, with dataset and settings, or of the method, with its settings."""
        if name == "method":
            return one_line(self.column.label) if self.column else ""
        if self.architecture is None:
            return dataset_name(self.dataset) if self.dataset else ""
        if self.dataset is None:
            return one_line(" ".join([self.architecture, ", ".join(self.row_settings)]).strip())
        row = RowLabel(dataset=self.dataset, architecture=self.architecture, settings=self.row_settings)
        return row_label(table, row)


def _names(keys: Sequence[_Key], name: str) -> bool:
    return any(getattr(key, name) is not None for key in keys)


def _tests(table: Table, tests: Significance, summary: str) -> list[str]:
    """Return the remarks on the significance tests and their limits; `summary` is the place of pooled tests."""
    if table.baseline is None or len(table.columns) < 2:
        return []
    tested = tests.tested
    if not tested:
        return ["No significance test: needs at least 3 seeds completed by both the method and the baseline"]
    several = f", Holm-corrected over {len(tested)} comparisons" if len(tested) > 1 else ""
    said = [f"{MARK} significant difference from {table.baseline.label}: p < 0.05 in a paired t-test{several}"]
    if not any(test and test.is_significant for row in tests.cells for test in row):
        said = ["Paired t-test: not significant (p < 0.05)"]
        if several:
            said = [f"Holm-corrected paired t-tests over {len(tested)} comparisons: none significant (p < 0.05)"]
    most, needed = max(test.pairs for test in tested), pairs_needed(len(tested))
    if most < needed:
        corrected = f", or {needed} after correction" if needed > pairs_needed() else ""
        said.append(
            f"Wilcoxon signed-rank test: smallest possible p = {smallest_wilcoxon_p(most):.2g} with {most} pairs of "
            f"seeds; p < 0.05 requires {pairs_needed()} pairs{corrected}"
        )
    if any(tests.pooled) and summary:
        said.append(
            f"Last {summary}: mean difference over the pairs of all {summary}s, its 95% t interval, and p of the "
            "Wilcoxon signed-rank test, Holm-corrected over methods"
        )
    return said


def _pooled_entry(test: PairedTest | None, table: Table) -> TableEntry:
    if test is None:
        return TableEntry()
    sign = f"+z.{table.metric.digits}f"
    interval = [f"{test.t_interval[0]:{sign}} to {test.t_interval[1]:{sign}}"] if test.t_interval else []
    p = [f"p={test.wilcoxon_p_holm:.2g}, {test.pairs} pairs"] if test.wilcoxon_p_holm is not None else []
    return TableEntry(text=format(test.mean, sign), details=(*interval, *p))


def _ranking(table: Table, tests: Significance) -> list[str]:
    """Return the note on the mean ranks of the methods over the rows."""
    found = tests.ranking
    if found is None:
        return []
    order = sorted(zip(found.ranks, (column.label for column in table.columns), strict=True), key=lambda pair: pair[0])
    ranks = "; ".join(f"{label} {rank:.2f}" for rank, label in order)
    friedman = f"Friedman test: chi-squared = {found.statistic:.2f}, p = {found.p:.2g}"
    nemenyi = f"Nemenyi critical difference at 0.05: {found.critical_difference:.2f}"
    over = f"the {found.rows} rows with a mean for every method"
    return [one_line(f"Mean ranks over {over}: {ranks}. {friedman}. {nemenyi}.")]


def _tested(test: PairedTest | None) -> dict[str, float | int | None]:
    """Return the fields of a test in a record; all None without a test."""
    t_low, t_high = (test and test.t_interval) or (None, None)
    return {
        "pairs": test.pairs if test else None,
        "paired_difference": test.mean if test else None,
        "t_low": t_low,
        "t_high": t_high,
        "effect": test.effect if test else None,
        "t_p": test.t_p if test else None,
        "t_p_holm": test.t_p_holm if test else None,
        "wilcoxon_p": test.wilcoxon_p if test else None,
        "wilcoxon_p_holm": test.wilcoxon_p_holm if test else None,
    }

"""Arrangement of a comparison: which of its axes go across, and what names its rows and columns."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ...specs import SpecError, unknown
from ..captions import dataset_name, row_label
from ..labels import Column, RowLabel
from ..rendered_table import Heading, TableEntry, one_line
from ..table import Table

AXES = ("method", "architecture", "dataset")
"""Axes of the comparison. The settings of a method go with it, those of a recipe with the architecture."""
METHODS_ACROSS = ("method",)
METHODS_DOWN = ("architecture", "dataset")


def axes_across(rows: Collection[str], columns: Collection[str]) -> tuple[str, ...]:
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
class Key:
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


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Comparison with the axes that go across."""

    table: Table
    across: tuple[str, ...]

    @property
    def group(self) -> str:
        """Name of what shares a best mean: the trials of one dataset and architecture."""
        return {METHODS_ACROSS: "row", METHODS_DOWN: "column"}.get(self.across, "architecture and dataset")

    @property
    def summary(self) -> str:
        """Place of the pooled tests; empty if the table has none."""
        return {METHODS_ACROSS: "row", METHODS_DOWN: "column"}.get(self.across, "")

    def positions(self) -> Iterator[tuple[tuple[int, int], RowLabel, Column]]:
        """Iterate over the shown cells of the comparison: positions of row and column, row, column."""
        for number, row in enumerate(self.table.rows):
            for place, column in enumerate(self.table.columns):
                if self.table.is_shown(row, column):
                    yield (number, place), row, column

    def _key(self, row: RowLabel, column: Column, axes: Collection[str]) -> Key:
        return Key(
            dataset=row.dataset if "dataset" in axes else None,
            architecture=row.architecture if "architecture" in axes else None,
            row_settings=row.settings if "architecture" in axes else (),
            column=column if "method" in axes else None,
        )

    def over(self, row: RowLabel, column: Column) -> Key:
        """Return the names of the column that a cell is in."""
        return self._key(row, column, self.across)

    def down(self, row: RowLabel, column: Column) -> Key:
        """Return the names of the row that a cell is in."""
        return self._key(row, column, [axis for axis in AXES if axis not in self.across])

    def stub_names(self, down: Sequence[Key], *, labelled: bool) -> list[str]:
        """Return the headings of the entries that name a row."""
        if self.across == METHODS_ACROSS:
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

    def stubs(self, key: Key, names: Sequence[str], *, labelled: bool) -> Iterator[TableEntry]:
        """Iterate over the entries that name a row."""
        if labelled or self.across == METHODS_ACROSS:
            return (TableEntry(text=key.text(name, self.table)) for name in names)
        values = key.values()
        return (TableEntry(text=one_line(values.get(name, ""))) for name in names)

    def heading(self, key: Key, over: Sequence[Key]) -> Heading:
        """Return the heading of a column: its names that differ from other columns, and its settings below."""
        lines: list[str] = []
        if key.dataset is not None and (len({other.dataset for other in over}) > 1 or key.architecture is None):
            lines.append(dataset_name(key.dataset))
        if key.architecture is not None:
            lines += [key.architecture, *key.row_settings]
        if key.column is not None:
            lines += [key.column.method, *key.column.settings]
        return Heading(lines=tuple(map(one_line, lines)))


def _names(keys: Sequence[Key], name: str) -> bool:
    return any(getattr(key, name) is not None for key in keys)

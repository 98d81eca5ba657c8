"""Tables of the terminal that break no word."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text


class Grid(Table):
    """Table whose columns are at least as wide as their longest word.

    On a narrower terminal it has no frame, or each row becomes a list: a line for each heading with its value.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table, or the list."""
        if not self.rows:
            yield from super().__rich_console__(console, options)
            return
        for column in self.columns:
            column.min_width = self._longest_word(column, console, options)
        if self._least_width() > options.max_width:
            self.box, self.padding = None, (0, 1, 0, 0)
        if self._least_width() <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._listed(console)

    def _least_width(self) -> int:
        """Return the width of the table with each column as wide as its longest word."""
        edges = 2 * self.show_edge + len(self.columns) - 1 if self.box else 0
        padding = (self.padding[1] + self.padding[3]) * len(self.columns)
        return sum(column.min_width or 0 for column in self.columns) + padding + edges

    def _longest_word(self, column: Column, console: Console, options: ConsoleOptions) -> int:
        texts = [*([column.header] if self.show_header else []), *column.cells]
        return max((Measurement.get(console, options, text).minimum for text in texts), default=0)

    def _listed(self, console: Console) -> Iterator[Text]:
        """Iterate over the lines of the list."""
        if self.title:
            yield _text(self.title, console)
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            for column, cell in zip(self.columns, cells, strict=True):
                name = " ".join(_text(column.header, console).plain.replace("-\n", "-").split())
                value = _text(cell, console)
                if value.plain:
                    yield Text.assemble(f"{name}: " if name and self.show_header else "", value)
            yield Text()


def _text(cell: object, console: Console) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell))

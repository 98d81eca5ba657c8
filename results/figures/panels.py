"""What figures of several panels share: where panels stand, the legend below them, and which seeds are missing."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from ..labels import Column
from ..sheet import one_line, sentences
from ..table import Cell, Table
from ..wording import notes, row_label
from .style import HALF, WIDTH, written

_ACROSS = 3
"""Panels next to each other at most."""


def panels(table: Table, *, height: float = 2.1, share_y: bool = False) -> tuple[Drawing, list[Axes]]:
    """Give an empty figure with a panel for each row of a table, headed by the row's name; `height` in inches."""
    titles = [row_label(table, row) for row in table.rows]
    return grid(titles, height=height, share_y=share_y)


def grid(titles: Sequence[str], *, height: float, share_y: bool = False) -> tuple[Drawing, list[Axes]]:
    """Give an empty figure with a panel for each title."""
    across = min(len(titles), _ACROSS)
    down = math.ceil(len(titles) / across)
    width = HALF if across == 1 else WIDTH
    drawing = Drawing(figsize=(width, height * down), layout="constrained")
    axes = [drawing.add_subplot(down, across, place + 1) for place in range(len(titles))]
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(written(title, 34))
        if share_y and panel is not axes[0]:
            panel.sharey(axes[0])
    return drawing, axes


def legend(drawing: Drawing, handles: Mapping[str, Artist]) -> None:
    """Put the legend below the panels, on as many columns as fit the figure's width."""
    labels = [written(label) for label in handles]
    for columns in range(min(len(labels), 4), 0, -1):
        found = drawing.legend(list(handles.values()), labels, loc="outside lower center", ncols=columns, frameon=False)
        drawing.draw_without_rendering()
        if columns == 1 or found.get_window_extent().width <= drawing.bbox.width:
            return
        found.remove()


def labels(table: Table) -> dict[Column, str]:
    """Name each column in full, and say where planned seeds are not in its means: `kd (2 of 3 seeds)`."""
    return {
        column: _label(column, [cells[index] for cells in table.cells]) for index, column in enumerate(table.columns)
    }


def missing(table: Table) -> str:
    """Say of each cell that lacks planned seeds which, and why; empty where none does. Whole sentences."""
    lacking = notes(table)
    return " ".join([f"Missing from the means: {' '.join(lacking)}"] if lacking else [])


def caption(*texts: str) -> str:
    """Write sentences one after the other; those that have no full stop get one, and empty ones are left out."""
    return " ".join(one_line(text) if text.endswith(".") else sentences([text]) for text in texts if text)


def _label(column: Column, cells: Sequence[Cell]) -> str:
    name = one_line(column.label)
    counts = {(cell.n, cell.planned) for cell in cells if cell.planned is not None}
    if all(n == planned for n, planned in counts):
        return name
    if len(counts) == 1:
        n, planned = counts.pop()
        return f"{name} ({n} of {planned} seeds)"
    return f"{name} (seeds missing)"

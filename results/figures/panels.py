"""What figures of several panels share: where panels stand, the legend below them, and which seeds are missing."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from ..captions import places, remarks, row_label
from ..labels import Column, RowLabel
from ..rendered_table import one_line
from ..table import Cell, Table, labelled
from .style import HALF, WIDTH, Look, written

ACROSS = 3
"""Panels next to each other at most."""
_FEW = 6
"""Methods that the legend of a narrow figure takes."""
_LETTERS = {1: 50, 2: 46, 3: 30}
"""In one line of a panel's title, by how many panels are next to each other."""


def done_places(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, tuple[RowLabel, Column]]]:
    """Give the trials of a table that are done, and by their keys where each of them stands in it."""
    runs, _ = labelled(frame)
    done = runs.loc[runs["state"] == "done"]
    return done, dict(zip(done["key"], zip(done["row"], done["column"], strict=True), strict=True))


def panels(table: Table, *, height: float = 2.0) -> tuple[Drawing, list[Axes]]:
    """Give an empty figure with a panel for each row of a table, headed by the row's name; `height` in inches."""
    titles = [row_label(table, row) for row in table.rows]
    return grid(titles, height=height, wide=len(table.columns) > _FEW)


def grid(
    titles: Sequence[str], *, height: float, across: int = ACROSS, wide: bool = False
) -> tuple[Drawing, list[Axes]]:
    """Give an empty figure with a panel for each title, each as high as told, in inches.

    A single panel is as wide as one of a page's two columns, or as both where it has to be `wide`.
    """
    across = 2 if len(titles) == 4 and across > 2 else min(len(titles), across)
    down = math.ceil(len(titles) / across)
    lines = [written(title, _LETTERS[across]) if title else "" for title in titles]
    drawing = Drawing(figsize=(HALF if len(titles) == 1 and not wide else WIDTH, height * down), layout="constrained")
    axes = [drawing.add_subplot(down, across, place + 1) for place in range(len(titles))]
    for panel, title in zip(axes, lines, strict=True):
        panel.set_title(title)
    return drawing, axes


def is_leftmost(panel: Axes) -> bool:
    """Whether nothing is to the left of a panel."""
    place = panel.get_subplotspec()
    return place is None or place.is_first_col()


def is_lowest(panel: Axes, axes: Sequence[Axes]) -> bool:
    """Whether no other panel is below this one."""
    across = 1 if (place := axes[0].get_subplotspec()) is None else place.get_gridspec().ncols
    return list(axes).index(panel) + across >= len(axes)


def legend(drawing: Drawing, handles: Mapping[str, Artist]) -> None:
    """Put a legend below the panels, on as many columns as fit the width; the figure grows by its height."""
    for columns in range(min(len(handles), 4), 0, -1):
        trial = Drawing(figsize=tuple(drawing.get_size_inches()), layout="constrained")
        found = _legend(trial, handles, columns)
        trial.draw_without_rendering()
        area = found.get_window_extent()
        if columns == 1 or area.width <= drawing.bbox.width:
            drawing.set_figheight(drawing.get_figheight() + area.height / drawing.dpi)
            _legend(drawing, handles, columns)
            return


def sign(own: Look) -> Line2D:
    """Give what stands for a method in a legend."""
    return Line2D([], [], color=own.color, linestyle=own.line, marker=own.marker)


def labels(table: Table) -> dict[Column, str]:
    """Name each column in full, and say where planned seeds are not in its means: `kd (2 of 3 seeds)`."""
    rows = [row_label(table, row) for row in table.rows]
    return {
        column: _label(column, dict(zip(rows, (cells[index] for cells in table.cells), strict=True)))
        for index, column in enumerate(table.columns)
    }


def means(table: Table) -> str:
    """Say what is drawn of several seeds, or of one."""
    return "one seed" if table.seeds == 1 else f"mean over {over_seeds(table)}"


def over_seeds(table: Table) -> str:
    """Say which seeds are taken together."""
    match table.seeds:
        case None:
            return "the seeds that are done"
        case 1:
            return "one seed"
        case seeds:
            return f"n = {seeds} seeds"


def deviations(table: Table, signs: str) -> str:
    """Say what bands or bars are; empty where no cell has two seeds."""
    has_deviation = any(cell.std is not None for cells in table.cells for cell in cells)
    return f"{signs}: ± one sample standard deviation" if has_deviation else ""


def protocol(table: Table) -> list[str]:
    """Say what is reported, and of a search with what effort each method was tuned."""
    return [text for text in remarks(table) if not text.startswith(("Cells: ", "Commit: "))]


def missing(table: Table) -> str:
    """Say of each cell that lacks planned seeds how many it has, which it lacks, and why; empty where none does."""
    lacking = [
        one_line(f"{row_label(table, row)}, {column.label}: {cell.n} of {cell.planned} seeds ({cell.note})")
        for row, column, cell in places(table)
        if cell.planned is not None and not cell.complete
    ]
    return f"Seeds missing from the means: {'; '.join(lacking)}" if lacking else ""


def caption(*texts: str) -> str:
    """Write sentences one after the other; those that have no full stop get one, and empty ones are left out."""
    return " ".join(one_line(text).removesuffix(".") + "." for text in texts if text)


def _legend(drawing: Drawing, handles: Mapping[str, Artist], columns: int) -> Legend:
    return drawing.legend(
        list(handles.values()),
        [written(name) for name in handles],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=4,
        borderaxespad=0,
    )


def _label(column: Column, cells: Mapping[str, Cell]) -> str:
    """The column's name; `cells` are by the row's name."""
    name = one_line(column.label)
    planned = {row: cell for row, cell in cells.items() if cell.planned is not None}
    lacking = {row: f"{cell.n} of {cell.planned} seeds" for row, cell in planned.items() if not cell.complete}
    if not lacking:
        return name
    if len(planned) == len(lacking) and len(set(lacking.values())) == 1:
        return f"{name} ({next(iter(lacking.values()))})"
    if len(lacking) == 1:
        return f"{name} ({', '.join(next(iter(lacking.items())))})"
    return f"{name} (seeds missing on {len(lacking)} of {len(cells)})"

"""Layout, legend and caption texts of figures with several panels."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from ..captions import places, remarks, row_label, spread
from ..labels import Column, RowLabel
from ..rendered_table import one_line
from ..table import Cell, Table, labelled
from .style import HALF, WIDTH, Look, written

ACROSS = 3
"""Maximum number of panels per row."""
_FEW = 6
"""Maximum number of methods in the legend of a narrow figure."""
_LETTERS = {1: 50, 2: 46, 3: 30}
"""Maximum letters per line of a panel's title, by number of panels per row."""


def done_places(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, tuple[RowLabel, Column]]]:
    """Return the completed trials of a table, and the row and column of each by its key."""
    runs, _ = labelled(frame)
    done = runs.loc[runs["state"] == "done"]
    return done, dict(zip(done["key"], zip(done["row"], done["column"], strict=True), strict=True))


def panels(table: Table, *, height: float = 2.0) -> tuple[Drawing, list[Axes]]:
    """Return an empty figure with a panel for each row of a table, titled with its label; `height` in inches."""
    titles = [row_label(table, row) for row in table.rows]
    return grid(titles, height=height, wide=len(table.columns) > _FEW)


def grid(
    titles: Sequence[str], *, height: float, across: int = ACROSS, wide: bool = False
) -> tuple[Drawing, list[Axes]]:
    """Return an empty figure with a panel for each title.

    Args:
        titles: titles of the panels.
        height: height of a panel in inches.
        across: maximum number of panels per row.
        wide: make a single panel as wide as both columns of a page instead of one.
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
    """Return True if no panel is to the left of this one."""
    place = panel.get_subplotspec()
    return place is None or place.is_first_col()


def is_lowest(panel: Axes, axes: Sequence[Axes]) -> bool:
    """Return True if no panel is below this one."""
    across = 1 if (place := axes[0].get_subplotspec()) is None else place.get_gridspec().ncols
    return list(axes).index(panel) + across >= len(axes)


def legend(drawing: Drawing, handles: Mapping[str, Artist]) -> None:
    """Add a legend below the panels, with as many columns as fit; the figure grows by its height."""
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
    """Return the legend handle of a method."""
    return Line2D([], [], color=own.color, linestyle=own.line, marker=own.marker)


def labels(table: Table) -> dict[Column, str]:
    """Return the label of each column, with missing seeds: `kd (2 of 3 seeds)`."""
    rows = [row_label(table, row) for row in table.rows]
    return {
        column: _label(column, dict(zip(rows, (cells[index] for cells in table.cells), strict=True)))
        for index, column in enumerate(table.columns)
    }


def means(table: Table) -> str:
    """Return the words for a mean over seeds, or for one seed."""
    return "one seed" if table.seeds == 1 else f"mean over {over_seeds(table)}"


def over_seeds(table: Table) -> str:
    """Return the words for the seeds of a mean."""
    match table.seeds:
        case None:
            return "the completed seeds"
        case 1:
            return "one seed"
        case seeds:
            return f"n = {seeds} seeds"


def deviations(table: Table, signs: str) -> str:
    """Return the sentence that explains bands or bars; empty if no cell has two seeds."""
    has_deviation = any(cell.std is not None for cells in table.cells for cell in cells)
    return f"{signs}: ± one sample standard deviation" if has_deviation else ""


def protocol(table: Table) -> list[str]:
    """Return the remarks on the protocol and, for a search, on the search budgets."""
    return [text for text in remarks(table) if text != spread(table.seeds) and not text.startswith("Commit: ")]


def missing(table: Table) -> str:
    """Return the sentence on cells with missing seeds, with numbers and reasons; empty without such cells."""
    lacking = [
        one_line(f"{row_label(table, row)}, {column.label}: {cell.n} of {cell.planned} seeds ({cell.note})")
        for row, column, cell in places(table)
        if cell.planned is not None and not cell.complete
    ]
    return f"Seeds missing from the means: {'; '.join(lacking)}" if lacking else ""


def caption(*texts: str) -> str:
    """Join sentences to a caption; missing full stops are added, and empty texts are omitted."""
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
    """Return the label of a column with missing seeds; `cells` are by row label."""
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

"""Layout, legend and caption texts of figures with several panels."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from ..captions import places, remarks, row_label, spread
from ..labels import Column, RowLabel
from ..rendered_table import one_line
from ..table import Cell, Table
from .data import SweepData
from .groups import PanelGroup
from .style import HALF, WIDTH, Look, written

ACROSS = 3
"""Maximum number of panels per row."""
MOST_NAMED = 10
"""Number of cells with missing seeds that a caption names."""
_LINES = 4
"""Maximum number of panels in a column, so that a figure fits on a page."""
_LETTERS = {1: 50, 2: 46, 3: 30}
"""Maximum letters per line of a panel's title, by number of panels per row."""
_LEGEND = {2: 44, 3: 27}
"""Maximum letters per line of a legend below one panel, by number of panels per row."""
_LEGEND_LINE = 0.15
"""Height of a line of a legend, in inches."""
_BELOW = 0.48
"""Distance of a legend from the horizontal axis above it, in inches, with one line of tick labels."""
_TITLE_LINE = 0.16
"""Height of a line of a panel's title, in inches."""


def done_places(data: SweepData) -> tuple[pd.DataFrame, dict[str, tuple[RowLabel, Column]]]:
    """Return the completed trials of a table, and the row and column of each by its key."""
    done = data.runs.loc[data.runs["state"] == "done"]
    return done, dict(zip(done["key"], zip(done["row"], done["column"], strict=True), strict=True))


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Panel for the lines of some configurations on one row of the comparison."""

    axes: Axes
    row: RowLabel
    columns: tuple[Column, ...]
    has_left_label: bool
    """True if the panel has the label of the vertical axis."""
    has_lower_label: bool
    """True if the panel has the label of the horizontal axis."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Figure that fits on a page, with panels for some rows of the comparison."""

    drawing: Drawing
    panels: tuple[Panel, ...]
    subtitle: str
    """Rows of the sheet in parentheses; empty if it has all."""


def sheets(
    data: SweepData, *, height: float = 2.0, tick_lines: int = 1, shown: Collection[Column] | None = None
) -> list[Sheet]:
    """Return empty figures with a panel for each row and group, with legends.

    Up to six configurations share a panel, and panels are small multiples of the rows. More configurations are
    divided: the panels of one row have the same axes, and each group has its own legend.

    Args:
        data: the sweep.
        height: height of a panel in inches.
        tick_lines: lines of the tick labels below a panel.
        shown: configurations in the figure; default: all.
    """
    table = data.table
    kept = [group for group in data.groups if shown is None or any(column in shown for column in group.columns)]
    if len(data.groups) == 1 or not kept:
        return [_sheet(data, rows, height, shown) for rows in _parts(table.rows, ACROSS * _LINES)]
    across = 2 if len(kept) in (2, 4) else min(len(kept), ACROSS)
    of_row = math.ceil(len(kept) / across)
    return [
        _divided_sheet(data, rows, kept, height, across, tick_lines, shown)
        for rows in _parts(table.rows, max(1, _LINES // of_row))
    ]


def _parts(rows: Sequence[RowLabel], most: int) -> list[Sequence[RowLabel]]:
    return [rows[start : start + most] for start in range(0, len(rows), most)]


def _subtitle(table: Table, rows: Sequence[RowLabel]) -> str:
    return "" if len(rows) == len(table.rows) else f" ({', '.join(row_label(table, row) for row in rows)})"


def _sheet(data: SweepData, rows: Sequence[RowLabel], height: float, shown: Collection[Column] | None) -> Sheet:
    """Return a figure with a panel for each row, and one legend below."""
    table = data.table
    drawing, axes = grid([row_label(table, row) for row in rows], height=height)
    names = {column: name for column, name in labels(table).items() if shown is None or column in shown}
    legend(drawing, {name: sign(data.looks[column]) for column, name in names.items()})
    return Sheet(
        drawing=drawing,
        panels=tuple(
            Panel(
                axes=panel,
                row=row,
                columns=tuple(names),
                has_left_label=is_leftmost(panel),
                has_lower_label=is_lowest(panel, axes),
            )
            for row, panel in zip(rows, axes, strict=True)
        ),
        subtitle=_subtitle(table, rows),
    )


def _divided_sheet(
    data: SweepData,
    rows: Sequence[RowLabel],
    divided: Sequence[PanelGroup],
    height: float,
    across: int,
    tick_lines: int,
    shown: Collection[Column] | None,
) -> Sheet:
    """Return a figure with a panel for each row and group, and the legend of each group below its last panel."""
    table = data.table
    lines = math.ceil(len(divided) / across)
    drawing = Drawing(figsize=(WIDTH, height * lines * len(rows)), layout="constrained")
    below = _BELOW + _LEGEND_LINE * (tick_lines - 1)
    panels: list[Panel] = []
    names = labels(table)
    legends, titles = [0.0] * lines, [0] * lines * len(rows)
    for number, row in enumerate(rows):
        first: Axes | None = None
        for place, group in enumerate(divided):
            position = (number * lines + place // across) * across + place % across + 1
            axes = drawing.add_subplot(lines * len(rows), across, position, sharex=first, sharey=first)
            first = first or axes
            title = f"{row_label(table, row)}: {group.name}" if len(table.rows) > 1 else group.name
            axes.set_title(written(title, _LETTERS[across]))
            line = number * lines + place // across
            titles[line] = max(titles[line], axes.get_title().count("\n"))
            columns = tuple(column for column in group.lines if shown is None or column in shown)
            is_last = number == len(rows) - 1
            if is_last:
                handles = {written(names[column], _LEGEND[across]): sign(data.looks[column]) for column in columns}
                _legend_below(axes, handles, below)
                depth = _LEGEND_LINE * sum(name.count("\n") + 1 for name in handles) + _LEGEND_LINE
                legends[place // across] = max(legends[place // across], depth)
            is_left = place % across == 0
            axes.tick_params(labelleft=is_left)
            panels.append(Panel(axes=axes, row=row, columns=columns, has_left_label=is_left, has_lower_label=is_last))
    drawing.set_figheight(drawing.get_figheight() + sum(legends) + _TITLE_LINE * sum(titles))
    return Sheet(drawing=drawing, panels=tuple(panels), subtitle=_subtitle(table, rows))


def _legend_below(axes: Axes, handles: Mapping[str, Artist], distance: float) -> None:
    """Add a legend in one column, at a distance in inches below the panel."""
    drawing = axes.get_figure(root=True)
    if drawing is not None:
        below = axes.transAxes + ScaledTranslation(0, -distance, drawing.dpi_scale_trans)
        axes.legend(
            list(handles.values()),
            list(handles),
            loc="upper left",
            bbox_to_anchor=(0, 0),
            bbox_transform=below,
            frameon=False,
            handlelength=3,
            borderaxespad=0,
            borderpad=0,
        )


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
    return lacking_seeds(
        one_line(f"{row_label(table, row)}, {column.label}: {cell.n} of {cell.planned} seeds ({cell.note})")
        for row, column, cell in places(table)
        if cell.planned is not None and not cell.complete
    )


def lacking_seeds(cells: Iterable[str]) -> str:
    """Return the sentence with these texts on cells; the first ones are named, the others counted."""
    texts = list(cells)
    named = "; ".join(texts[:MOST_NAMED])
    more = f"; and {len(texts) - MOST_NAMED} more" * (len(texts) > MOST_NAMED)
    return f"Seeds missing from the means: {named}{more}" if texts else ""


def caption(*texts: str) -> tuple[str, ...]:
    """Return the sentences of a caption; missing full stops are added, and empty texts are omitted."""
    return tuple(one_line(text).removesuffix(".") + "." for text in texts if text)


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

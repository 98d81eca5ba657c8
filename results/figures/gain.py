"""Gain figure: difference from the baseline with its interval."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from ..captions import row_label, title
from ..significance import Significance
from ..statistics import PairedTest
from ..table import Cell, Table
from .data import SweepData
from .figure import Figure
from .panels import caption, grid, is_leftmost, is_lowest, missing, protocol
from .style import GREY, Look, written

_LETTERS = 26
"""Maximum letters per line of a method's name."""
_LINE = 0.13
"""Height of a line, in inches."""


def gain(data: SweepData) -> list[Figure]:
    """Draw each method's mean difference from the baseline, one panel per row; empty without seed pairs."""
    table, tests = data.table, data.tests
    if table.baseline is None or not any(test for row in tests.cells for test in row):
        return []
    shown = [index for index, column in enumerate(table.columns) if column != table.baseline]
    names = [written(table.columns[index].label, _LETTERS) for index in shown]
    rows = [(row_label(table, row), *_of_row(table, tests, place)) for place, row in enumerate(table.rows)]
    if any(tests.pooled):
        rows.append((f"all {len(table.rows)} rows", list(tests.pooled), [None] * len(table.columns)))
    heights, bottom = _heights(names)
    drawing, axes = grid([name for name, _, _ in rows], height=0.75 + _LINE * bottom)
    for panel, (_, of_row, cells) in zip(axes, rows, strict=True):
        panel.axvline(0, color="black", linewidth=0.8, zorder=1)
        panel.grid(visible=False, axis="y")
        panel.set_ylim(bottom, 0)
        panel.set_yticks(heights, names if is_leftmost(panel) else [""] * len(shown))
        panel.tick_params(axis="y", length=0)
        for height, index in zip(heights, shown, strict=True):
            _draw(panel, height, of_row[index], data.looks[table.columns[index]])
            _say(panel, height, of_row[index], cells[index])
        if is_lowest(panel, axes):
            panel.set_xlabel(written(f"difference from {table.baseline.label}, {table.metric.difference_unit}", 32))
    return [
        Figure(
            name="gain",
            title=title(table, f"{table.metric.title}, difference from {table.baseline.label}"),
            sentences=caption(
                f"Mean difference from {table.baseline.label} with its interval",
                f"{table.metric.title[0].upper()}{table.metric.title[1:]}: differences over pairs of seeds, in "
                f"{table.metric.difference_unit}{_pairs(tests)}",
                _intervals(tests),
                _marks(tests),
                f"All {len(table.rows)} rows: pairs of all rows pooled" if any(tests.pooled) else "",
                *protocol(table),
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _of_row(table: Table, tests: Significance, place: int) -> tuple[list[PairedTest | None], list[Cell | None]]:
    return list(tests.cells[place]), list(table.cells[place])


def _heights(names: Sequence[str]) -> tuple[list[float], float]:
    """Return the height of each method below the top, and of the bottom, in lines of text."""
    heights, bottom = [], 0.25
    for name in names:
        lines = name.count("\n") + 1.5
        heights.append(bottom + lines / 2)
        bottom += lines
    return heights, bottom + 0.25


def _draw(panel: Axes, height: float, test: PairedTest | None, own: Look) -> None:
    if test is None:
        return
    if test.t_interval is not None:
        panel.plot(test.t_interval, [height, height], color=own.color, linewidth=1.4, solid_capstyle="butt", zorder=2)
        panel.plot(test.t_interval, [height, height], "|", color=own.color, markersize=5, zorder=2)
    inside = own.color if test.is_significant else "white"
    panel.plot(test.mean, height, marker=own.marker, color=own.color, markerfacecolor=inside, markersize=5, zorder=3)


def _say(panel: Axes, height: float, test: PairedTest | None, cell: Cell | None) -> None:
    """Write the number of pairs at the right edge, or the outcome of the seeds."""
    if test is not None:
        text = f"n={test.pairs}" if cell is None or cell.complete else f"{test.pairs} of {cell.planned}"
    else:
        text = "no pairs" if cell is None or cell.mean is not None else cell.outcome
    panel.text(
        1.02,
        height,
        written(text, 14),
        transform=panel.get_yaxis_transform(),
        verticalalignment="center",
        fontsize=7,
        color=GREY,
    )


def _pairs(tests: Significance) -> str:
    counts = {test.pairs for row in tests.cells for test in row if test}
    return f" (n = {counts.pop()})" if len(counts) == 1 else "; the number of pairs n is on the right"


def _intervals(tests: Significance) -> str:
    everything = [test for row in (*tests.cells, tests.pooled) for test in row if test]
    if not any(test.t_interval for test in everything):
        return "No intervals: they need at least 3 pairs whose differences are not all equal"
    lacking = any(test.t_interval is None for test in everything)
    rest = "; no bar with fewer than 3 pairs, or if all differences are equal" if lacking else ""
    return f"Bars: 95% Student's t interval of the mean, not corrected for multiple comparisons{rest}"


def _marks(tests: Significance) -> str:
    family = len(tests.tested)
    if not family:
        return ""
    corrected = f", Holm-corrected over {family} comparisons" if family > 1 else ""
    return f"Filled markers: p < 0.05 in a paired t-test{corrected}; hollow: not significant, or not tested"

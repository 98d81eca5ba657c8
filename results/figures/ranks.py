"""Critical-difference diagram: methods by their mean ranks (Demsar 2006, figure 1)."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from ..captions import title
from ..statistics import Ranking
from .data import SweepData
from .figure import Figure
from .panels import caption, missing, protocol
from .style import WIDTH, written

_LETTERS = 30
"""Maximum letters per line of a method's name."""
_LINE = 0.15
"""Height of a line, in inches."""
_BEYOND = 0.08
"""Distance of a name from the axis, as a share of the worst rank."""


def ranks(data: SweepData) -> list[Figure]:
    """Draw the mean ranks of the methods over the rows; empty with fewer than 3 methods or rows."""
    table, found = data.table, data.tests.ranking
    if found is None:
        return []
    names = [column.label for column in table.columns]
    return [
        Figure(
            name="ranks",
            title=title(table, f"{table.metric.title}, mean ranks of the methods"),
            sentences=caption(
                f"Mean ranks of the methods by {table.metric.title}; rank 1 is best",
                f"Ranks over the {found.rows} rows with a mean for every method",
                "Thick bars join methods whose mean ranks differ by at most the Nemenyi critical difference at 0.05, "
                f"CD = {found.critical_difference:.2f}",
                f"Friedman test: chi-squared = {found.statistic:.2f}, p = {found.p:.2g}",
                *protocol(table),
                missing(table),
            ),
            drawing=_drawn(names, found),
        )
    ]


def groups(values: Sequence[float], critical: float) -> list[tuple[float, float]]:
    """Return the first and last mean rank of each maximal group of two or more within a critical difference."""
    ordered = sorted(values)
    found: list[tuple[int, int]] = []
    for first in range(len(ordered)):
        last = max(place for place in range(first, len(ordered)) if ordered[place] - ordered[first] <= critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return [(ordered[first], ordered[last]) for first, last in found]


def _drawn(names: Sequence[str], found: Ranking) -> Drawing:
    ordered = sorted(zip(found.ranks, names, strict=True))
    half = math.ceil(len(ordered) / 2)
    bars = groups(found.ranks, found.critical_difference)
    labels = [written(name, _LETTERS) for _, name in ordered]
    levels = _levels(labels[:half]), _levels(labels[half:][::-1])
    top = 0.12 + 0.1 * len(bars)
    depth = top + max(map(max, levels)) + 0.3
    drawing = Drawing(figsize=(WIDTH, depth + 0.8), layout="constrained")
    panel = drawing.add_subplot()
    worst = len(ordered)
    panel.set(xlim=(1, worst), ylim=(depth, -0.55))
    panel.axis("off")
    _scale(panel, worst, found.critical_difference)
    for place, (low, high) in enumerate(bars):
        level = 0.12 + 0.1 * place
        panel.plot(
            [low - 0.03, high + 0.03], [level, level], color="black", linewidth=3, solid_capstyle="butt", clip_on=False
        )
    for place, ((rank, _), label) in enumerate(zip(ordered, labels, strict=True)):
        left = place < half
        level = top + (levels[0][place] if left else levels[1][len(ordered) - 1 - place])
        edge = 1 - _BEYOND * worst if left else worst + _BEYOND * worst
        panel.plot([rank, rank, edge], [0, level, level], color="black", linewidth=0.7, clip_on=False)
        panel.annotate(
            label,
            (edge, level),
            xytext=(-3 if left else 3, 0),
            textcoords="offset points",
            horizontalalignment="right" if left else "left",
            verticalalignment="center",
            annotation_clip=False,
        )
        panel.text(
            edge,
            level - 0.02,
            f"{rank:.2f}",
            horizontalalignment="left" if left else "right",
            verticalalignment="bottom",
            fontsize=7,
        )
    return drawing


def _scale(panel: Axes, worst: int, critical: float) -> None:
    """Draw the axis of ranks, and the length of the critical difference above it."""
    panel.plot([1, worst], [0, 0], color="black", linewidth=0.8)
    for rank in range(1, worst + 1):
        panel.plot([rank, rank], [-0.05, 0], color="black", linewidth=0.8, clip_on=False)
        panel.text(rank, -0.08, str(rank), horizontalalignment="center", verticalalignment="bottom")
    end = 1 + critical
    panel.plot([1, end], [-0.35, -0.35], color="black", linewidth=1.2, clip_on=False)
    for place in (1, end):
        panel.plot([place, place], [-0.39, -0.31], color="black", linewidth=1.2, clip_on=False)
    panel.text((1 + end) / 2, -0.4, f"CD = {critical:.2f}", horizontalalignment="center", verticalalignment="bottom")


def _levels(labels: Sequence[str]) -> list[float]:
    """Return the distance of each label's middle from the top, in inches."""
    levels, bottom = [], 0.0
    for label in labels:
        height = (_lines(label) + 0.3) * _LINE
        levels.append(bottom + height / 2)
        bottom += height
    return levels


def _lines(label: str) -> int:
    return label.count("\n") + 1

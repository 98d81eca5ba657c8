"""Importance figure: shares of the metric's variance that the axes of a sweep explain."""

from ..captions import title
from .axes import grids, shares
from .data import SweepData
from .figure import Figure
from .panels import caption, grid, is_lowest, missing, protocol
from .style import COLORS, GREY, written

_LETTERS = 18
"""Maximum letters per line of an axis's name."""
_INSIDE = 80
"""Share in % from which its number is inside the bar."""
_REST = ("interactions", "seeds")


def importance(data: SweepData) -> list[Figure]:
    """Draw the shares of variance of the axes, one panel per grid; empty without two varying axes."""
    found = [(one.name, of_grid) for one in grids(data.frame) if (of_grid := shares(one)) is not None]
    if not found:
        return []
    table = data.table
    most = max(len(one.axes) for _, one in found) + len(_REST)
    drawing, axes = grid([name or "all methods" for name, _ in found], height=0.7 + 0.2 * most)
    for panel, (_, of_grid) in zip(axes, found, strict=True):
        bars = {**of_grid.axes, "interactions": of_grid.interactions, "seeds": of_grid.seeds}
        heights = range(len(bars))
        colors = [COLORS[0]] * len(of_grid.axes) + [GREY] * len(_REST)
        panel.barh(heights, list(bars.values()), color=colors, height=0.6)
        panel.set_yticks(heights, [written(name, _LETTERS) for name in bars])
        panel.set(xlim=(0, 100), ylim=(most - 0.4, -0.6))
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        for height, share in zip(heights, bars.values(), strict=True):
            inside = share > _INSIDE
            panel.text(
                share + (-2 if inside else 2),
                height,
                f"{share:.1f}",
                horizontalalignment="right" if inside else "left",
                verticalalignment="center",
                color="white" if inside else "black",
                fontsize=7,
            )
        panel.set_xlabel("share of variance, %" if is_lowest(panel, axes) else "")
    return [
        Figure(
            name="importance",
            title=title(table, f"{table.metric.title}, importance of the axes"),
            sentences=caption(
                f"Share of the variance of the {table.metric.title} that each axis explains",
                _method(),
                "Interactions: differences between configurations beyond these shares",
                "Seeds: differences between seeds of one configuration",
                "All methods: each setting of a method counts as a method" if not found[0][0] else "",
                "Shares describe the values of this sweep; they are not corrected for chance",
                *protocol(table),
                missing(table),
            ),
            drawing=drawing,
        )
    ]


def _method() -> str:
    return (
        "Analysis of variance: main effect of the axis, as R² added to a linear model, averaged over all orders of the "
        "axes (Lindeman, Merenda and Gold 1980)"
    )

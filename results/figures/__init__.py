"""Figures of a loaded sweep for a paper."""

from collections.abc import Callable, Collection
from dataclasses import replace

import pandas as pd

from ...specs import SpecError, unknown
from .ablation import ablation
from .convergence import convergence
from .data import SweepData
from .early_exit import early_exit
from .exits import exits
from .figure import Figure
from .gain import gain
from .importance import importance
from .parallel import parallel
from .ranks import ranks
from .reliability import reliability
from .style import styled

__all__ = ["KINDS", "Figure", "draw"]

KINDS = {
    kind.__name__.replace("_", "-"): kind
    for kind in (convergence, exits, early_exit, gain, reliability, ranks, importance, parallel, ablation)
}
"""Kinds of figures by name, in the order of the output."""


def draw(
    frame: pd.DataFrame,
    history: pd.DataFrame,
    announce: Callable[[str], object] = lambda _: None,
    kinds: Collection[str] = (),
) -> tuple[Figure, ...]:
    """Draw the figures that the data of one loaded sweep allows, always in the same order.

    Args:
        frame: a sweep loaded by `load`; the order of its rows has no effect.
        history: its metrics by epoch, loaded by `history`; the order of its rows has no effect.
        announce: is called with a line about each kind of figure before it is drawn.
        kinds: names of the kinds to draw, of `KINDS`; default: all.

    Raises:
        SpecError: A `ValueError`, if there is nothing to compare yet, nothing to draw, or for an unknown kind.
    """
    for name in kinds:
        if name not in KINDS:
            raise unknown("kind of figure", name, KINDS, field="kind")
    data = SweepData(frame=frame, history=history)
    _ = data.table  # raises an error if there is nothing to compare
    with styled():
        figures: list[Figure] = []
        for name, kind in KINDS.items():
            if not kinds or name in kinds:
                announce(f"Drawing figures: {name}")
                figures += kind(data)
        for figure in figures:  # computes the layout once instead of for each file
            figure.drawing.draw_without_rendering()
            figure.drawing.set_layout_engine(None)  # with any engine, saving a file draws the figure twice
    if not figures:
        what = " or ".join(kinds) or "figures"
        raise SpecError(
            f"there is nothing to draw: {what} need results with accuracy by epoch, with exits, or with a baseline."
        )
    return tuple(_named_apart(figures))


def _named_apart(figures: list[Figure]) -> list[Figure]:
    """Return the figures with distinct names: a repeated name gets a number."""
    names: set[str] = set()
    apart = []
    for figure in figures:
        tries = (figure.name, *(f"{figure.name}-{number}" for number in range(2, len(figures) + 1)))
        name = next(name for name in tries if name not in names)
        names.add(name)
        apart.append(replace(figure, name=name))
    return apart

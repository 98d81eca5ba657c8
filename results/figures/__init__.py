"""A loaded sweep as figures for a paper."""

from dataclasses import replace

import pandas as pd

from ...specs import SpecError
from ..table import comparison
from .ablation import ablation
from .convergence import convergence
from .early_exit import early_exit
from .exits import exits
from .figure import Figure
from .gain import gain
from .ranks import ranks
from .reliability import reliability
from .style import styled

__all__ = ["Figure", "draw"]

_KINDS = (convergence, exits, early_exit, gain, reliability, ranks, ablation)
"""In the order in which figures come."""


def draw(frame: pd.DataFrame, history: pd.DataFrame) -> tuple[Figure, ...]:
    """Draw all that the data of one loaded sweep allows, always in the same order.

    `frame` is what `load` gives and `history` what `history` gives; the order of their rows does not matter. Raises
    `SpecError` (a `ValueError`) if there is nothing to compare yet, or nothing to draw.
    """
    comparison(frame)
    with styled():
        figures = [figure for kind in _KINDS for figure in kind(frame, history)]
        for figure in figures:  # places everything once and not for each file
            figure.drawing.draw_without_rendering()
            figure.drawing.set_layout_engine("none")
    if not figures:
        raise SpecError(
            "there is nothing to draw: no result has accuracy by epoch, exits, or a baseline to be compared with."
        )
    return tuple(_named_apart(figures))


def _named_apart(figures: list[Figure]) -> list[Figure]:
    """With a number behind a name that another figure has already."""
    names: set[str] = set()
    apart = []
    for figure in figures:
        tries = (figure.name, *(f"{figure.name}-{number}" for number in range(2, len(figures) + 1)))
        name = next(name for name in tries if name not in names)
        names.add(name)
        apart.append(replace(figure, name=name))
    return apart

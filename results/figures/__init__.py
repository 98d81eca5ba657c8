"""A loaded sweep as figures for a paper."""

import pandas as pd

from ...specs import SpecError
from ..table import comparison
from .convergence import convergence
from .figure import Figure
from .style import styled

__all__ = ["Figure", "draw"]

_KINDS = (convergence,)
"""In the order in which figures come."""


def draw(frame: pd.DataFrame, history: pd.DataFrame) -> tuple[Figure, ...]:
    """Draw all that the data of one loaded sweep allows, always in the same order.

    `frame` is what `load` gives and `history` what `history` gives; the order of their rows does not matter. Raises
    `SpecError` (a `ValueError`) if there is nothing to compare yet, or nothing to draw.
    """
    comparison(frame)
    with styled():
        figures = tuple(figure for kind in _KINDS for figure in kind(frame, history))
    if not figures:
        raise SpecError("there is nothing to draw: no trial that the sweep file asks for is done yet.")
    return figures

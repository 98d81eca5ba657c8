"""How figures look: sizes for print, and signs that colour-blind readers and grey printers tell apart."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from ..rendered_table import one_line

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe's and Ito's colours, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/)."""
GREY = "#666666"
"""Of what is said beside the data."""
MARGIN = 0.1
"""Around a figure, in inches."""
PRINT: dict[Any, Any] = {
    "pdf.fonttype": 42,  # outlines that journals take, and whose text can be searched
    "text.parse_math": False,  # a name with dollar signs is no formula
}
"""What every figure on paper is drawn and saved with."""
WIDTH, HALF = 7.0, 3.5
"""Of a figure over a page's two columns, and over one of them, in inches."""

_FONT, _SMALL = 8, 7
"""Points, as printed."""
_SETTINGS: dict[Any, Any] = PRINT | {
    "font.size": _FONT,
    "axes.titlesize": _FONT,
    "axes.labelsize": _FONT,
    "xtick.labelsize": _SMALL,
    "ytick.labelsize": _SMALL,
    "legend.fontsize": _SMALL,
    "figure.titlesize": _FONT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E0E0E0",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # letters, not outlines: they can be searched, copied and read aloud
    "svg.hashsalt": "exeunt",
}
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LONGEST = 40
"""Letters in one line of a name."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The signs of one method, alike in all figures of a sweep."""

    color: str
    line: Any
    """As matplotlib takes a line's style."""
    marker: str


def look(index: int) -> Look:
    """Give the signs of the method at a place of the plan, counted from 0; without the colours, 45 differ."""
    return Look(
        color=COLORS[index % len(COLORS)],
        line=_LINES[index % len(_LINES)],
        marker=_MARKERS[index % len(_MARKERS)],
    )


def written(name: str, width: int = _LONGEST) -> str:
    """Give a recorded name in full, on as many lines as it takes; `width` is in letters."""
    return "\n".join(textwrap.wrap(one_line(name), width)) or "–"


@contextmanager
def styled() -> Iterator[None]:
    """Inside, matplotlib draws and saves as above, whatever the user has set; afterwards all is as it was."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # of a name that the font has no letter for
        mpl.rcdefaults()
        for name, value in _SETTINGS.items():
            mpl.rcParams[name] = value
        yield

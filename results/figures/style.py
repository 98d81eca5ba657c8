"""Style of figures: sizes for print, and colours, lines and markers that remain distinct without colour."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from ..rendered_table import one_line

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe-Ito palette, distinct for colour-blind readers (https://jfly.uni-koeln.de/color/)."""
BASELINE_COLOR = "#000000"
"""Colour of the baseline, and the seventh of the palette."""
GREY = "#666666"
"""Colour of annotations."""
MARGIN = 0.1
"""Margin around a figure, in inches."""
PRINT: dict[Any, Any] = {
    "pdf.fonttype": 42,  # TrueType fonts: accepted by journals, searchable
    "text.parse_math": False,  # a name with dollar signs is not a formula
}
"""Matplotlib settings of every figure for print."""
WIDTH, HALF = 7.0, 3.5
"""Widths in inches of a figure over two columns of a page, and over one."""

_FONT, _SMALL = 8, 7
"""Font sizes in points, as printed."""
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
    "svg.fonttype": "none",  # text, not outlines: searchable and accessible to screen readers
    "svg.hashsalt": "exeunt",
}
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LONGEST = 40
"""Maximum letters per line of a name."""
_PIECES = re.compile(rf"[^\s_/,]{{1,{_LONGEST}}}[_/,]*\s*|[_/,]+\s*")
"""Pieces of a long part of a name, between which it may be wrapped."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colour, line and marker of one method, the same in all figures of a sweep."""

    color: str
    line: Any
    """Line style of matplotlib."""
    marker: str


def look(index: int, *, color: str) -> Look:
    """Return the look of the method at a position of the plan, from 0; 45 are distinct without colour."""
    return Look(
        color=color,
        line=_LINES[index % len(_LINES)],
        marker=_MARKERS[index % len(_MARKERS)],
    )


def written(name: str, width: int = _LONGEST) -> str:
    """Wrap a recorded name to lines of `width` letters: after a space or a comma, in a long part after `_` or `/`.

    Words and numbers stay whole, except a word of more than 40 letters.
    """
    lines = [""]
    for part in re.findall(r"(?:[^\s,]+,*|,+)\s*", one_line(name)):
        for piece in [part] if len(part.rstrip()) <= width else _PIECES.findall(part):
            if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.strip() for line in lines) or "–"


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to matplotlib in the block, and restore the user's settings afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # names with letters that the font lacks
        mpl.rcdefaults()
        for name, value in _SETTINGS.items():
            mpl.rcParams[name] = value
        yield

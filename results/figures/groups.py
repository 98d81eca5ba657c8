"""Groups of configurations that share a panel, and their looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..labels import Column
from .style import BASELINE_COLOR, COLORS, Look, look

MOST = 6
"""Maximum number of lines in a panel."""
_NAMED = 3
"""Maximum number of methods that the name of a group lists."""


@dataclass(frozen=True, kw_only=True)
class PanelGroup:
    """Configurations that share a panel."""

    name: str
    """Names of their methods; empty for the only group."""
    columns: tuple[Column, ...]
    """Columns of the comparison without the reference."""
    reference: Column | None = None
    """Baseline, which is repeated in the panel of each group."""

    @property
    def lines(self) -> tuple[Column, ...]:
        """Columns in the order in which they are drawn: the reference first."""
        return self.columns if self.reference is None else (self.reference, *self.columns)


def groups(columns: Sequence[Column], baseline: Column | None) -> tuple[PanelGroup, ...]:
    """Divide the columns of a comparison into groups of at most six lines, with the baseline in each group.

    Up to six columns are one group. Otherwise methods stay together, several in one group if they fit. A method with
    more settings is divided into parts of equal size, in plan order.
    """
    others = [column for column in columns if column != baseline]
    if len(columns) <= MOST:
        return (PanelGroup(name="", columns=tuple(others), reference=baseline),)
    room = MOST - (baseline is not None)
    parts: list[tuple[str, list[Column]]] = []
    shared: list[list[Column]] = []
    for method in dict.fromkeys(column.method for column in others):
        own = [column for column in others if column.method == method]
        if len(own) > room:
            parts += _divided(method, own, room)
            continue
        fitting = next((group for group in shared if len(group) + len(own) <= room), None)
        if fitting is None:
            shared.append(own)
        else:
            fitting += own
    parts += [(_name(group), group) for group in shared]
    parts.sort(key=lambda part: columns.index(part[1][0]))
    return tuple(PanelGroup(name=name, columns=tuple(own), reference=baseline) for name, own in parts)


def looks(columns: Sequence[Column], divided: Sequence[PanelGroup]) -> dict[Column, Look]:
    """Return the look of each column: lines and markers differ between all, colours within a group."""
    colors = {column: COLORS[place] for group in divided for place, column in enumerate(group.columns)}
    return {column: look(index, color=colors.get(column, BASELINE_COLOR)) for index, column in enumerate(columns)}


def _divided(method: str, columns: list[Column], room: int) -> list[tuple[str, list[Column]]]:
    number = -(-len(columns) // room)
    bounds = [len(columns) * part // number for part in range(number + 1)]
    return [
        (f"{method} ({part} of {number})", columns[start:end])
        for part, (start, end) in enumerate(pairwise(bounds), start=1)
    ]


def _name(columns: Sequence[Column]) -> str:
    methods = list(dict.fromkeys(column.method for column in columns))
    return ", ".join(methods) if len(methods) <= _NAMED else f"{methods[0]} and {len(methods) - 1} other methods"

"""Kinds of tables: each builds a `RenderedTable` from a loaded sweep."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import pandas as pd

from ...specs import SpecError, unknown
from ...store import Margins
from ..rendered_table import RenderedTable
from ..selection import Selection, selected
from ..table import comparison, shown
from .ablation import ablation
from .convergence import convergence
from .cost import cost
from .early_exit import early_exit
from .exits import exits
from .failures import failures
from .kd import kd
from .main import main
from .published import published
from .regimes import regimes
from .stability import stability

_OF_A_FRAME: dict[str, Callable[[pd.DataFrame], RenderedTable]] = {
    "exits": exits,
    "kd": kd,
    "cost": cost,
    "early-exit": early_exit,
    "regimes": regimes,
    "published": published,
    "failures": failures,
}
_OF_A_HISTORY: dict[str, Callable[[pd.DataFrame, pd.DataFrame], RenderedTable]] = {
    "convergence": convergence,
    "stability": stability,
}
KINDS = ("main", *_OF_A_FRAME, *_OF_A_HISTORY, "ablation")
"""Kinds of tables that `tabulate` builds."""


_OPTIONS = {
    "rows": ("main", "ablation"),
    "columns": ("main", "ablation"),
    "transpose": ("main", "ablation"),
    "method": ("ablation",),
    "metric": ("main",),
    "digits": ("main",),
}
"""Kinds of tables that accept an option."""


class TableOptions(TypedDict, total=False):
    """Options of a table."""

    rows: str | None
    """Axes along the rows: for a main table of `main.AXES`, joined by commas; for an ablation, one setting."""
    columns: str | None
    """Axes along the columns."""
    transpose: bool
    """True to swap the rows and columns of a table: in a main table, methods go down."""
    method: str | None
    """Method of an ablation; optional if only one method varies in both settings."""
    metric: str | None
    """Recorded name of the compared metric; None for the accuracy that the protocol reports."""
    digits: int | None
    """Number of decimals; None for that of the metric."""
    only: Sequence[str]
    """Patterns of the configurations that are shown, see `Selection`."""
    hide: Sequence[str]
    """Patterns of configurations that are not shown."""
    caption: str | None
    """Title in place of that which names sweep, dataset and metric."""
    label: str | None
    """Label of the LaTeX table; empty for `tab:SWEEP:SUBJECT`."""


def tabulate(
    frame: pd.DataFrame,
    kind: str = "main",
    *,
    history: Callable[[], pd.DataFrame] | None = None,
    margins: Margins | None = None,
    **options: Unpack[TableOptions],
) -> RenderedTable:
    """Build the table of a kind from a loaded sweep.

    Args:
        frame: a loaded sweep, or several that are compared.
        kind: one of `KINDS`.
        history: returns the sweep's history; required by `convergence` and `stability`.
        margins: differences that matter, in percentage points: `Plan.margins` of the sweep; used by `main`.
        options: what the table shows, and how.

    Raises:
        SpecError: A `ValueError`, for an unknown kind, for an option that a kind does not accept or with a wrong value,
            or if there is nothing to show.
    """
    if kind not in KINDS:
        raise unknown("kind of table", kind, KINDS, field="kind")
    for name, kinds in _OPTIONS.items():
        if options.get(name) not in (None, False) and kind not in kinds:
            whose = " and ".join(f"{one!r}" for one in kinds)
            are = "does" if len(kinds) == 1 else "do"
            problem = f"a table of kind {kind!r} does not accept {name}; only kind {whose} {are}."
            raise SpecError(problem, field=name)
    table = _table(frame, kind, options, history, margins)
    if caption := options.get("caption"):
        table = _retold(table, title=caption.strip().rstrip("."))
    if label := options.get("label"):
        table = _retold(table, label=label)
    return table


def _table(
    frame: pd.DataFrame,
    kind: str,
    options: TableOptions,
    history: Callable[[], pd.DataFrame] | None,
    margins: Margins | None,
) -> RenderedTable:
    rows, columns = options.get("rows"), options.get("columns")
    if options.get("transpose"):
        rows, columns = columns, rows
    selection = Selection(only=tuple(options.get("only", ())), hide=tuple(options.get("hide", ())))
    if kind == "main":
        table = comparison(frame, options.get("metric"), digits=options.get("digits"))
        if options.get("transpose") and not rows and not columns:
            rows = "method"
        are_points = table.metric.unit == "%"
        wanted = margins if are_points else None
        return main(shown(table, selection), wanted, rows=_axes(rows), columns=_axes(columns))
    frame = selected(frame, selection)
    if kind == "ablation":
        return ablation(frame, rows=rows, columns=columns, method=options.get("method"))
    if kind in _OF_A_HISTORY:
        if history is None:
            raise SpecError(f"a table of kind {kind!r} needs the history of the sweep.", field="history")
        return _OF_A_HISTORY[kind](frame, history())
    return _OF_A_FRAME[kind](frame)


def _axes(text: str | None) -> Sequence[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _retold(table: RenderedTable, **values: str) -> RenderedTable:
    """Return a table and its other forms with another title or label."""
    forms = tuple(_retold(form, **values) for form in table.alternatives)
    return replace(table, **values, alternatives=forms)

"""Kinds of tables: each builds a `RenderedTable` from a loaded sweep."""

from collections.abc import Callable

import pandas as pd

from ...specs import SpecError, unknown
from ...store import Margins
from ..rendered_table import RenderedTable
from ..table import comparison
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


def tabulate(
    frame: pd.DataFrame,
    kind: str = "main",
    *,
    rows: str | None = None,
    columns: str | None = None,
    method: str | None = None,
    history: Callable[[], pd.DataFrame] | None = None,
    margins: Margins | None = None,
) -> RenderedTable:
    """Build the table of a kind from a loaded sweep.

    Args:
        frame: a loaded sweep.
        kind: one of `KINDS`.
        rows: setting along the rows of an ablation.
        columns: setting along the columns of an ablation.
        method: method of an ablation; optional if only one method varies in both settings.
        history: returns the sweep's history; required by `convergence` and `stability`.
        margins: differences that matter, in percentage points: `Plan.margins` of the sweep; used by `main`.

    Raises:
        SpecError: A `ValueError`, for an unknown kind, for a missing axis of an ablation, for an axis of another kind,
            or if there is nothing to show.
    """
    if kind == "ablation":
        return ablation(frame, rows=rows, columns=columns, method=method)
    if kind not in KINDS:
        raise unknown("kind of table", kind, KINDS, field="kind")
    for name, value in {"rows": rows, "columns": columns, "method": method}.items():
        if value is not None:
            raise SpecError(f"a table of kind {kind!r} does not accept {name}; only kind 'ablation' does.", field=name)
    if kind in _OF_A_HISTORY:
        if history is None:
            raise SpecError(f"a table of kind {kind!r} needs the history of the sweep.", field="history")
        return _OF_A_HISTORY[kind](frame, history())
    return main(comparison(frame), margins) if kind == "main" else _OF_A_FRAME[kind](frame)

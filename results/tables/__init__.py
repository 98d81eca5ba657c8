"""The kinds of tables: each makes a `RenderedTable` of a loaded sweep."""

from collections.abc import Callable

import pandas as pd

from ...specs import SpecError, unknown
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
from .stability import stability

_OF_A_FRAME: dict[str, Callable[[pd.DataFrame], RenderedTable]] = {
    "main": lambda frame: main(comparison(frame)),
    "exits": exits,
    "kd": kd,
    "cost": cost,
    "early-exit": early_exit,
    "published": published,
    "failures": failures,
}
_OF_A_HISTORY: dict[str, Callable[[pd.DataFrame, pd.DataFrame], RenderedTable]] = {
    "convergence": convergence,
    "stability": stability,
}
KINDS = (*_OF_A_FRAME, *_OF_A_HISTORY, "ablation")
"""What `tabulate` can make."""


def tabulate(
    frame: pd.DataFrame,
    kind: str = "main",
    *,
    rows: str | None = None,
    columns: str | None = None,
    method: str | None = None,
    history: Callable[[], pd.DataFrame] | None = None,
) -> RenderedTable:
    """Make the table of a kind from a loaded sweep.

    `rows`, `columns` and `method` belong to an ablation: two settings, and the method that has them. `history` gives
    the sweep's history, and is asked by kinds that are about epochs: `convergence` and `stability`. Raises `SpecError`
    (a `ValueError`) for an unknown kind, where an ablation lacks an axis or another kind has one, and where there is
    nothing to show.
    """
    if kind == "ablation":
        return ablation(frame, rows=rows, columns=columns, method=method)
    if kind not in KINDS:
        raise unknown("kind of table", kind, KINDS, field="kind")
    for name, value in {"rows": rows, "columns": columns, "method": method}.items():
        if value is not None:
            raise SpecError(f"a table of kind {kind!r} has no {name} to choose, but an ablation has.", field=name)
    if kind in _OF_A_HISTORY:
        if history is None:
            raise SpecError(f"a table of kind {kind!r} needs the history of the sweep.", field="history")
        return _OF_A_HISTORY[kind](frame, history())
    return _OF_A_FRAME[kind](frame)

"""Table of training regimes: accuracy of early-exit inference within compute budgets."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from ...specs import SpecError
from ..captions import PLACE_HEADINGS, names, notes, place, places, plain, remarks, title
from ..frame import PARAMETER_PREFIX
from ..labels import Column, RowLabel
from ..rendered_table import Heading, Rank, RenderedTable, TableEntry
from ..table import Table, comparison, labelled
from .early_exit import BUDGETS, ExitingLine, exiting_lines

_PARAMETER = f"{PARAMETER_PREFIX}regime"
_REGIMES = ("joint", "disjoint", "mixed", "branchwise")


def regimes(frame: pd.DataFrame) -> RenderedTable:
    """Return the accuracy of each method under each training regime, at 25%, 50%, 75% and 100% of the cost.

    Raises:
        SpecError: If no method has several regimes, or no cost of exits is recorded.
    """
    final = comparison(frame)
    found = _lines(frame, final)
    lines: dict[tuple[RowLabel, Column], list[ExitingLine]] = {}
    for line, method, _ in found:
        lines.setdefault((line.row, method), []).append(line)
    ranks = {group: _ranks(of_group) for group, of_group in lines.items()}
    return RenderedTable(
        sweep=final.sweep,
        subject="regimes",
        title=f"{title(final).replace(' of the final exit', '')}, of training regimes with early-exit inference",
        remarks=(
            *remarks(final),
            "Budgets: shares of the final exit's multiply-adds (MACs); –: every exit or threshold exceeds the budget",
            "An image leaves at the first exit whose top-class probability reaches a threshold, the same at all exits; "
            "shown: the most expensive threshold within the budget",
            "Regimes other than joint start with the trained weights of the baseline",
        ),
        ranked="mean of each method within each budget",
        headings=(
            *PLACE_HEADINGS,
            Heading(lines=("regime",), align="left"),
            *(Heading(lines=("within", f"{budget:.0%}")) for budget in BUDGETS),
        ),
        stubs=3,
        rows=tuple(
            (
                *place(final, line.row, method),
                TableEntry(text=regime),
                *(
                    replace(plain(cell, final.metric), rank=ranks[line.row, method].get((at, cell.mean)))
                    if cell.n
                    else TableEntry(text="–")
                    for at, cell in enumerate(line.within)
                ),
            )
            for line, method, regime in found
        ),
        notes=tuple(notes(final)),
        records=tuple(
            names(line.row, method.label)
            | {
                "regime": regime,
                "leaving": line.leaving,
                "metric": final.metric.name,
                "quantity": f"within {budget:.0%}",
            }
            | {"mean": cell.mean, "std": cell.std, "n": cell.n, "planned": cell.planned}
            for line, method, regime in found
            for budget, cell in zip(BUDGETS, line.within, strict=True)
        ),
    )


def _lines(frame: pd.DataFrame, final: Table) -> list[tuple[ExitingLine, Column, str]]:
    """Return a line for each configuration of the methods with several regimes, with its method and its regime.

    The order is that of the methods in the table, then that of the regimes.
    """
    runs, _ = labelled(frame)
    written = runs[_PARAMETER] if _PARAMETER in runs else [None] * len(runs)
    regime_of = {
        column: "joint" if pd.isna(regime) else regime for column, regime in zip(runs["column"], written, strict=True)
    }
    method_of = {
        column: replace(column, settings=tuple(s for s in column.settings if not s.startswith("regime=")))
        for column in regime_of
    }
    several = {method_of[column] for column, regime in regime_of.items() if regime != "joint"}
    if not several:
        problem = (
            "no method of this sweep has several training regimes; set `regime: [joint, mixed]` for one with exits."
        )
        raise SpecError(problem, field="kind")
    shown = {(line.row, line.column): line for line in exiting_lines(frame, final)}  # those with thresholds come last
    lines = [
        (line, method_of[column], regime_of[column])
        for (_, column), line in shown.items()
        if method_of[column] in several
    ]
    order = list(dict.fromkeys((row, method_of[column]) for row, column, _ in places(final)))
    return sorted(lines, key=lambda found: (order.index((found[0].row, found[1])), _REGIMES.index(found[2])))


def _ranks(lines: Iterable[ExitingLine]) -> dict[tuple[int, float | None], Rank]:
    """Return the ranks of the means within each budget, by position of the budget and mean."""
    ranks: dict[tuple[int, float | None], Rank] = {}
    for at, cells in enumerate(zip(*(line.within for line in lines), strict=True)):
        means = sorted({cell.mean for cell in cells if cell.n and cell.mean is not None}, reverse=True)
        ranks |= {(at, mean): rank for mean, rank in zip(means, ("best", "second"), strict=False)}
    return ranks

"""Table of training regimes: accuracy of early-exit inference within compute budgets."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from ...specs import SpecError
from ..captions import PLACE_HEADINGS, names, notes, place, places, plain, remarks, title
from ..labels import Column
from ..rendered_table import Heading, Rank, RenderedTable, TableEntry
from ..table import Table, comparison
from .early_exit import BUDGETS, ExitingLine, exiting_lines

_SETTING = "regime="
_REGIMES = ("joint", "disjoint", "mixed", "branchwise")


def regimes(frame: pd.DataFrame) -> RenderedTable:
    """Return the accuracy of each method under each training regime, at 25%, 50%, 75% and 100% of the cost.

    Raises:
        SpecError: If no method has several regimes, or no cost of exits is recorded.
    """
    final = comparison(frame)
    lines = _lines(frame, final)
    groups = {(line.row, *_parts(line.column)[:1]) for line in lines}
    ranks = {group: _ranks(line for line in lines if (line.row, _parts(line.column)[0]) == group) for group in groups}
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
            for line in lines
            for method, regime in (_parts(line.column),)
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
            for line in lines
            for method, regime in (_parts(line.column),)
            for budget, cell in zip(BUDGETS, line.within, strict=True)
        ),
    )


def _lines(frame: pd.DataFrame, final: Table) -> list[ExitingLine]:
    """Return a line for each configuration of the methods with several regimes, in the order of method and regime."""
    several = {
        _parts(column)[0]
        for _, column, _ in places(final)
        if any(setting.startswith(_SETTING) for setting in column.settings)
    }
    if not several:
        problem = (
            "no method of this sweep has several training regimes; set `regime: [joint, mixed]` for one with exits."
        )
        raise SpecError(problem, field="kind")
    found = {(line.row, line.column): line for line in exiting_lines(frame, final)}  # those with thresholds come last
    lines = [line for line in found.values() if _parts(line.column)[0] in several]
    order = [(row, _parts(column)[0]) for row, column, _ in places(final)]

    def position(line: ExitingLine) -> tuple[int, int]:
        method, regime = _parts(line.column)
        return order.index((line.row, method)), _REGIMES.index(regime)

    return sorted(lines, key=position)


def _parts(column: Column) -> tuple[Column, str]:
    """Return the method with its other settings, and the regime."""
    regime = next((setting for setting in column.settings if setting.startswith(_SETTING)), f"{_SETTING}joint")
    others = tuple(setting for setting in column.settings if setting != regime)
    return replace(column, settings=others), regime.removeprefix(_SETTING)


def _ranks(lines: Iterable[ExitingLine]) -> dict[tuple[int, float | None], Rank]:
    """Return the ranks of the means within each budget, by position of the budget and mean."""
    ranks: dict[tuple[int, float | None], Rank] = {}
    for at, cells in enumerate(zip(*(line.within for line in lines), strict=True)):
        means = sorted({cell.mean for cell in cells if cell.n and cell.mean is not None}, reverse=True)
        ranks |= {(at, mean): rank for mean, rank in zip(means, ("best", "second"), strict=False)}
    return ranks

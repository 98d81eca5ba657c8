"""What is left of accuracy where inference stops at an earlier exit, and how much faster it is at equal accuracy."""

from dataclasses import dataclass, replace

import pandas as pd

from ...specs import SpecError
from ..frame import metric_names
from ..labels import Column, Row
from ..metrics import Metric
from ..sheet import Entry, Heading, Sheet
from ..table import Cell, comparison
from ..wording import PLACE_HEADINGS, names, notes, place, places, plain, remarks, title
from .exits import exit_names

_BUDGETS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the multiply-adds of the final exit."""


@dataclass(frozen=True, kw_only=True)
class _Exit:
    """One exit of a trained network."""

    name: str
    accuracy: Cell
    share: float
    """Of the multiply-adds of the final exit."""


def early_exit(frame: pd.DataFrame) -> Sheet:
    """Give each method's accuracy within shares of the multiply-adds, and its speed-up over the baseline.

    All images leave at one and the same exit. Raises `SpecError` where there is nothing to compare, or nothing is
    recorded of what exits cost.
    """
    final = comparison(frame)
    exits = _exits(frame, final.metric)
    shown = [(row, column, cell) for row, column, cell in places(final) if cell.planned is not None]
    within = {
        (row, column, budget): next((exit for exit in reversed(exits[row, column]) if exit.share <= budget), None)
        for row, column, _ in shown
        for budget in _BUDGETS
    }
    targets = {row: cell.mean for row, column, cell in shown if column == final.baseline}
    equal = {(row, column): _first(exits[row, column], targets.get(row)) for row, column, _ in shown}
    return Sheet(
        sweep=final.sweep,
        subject="early-exit",
        title=f"{title(final).replace(' of the final exit', '')}, where all images leave at one exit",
        remarks=(
            *remarks(final),
            "Within a share of the final exit's multiply-adds: the last exit that costs no more, named below; "
            "a – where every exit costs more",
            *_said_of_speed_up(final.baseline),
        ),
        headings=(
            *PLACE_HEADINGS,
            *(Heading(lines=("within", f"{budget:.0%}")) for budget in _BUDGETS),
            Heading(lines=("speed-up at", "equal accuracy")),
        ),
        rows=tuple(
            (
                *place(final, row, column),
                *(_entry(within[row, column, budget], final.metric) for budget in _BUDGETS),
                _speed_up(equal[row, column]),
            )
            for row, column, _ in shown
        ),
        notes=tuple(notes(final)),
        records=tuple(
            names(row, column.label) | {"metric": final.metric.name, "quantity": quantity} | _numbers(exit)
            for row, column, _ in shown
            for quantity, exit in (
                *((f"within {budget:.0%}", within[row, column, budget]) for budget in _BUDGETS),
                ("equal accuracy", equal[row, column]),
            )
        ),
    )


def _exits(frame: pd.DataFrame, metric: Metric) -> dict[tuple[Row, Column], list[_Exit]]:
    """The exits of each method on each row that are measured, from the first to the final one."""
    split, _, measure = metric.name.split("/")
    known = metric_names(frame)
    found: dict[tuple[Row, Column], list[_Exit]] = {}
    recorded = [name for name in exit_names(frame, split, measure) if f"cost/{name}/multiply_adds" in known]
    if "final" not in recorded:
        raise SpecError("no trial of this sweep has recorded what its exits cost.")
    whole = comparison(frame, "cost/final/multiply_adds")
    for name in recorded:
        accuracies = comparison(frame, f"{split}/{name}/{measure}")
        costs = comparison(frame, f"cost/{name}/multiply_adds")
        for (row, column, accuracy), (_, _, cost), (_, _, all_of_it) in zip(
            places(accuracies), places(costs), places(whole), strict=True
        ):
            of_place = found.setdefault((row, column), [])
            if accuracy.mean is not None and cost.mean is not None and all_of_it.mean:
                of_place.append(_Exit(name=name, accuracy=accuracy, share=cost.mean / all_of_it.mean))
    return found


def _first(exits: list[_Exit], target: float | None) -> _Exit | None:
    """The first exit that is at least that accurate."""
    if target is None:
        return None
    return next((exit for exit in exits if exit.accuracy.mean is not None and exit.accuracy.mean >= target), None)


def _said_of_speed_up(baseline: Column | None) -> list[str]:
    if baseline is None:
        return []
    return [
        f"Speed-up: multiply-adds of the final exit over those of the first exit with a mean of at least "
        f"{baseline.label}'s; which one that is, is chosen on the very images that are reported"
    ]


def _entry(exit: _Exit | None, metric: Metric) -> Entry:
    if exit is None:
        return Entry(text="–")
    entry = plain(exit.accuracy, metric)
    return replace(entry, rank=None, details=(_words(exit), *entry.details))


def _speed_up(exit: _Exit | None) -> Entry:
    return Entry(text="–") if exit is None else Entry(text=f"{1 / exit.share:.2f}", details=(_words(exit),))


def _words(exit: _Exit) -> str:
    return exit.name.replace("exit", "exit ")


def _numbers(exit: _Exit | None) -> dict[str, str | float | int | None]:
    cell = exit.accuracy if exit else Cell()
    return {
        "exit": exit.name if exit else "",
        "share": exit.share if exit else None,
        "mean": cell.mean,
        "std": cell.std,
        "n": cell.n,
        "planned": cell.planned,
    }

"""Early-exit tables: accuracy within compute budgets, and speed-up at equal accuracy."""

import math
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from ...specs import SpecError
from ..captions import PLACE_HEADINGS, names, notes, number, place, places, plain, remarks, title
from ..details import early_exit_points
from ..frame import metric_names
from ..labels import Column, RowLabel
from ..metrics import Metric
from ..rendered_table import Heading, RenderedTable, TableEntry
from ..statistics import t_interval
from ..table import Cell, Table, comparison, labelled
from .exits import exit_names

BUDGETS = (0.25, 0.5, 0.75, 1.0)
"""Compute budgets, as shares of the multiply-adds (MACs) of the final exit."""


_AREA = "area under the accuracy-cost curve"
_OURS = "early exit"
"""Temporary column of the frame."""


@dataclass(frozen=True, kw_only=True)
class ExitingLine:
    """Row of the table."""

    row: RowLabel
    column: Column
    leaving: str
    within: tuple[Cell, ...]
    """Accuracy within each budget; without seeds if nothing fits the budget."""
    speed_up: Cell
    area: Cell = field(default_factory=Cell)
    """Area under the accuracy-cost curve; without seeds if no thresholds are recorded."""


@dataclass(frozen=True, kw_only=True)
class _Exit:
    """Accuracy and cost of one exit of a trained network."""

    name: str
    accuracy: Cell
    share: float
    """Multiply-adds as a share of those of the final exit."""


def early_exit(frame: pd.DataFrame) -> RenderedTable:
    """Return a table of each method's accuracy within compute budgets, and its speed-up over the baseline.

    Either all images leave at the same exit, or each image at the first exit with enough confidence. The area under the
    accuracy-cost curve summarises all budgets.

    Raises:
        SpecError: If there is nothing to compare, or no cost of exits is recorded.
    """
    final = comparison(frame)
    lines = exiting_lines(frame, final)
    order = [(row, column) for row, column, _ in places(final)]
    lines.sort(key=lambda line: order.index((line.row, line.column)))
    return RenderedTable(
        sweep=final.sweep,
        subject="early-exit",
        title=f"{title(final).replace(' of the final exit', '')}, with early-exit inference",
        remarks=(
            *remarks(final),
            "Budgets: shares of the final exit's multiply-adds (MACs); –: every exit or threshold exceeds the budget",
            "At one exit: all images leave at the last exit within the budget (anytime prediction)",
            "When confident: an image leaves at the first exit whose top-class probability, or gate of jei_dnn, "
            "reaches a threshold, the same at all exits",
            "Shown: the most expensive threshold within the budget; its cost is a mean over images and includes all "
            "evaluated heads",
            "Area under the curve: mean accuracy over the cost shares from that of exit 1 to 100%, interpolated "
            "between exit 1 and all thresholds; below: its 95% t interval over seeds",
            *_said_of_speed_up(final.baseline),
        ),
        headings=(
            *PLACE_HEADINGS,
            Heading(lines=("images", "leave"), align="left"),
            *(Heading(lines=("within", f"{budget:.0%}")) for budget in BUDGETS),
            Heading(lines=("area under", "the curve")),
            Heading(lines=("speed-up at", "equal accuracy")),
        ),
        stubs=3,
        rows=tuple(
            (
                *place(final, line.row, line.column),
                TableEntry(text=line.leaving),
                *(
                    replace(plain(cell, final.metric), rank=None) if cell.n else TableEntry(text="–")
                    for cell in line.within
                ),
                _area_entry(line.area, final.metric),
                number(line.speed_up, line.speed_up.mean, 2) if line.speed_up.n else TableEntry(text="–"),
            )
            for line in lines
        ),
        notes=tuple(notes(final)),
        records=tuple(
            names(line.row, line.column.label)
            | {"leaving": line.leaving, "metric": final.metric.name, "quantity": quantity}
            | {"mean": cell.mean, "std": cell.std, "n": cell.n, "planned": cell.planned}
            | dict(zip(("t_low", "t_high"), _interval(cell) if quantity == _AREA else (None, None), strict=True))
            for line in lines
            for quantity, cell in (
                *((f"within {budget:.0%}", cell) for budget, cell in zip(BUDGETS, line.within, strict=True)),
                (_AREA, line.area),
                ("speed-up at equal accuracy", line.speed_up),
            )
        ),
    )


def exiting_lines(frame: pd.DataFrame, final: Table) -> list[ExitingLine]:
    """Return the lines of all methods: with all images at one exit, then with each image where it is confident."""
    return [*_at_one_exit(frame, final), *_when_sure(frame, final)]


def _at_one_exit(frame: pd.DataFrame, final: Table) -> list[ExitingLine]:
    exits = _exits(frame, final.metric)
    targets = _targets(final)
    lines = []
    for row, column, cell in places(final):
        if cell.planned is None:
            continue
        own = exits[row, column]
        within = [next((exit for exit in reversed(own) if exit.share <= budget), None) for budget in BUDGETS]
        equal = _first(own, targets.get(row))
        lines.append(
            ExitingLine(
                row=row,
                column=column,
                leaving="at one exit",
                within=tuple(Cell() if exit is None else exit.accuracy for exit in within),
                speed_up=Cell() if equal is None else replace(equal.accuracy, mean=1 / equal.share, std=None),
            )
        )
    return lines


def _when_sure(frame: pd.DataFrame, final: Table) -> list[ExitingLine]:
    whole = dict(zip(frame["key"], frame["cost/final/multiply_adds"], strict=True))
    points: dict[str, list[tuple[float, float]]] = {}  # share of the multiply-adds, and accuracy
    for point in early_exit_points(frame).to_dict("records"):
        points.setdefault(point["key"], []).append((point["multiply_adds"] / whole[point["key"]], point["top1"]))
    if not points:
        return []
    runs, _ = labelled(frame)
    row_of = dict(zip(runs["key"], runs["row"], strict=True))
    targets = _targets(final)

    def accuracy_within(budget: float, key: str) -> float:
        within = [point for point in points.get(key, ()) if point[0] <= budget]
        return max(within)[1] if within else math.nan

    def speed_up(key: str) -> float:
        target = targets.get(row_of[key], math.inf) if key in row_of else math.inf
        enough = [share for share, top1 in points.get(key, ()) if top1 >= target]
        return 1 / min(enough) if enough else math.nan

    starts = _cheapest(frame, comparison(frame).metric)
    quantities = [
        *(partial(accuracy_within, budget) for budget in BUDGETS),
        lambda key: _area([starts[key], *points.get(key, ())]),
        speed_up,
    ]
    tables = [comparison(frame.assign(**{_OURS: frame["key"].map(quantity)}), _OURS) for quantity in quantities]
    lines = []
    for found in zip(*map(places, tables), strict=True):
        row, column, _ = found[0]
        if any((runs["row"] == row) & (runs["column"] == column) & runs["key"].isin(list(points))):
            *within, area, speed = (cell for _, _, cell in found)
            line = ExitingLine(row=row, column=column, leaving="when confident", within=tuple(within), speed_up=speed)
            lines.append(replace(line, area=area))
    return lines


def _cheapest(frame: pd.DataFrame, metric: Metric) -> dict[str, tuple[float, float]]:
    """Return the cost share and the accuracy of exit 1 of each trial; NaN if they are not recorded."""
    split, _, measure = metric.name.split("/")
    numbers = frame.reindex(
        columns=["cost/exit1/multiply_adds", "cost/final/multiply_adds", f"{split}/exit1/{measure}"]
    )
    costs, whole, accuracies = (numbers[name].astype(float) for name in numbers)
    return dict(zip(frame["key"], zip(costs / whole, accuracies, strict=True), strict=True))


def _area(points: list[tuple[float, float]]) -> float:
    """Return the mean accuracy over the cost shares from that of the first point to 1, by the trapezoidal rule.

    Accuracy is interpolated linearly between points (share, accuracy). Above the highest share it stays that of the
    last point. The result is NaN with fewer than two points, or if the first is not recorded.
    """
    start = points[0][0]
    if len(points) < 2 or not start < 1:
        return math.nan
    shares, accuracies = np.array(sorted(points)).T
    grid = np.unique(np.clip([start, 1.0, *shares], start, 1.0))
    return float(np.trapezoid(np.interp(grid, shares, accuracies), grid) / (1 - start))


def _interval(cell: Cell) -> tuple[float | None, float | None]:
    """Return the bounds of the 95% t interval over the seeds of a cell; None without one."""
    return t_interval(list(cell.values.values())) or (None, None)


def _area_entry(cell: Cell, metric: Metric) -> TableEntry:
    """Return the area of a cell, with its interval below."""
    shown = number(cell, cell.mean, metric.digits)
    low, high = _interval(cell)
    if not cell.n:
        return TableEntry(text="–")
    between = () if low is None else (f"{low:.{metric.digits}f} to {high:.{metric.digits}f}",)
    return replace(shown, details=(*between, *shown.details))


def _targets(final: Table) -> dict[RowLabel, float]:
    """Return the baseline's mean on each row that has one."""
    means = {row: cell.mean for row, column, cell in places(final) if column == final.baseline}
    return {row: mean for row, mean in means.items() if mean is not None}


def _exits(frame: pd.DataFrame, metric: Metric) -> dict[tuple[RowLabel, Column], list[_Exit]]:
    """Return the measured exits of each method on each row, from the first to the final one."""
    split, _, measure = metric.name.split("/")
    known = metric_names(frame)
    found: dict[tuple[RowLabel, Column], list[_Exit]] = {}
    recorded = [name for name in exit_names(frame, split, measure) if f"cost/{name}/multiply_adds" in known]
    if "final" not in recorded:
        raise SpecError("no trial of this sweep has recorded the cost of its exits yet; wait until a trial completes.")
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
    """Return the first exit that reaches the target accuracy; None if none does."""
    if target is None:
        return None
    return next((exit for exit in exits if exit.accuracy.mean is not None and exit.accuracy.mean >= target), None)


def _said_of_speed_up(baseline: Column | None) -> list[str]:
    if baseline is None:
        return []
    return [
        "Speed-up: multiply-adds of the final exit divided by the fewest that reach the mean accuracy of "
        f"{baseline.label}",
        "Speed-ups are biased upwards: the exit or threshold was selected on the reported images",
    ]

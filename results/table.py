import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ..specs import SpecError, unknown
from .frame import PARAMETER_PREFIX, metric_names
from .labels import Column, RowLabel, as_written, with_labels
from .metrics import Metric, describe
from .search import SearchBudget, confirmed, has_search
from .selection import Selection


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Summary of one configuration over its seeds."""

    mean: float | None = None
    """Mean over completed seeds, in the metric's unit; None without a completed seed."""
    std: float | None = None
    """Sample standard deviation (ddof=1) over the same seeds; None with fewer than two."""
    n: int = 0
    """Number of completed seeds."""
    planned: int | None = None
    """Number of planned seeds; None if no trial of this cell is recorded."""
    difference: float | None = None
    """Mean minus the baseline's mean on the same row; None if either is missing, and for the baseline itself."""
    gain: float | None = None
    """Tuned minus default settings, mean over the seeds completed by both; None without such seeds or a search."""
    best: bool = False
    """True if no other mean of the row is better; equal means are all best."""
    second: bool = False
    """True if only the best means of the row are better; always False with fewer than three means."""
    values: Mapping[int, float] = field(default_factory=dict)
    """Values by seed, from which the mean is calculated."""
    outcome: str = ""
    """Outcome of the seeds that are not in the mean, e.g. `1 diverged, 1 not run`."""
    note: str = ""
    """Outcome of each of these seeds, with its reason."""
    search: SearchBudget | None = None
    """Search budget of the settings; None for the settings of the sweep file."""

    @property
    def complete(self) -> bool:
        """True if the mean is over all planned seeds."""
        return self.planned is not None and self.n >= self.planned

    @property
    def warning(self) -> str:
        """Warning about the search; usually empty."""
        return self.search.warning if self.search else ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Comparison of methods: rows are architectures, columns are methods."""

    sweep: str
    metric: Metric
    protocol: str
    baseline: Column | None
    """Column that differences refer to; None if the sweep has no baseline."""
    commits: tuple[str, ...] = ()
    """Commits of Exeunt that trained the trials; empty if not recorded."""
    rows: tuple[RowLabel, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """Cells by row, then by column."""
    hidden: frozenset[tuple[RowLabel, Column]] = frozenset()
    """Cells that are compared but not shown."""

    @property
    def is_of_search(self) -> bool:
        """True if methods were tuned, so that cells have a gain."""
        return any(cell.search for row in self.cells for cell in row)

    @property
    def seeds(self) -> int | None:
        """Number of seeds of every cell; None if it differs between cells or if planned seeds are missing."""
        cells = [cell for row in self.cells for cell in row]
        counts = {cell.n for cell in cells}
        return counts.pop() if len(counts) == 1 and all(cell.complete for cell in cells) else None

    def is_shown(self, row: RowLabel, column: Column) -> bool:
        """Return True if the cell of a row and a column is shown."""
        return (row, column) not in self.hidden


SUMMED = ["key", "state", "error", "seed", "seeds", "value", "gain", "search"]
"""Columns that `summed` reads."""

NOT_RUN = Cell(outcome="not run", note="not run")
"""Cell of which no trial has run."""


def comparison(
    frame: pd.DataFrame, metric: str | None = None, baseline: str = "baseline", digits: int | None = None
) -> Table:
    """Compare the methods of one loaded sweep by a metric.

    Only results of the sweep file are compared (role `result`). Rows and columns are in plan order, independent of the
    order of the frame. For a search, the tuned settings are compared; rows and columns are those of the default ones.

    Args:
        frame: a loaded sweep.
        metric: recorded name of the metric; default: the accuracy that the protocol reports.
        baseline: label of the column that differences refer to.
        digits: number of decimals; default: that of the metric. Ranks depend on it.

    Raises:
        SpecError: A `ValueError`, if there is nothing to compare yet, if no completed trial has the metric, or if two
            trials have the same parameters and seed.
    """
    runs, known = labelled(frame, metric)
    if digits is not None:
        known = replace(known, digits=digits)
    # Selecting rows of a wide frame would take pandas milliseconds per cell.
    narrow = runs.loc[:, ["row", "column", *SUMMED]]
    cells = {place: summed(trials) for place, trials in narrow.groupby(["row", "column"], sort=False)}
    row_order = tuple(dict.fromkeys(runs["row"]))
    column_order = tuple(dict.fromkeys(runs["column"]))
    reference = next((column for column in column_order if column.label == baseline), None)
    by_row = [{column: cells.get((row, column), NOT_RUN) for column in column_order} for row in row_order]
    return Table(
        sweep=" and ".join(runs["sweep"].unique()),
        metric=known,
        protocol=" and ".join(runs["protocol"].unique()),
        baseline=reference,
        commits=tuple(sorted(set(runs["commit"].dropna()) - {""})) if "commit" in runs else (),
        rows=row_order,
        columns=column_order,
        cells=tuple(_compared(of_row, reference, known) for of_row in by_row),
    )


def labelled(frame: pd.DataFrame, metric: str | None = None) -> tuple[pd.DataFrame, Metric]:
    """Return the trials that `comparison` compares, one row per trial in plan order, and the metric.

    Columns are added to those of the frame: `row` and `column`; `value`, missing unless the trial is completed and the
    value is finite; `gain` and `search`, missing unless the sweep is a search.

    Raises:
        SpecError: As in `comparison`.
    """
    searched = has_search(frame)
    runs = results(frame)
    metric = metric or reported_metric(runs)
    done = runs["state"] == "done"
    known = metric_names(runs)
    if metric not in known and bool(done.any()):
        raise unknown("metric", metric, known)
    recorded = runs[metric] if metric in known else pd.Series(np.nan, index=runs.index)
    runs["value"] = recorded.where(done & np.isfinite(recorded))
    if searched:
        return confirmed(runs), describe(metric)
    return with_labels(runs).assign(gain=np.nan, search=None), describe(metric)


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the results of the sweep file in plan order, with exit placements as in the sweep file.

    Raises:
        SpecError: If no result is recorded yet.
    """
    runs = as_written(frame.loc[frame["role"] == "result"].sort_values(["order", "key"]).reset_index(drop=True))
    if runs.empty:
        raise SpecError("there is nothing to compare: no result of the sweep file is recorded yet; run the sweep.")
    return runs


def summed(trials: pd.DataFrame) -> Cell:
    """Return the cell of the labelled trials of one configuration, in plan order.

    Trials that were not run are only counted; without any other trial, the cell is `NOT_RUN`.

    Raises:
        SpecError: If two trials have the same seed.
    """
    if trials["seed"].duplicated().any():
        keys = ", ".join(trials["key"])
        raise SpecError(f"trials {keys} have the same parameters and seed; trials of one cell need different seeds.")
    planned = max(trials["seeds"])
    if not (has_run := (trials["state"] != "not run").to_numpy()).all():
        trials = trials.loc[has_run]
    if trials.empty:
        return NOT_RUN
    found = trials["value"].notna().to_numpy()
    values, gains = trials["value"].to_numpy()[found].tolist(), trials["gain"].dropna().tolist()
    absent = [
        (seed, "not measured" if state == "done" else state, error)
        for seed, state, error, is_found in zip(trials["seed"], trials["state"], trials["error"], found, strict=True)
        if not is_found
    ]
    states = [state for _, state, _ in absent]
    notes = [f"seed {seed} {state}" + (f" ({error})" if pd.notna(error) else "") for seed, state, error in absent]
    unrecorded = planned - len(trials)
    if unrecorded > 0:
        notes.append(f"{unrecorded} not run")
    return Cell(
        mean=statistics.fmean(values) if len(values) else None,
        std=statistics.stdev(values) if len(values) > 1 else None,
        n=len(values),
        planned=planned,
        gain=statistics.fmean(gains) if len(gains) else None,
        outcome=_counted([*states, *["not run"] * unrecorded]),
        note=", ".join(notes),
        search=trials["search"].iloc[0],
        values=dict(zip(trials["seed"].to_numpy()[found].tolist(), values, strict=True)),
    )


def shown(table: Table, selection: Selection) -> Table:
    """Return a comparison that shows the selected cells. Tests still count all cells; ranks count the shown ones.

    Raises:
        SpecError: A `ValueError`, for a pattern that matches no cell, or if no cell is left.
    """
    if selection.is_everything:
        return table
    places = [(row, column) for row in table.rows for column in table.columns]
    left = selection.of([(column.label, column.method, row.architecture) for row, column in places])
    hidden = frozenset(place for place, is_left in zip(places, left, strict=True) if not is_left)
    cells = tuple(
        tuple(_ranked_again(row, of_row, table, hidden)) for row, of_row in zip(table.rows, table.cells, strict=True)
    )
    return replace(table, hidden=hidden, cells=cells)


def _ranked_again(
    row: RowLabel, cells: Sequence[Cell], table: Table, hidden: Collection[tuple[RowLabel, Column]]
) -> Iterator[Cell]:
    """Iterate over the cells of a row with ranks among those that are not hidden."""
    is_shown = [(row, column) not in hidden for column in table.columns]
    again = iter(ranked([cell for cell, shown in zip(cells, is_shown, strict=True) if shown], table.metric))
    for cell, shown in zip(cells, is_shown, strict=True):
        yield next(again) if shown else replace(cell, best=False, second=False)


def ranked(cells: Sequence[Cell], metric: Metric) -> list[Cell]:
    """Return the cells with the best mean flagged and, with three or more means, the second best."""
    shown = [None if cell.mean is None else round(cell.mean, metric.digits) for cell in cells]
    known = [mean for mean in shown if mean is not None]
    best = metric.best_of(known)
    second = metric.best_of([mean for mean in known if mean != best]) if len(known) > 2 else None
    return [
        replace(cell, best=mean is not None and mean == best, second=mean is not None and mean == second)
        for cell, mean in zip(cells, shown, strict=True)
    ]


def reported_metric(runs: pd.DataFrame) -> str:
    """Return the name of the final exit's top-1 accuracy on the images of the protocol: validation for tuning."""
    parameter = f"{PARAMETER_PREFIX}protocol"
    protocols = set(runs[parameter]) if parameter in runs else set()
    return "validation/final/top1" if protocols == {"tuning"} else "test/final/top1"


def _counted(outcomes: list[str]) -> str:
    """Return `diverged` if all outcomes are equal, else counts such as `2 diverged, 1 failed`."""
    counts = Counter(outcomes)
    if len(counts) == 1:
        return outcomes[0]
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _compared(cells: dict[Column, Cell], baseline: Column | None, metric: Metric) -> tuple[Cell, ...]:
    """Add ranks and differences from the baseline to the cells of one row."""
    reference = cells[baseline].mean if baseline else None
    return tuple(
        cell
        if column == baseline or cell.mean is None or reference is None
        else replace(cell, difference=cell.mean - reference)
        for column, cell in zip(cells, ranked(list(cells.values()), metric), strict=True)
    )

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ..specs import SpecError, unknown
from .frame import PARAMETER_PREFIX, metric_names
from .labels import Column, RowLabel, as_written, columns, rows
from .metrics import Metric, describe
from .search import SearchBudget, confirmed, has_search


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One configuration, summed up over its seeds."""

    mean: float | None = None
    """In the metric's unit, over the seeds that are done; None if none is."""
    std: float | None = None
    """Sample standard deviation (ddof=1) over the same seeds; None below two."""
    n: int = 0
    """How many seeds are done."""
    planned: int | None = None
    """How many seeds the sweep plans; None where no trial of this cell is recorded."""
    difference: float | None = None
    """Mean minus the baseline's mean on the same row; None without both, and for the baseline itself."""
    gain: float | None = None
    """Tuned minus default settings, mean over the seeds that are done with both; None without any, or a search."""
    best: bool = False
    """Whether no other mean of the row is better; equal ones are all best."""
    second: bool = False
    """Whether only the best means of the row are better; never with fewer than three means."""
    values: Mapping[int, float] = field(default_factory=dict)
    """What the mean is of, by seed."""
    outcome: str = ""
    """What became of the seeds that are not in the mean, e.g. `1 diverged, 1 not run`."""
    note: str = ""
    """The same in full: which seeds, and why."""
    search: SearchBudget | None = None
    """How the settings were found; None where they are those of the sweep file."""

    @property
    def complete(self) -> bool:
        """Whether the mean is over every planned seed."""
        return self.planned is not None and self.n >= self.planned

    @property
    def warning(self) -> str:
        """What a reader has to know of the search; mostly empty."""
        return self.search.warning if self.search else ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A comparison of methods, in numbers: rows are architectures, columns methods."""

    sweep: str
    metric: Metric
    protocol: str
    baseline: Column | None
    """The column that differences refer to; None if the sweep has none."""
    commits: tuple[str, ...] = ()
    """Of Exeunt, that the trials were trained with; empty where that is not recorded."""
    rows: tuple[RowLabel, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """A tuple for each row, with a cell for each column."""

    @property
    def is_of_search(self) -> bool:
        """Whether methods were tuned, and cells have a gain."""
        return any(cell.search for row in self.cells for cell in row)

    @property
    def seeds(self) -> int | None:
        """How many seeds each cell has; None if they differ or if some cell lacks planned ones."""
        cells = [cell for row in self.cells for cell in row]
        counts = {cell.n for cell in cells}
        return counts.pop() if len(counts) == 1 and all(cell.complete for cell in cells) else None


SUMMED = ["key", "state", "error", "seed", "seeds", "value", "gain", "search"]
"""The columns that `summed` reads."""

NOT_RUN = Cell(outcome="not run", note="not run")
"""Where no trial is recorded."""


def comparison(frame: pd.DataFrame, metric: str | None = None, baseline: str = "baseline") -> Table:
    """Compare the methods of one loaded sweep by a metric, or by the accuracy that its protocol reports.

    Only trials that the sweep file asks for count (role `result`). Rows and columns come in the order of the
    plan, whatever the order of the frame. `baseline` is the label of the column that differences refer to. Of a
    search the tuned settings are compared; rows and columns are those of the default ones.

    Raises `SpecError` (a `ValueError`) if there is nothing to compare yet, if trials are done and none has the
    metric, or if two trials have the same parameters and seed.
    """
    runs, known = labelled(frame, metric)
    # Taking a few rows of many columns takes pandas milliseconds for each cell.
    narrow = runs.loc[:, ["row", "column", *SUMMED]]
    cells = {place: summed(trials) for place, trials in narrow.groupby(["row", "column"], sort=False)}
    row_order = tuple(dict.fromkeys(runs["row"]))
    column_order = tuple(dict.fromkeys(runs["column"]))
    reference = next((column for column in column_order if column.label == baseline), None)
    by_row = [{column: cells.get((row, column), NOT_RUN) for column in column_order} for row in row_order]
    return Table(
        sweep=runs["sweep"].iloc[0],
        metric=known,
        protocol=" and ".join(runs["protocol"].unique()),
        baseline=reference,
        commits=tuple(sorted(set(runs["commit"].dropna()) - {""})) if "commit" in runs else (),
        rows=row_order,
        columns=column_order,
        cells=tuple(_compared(of_row, reference, known) for of_row in by_row),
    )


def labelled(frame: pd.DataFrame, metric: str | None = None) -> tuple[pd.DataFrame, Metric]:
    """Give the trials that `comparison` compares, and the metric: in the order of the plan, one row per trial.

    Columns are added to those of the frame: `row` and `column`; `value`, missing unless the trial is done and has a
    finite one; `gain` and `search`, missing unless the sweep is a search. Raises as `comparison` does.
    """
    searched = has_search(frame)
    runs = results(frame)
    metric = metric or _reported(runs)
    done = runs["state"] == "done"
    known = metric_names(runs)
    if metric not in known and bool(done.any()):
        raise unknown("metric", metric, known)
    recorded = runs[metric] if metric in known else pd.Series(np.nan, index=runs.index)
    runs["value"] = recorded.where(done & np.isfinite(recorded))
    if searched:
        return confirmed(runs), describe(metric)
    return runs.assign(row=rows(runs), column=columns(runs), gain=np.nan, search=None), describe(metric)


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the trials that the sweep file asks for, in the order of the plan, with exits as it says where they sit.

    Raises `SpecError` if there is none.
    """
    runs = as_written(frame.loc[frame["role"] == "result"].sort_values(["order", "key"]).reset_index(drop=True))
    if runs.empty:
        raise SpecError("there is nothing to compare: no trial that the sweep file asks for is recorded yet.")
    return runs


def summed(trials: pd.DataFrame) -> Cell:
    """Sum up the labelled trials of one configuration, in the order of the plan.

    Raises `SpecError` if two have the same seed.
    """
    if trials["seed"].duplicated().any():
        keys = ", ".join(trials["key"])
        raise SpecError(f"trials of one cell must differ in their seed, but {keys} record the same parameters.")
    found = trials["value"].notna().to_numpy()
    values, gains = trials["value"].to_numpy()[found].tolist(), trials["gain"].dropna().tolist()
    absent = [
        (seed, "not measured" if state == "done" else state, error)
        for seed, state, error, is_found in zip(trials["seed"], trials["state"], trials["error"], found, strict=True)
        if not is_found
    ]
    states = [state for _, state, _ in absent]
    notes = [f"seed {seed} {state}" + (f" ({error})" if pd.notna(error) else "") for seed, state, error in absent]
    planned = max(trials["seeds"])
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


def ranked(cells: Sequence[Cell], metric: Metric) -> list[Cell]:
    """Say which of the cells has the best mean and, from three means on, which the second best."""
    shown = [None if cell.mean is None else round(cell.mean, metric.digits) for cell in cells]
    known = [mean for mean in shown if mean is not None]
    best = metric.best_of(known)
    second = metric.best_of([mean for mean in known if mean != best]) if len(known) > 2 else None
    return [
        replace(cell, best=mean is not None and mean == best, second=mean is not None and mean == second)
        for cell, mean in zip(cells, shown, strict=True)
    ]


def _reported(runs: pd.DataFrame) -> str:
    """The final exit's top-1 accuracy on the images that the protocol looks at: tuning never sees test."""
    parameter = f"{PARAMETER_PREFIX}protocol"
    protocols = set(runs[parameter]) if parameter in runs else set()
    return "validation/final/top1" if protocols == {"tuning"} else "test/final/top1"


def _counted(outcomes: list[str]) -> str:
    """Write `diverged` where all are, else `2 diverged, 1 failed`."""
    counts = Counter(outcomes)
    if len(counts) == 1:
        return outcomes[0]
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _compared(cells: dict[Column, Cell], baseline: Column | None, metric: Metric) -> tuple[Cell, ...]:
    """Complete the cells of one row with what depends on the row: ranks, and differences to the baseline."""
    reference = cells[baseline].mean if baseline else None
    return tuple(
        cell
        if column == baseline or cell.mean is None or reference is None
        else replace(cell, difference=cell.mean - reference)
        for column, cell in zip(cells, ranked(list(cells.values()), metric), strict=True)
    )

"""Results of a search, as labelled runs for the tables."""

import math
import re
from dataclasses import dataclass, replace

import pandas as pd

from ..specs import SpecError
from .frame import PARAMETER_PREFIX
from .labels import Column, RowLabel, with_labels

_TRIED = re.compile(r"(\d+) complete, (\d+) pruned, (\d+) failed")


@dataclass(frozen=True, kw_only=True)
class SearchBudget:
    """Search budget of a method on one row."""

    column: Column
    """Column of the method, shared by all of its tuned settings."""
    budget: str
    """Description of the budget, starting with its number of trials: `8 trials by tpe, ...`."""
    tried: int = 0
    """Number of finished trials."""
    failed: int = 0
    """Number of failed trials."""

    @property
    def warning(self) -> str:
        """Warning such as `5 of 8 search trials failed`; empty if less than half failed."""
        if not self.tried or 2 * self.failed < self.tried:
            return ""
        return f"{self.failed} of {self.tried} search trials failed"


def has_search(frame: pd.DataFrame) -> bool:
    """Return True if the sweep tunes its methods.

    Raises:
        SpecError: If no tuned settings are confirmed yet.
    """
    if "tuning" not in frame:
        return False
    confirming = list(frame.loc[frame["role"] == "result", "tuning"].dropna())
    if not confirming and "search" not in set(frame["role"]):
        return False
    if not any("tuned" in text for text in confirming):
        raise SpecError(
            "there is nothing to compare: the search is not confirmed yet. When the search ends, the settings found "
            "are trained with the seeds of the sweep file; these trials are compared."
        )
    return True


def confirmed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of a search that its table compares, from its result runs in plan order.

    These are the runs with tuned settings. `row` and `column` are those of the default settings, so that tuned
    settings do not split them. `search` is the search budget, and `gain` the value minus that of the default settings
    with the same seed. Default settings without tuned ones are listed as `not confirmed`.
    """
    tuning = runs["tuning"].fillna("")  # a run without the tag belongs to no search
    is_tuned = tuning.str.contains("tuned")
    runs = runs.assign(is_tuned=is_tuned, is_default=tuning.str.contains("default") | ~is_tuned)
    runs["default"] = _defaults(runs)
    runs = _labelled(runs)
    runs["gain"] = _gains(runs)
    runs["place"] = runs.groupby(["row", "column"], sort=False).ngroup()

    of_place = runs.groupby("place")
    searches = {place: _search(trials) for place, trials in of_place}
    runs["search"] = pd.Series([searches[place] for place in runs["place"]], index=runs.index, dtype="object")
    waiting = runs["tuning"].notna() & ~of_place["is_tuned"].transform("any")
    runs.loc[waiting, ["value", "state", "error"]] = [math.nan, "not confirmed", None]
    of_front = tuning.str.findall(r"trial \d+").str.join(" and ")  # several trials may have the same settings
    runs["column"] = [
        replace(column, settings=(trial, *column.settings)) if trial else column
        for column, trial in zip(runs["column"], of_front, strict=True)
    ]
    shown = runs["is_tuned"] | waiting | runs["tuning"].isna()
    return runs.loc[shown].sort_values("place", kind="stable")


def _defaults(runs: pd.DataFrame) -> pd.Series:
    """Return for each run the index of a run with the default settings of its search; None if none is recorded.

    Both runs have the same dataset, architecture and method. Of several candidates, as with two recipes, the one that
    shares most parameters with the run is returned.
    """
    parameters = runs.filter(regex=f"^{PARAMETER_PREFIX}").fillna("")
    found = pd.Series(None, index=runs.index, dtype="object")
    for _, trials in runs.groupby(["dataset", "architecture", "method"], sort=False):
        candidates = parameters.loc[trials.loc[trials["is_default"]].index].drop_duplicates()
        for run in trials.index if len(candidates) else []:
            shared = (candidates == parameters.loc[run]).sum(axis="columns")
            nearest = list(shared.index[shared == shared.max()])
            if len(nearest) > 1:
                first, second = runs.loc[nearest[:2], "key"]
                raise SpecError(
                    f"trial {runs.loc[run, 'key']} has tuned settings, but its default settings may be those of trial "
                    f"{first} or of trial {second}, which differ only in tuned settings; do not tune a setting that is "
                    "also an axis of the sweep file."
                )
            found[run] = nearest[0]
    return found


def _labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """Add `row` and `column`, which depend only on default settings."""
    defaults = with_labels(runs.loc[runs["is_default"]])
    labels = list(zip(defaults["row"], defaults["column"], strict=True))
    of_default = dict(zip(defaults.index, labels, strict=True))
    # A run without default settings gets the first row of its architecture and the first column of its method.
    first_row = {(row.dataset, row.architecture): row for row, _ in reversed(labels)}
    first_column = {column.method: column for _, column in reversed(labels)}
    found = [
        of_default.get(default)
        or (
            first_row.get((dataset, architecture), RowLabel(dataset=dataset, architecture=architecture)),
            first_column.get(method, Column(method=method)),
        )
        for default, dataset, architecture, method in zip(
            runs["default"], runs["dataset"], runs["architecture"], runs["method"], strict=True
        )
    ]
    return runs.assign(row=[row for row, _ in found], column=[column for _, column in found])


def _gains(runs: pd.DataFrame) -> list[float]:
    """Return tuned minus default value for each run, with the same seed; NaN if either is missing."""
    defaults = runs.loc[runs["is_default"]]
    untuned = dict(zip(zip(defaults["default"], defaults["seed"], strict=True), defaults["value"], strict=True))
    return [
        value - untuned.get((default, seed), math.nan) if is_tuned else math.nan
        for value, default, seed, is_tuned in zip(
            runs["value"], runs["default"], runs["seed"], runs["is_tuned"], strict=True
        )
    ]


def _search(trials: pd.DataFrame) -> SearchBudget | None:
    """Return the search budget of the trials of one cell; None if they belong to no search."""
    if trials["tuning"].dropna().empty:
        return None
    budget = " and ".join(trials["budget"].dropna().unique()) or "an unrecorded budget"
    tried = _TRIED.fullmatch(next(iter(trials["tried"].dropna()), ""))
    counts = [int(count) for count in tried.groups()] if tried else [0]
    return SearchBudget(column=trials["column"].iloc[0], budget=budget, tried=sum(counts), failed=counts[-1])

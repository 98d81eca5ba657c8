"""What a search found, as the labelled runs that a table sums up."""

import math
import re
from dataclasses import dataclass, replace

import pandas as pd

from ..specs import SpecError
from .frame import PARAMETER_PREFIX
from .labels import Column, RowLabel, columns, rows

_TRIED = re.compile(r"(\d+) complete, (\d+) pruned, (\d+) failed")


@dataclass(frozen=True, kw_only=True)
class SearchBudget:
    """How a method was tuned on one row."""

    column: Column
    """The method; one for all of its tuned settings, where there are several."""
    budget: str
    """Such as `8 trials by tpe, judged by validation top-1 of the final exit on 20% of the training images`."""
    tried: int = 0
    """How many trials have ended."""
    failed: int = 0
    """How many of these failed."""

    @property
    def warning(self) -> str:
        """Such as `5 of its 8 trials in the search failed`; empty where less than half did."""
        if not self.tried or 2 * self.failed < self.tried:
            return ""
        return f"{self.failed} of its {self.tried} trials in the search failed"


def has_search(frame: pd.DataFrame) -> bool:
    """Whether the sweep tunes its methods. Raises `SpecError` as long as no tuned settings are confirmed."""
    if "tuning" not in frame:
        return False
    confirming = list(frame.loc[frame["role"] == "result", "tuning"].dropna())
    if not confirming and "search" not in set(frame["role"]):
        return False
    if not any("tuned" in text for text in confirming):
        raise SpecError(
            "there is nothing to compare: the search is not confirmed yet. Once it is over, the settings that it "
            "found are trained with the seeds of the sweep file, and these trials are compared."
        )
    return True


def confirmed(runs: pd.DataFrame) -> pd.DataFrame:
    """Turn the result runs of a search, in the order of the plan, into those that its table sums up.

    These are the runs with tuned settings. They have their `row` and `column` from the default settings, so that
    nothing that was tuned tells them apart, their `search`, and their `gain`: the value minus that of the default
    settings with the same seed. Where no tuned settings are recorded, the default ones stand as `not confirmed`.
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
    """Name for each run a run with the default settings that its own were found from; None where none is recorded.

    It is of the same data set, architecture and method. Of several, as with two recipes, it is the one that shares
    most parameters with the run.
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
                    f"trial {runs.loc[run, 'key']} has tuned settings, but nothing tells whether they were found from "
                    f"those of {first} or of {second}: what differs between these two was tuned."
                )
            found[run] = nearest[0]
    return found


def _labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """Add `row` and `column`, which only differences between default settings tell apart."""
    defaults = runs.loc[runs["is_default"]]
    labels = list(zip(rows(defaults), columns(defaults), strict=True)) if len(defaults) else []
    of_default = dict(zip(defaults.index, labels, strict=True))
    # Where a run has no default settings, the first row of its architecture and the first column of its method.
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
    """Subtract from each tuned value that of the default settings with the same seed; NaN without both."""
    defaults = runs.loc[runs["is_default"]]
    untuned = dict(zip(zip(defaults["default"], defaults["seed"], strict=True), defaults["value"], strict=True))
    return [
        value - untuned.get((default, seed), math.nan) if is_tuned else math.nan
        for value, default, seed, is_tuned in zip(
            runs["value"], runs["default"], runs["seed"], runs["is_tuned"], strict=True
        )
    ]


def _search(trials: pd.DataFrame) -> SearchBudget | None:
    """Say how the trials of one place came about; None for those that belong to no search."""
    if trials["tuning"].dropna().empty:
        return None
    budget = " and ".join(trials["budget"].dropna().unique()) or "a budget that is not recorded"
    tried = _TRIED.fullmatch(next(iter(trials["tried"].dropna()), ""))
    counts = [int(count) for count in tried.groups()] if tried else [0]
    return SearchBudget(column=trials["column"].iloc[0], budget=budget, tried=sum(counts), failed=counts[-1])

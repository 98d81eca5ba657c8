"""Accuracy by epoch, for tables about the course of training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...specs import SpecError
from ..labels import Column, RowLabel
from ..metrics import Metric, describe
from ..table import SUMMED, Cell, labelled, summed

_SPLITS = ("validation", "test_by_epoch", "train")
"""Splits in order of preference; the first with a recorded accuracy by epoch is used."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Top-1 accuracy in % of the final exit by epoch, for each completed trial."""

    runs: pd.DataFrame
    """Labelled results of the sweep file."""
    metric: Metric
    by_key: Mapping[str, pd.Series]
    """Accuracy by key of the trial, indexed by epoch; epochs without an evaluation are missing."""

    @property
    def title(self) -> str:
        """Metric of the curves, in words."""
        return self.metric.title.removesuffix(" in the last epoch").removesuffix(" after the last epoch")

    def cells(self, quantity: Callable[[RowLabel, pd.Series], float]) -> dict[tuple[RowLabel, Column], Cell]:
        """Return a cell for each row and column, from one number per curve; NaN counts as missing."""
        values = [
            quantity(row, self.by_key[key]) if key in self.by_key else np.nan
            for row, key in zip(self.runs["row"], self.runs["key"], strict=True)
        ]
        runs = self.runs.assign(value=values).loc[:, ["row", "column", *SUMMED]]
        places = runs.groupby("row", sort=False)
        return {
            (trials["row"].iloc[0], trials["column"].iloc[0]): summed(trials)
            for _, of_row in places
            for _, trials in of_row.groupby("column", sort=False)
        }


def curves(frame: pd.DataFrame, history: pd.DataFrame) -> Curves:
    """Return the curves of a loaded sweep from its history.

    Raises:
        SpecError: If there is nothing to compare, or no accuracy by epoch is recorded.
    """
    runs, _ = labelled(frame)
    done = runs.loc[runs["state"] == "done", "key"]
    points = history.loc[(history["exit"] == "final") & history["key"].isin(done) & history["top1"].notna()]
    split = next((split for split in _SPLITS if split in set(points["split"])), None)
    if split is None:
        raise SpecError("no accuracy by epoch is recorded yet; wait until a trial completes.")
    points = points.loc[points["split"] == split].sort_values("epoch")
    by_key = {str(key): of_trial.set_index("epoch")["top1"] for key, of_trial in points.groupby("key")}
    return Curves(runs=runs, metric=describe(f"{split}/final/top1"), by_key=by_key)

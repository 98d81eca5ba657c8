"""Accuracy epoch by epoch, for the kinds of tables that are about training's way and not its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...specs import SpecError
from ..labels import Column, RowLabel
from ..metrics import Metric, describe
from ..table import SUMMED, Cell, labelled, summed

_SPLITS = ("validation", "test_by_epoch", "train")
"""Which images are looked at: the first of these that accuracy is recorded of after every epoch."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The final exit's top-1 accuracy in %, from the first epoch to the last, of each trial that is done."""

    runs: pd.DataFrame
    """The labelled trials that the sweep file asks for."""
    metric: Metric
    by_key: Mapping[str, np.ndarray]

    @property
    def title(self) -> str:
        """What is followed from epoch to epoch, in words."""
        return self.metric.title.removesuffix(" in the last epoch").removesuffix(" after the last epoch")

    def cells(self, quantity: Callable[[RowLabel, np.ndarray], float]) -> dict[tuple[RowLabel, Column], Cell]:
        """Sum up a number of each curve over seeds; NaN where a curve has none."""
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
    """Collect the curves of a loaded sweep and its history.

    Raises `SpecError` where there is nothing to compare, or no accuracy is recorded epoch by epoch.
    """
    runs, _ = labelled(frame)
    done = runs.loc[runs["state"] == "done", "key"]
    points = history.loc[(history["exit"] == "final") & history["key"].isin(done) & history["top1"].notna()]
    split = next((split for split in _SPLITS if split in set(points["split"])), None)
    if split is None:
        raise SpecError("no accuracy is recorded epoch by epoch yet.")
    points = points.loc[points["split"] == split].sort_values("epoch")
    by_key = {str(key): of_trial.to_numpy() for key, of_trial in points.groupby("key")["top1"]}
    return Curves(runs=runs, metric=describe(f"{split}/final/top1"), by_key=by_key)

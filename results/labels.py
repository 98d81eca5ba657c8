"""Rows and columns of tables: labels of the trials in a frame."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from ..store.labels import Values, labels, telling_settings
from .frame import PARAMETER_PREFIX


@dataclass(frozen=True, kw_only=True)
class RowLabel:
    """Dataset, architecture and settings that the trials of one row share."""

    dataset: str
    architecture: str
    settings: tuple[str, ...] = ()
    """Settings of dataset, architecture and recipe that vary within the sweep, such as `epochs=60`."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Method and settings that the trials of one column share."""

    method: str
    settings: tuple[str, ...] = ()
    """Settings of method, exits and teacher that vary among the trials of this method, such as `temperature=3`.

    If a search found several tuned settings, its trial comes first: `trial 7`.
    """

    @property
    def label(self) -> str:
        """Method and settings on one line."""
        return f"{self.method} {', '.join(self.settings)}".strip()


def with_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with the columns `row` and `column`, which tell apart the configurations of these runs."""
    names = {"dataset.name": "dataset", "architecture.name": "architecture", "method.name": "method"}
    named = {parameter: runs[column].tolist() for parameter, column in names.items()}
    found = labels(named | _parameters(as_written(runs)))
    datasets, architectures, methods = named.values()
    return runs.assign(
        row=[
            RowLabel(dataset=dataset, architecture=architecture, settings=label.row)
            for dataset, architecture, label in zip(datasets, architectures, found, strict=True)
        ],
        column=[Column(method=method, settings=label.column) for method, label in zip(methods, found, strict=True)],
    )


def as_written(runs: pd.DataFrame) -> pd.DataFrame:
    """Replace exit placements by those of the sweep file: `50%` is a different block in each architecture."""
    placement = f"{PARAMETER_PREFIX}exits.placement"
    return runs.assign(**{placement: runs["exits"].fillna(runs[placement])}) if placement in runs else runs


def besides(runs: pd.DataFrame, axes: Collection[str]) -> list[str]:
    """Return for each run the varying names and settings except `axes`, which are columns of the frame."""
    names = [name for name in ("dataset", "architecture", "method") if name not in axes and len(set(runs[name])) > 1]
    left_out = {name.removeprefix(PARAMETER_PREFIX) for name in axes} | {"teacher.key"}
    parameters = {name: values for name, values in _parameters(runs).items() if name not in left_out}
    names_of_run = runs.loc[:, names].to_numpy(dtype="object")
    return [
        " ".join([*own, ", ".join(texts)]).strip()
        for own, texts in zip(names_of_run, telling_settings(parameters, len(runs)), strict=True)
    ]


def _parameters(runs: pd.DataFrame) -> dict[str, Values]:
    """Return the values of the parameters by name, as plain lists, because pandas takes longer to compare columns."""
    return {
        name.removeprefix(PARAMETER_PREFIX): [None if pd.isna(value) else value for value in runs[name].tolist()]
        for name in map(str, runs)
        if name.startswith(PARAMETER_PREFIX)
    }

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from .frame import PARAMETER_PREFIX

_ROW_COMPONENTS = ("dataset.", "architecture.", "recipe.")
_NAMES_IN_THE_SWEEP_FILE = {
    "exits.placement": "exits",
    "recipe.name": "recipe",
    "teacher.architecture": "teacher",
    "teacher.key": "teacher_key",
    "teacher.seed": "teacher_seed",
}


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


def rows(runs: pd.DataFrame) -> list[RowLabel]:
    """Return the row of each run."""
    settings = _settings(_parameters(runs, of_rows=True))
    return [
        RowLabel(dataset=dataset, architecture=architecture, settings=texts)
        for dataset, architecture, texts in zip(runs["dataset"], runs["architecture"], settings, strict=True)
    ]


def columns(runs: pd.DataFrame) -> list[Column]:
    """Return the column of each run.

    A teacher with the student's architecture is called `self`, unless a method would get more columns that way: with
    `teacher: resnet20`, all students share one teacher, even if one student is a resnet20.
    """
    parameters = _parameters(runs, of_rows=False)
    if "teacher.architecture" in parameters:
        parameters = _with_self(parameters, runs)
    keys = parameters.pop("teacher.key") if "teacher.key" in parameters else None
    found = _columns(parameters, runs)
    if keys is None:
        return found
    # Teachers of different rows always have different keys. Keys separate columns only if one row has two teachers,
    # such as two weight files of one architecture.
    taught = set(zip(rows(runs), found, keys.fillna(""), strict=True))
    count = Counter((row, column) for row, column, _ in taught)
    unclear = {column for (_, column), several in count.items() if several > 1}
    if not unclear:
        return found
    return _columns(parameters.assign(**{"teacher.key": keys.where([column in unclear for column in found])}), runs)


def as_written(runs: pd.DataFrame) -> pd.DataFrame:
    """Replace exit placements by those of the sweep file: `50%` is a different block in each architecture."""
    placement = f"{PARAMETER_PREFIX}exits.placement"
    return runs.assign(**{placement: runs["exits"].fillna(runs[placement])}) if placement in runs else runs


def setting(parameter: str) -> str:
    """Return the name of a parameter, such as `exits.placement`, in the sweep file."""
    return _NAMES_IN_THE_SWEEP_FILE.get(parameter, parameter.split(".", 1)[-1])


def besides(runs: pd.DataFrame, axes: Collection[str]) -> list[str]:
    """Return for each run the varying names and settings except `axes`, which are columns of the frame."""
    names = [name for name in ("dataset", "architecture", "method") if name not in axes and len(set(runs[name])) > 1]
    parameters = runs.filter(regex=f"^{PARAMETER_PREFIX}")
    parameters = parameters.drop(columns=[*axes, f"{PARAMETER_PREFIX}teacher.key"], errors="ignore")
    parameters.columns = parameters.columns.str.removeprefix(PARAMETER_PREFIX)
    names_of_run = runs.loc[:, names].to_numpy(dtype="object")
    return [
        " ".join([*own, ", ".join(texts)]).strip()
        for own, texts in zip(names_of_run, _settings(parameters), strict=True)
    ]


def _with_self(parameters: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Replace teachers by `self` as described in `columns`."""
    named = parameters["teacher.architecture"]
    own = named.mask(named == runs["architecture"], "self")
    count = pd.DataFrame({"named": named, "own": own}).groupby(runs["method"]).nunique()
    more = list(count.query("own > named").index)
    return parameters.assign(**{"teacher.architecture": named.where(runs["method"].isin(more), own)})


def _columns(parameters: pd.DataFrame, runs: pd.DataFrame) -> list[Column]:
    """Return the column of each run, with the parameters that distinguish the runs of its method."""
    settings = pd.concat([_settings(same_method) for _, same_method in parameters.groupby(runs["method"])])
    return [
        Column(method=method, settings=texts)
        for method, texts in zip(runs["method"], settings.loc[runs.index], strict=True)
    ]


def _parameters(runs: pd.DataFrame, *, of_rows: bool) -> pd.DataFrame:
    parameters = runs.filter(regex=f"^{PARAMETER_PREFIX}")
    parameters.columns = parameters.columns.str.removeprefix(PARAMETER_PREFIX)
    return parameters.loc[:, [name.startswith(_ROW_COMPONENTS) == of_rows for name in parameters]]


def _settings(parameters: pd.DataFrame) -> pd.Series:
    """Return for each run the parameters that distinguish the configurations, as a tuple of texts.

    A parameter that follows from earlier ones, such as a default that depends on the loss, is omitted.
    """
    varying = _telling(parameters, list(parameters.columns[parameters.nunique() > 1]))
    if _distinct(parameters, varying) < _distinct(parameters, list(parameters)):
        # Some configurations differ only in the absence of a parameter, so absence counts as a value.
        varying = _telling(parameters, list(parameters))
    return _texts(parameters.loc[:, varying])


def _telling(parameters: pd.DataFrame, names: list[str]) -> list[str]:
    telling: list[str] = []
    for name in names:
        if _distinct(parameters, [*telling, name]) > _distinct(parameters, telling):
            telling.append(name)
    return telling


def _distinct(parameters: pd.DataFrame, names: list[str]) -> int:
    return len(parameters.loc[:, names].drop_duplicates()) if names else 1


def _texts(parameters: pd.DataFrame) -> pd.Series:
    names = [setting(name) for name in parameters]
    texts = [
        tuple(f"{name}={value}" for name, value in zip(names, values, strict=True) if pd.notna(value))
        for values in parameters.to_numpy(dtype="object")
    ]
    return pd.Series(texts, index=parameters.index, dtype="object")

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pandas as pd

from .frame import PARAMETER_PREFIX

_Values = list[str | None]
"""Values of a parameter by run; None if it has no effect on the trial."""
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
    settings = _settings(_parameters(runs, lambda name: name.startswith(_ROW_COMPONENTS)), len(runs))
    return [
        RowLabel(dataset=dataset, architecture=architecture, settings=texts)
        for dataset, architecture, texts in zip(runs["dataset"], runs["architecture"], settings, strict=True)
    ]


def columns(runs: pd.DataFrame) -> list[Column]:
    """Return the column of each run.

    A teacher with the student's architecture is called `self`, unless a method would get more columns that way: with
    `teacher: resnet20`, all students share one teacher, even if one student is a resnet20.
    """
    parameters = _parameters(runs, lambda name: not name.startswith(_ROW_COMPONENTS))
    if "teacher.architecture" in parameters:
        parameters["teacher.architecture"] = _with_self(parameters["teacher.architecture"], runs)
    keys = parameters.pop("teacher.key", None)
    found = _columns(parameters, runs)
    if keys is None:
        return found
    # Teachers of different rows always have different keys. Keys separate columns only if one row has two teachers,
    # such as two weight files of one architecture.
    taught = set(zip(rows(runs), found, keys, strict=True))
    count = Counter((row, column) for row, column, _ in taught)
    unclear = {column for (_, column), several in count.items() if several > 1}
    if not unclear:
        return found
    apart = [key if column in unclear else None for key, column in zip(keys, found, strict=True)]
    return _columns(parameters | {"teacher.key": apart}, runs)


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
    left_out = {name.removeprefix(PARAMETER_PREFIX) for name in axes} | {"teacher.key"}
    parameters = _parameters(runs, lambda name: name not in left_out)
    names_of_run = runs.loc[:, names].to_numpy(dtype="object")
    return [
        " ".join([*own, ", ".join(texts)]).strip()
        for own, texts in zip(names_of_run, _settings(parameters, len(runs)), strict=True)
    ]


def _with_self(named: _Values, runs: pd.DataFrame) -> _Values:
    """Replace names of teachers by `self` as described in `columns`."""
    own = ["self" if name == student else name for name, student in zip(named, runs["architecture"], strict=True)]
    methods = list(runs["method"])
    more = {method for method in set(methods) if _count(own, methods, method) > _count(named, methods, method)}
    return [name if method in more else self for name, self, method in zip(named, own, methods, strict=True)]


def _count(names: _Values, methods: list[str], method: str) -> int:
    return len({name for name, of in zip(names, methods, strict=True) if of == method} - {None})


def _columns(parameters: dict[str, _Values], runs: pd.DataFrame) -> list[Column]:
    """Return the column of each run, with the parameters that distinguish the runs of its method."""
    places: dict[str, list[int]] = {}
    for place, method in enumerate(runs["method"]):
        places.setdefault(method, []).append(place)
    found: dict[int, Column] = {}
    for method, own in places.items():
        of_method = {name: [values[place] for place in own] for name, values in parameters.items()}
        for place, texts in zip(own, _settings(of_method, len(own)), strict=True):
            found[place] = Column(method=method, settings=texts)
    return [found[place] for place in range(len(runs))]


def _parameters(runs: pd.DataFrame, is_kept: Callable[[str], bool]) -> dict[str, _Values]:
    """Return the values of some parameters by name, as plain lists, because pandas takes longer to compare columns."""
    columns = {
        name.removeprefix(PARAMETER_PREFIX): name for name in map(str, runs) if name.startswith(PARAMETER_PREFIX)
    }
    return {
        name: [None if pd.isna(value) else value for value in runs[column].tolist()]
        for name, column in columns.items()
        if is_kept(name)
    }


def _settings(parameters: dict[str, _Values], runs: int) -> list[tuple[str, ...]]:
    """Return for each run the parameters that distinguish the configurations, as a tuple of texts.

    A parameter that follows from earlier ones, such as a default that depends on the loss, is omitted.
    """
    varying = _telling({name: values for name, values in parameters.items() if len({*values} - {None}) > 1}, runs)
    if _distinct(varying, runs) < _distinct(parameters, runs):
        # Some configurations differ only in the absence of a parameter, so absence counts as a value.
        varying = _telling(parameters, runs)
    names = {name: setting(name) for name in varying}
    return [
        tuple(f"{names[name]}={values[run]}" for name, values in varying.items() if values[run] is not None)
        for run in range(runs)
    ]


def _telling(parameters: dict[str, _Values], runs: int) -> dict[str, _Values]:
    """Return the parameters that distinguish runs which all earlier ones do not."""
    telling: dict[str, _Values] = {}
    groups = [0] * runs
    for name, values in parameters.items():
        numbers: dict[tuple[int, str | None], int] = {}
        finer = [numbers.setdefault(pair, len(numbers)) for pair in zip(groups, values, strict=True)]
        if len(numbers) > len({*groups}):
            telling[name], groups = values, finer
    return telling


def _distinct(parameters: dict[str, _Values], runs: int) -> int:
    return len({*zip(*parameters.values(), strict=True)}) if parameters else min(runs, 1)

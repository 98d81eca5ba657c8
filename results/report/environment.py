"""Recorded code, versions and hardware of the trials."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from ..frame import ENVIRONMENT_PREFIX
from ..rendered_table import one_line

_NAMES = {
    "exeunt": "Exeunt",
    "commit": "Commit of Exeunt",
    "plugins": "Plugins",
    "torch": "PyTorch",
    "python": "Python",
    "host": "Host",
    "device": "Device",
    "precision": "Precision",
    "threads": "Threads per process",
    "processes": "Processes per trial",
}


@dataclass(frozen=True, kw_only=True)
class RecordedEnvironment:
    """Property of the training environment, with its values."""

    name: str
    values: tuple[str, ...]
    """Distinct values, each with its number of trials if there are several."""


def environment(frame: pd.DataFrame) -> tuple[RecordedEnvironment, ...]:
    """Return the recorded properties in a fixed order."""
    found = {
        name.removeprefix(ENVIRONMENT_PREFIX): frame[name]
        for name in map(str, frame.columns)
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    if "commit" not in found and "commit" in frame:
        found["commit"] = frame["commit"]
    order = [*(name for name in _NAMES if name in found), *sorted(found.keys() - _NAMES.keys())]
    recorded = [
        RecordedEnvironment(name=_NAMES.get(name, one_line(name)), values=_values(pd.Series(found[name])))
        for name in order
    ]
    return tuple(one for one in recorded if one.values)


def _values(column: pd.Series) -> tuple[str, ...]:
    counts = Counter(one_line(str(value)) for value in column.dropna() if value != "")
    several = len(counts) > 1
    return tuple(
        f"{value} ({count} {'trial' if count == 1 else 'trials'})" if several else value
        for value, count in sorted(counts.items())
    )

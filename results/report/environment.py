"""With what, where and of which code trials were trained, as far as that is recorded."""

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
    "host": "Machine",
    "device": "Device",
    "precision": "Precision",
    "threads": "Threads of a process",
    "processes": "Processes of a trial",
}


@dataclass(frozen=True, kw_only=True)
class RecordedEnvironment:
    """One thing that is known of how trials were trained."""

    name: str
    values: tuple[str, ...]
    """Each with the number of trials, where there are several."""


def environment(frame: pd.DataFrame) -> tuple[RecordedEnvironment, ...]:
    """Give what is recorded, in the same order whatever the order of the frame."""
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
    return tuple(f"{value} ({count} trials)" if several else value for value, count in sorted(counts.items()))

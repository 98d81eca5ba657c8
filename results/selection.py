"""Selection of configurations by patterns, for tables that show a part of a sweep."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pandas as pd

from ..specs import SpecError, nearest
from .labels import with_labels


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Patterns of what is shown and of what is hidden."""

    only: tuple[str, ...] = ()
    """Shell patterns for METHOD/ARCH, METHOD or the label of a configuration; empty for everything."""
    hide: tuple[str, ...] = ()
    """Such patterns for what is not shown."""

    @property
    def is_everything(self) -> bool:
        """True without a pattern."""
        return not self.only and not self.hide

    def of(self, configurations: Sequence[tuple[str, str, str]]) -> list[bool]:
        """Return for each configuration, given by label, method and architecture, whether it is shown.

        Raises:
            SpecError: A `ValueError`, for a pattern that matches nothing, or if nothing is left.
        """
        names = [_names(*one) for one in configurations]
        for field, patterns in {"only": self.only, "hide": self.hide}.items():
            for pattern in patterns:
                if not any(_matches(one, pattern) for one in names):
                    near = nearest(pattern, {name for one in names for name in one})
                    raise SpecError(f"--{field} {pattern} matches nothing in this table; {near}.", field=field)
        only = self.only or ("*",)
        left = [
            any(_matches(one, pattern) for pattern in only) and not any(_matches(one, pattern) for pattern in self.hide)
            for one in names
        ]
        if not any(left):
            raise SpecError("--only and --hide leave nothing to show; remove a pattern.", field="hide")
        return left


def selected(frame: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return a loaded sweep without the results that are not selected."""
    if selection.is_everything:
        return frame
    results = with_labels(frame.loc[frame["role"] == "result"])
    left = selection.of(
        [
            (column.label, column.method, row.architecture)
            for row, column in zip(results["row"], results["column"], strict=True)
        ]
    )
    gone = [key for key, is_left in zip(results["key"], left, strict=True) if not is_left]
    return frame.loc[~frame["key"].isin(gone)]


def _names(label: str, method: str, architecture: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"{method}/{architecture}", f"{label}/{architecture}", method, label)))


def _matches(names: Sequence[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)

"""Loaded sweep with the results that several figures use, each computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..labels import Column
from ..significance import Significance, significance
from ..table import Table, comparison, labelled
from .groups import PanelGroup, groups, looks
from .style import Look


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepData:
    """One loaded sweep, as the figures read it."""

    frame: pd.DataFrame
    """Trials, loaded by `load`."""
    history: pd.DataFrame
    """Metrics by epoch, loaded by `history`."""

    @cached_property
    def table(self) -> Table:
        """Comparison by the reported metric.

        Raises:
            SpecError: A `ValueError`, if there is nothing to compare yet.
        """
        return comparison(self.frame)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Trials of the comparison with their `row` and `column`, in plan order."""
        return labelled(self.frame)[0]

    @cached_property
    def tests(self) -> Significance:
        """Significance tests of the comparison."""
        return significance(self.table)

    @cached_property
    def groups(self) -> tuple[PanelGroup, ...]:
        """Groups of columns that share a panel."""
        return groups(self.table.columns, self.table.baseline)

    @cached_property
    def looks(self) -> Mapping[Column, Look]:
        """Look of each column, the same in all figures."""
        return looks(self.table.columns, self.groups)

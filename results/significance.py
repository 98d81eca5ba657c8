import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..store import Margins
from .power import power
from .statistics import PairedTest, Ranking, holm, paired_test, ranking
from .table import Cell, Table


@dataclass(frozen=True, kw_only=True)
class Power:
    """Power of the completed comparisons of a table for one difference, each at the level 0.05 / comparisons."""

    difference: float
    median: float
    lowest: float
    largest_spread: float
    """Largest standard deviation of the paired differences of a comparison."""
    comparisons: int


@dataclass(frozen=True, kw_only=True)
class Significance:
    """Significance tests of a comparison; see `docs/statistics.md`."""

    cells: tuple[tuple[PairedTest | None, ...], ...]
    """Test of each cell against the baseline of its row, paired by seed and Holm-corrected over all cells.

    None for the baseline itself, and for a method without a seed completed by both.
    """
    pooled: tuple[PairedTest | None, ...]
    """Test of each column over the pairs of all rows, Holm-corrected over columns; all None for a single row."""
    ranking: Ranking | None
    """Ranking of the columns over the rows without a missing mean; None with fewer than 3 columns or rows."""
    margins: Margins = field(default_factory=Margins)
    """Differences that matter, in the unit of the table's metric."""

    @property
    def tested(self) -> list[PairedTest]:
        """Tests of cells with enough pairs: the family of the Holm correction."""
        return [test for row in self.cells for test in row if test and test.is_tested]

    @property
    def power(self) -> Power | None:
        """Power for the difference `margins.detect`; None without it, or without a t-test."""
        tested, difference = self.tested, self.margins.detect
        spreads = [(test.spread, test.pairs) for test in tested if test.spread is not None]
        if difference is None or not spreads:
            return None
        powers = [power(difference, spread=spread, pairs=pairs, tests=len(tested)) for spread, pairs in spreads]
        return Power(
            difference=difference,
            median=statistics.median(powers),
            lowest=min(powers),
            largest_spread=max(spread for spread, _ in spreads),
            comparisons=len(tested),
        )


def significance(table: Table, margins: Margins | None = None) -> Significance:
    """Return the tests of the cells against the baseline, and the ranking of the columns.

    Args:
        table: a comparison.
        margins: differences that matter, in the unit of the table's metric: `Plan.margins` of the sweep.
    """
    margins = margins or Margins()
    differences = [[_differences(table, cells, index) for index in range(len(cells))] for cells in table.cells]
    width = len(table.columns)
    flat = _tested([pairs for row in differences for pairs in row], margins.equivalent)
    together = [[value for row in differences for value in row[index]] for index in range(width)]
    means = [[cell.mean for cell in cells] for cells in table.cells]
    complete = [[mean for mean in row if mean is not None] for row in means if None not in row]
    return Significance(
        cells=tuple(tuple(flat[start : start + width]) for start in range(0, len(flat), width)),
        pooled=tuple(_tested(together) if len(table.rows) > 1 else [None] * width),
        ranking=ranking(complete, highest_is_best=table.metric.best == "highest") if table.metric.best else None,
        margins=margins,
    )


def _differences(table: Table, cells: Sequence[Cell], index: int) -> list[float]:
    """Return cell minus baseline for each seed completed by both, ordered by seed."""
    if table.baseline is None or table.columns[index] == table.baseline:
        return []
    values, reference = cells[index].values, cells[table.columns.index(table.baseline)].values
    return [values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())]


def _tested(samples: Sequence[Sequence[float]], margin: float | None = None) -> list[PairedTest | None]:
    tests = [paired_test(sample, margin) for sample in samples]
    corrected = iter(holm([test for test in tests if test]))
    return [next(corrected) if test else None for test in tests]

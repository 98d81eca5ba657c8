from collections.abc import Sequence
from dataclasses import dataclass

from .statistics import PairedTest, Ranking, holm, paired_test, ranking
from .table import Cell, Table


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

    @property
    def tested(self) -> list[PairedTest]:
        """Tests of cells with enough pairs: the family of the Holm correction."""
        return [test for row in self.cells for test in row if test and test.is_tested]


def significance(table: Table) -> Significance:
    """Return the tests of the cells against the baseline, and the ranking of the columns."""
    differences = [[_differences(table, cells, index) for index in range(len(cells))] for cells in table.cells]
    width = len(table.columns)
    flat = _tested([pairs for row in differences for pairs in row])
    together = [[value for row in differences for value in row[index]] for index in range(width)]
    means = [[cell.mean for cell in cells] for cells in table.cells]
    complete = [[mean for mean in row if mean is not None] for row in means if None not in row]
    return Significance(
        cells=tuple(tuple(flat[start : start + width]) for start in range(0, len(flat), width)),
        pooled=tuple(_tested(together) if len(table.rows) > 1 else [None] * width),
        ranking=ranking(complete, highest_is_best=table.metric.best == "highest") if table.metric.best else None,
    )


def _differences(table: Table, cells: Sequence[Cell], index: int) -> list[float]:
    """Return cell minus baseline for each seed completed by both, ordered by seed."""
    if table.baseline is None or table.columns[index] == table.baseline:
        return []
    values, reference = cells[index].values, cells[table.columns.index(table.baseline)].values
    return [values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())]


def _tested(samples: Sequence[Sequence[float]]) -> list[PairedTest | None]:
    tests = [paired_test(sample) for sample in samples]
    corrected = iter(holm([test for test in tests if test]))
    return [next(corrected) if test else None for test in tests]

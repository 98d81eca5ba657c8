from collections.abc import Sequence
from dataclasses import dataclass

from .statistics import PairedTest, Ranking, holm, paired_test, ranking
from .table import Cell, Table


@dataclass(frozen=True, kw_only=True)
class Significance:
    """What tells chance from difference in a comparison. See `docs/statistics.md`."""

    cells: tuple[tuple[PairedTest | None, ...], ...]
    """For each cell the test against the baseline of its row, paired by seed; None for the baseline itself, and where
    no seed is done with both. Corrected over all of them."""
    pooled: tuple[PairedTest | None, ...]
    """For each column the test over the pairs of all rows, corrected over the columns; all None with a single row."""
    ranking: Ranking | None
    """Of the columns, over the rows; None unless at least three have a mean in at least three rows, all of them."""

    @property
    def tested(self) -> list[PairedTest]:
        """The tests of cells that have enough pairs: the family that they are corrected over."""
        return [test for row in self.cells for test in row if test and test.is_tested]


def significance(table: Table) -> Significance:
    """Test the cells of a table against its baseline, and its columns against each other."""
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
    """Cell minus baseline, for each seed that is done with both, in the order of the seeds."""
    if table.baseline is None or table.columns[index] == table.baseline:
        return []
    values, reference = cells[index].values, cells[table.columns.index(table.baseline)].values
    return [values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())]


def _tested(samples: Sequence[Sequence[float]]) -> list[PairedTest | None]:
    tests = [paired_test(sample) for sample in samples]
    corrected = iter(holm([test for test in tests if test]))
    return [next(corrected) if test else None for test in tests]

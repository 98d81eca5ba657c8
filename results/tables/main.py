"""Methods by architectures: mean, spread, difference to the baseline, and whether that is more than chance."""

from ..captions import entry, gaps, heading, notes, places, record, remarks, row_label, signs, title
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..significance import Significance, significance
from ..statistics import PairedTest, pairs_needed, smallest_wilcoxon_p
from ..table import Cell, Table

MARK = "†"


def main(table: Table) -> RenderedTable:
    """Write a comparison as a sheet."""
    tests = significance(table)
    rows = [
        (
            TableEntry(text=row_label(table, row)),
            *(_entry(cell, test, table) for cell, test in zip(cells, of_row, strict=True)),
        )
        for row, cells, of_row in zip(table.rows, table.cells, tests.cells, strict=True)
    ]
    return RenderedTable(
        sweep=table.sweep,
        subject=table.metric.name,
        title=title(table),
        remarks=(*remarks(table), *signs(table), *gaps(table.cells), *_tests(table, tests)),
        ranked="mean of each row" if table.metric.best else "",
        headings=(Heading(lines=("architecture",), align="left"), *map(heading, table.columns)),
        rows=(*rows, *_pooled(table, tests)),
        notes=(*notes(table), *_ranking(table, tests)),
        records=tuple(
            record(table, row, column, cell) | _tested(test)
            for (row, column, cell), test in zip(places(table), sum(tests.cells, ()), strict=True)
        ),
    )


def _entry(cell: Cell, test: PairedTest | None, table: Table) -> TableEntry:
    return entry(cell, table.metric, mark=MARK if test and test.is_significant else "")


def _tests(table: Table, tests: Significance) -> list[str]:
    """Say what was tested, and what cannot be told with so few pairs."""
    if table.baseline is None or len(table.columns) < 2:
        return []
    tested = tests.tested
    if not tested:
        return [f"Nothing is tested: that takes 3 seeds that are done with {table.baseline.label} too"]
    several = f", Holm-corrected over {len(tested)} tests" if len(tested) > 1 else ""
    said = [f"{MARK} differs from {table.baseline.label}: paired t-test over seeds, p < 0.05{several}"]
    if not any(test and test.is_significant for row in tests.cells for test in row):
        said = [f"No difference to {table.baseline.label} has p < 0.05 in a paired t-test over seeds{several}"]
    most, needed = max(test.pairs for test in tested), pairs_needed(len(tested))
    if most < needed:
        corrected = f", or {needed} after the correction" if needed > pairs_needed() else ""
        said.append(
            f"Wilcoxon's test cannot go below p = {smallest_wilcoxon_p(most):.2g} with {most} pairs of seeds; "
            f"p < 0.05 takes {pairs_needed()} pairs{corrected}"
        )
    if any(tests.pooled):
        said.append(
            "Last row: mean difference over the pairs of all rows, its 95% t interval, and p of Wilcoxon's test over "
            "these pairs, Holm-corrected over the methods"
        )
    return said


def _pooled(table: Table, tests: Significance) -> list[tuple[TableEntry, ...]]:
    """The last row: each method against the baseline over the pairs of all rows."""
    if not any(tests.pooled):
        return []
    return [(TableEntry(text=f"all {len(table.rows)} rows"), *(_pooled_entry(test, table) for test in tests.pooled))]


def _pooled_entry(test: PairedTest | None, table: Table) -> TableEntry:
    if test is None:
        return TableEntry()
    sign = f"+z.{table.metric.digits}f"
    interval = [f"{test.t_interval[0]:{sign}} to {test.t_interval[1]:{sign}}"] if test.t_interval else []
    p = [f"p={test.wilcoxon_p_holm:.2g}, {test.pairs} pairs"] if test.wilcoxon_p_holm is not None else []
    return TableEntry(text=format(test.mean, sign), details=(*interval, *p))


def _ranking(table: Table, tests: Significance) -> list[str]:
    """Say how the methods rank over the rows."""
    found = tests.ranking
    if found is None:
        return []
    order = sorted(zip(found.ranks, (column.label for column in table.columns), strict=True), key=lambda pair: pair[0])
    ranks = "; ".join(f"{label} {rank:.2f}" for rank, label in order)
    friedman = f"Friedman's chi-squared {found.statistic:.2f}, p = {found.p:.2g}"
    nemenyi = f"Nemenyi's critical difference of ranks at 0.05: {found.critical_difference:.2f}"
    return [one_line(f"Mean ranks over the {found.rows} rows where all have a mean: {ranks}. {friedman}; {nemenyi}.")]


def _tested(test: PairedTest | None) -> dict[str, float | int | None]:
    """What a record has of a test."""
    t_low, t_high = (test and test.t_interval) or (None, None)
    bootstrap_low, bootstrap_high = (test and test.bootstrap_interval) or (None, None)
    return {
        "pairs": test.pairs if test else None,
        "paired_difference": test.mean if test else None,
        "t_low": t_low,
        "t_high": t_high,
        "bootstrap_low": bootstrap_low,
        "bootstrap_high": bootstrap_high,
        "effect": test.effect if test else None,
        "t_p": test.t_p if test else None,
        "t_p_holm": test.t_p_holm if test else None,
        "wilcoxon_p": test.wilcoxon_p if test else None,
        "wilcoxon_p_holm": test.wilcoxon_p_holm if test else None,
    }

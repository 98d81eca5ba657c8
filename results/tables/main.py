"""Main table: methods by architectures, with mean, spread, difference from the baseline and significance."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ...store import Margins
from ..captions import entry, gaps, notes, record, remarks, signs, title
from ..improvement import improvement
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..significance import Significance, significance
from ..statistics import PairedTest, pairs_needed, smallest_wilcoxon_p
from ..table import Table
from .arrangement import METHODS_ACROSS, METHODS_DOWN, Arrangement, axes_across

MARK, EQUAL = "†", "="


def main(
    table: Table, margins: Margins | None = None, *, rows: Collection[str] = (), columns: Collection[str] = ()
) -> RenderedTable:
    """Return a comparison with its significance tests as a rendered table.

    Args:
        table: the comparison.
        margins: differences that matter, in the unit of the table's metric: `Plan.margins` of the sweep.
        rows: axes that go down, of `arrangement.AXES`; by default those that are not in `columns`.
        columns: axes that go across. Without both, methods go across as long as they fit, otherwise down.

    Raises:
        SpecError: A `ValueError`, for an unknown axis, or an axis in both directions.
    """
    tests = significance(table, margins)

    def arranged(across: tuple[str, ...]) -> _Sheet:
        return _Sheet(table=table, tests=tests, arrangement=Arrangement(table=table, across=across))

    if not rows and not columns:
        down = arranged(METHODS_DOWN)
        forms = (down.rendered(), down.rendered(labelled=True))
        return replace(arranged(METHODS_ACROSS).rendered(), alternatives=forms)
    chosen = arranged(axes_across(rows, columns))
    return replace(chosen.rendered(), alternatives=(chosen.rendered(labelled=True),))


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """Comparison with its tests and its arrangement."""

    table: Table
    tests: Significance
    arrangement: Arrangement

    def rendered(self, *, labelled: bool = False) -> RenderedTable:
        """Return the table.

        Args:
            labelled: name each row by the label of its configuration instead of one entry per setting.
        """
        table, arrangement = self.table, self.arrangement
        placed = {
            (arrangement.down(row, column), arrangement.over(row, column)): at
            for at, row, column in arrangement.positions()
        }
        down, over = (list(dict.fromkeys(keys)) for keys in zip(*placed, strict=True))
        names = arrangement.stub_names(down, labelled=labelled)
        pooled = any(self.tests.pooled)
        headings = [Heading(lines=(name,), align="left") for name in names]
        headings += [arrangement.heading(key, over) for key in over]
        body = [
            (
                *arrangement.stubs(key, names, labelled=labelled),
                *(self._entry(placed[key, other]) if (key, other) in placed else TableEntry() for other in over),
            )
            for key in down
        ]
        if pooled and arrangement.across == METHODS_ACROSS:
            label = TableEntry(text=f"all {len(table.rows)} rows")
            body.append((label, *([TableEntry()] * (len(names) - 1)), *self._pooled()))
        if pooled and arrangement.across == METHODS_DOWN:
            headings.append(Heading(lines=(f"all {len(table.rows)}", "columns")))
            body = [(*entries, one) for entries, one in zip(body, self._pooled(), strict=True)]
        return RenderedTable(
            sweep=table.sweep,
            subject=table.metric.name,
            title=title(table),
            remarks=(
                *remarks(table),
                *signs(table),
                *gaps(table.cells),
                *_tests(table, self.tests, arrangement.summary),
            ),
            ranked=f"mean of each {arrangement.group}" if table.metric.best else "",
            headings=tuple(headings),
            rows=tuple(body),
            stubs=len(names),
            notes=(*notes(table), *_ranking(table, self.tests)),
            records=tuple(
                record(table, row, column, table.cells[at][place])
                | _tested(self.tests.cells[at][place], table, self.tests.margins)
                for (at, place), row, column in arrangement.positions()
            ),
        )

    def _entry(self, at: tuple[int, int]) -> TableEntry:
        number, place = at
        test, cell = self.tests.cells[number][place], self.table.cells[number][place]
        marks = MARK * bool(test and test.is_significant) + EQUAL * bool(test and test.is_equivalent)
        return replace(entry(cell, self.table.metric, mark=marks), place=at)

    def _pooled(self) -> Iterator[TableEntry]:
        """Iterate over the entries of the pooled tests: each method against the baseline over the pairs of all rows."""
        shown = {column for _, _, column in self.arrangement.positions()}
        for place, (column, test) in enumerate(zip(self.table.columns, self.tests.pooled, strict=True)):
            if column in shown:
                yield replace(_pooled_entry(test, self.table), place=(len(self.table.rows), place))


def _tests(table: Table, tests: Significance, summary: str) -> list[str]:
    """Return the remarks on the significance tests and their limits; `summary` is the place of pooled tests."""
    if table.baseline is None or len(table.columns) < 2:
        return []
    tested = tests.tested
    if not tested:
        return ["No significance test: needs at least 3 seeds completed by both the method and the baseline"]
    several = f", Holm-corrected over {len(tested)} comparisons" if len(tested) > 1 else ""
    said = [f"{MARK} significant difference from {table.baseline.label}: p < 0.05 in a paired t-test{several}"]
    if not any(test and test.is_significant for row in tests.cells for test in row):
        said = ["Paired t-test: not significant (p < 0.05)"]
        if several:
            said = [f"Holm-corrected paired t-tests over {len(tested)} comparisons: none significant (p < 0.05)"]
    said += [*_equivalence(table, tests), *_power(table, tests)]
    most, needed = max(test.pairs for test in tested), pairs_needed(len(tested))
    if most < needed:
        corrected = f", or {needed} after correction" if needed > pairs_needed() else ""
        said.append(
            f"Wilcoxon signed-rank test: smallest possible p = {smallest_wilcoxon_p(most):.2g} with {most} pairs of "
            f"seeds; p < 0.05 requires {pairs_needed()} pairs{corrected}"
        )
    if any(tests.pooled) and summary:
        said.append(
            f"Last {summary}: mean difference over the pairs of all {summary}s, its 95% t interval, and p of the "
            "Wilcoxon signed-rank test, Holm-corrected over methods"
        )
    return said


def _equivalence(table: Table, tests: Significance) -> list[str]:
    """Return the remark on the equivalence tests; empty without a margin."""
    if tests.margins.equivalent is None or table.baseline is None:
        return []
    within = f"{table.baseline.label} within ±{table.metric.quantity(tests.margins.equivalent)}"
    family = f", Holm-corrected over {len(tests.tested)} comparisons" if len(tests.tested) > 1 else ""
    if any(test.is_equivalent for test in tests.tested):
        return [f"{EQUAL} equal to {within}: p < 0.05 in a paired equivalence test{family}"]
    return [f"No method is shown to be equal to {within} (p < 0.05 in a paired equivalence test{family})"]


def _power(table: Table, tests: Significance) -> list[str]:
    """Return the remark on the power for the difference that the sweep should detect; empty without one."""
    found = tests.power
    if found is None:
        return []
    said = f"Power to detect {table.metric.quantity(found.difference)} at the observed spread of differences"
    if found.comparisons == 1:
        return [f"{said}: {found.median:.0%}"]
    return [
        f"{said}, as the worst of {found.comparisons} comparisons: median {found.median:.0%}, lowest {found.lowest:.0%}"
    ]


def _pooled_entry(test: PairedTest | None, table: Table) -> TableEntry:
    if test is None:
        return TableEntry()
    sign = f"+z.{table.metric.digits}f"
    interval = [f"{test.t_interval[0]:{sign}} to {test.t_interval[1]:{sign}}"] if test.t_interval else []
    p = [f"p={test.wilcoxon_p_holm:.2g}, {test.pairs} pairs"] if test.wilcoxon_p_holm is not None else []
    return TableEntry(text=format(test.mean, sign), details=(*interval, *p))


def _ranking(table: Table, tests: Significance) -> list[str]:
    """Return the note on the mean ranks of the methods over the rows."""
    found = tests.ranking
    if found is None:
        return []
    order = sorted(zip(found.ranks, (column.label for column in table.columns), strict=True), key=lambda pair: pair[0])
    ranks = "; ".join(f"{label} {rank:.2f}" for rank, label in order)
    friedman = f"Friedman test: chi-squared = {found.statistic:.2f}, p = {found.p:.2g}"
    nemenyi = f"Nemenyi critical difference at 0.05: {found.critical_difference:.2f}"
    over = f"the {found.rows} rows with a mean for every method"
    return [one_line(f"Mean ranks over {over}: {ranks}. {friedman}. {nemenyi}.")]


def _tested(test: PairedTest | None, table: Table, margins: Margins) -> dict[str, str | float | int | None]:
    """Return the fields of a test in a record; all None without a test."""
    t_low, t_high = (test and test.t_interval) or (None, None)
    better = test and improvement(test, table.metric.best)
    found: dict[str, str | float | int | None] = {
        "pairs": test.pairs if test else None,
        "paired_difference": test.mean if test else None,
        "t_low": t_low,
        "t_high": t_high,
        "effect": test.effect if test else None,
        "t_p": test.t_p if test else None,
        "t_p_holm": test.t_p_holm if test else None,
        "wilcoxon_p": test.wilcoxon_p if test else None,
        "wilcoxon_p_holm": test.wilcoxon_p_holm if test else None,
        "improvement": better.probability if better else None,
        "improvement_low": better.low if better else None,
        "improvement_high": better.high if better else None,
    }
    if margins.equivalent is not None:
        found["equivalence_p"] = test.equivalence_p if test else None
        found["equivalence_p_holm"] = test.equivalence_p_holm if test else None
        found["verdict"] = test.verdict(table.metric.best) if test and test.is_tested else None
    return found

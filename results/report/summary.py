"""Summary of a sweep in sentences that its numbers support."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from ..captions import row_label, value
from ..improvement import improvement
from ..labels import Column, RowLabel
from ..power import seeds_needed
from ..rendered_table import one_line
from ..significance import Significance
from ..statistics import LEAST_PAIRS, LEVEL, PairedTest, Verdict, pairs_needed, smallest_wilcoxon_p
from ..table import Cell, Table

_OURS = "eed"
_Place = tuple[Column, Cell, PairedTest | None]
_STATES = ("failed", "diverged", "pruned", "running", "not recorded")


@dataclass(frozen=True, kw_only=True)
class SummaryItem:
    """Findings on one row of the comparison."""

    label: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Summary at the top of the page."""

    facts: tuple[str, ...]
    findings: tuple[SummaryItem, ...]
    cautions: tuple[str, ...]


def summary(
    frame: pd.DataFrame,
    planned: int | None,
    table: Table | None,
    tests: Significance | None,
    costs: tuple[str, ...] = (),
) -> Summary:
    """Return the summary of a loaded sweep.

    Args:
        frame: a sweep loaded by `load`.
        planned: number of planned trials; None if unknown.
        table: comparison of the sweep; None if there is nothing to compare yet.
        tests: significance tests of the comparison.
        costs: sentences about the cost of the sweep.
    """
    facts = (*_counts(frame, planned), *_seeds(frame), *_protocol(frame), *map(one_line, costs))
    if table is not None and table.is_of_search:
        facts += ("The comparison uses the tuned settings of the search; the first table lists the search budgets.",)
    if table is None or tests is None:
        return Summary(facts=facts, findings=(), cautions=("There is nothing to compare yet.",))
    findings = tuple(
        SummaryItem(label=row_label(table, row), sentences=tuple(map(one_line, _found(table, tests, row))))
        for row in table.rows
    )
    overall = tuple(map(one_line, _overall(table, tests)))
    if overall:
        findings += (SummaryItem(label=f"All {len(table.rows)} rows together", sentences=overall),)
    return Summary(facts=facts, findings=findings, cautions=tuple(map(one_line, _cautions(table, tests))))


def _counts(frame: pd.DataFrame, planned: int | None) -> list[str]:
    asked = frame.loc[frame["role"] != "unplanned"]
    states = Counter(asked["state"])
    whole = max(planned or 0, len(asked))
    others = [f"{states[state]} {state}" for state in _STATES if states[state]]
    waiting = states["not run"] + whole - len(asked)
    others += [f"{waiting} not started"] if waiting else []
    word = "recorded" if planned is None else "planned"
    trials = "trial" if whole == 1 else "trials"
    said = [f"{states['done']} of {whole} {word} {trials} completed{_behind('; ', others)}."]
    roles = Counter(asked["role"])
    if roles["teacher"]:
        said.append(f"{_trials(roles['teacher'])} trained only as a teacher.")
    if roles["backbone"]:
        said.append(f"{_trials(roles['backbone'])} trained only as a backbone.")
    if roles["search"]:
        said.append(f"{_trials(roles['search'])} trained to tune a method and not compared.")
    if left := len(frame) - len(asked):
        said.append(f"{_trials(left)} no longer in the sweep file and not counted here.")
    return said


def _trials(number: int) -> str:
    return "1 trial is" if number == 1 else f"{number} trials are"


def _behind(sign: str, parts: list[str]) -> str:
    return sign + ", ".join(parts) if parts else ""


def _seeds(frame: pd.DataFrame) -> list[str]:
    seeds = sorted({int(seed) for seed in frame.loc[frame["role"] == "result", "seed"]})
    if not seeds:
        return []
    named = ", ".join(map(str, seeds)) if len(seeds) <= 10 else f"{seeds[0]} to {seeds[-1]}"
    if len(seeds) == 1:
        return [f"One seed ({named}): the variation over seeds is unknown."]
    return [f"{len(seeds)} seeds: {named}."]


def _protocol(frame: pd.DataFrame) -> list[str]:
    protocols = frame.loc[frame["role"] == "result", "protocol"].unique()
    return [one_line(f"Protocol: {' and '.join(protocols)}.")] if len(protocols) else []


def _found(table: Table, tests: Significance, row: RowLabel) -> Iterable[str]:
    """Iterate over the sentences on a row: the best method, its difference from the baseline, and that of EED."""
    index = table.rows.index(row)
    of_row = list(zip(table.columns, table.cells[index], tests.cells[index], strict=True))
    known = [cell for _, cell, _ in of_row if cell.mean is not None]
    if not known:
        yield "No completed trial to compare."
        return
    best = [(column, cell, test) for column, cell, test in of_row if cell.best]
    if best:
        yield _leading(table, [(column, cell) for column, cell, _ in best])
    if table.baseline is None:
        yield "No baseline, so no difference."
        return
    if any(column == table.baseline for column, _, _ in best):
        yield f"No method has a better mean than {table.baseline.label}."
    for column, cell, test in best:
        if column != table.baseline:
            yield _difference(table, tests, column, cell, test)
    yield from _of_ours(table, tests, of_row)


def _of_ours(table: Table, tests: Significance, of_row: Iterable[_Place]) -> Iterable[str]:
    """Iterate over the differences of EED if it is not the best; of several settings, the best and the worst."""
    ours = [(column, cell, test) for column, cell, test in of_row if column.method == _OURS]
    several = f" of the {len(ours)} settings of {_OURS}" if len(ours) > 1 else ""
    known = [place for place in ours if place[1].mean is not None]
    if len(known) < len(ours):
        yield f"{len(ours) - len(known)}{several or f' setting of {_OURS}'} without a result."
    ordered = sorted(known, key=lambda place: place[1].mean or 0.0, reverse=table.metric.best == "highest")
    for word, place in zip(("Best", "Worst"), dict.fromkeys((0, len(ordered) - 1)), strict=False):
        if ordered and not ordered[place][1].best:
            yield f"{word}{several}: " * bool(several) + _difference(table, tests, *ordered[place])


def _leading(table: Table, best: list[tuple[Column, Cell]]) -> str:
    names = " and ".join(column.label for column, _ in best)
    metric, unit = table.metric, _unit(table.metric.unit)
    if len(best) > 1:
        return f"Best mean: {names}, equal to {metric.digits} decimals, {best[0][1].mean:.{metric.digits}f}{unit}."
    return f"Best mean: {names}, {value(best[0][1], table.metric)}{unit}."


def _unit(unit: str) -> str:
    return unit if unit in ("", "%") else f" {unit}"


def _difference(table: Table, tests: Significance, column: Column, cell: Cell, test: PairedTest | None) -> str:
    baseline = table.baseline.label if table.baseline else ""
    if cell.mean is None:
        return f"{column.label}: no result ({cell.outcome})."
    if test is None:
        return f"{column.label}: no seed completed by both this method and {baseline}, so no difference."
    said = f"{column.label} is {_apart(table, test.mean)} {baseline} over {_pairs(test.pairs)}"
    if test.pairs < LEAST_PAIRS:
        return f"{said}: too few for an interval or a test, which need at least {LEAST_PAIRS}."
    if test.t_interval is None or test.t_p_holm is None:
        return f"{said}: all differences are equal, so there is no t interval and no t-test; not significant."
    low, high = (f"{bound:+z.{table.metric.digits}f}" for bound in test.t_interval)
    verdict = "significant" if test.is_significant else "not significant"
    family = _corrected(len(tests.tested))
    said = f"{said}, 95% interval {low} to {high}: {verdict} (paired t-test, p = {test.t_p_holm:.2g}{family})."
    if not test.is_equivalent:
        return said
    equal = f"equal (paired equivalence test, p = {test.equivalence_p_holm:.2g}{family})"
    return f"{said} {_within(table, tests)}: {equal}."


def _within(table: Table, tests: Significance) -> str:
    return f"Within ±{table.metric.quantity(tests.margins.equivalent or 0.0)}"


def _apart(table: Table, difference: float) -> str:
    """Return `0.30 percentage points below`, with `(worse than)` if that is worse."""
    digits, unit = table.metric.digits, table.metric.difference_unit
    size = f"{abs(difference):.{digits}f}"
    if float(size) == 0:
        return f"equal to {digits} decimals to"
    direction = "above" if difference > 0 else "below"
    is_worse = table.metric.best is not None and (difference > 0) != (table.metric.best == "highest")
    return f"{size} {unit} {direction}{' (worse than)' if is_worse else ''}"


def _pairs(number: int) -> str:
    return "1 pair of seeds" if number == 1 else f"{number} pairs of seeds"


def _corrected(tests: int) -> str:
    return f", Holm-corrected over {tests} comparisons" if tests > 1 else ""


def _overall(table: Table, tests: Significance) -> Iterable[str]:
    """Iterate over the sentences on EED against the baseline over the pairs of all rows."""
    ours = [
        (column, test)
        for column, test in zip(table.columns, tests.pooled, strict=True)
        if column.method == _OURS and test is not None and table.baseline is not None
    ]
    ours.sort(key=lambda place: place[1].mean, reverse=table.metric.best == "highest")
    several = f" of the {len(ours)} settings of {_OURS}: " if len(ours) > 1 else ""
    for word, place in zip(("Best", "Worst"), dict.fromkeys((0, len(ours) - 1)), strict=False):
        if ours:
            yield f"{word}{several}" * bool(several) + _pooled(table, *ours[place])


def _pooled(table: Table, column: Column, test: PairedTest) -> str:
    baseline = table.baseline.label if table.baseline else ""
    said = f"{column.label} is {_apart(table, test.mean)} {baseline} over {_pairs(test.pairs)}"
    if test.t_interval:
        low, high = (f"{bound:+z.{table.metric.digits}f}" for bound in test.t_interval)
        said += f", 95% interval {low} to {high}"
    if test.wilcoxon_p_holm is not None:
        verdict = "significant" if test.wilcoxon_p_holm < LEVEL else "not significant"
        said += f": {verdict} (Wilcoxon signed-rank test, p = {test.wilcoxon_p_holm:.2g}, Holm-corrected over methods)"
    if found := improvement(test, table.metric.best):
        share = f"{found.probability:.0%}, 95% interval {found.low:.0%} to {found.high:.0%}"
        said += f". Better in {found.better:g} of {_pairs(found.pairs)}: {share}"
    return f"{said}."


def _cautions(table: Table, tests: Significance) -> Iterable[str]:
    cells = [cell for row in table.cells for cell in row if cell.planned is not None]
    if lacking := sum(not cell.complete for cell in cells):
        yield f"Cells with missing seeds: {lacking} of {len(cells)}. Their means are over the completed seeds."
    if "chosen on test" in table.protocol:
        yield "Best-epoch numbers are biased upwards: the epoch was selected on the test set."
    if table.baseline is None or len(table.columns) < 2:
        return
    if not tests.tested:
        yield f"No significance test: needs at least {LEAST_PAIRS} seeds completed by both the method and the baseline."
        return
    significant = sum(test.is_significant for test in tests.tested)
    if significant:
        yield f"Significant differences from {table.baseline.label}: {significant} of {len(tests.tested)}."
    else:
        yield (
            f"No difference from {table.baseline.label} is significant. This does not show that methods are equal; see "
            "the intervals."
        )
    yield from _equivalence(table, tests)
    yield from _power(table, tests)
    most = max(test.pairs for test in tests.tested)
    if most < pairs_needed():
        yield (
            f"The t-test assumes normally distributed differences, which {most} pairs of seeds cannot verify. The "
            f"smallest possible p of the Wilcoxon signed-rank test is {smallest_wilcoxon_p(most):.2g}. Repeat "
            f"significant comparisons with at least {pairs_needed()} seeds."
        )
    if len(table.columns) > 2:
        yield "The difference of the best method is biased upwards: the method was selected on the same numbers."


def _equivalence(table: Table, tests: Significance) -> Iterable[str]:
    """Iterate over the sentence that counts the verdicts; none without an equivalence margin."""
    if tests.margins.equivalent is not None:
        counts = Counter(test.verdict(table.metric.best) for test in tests.tested)
        verdicts = get_args(Verdict) if table.metric.best is None else ("better", "worse", "equal", "undecided")
        counted = ", ".join(f"{counts[name]} {name}" for name in verdicts)
        yield f"{_within(table, tests)}, a method counts as equal to the baseline. Verdicts: {counted}."


def _power(table: Table, tests: Significance) -> Iterable[str]:
    """Iterate over the sentence on the power for the difference to detect; none without such a difference."""
    found = tests.power
    if found is None:
        return
    needed = seeds_needed(found.difference, spread=found.largest_spread, tests=found.comparisons)
    chance = f"{found.median:.0%}"
    if found.comparisons > 1:
        chance = f"median {chance}, lowest {found.lowest:.0%}, as the worst of {found.comparisons} comparisons"
    yield (
        f"Power to detect {table.metric.quantity(found.difference)} at the observed spread of differences: {chance}. "
        f"80% power {'for every comparison ' * (found.comparisons > 1)}requires {needed} seeds."
    )

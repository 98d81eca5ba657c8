"""What a sweep found, in sentences that say no more than its numbers do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ..captions import row_label, value
from ..labels import Column, RowLabel
from ..rendered_table import one_line
from ..significance import Significance
from ..statistics import LEAST_PAIRS, LEVEL, PairedTest, pairs_needed, smallest_wilcoxon_p
from ..table import Cell, Table

_OURS = "eed"
_Place = tuple[Column, Cell, PairedTest | None]
_STATES = ("failed", "diverged", "pruned", "running")


@dataclass(frozen=True, kw_only=True)
class SummaryItem:
    """What is found on one row of the comparison."""

    label: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What stands at the top of the page."""

    facts: tuple[str, ...]
    findings: tuple[SummaryItem, ...]
    cautions: tuple[str, ...]


def summary(frame: pd.DataFrame, planned: int | None, table: Table | None, tests: Significance | None) -> Summary:
    """Sum a loaded sweep up.

    Args:
        frame: as `load` gives it.
        planned: how many trials the sweep has; None where that is not known.
        table: its comparison; None where there is nothing to compare yet.
        tests: of the comparison.
    """
    facts = (*_counts(frame, planned), *_seeds(frame), *_protocol(frame))
    if table is not None and table.is_of_search:
        facts += ("Compared are the settings that the search found, each method tuned as the first table says.",)
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
    others += [f"{whole - len(asked)} not begun"] if whole > len(asked) else []
    word = "recorded" if planned is None else "planned"
    said = [f"{states['done']} of {whole} {word} trials are done{_behind('; ', others)}."]
    roles = Counter(asked["role"])
    if roles["teacher"]:
        said.append(f"{_trials(roles['teacher'])} trained only as a teacher.")
    if roles["search"]:
        said.append(f"{_trials(roles['search'])} trained to tune a method; none of these is in a comparison.")
    if left := len(frame) - len(asked):
        said.append(f"{_trials(left)} no longer asked for and not counted here.")
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
        return [f"One seed, {named}: how much chance there is in the numbers is not known."]
    return [f"{len(seeds)} seeds: {named}."]


def _protocol(frame: pd.DataFrame) -> list[str]:
    protocols = frame.loc[frame["role"] == "result", "protocol"].unique()
    return [one_line(f"Protocol: {' and '.join(protocols)}.")] if len(protocols) else []


def _found(table: Table, tests: Significance, row: RowLabel) -> Iterable[str]:
    """The best method of a row and its difference to the baseline, then that of EED, be it good or bad."""
    index = table.rows.index(row)
    of_row = list(zip(table.columns, table.cells[index], tests.cells[index], strict=True))
    known = [cell for _, cell, _ in of_row if cell.mean is not None]
    if not known:
        yield "Nothing is done here that could be compared."
        return
    best = [(column, cell, test) for column, cell, test in of_row if cell.best]
    if best:
        yield _leading(table, [(column, cell) for column, cell, _ in best])
    if table.baseline is None:
        yield "There is no baseline, hence no difference."
        return
    if any(column == table.baseline for column, _, _ in best):
        yield f"No method has a better mean than {table.baseline.label}."
    for column, cell, test in best:
        if column != table.baseline:
            yield _difference(table, tests, column, cell, test)
    yield from _of_ours(table, tests, of_row)


def _of_ours(table: Table, tests: Significance, of_row: Iterable[_Place]) -> Iterable[str]:
    """The differences of EED where it is not the best, whatever they are; of several settings the extreme ones."""
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
        return f"Best mean: {names}, equal at {metric.digits} decimals, {best[0][1].mean:.{metric.digits}f}{unit}."
    return f"Best mean: {names}, {value(best[0][1], table.metric)}{unit}."


def _unit(unit: str) -> str:
    return unit if unit in ("", "%") else f" {unit}"


def _difference(table: Table, tests: Significance, column: Column, cell: Cell, test: PairedTest | None) -> str:
    baseline = table.baseline.label if table.baseline else ""
    if cell.mean is None:
        return f"{column.label}: no result ({cell.outcome})."
    if test is None:
        return f"{column.label}: no seed is done with {baseline} too, hence no difference."
    said = f"{column.label} is {_apart(table, test.mean)} {baseline} over {_pairs(test.pairs)}"
    if test.pairs < LEAST_PAIRS:
        return f"{said}: too few for an interval or a test, which take {LEAST_PAIRS}."
    if test.t_interval is None or test.t_p_holm is None:
        return f"{said}: the same in each pair, for which there is no t interval and no t-test; not significant."
    low, high = (f"{bound:+z.{table.metric.digits}f}" for bound in test.t_interval)
    verdict = "significant" if test.is_significant else "not significant"
    return (
        f"{said}, 95% interval {low} to {high}: {verdict} (paired t-test, p = {test.t_p_holm:.2g}"
        f"{_corrected(len(tests.tested))})."
    )


def _apart(table: Table, difference: float) -> str:
    """Write `0.30 percentage points below`, and whether that is worse."""
    digits, unit = table.metric.digits, table.metric.difference_unit
    size = f"{abs(difference):.{digits}f}"
    if float(size) == 0:
        return f"equal at {digits} decimals to"
    direction = "above" if difference > 0 else "below"
    is_worse = table.metric.best is not None and (difference > 0) != (table.metric.best == "highest")
    return f"{size} {unit} {direction}{' (worse than)' if is_worse else ''}"


def _pairs(number: int) -> str:
    return "1 pair of seeds" if number == 1 else f"{number} pairs of seeds"


def _corrected(tests: int) -> str:
    return f" after Holm's correction over {tests} tests" if tests > 1 else ""


def _overall(table: Table, tests: Significance) -> Iterable[str]:
    """EED against the baseline over the pairs of all rows."""
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
        said += f": {verdict} (p = {test.wilcoxon_p_holm:.2g} by Wilcoxon's test, Holm-corrected over the methods)"
    return f"{said}."


def _cautions(table: Table, tests: Significance) -> Iterable[str]:
    cells = [cell for row in table.cells for cell in row if cell.planned is not None]
    if lacking := sum(not cell.complete for cell in cells):
        yield f"{lacking} of {len(cells)} cells lack planned seeds; their means are over the seeds that are done."
    if "chosen on test" in table.protocol:
        yield "The epoch is chosen by its accuracy on test, so every accuracy is rather too high than too low."
    if table.baseline is None or len(table.columns) < 2:
        return
    if not tests.tested:
        yield f"Nothing is tested: that takes {LEAST_PAIRS} seeds that are done with both."
        return
    significant = sum(test.is_significant for test in tests.tested)
    if significant:
        yield f"{significant} of {len(tests.tested)} differences to {table.baseline.label} are significant."
    else:
        yield (
            f"No difference to {table.baseline.label} is significant. That does not show that methods are alike: look "
            "at the intervals."
        )
    most = max(test.pairs for test in tests.tested)
    if most < pairs_needed():
        yield (
            f"With {most} pairs of seeds a t-test rests on differences being distributed normally, which so few cannot "
            f"show, and Wilcoxon's test cannot go below p = {smallest_wilcoxon_p(most):.2g}: take what is significant "
            f"as worth more seeds, at least {pairs_needed()}."
        )
    if len(table.columns) > 2:
        yield "Which method is best was seen in the same numbers, so its difference is rather too large than too small."

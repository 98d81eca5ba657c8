"""Trials by the names that tables print: architecture, method with its settings, seed."""

import re
from collections.abc import Iterable

from ..specs import SpecError, unknown
from ..store import Plan, PlannedTrial


def find_trial(plan: Plan, architecture: str, method: str, seed: int) -> PlannedTrial:
    """Return the trial of a plan with these names.

    Args:
        plan: Plan of a sweep.
        architecture: Row of the main table: an architecture, with its settings if it has several rows.
        method: Column of the main table: a method, with the settings that tell it from the others, such as
            `eed temperature=3`. Settings that only one column has may be left out.
        seed: Seed of the trial.

    Raises:
        SpecError: for a name or a seed that the plan does not have, with the nearest; and for a name that several
            configurations have, with all of them.
    """
    compared = [trial for trial in plan.trials if trial.role == "result"]
    in_row = _matching(compared, "architecture", architecture)
    in_cell = _matching(in_row, "method", method)
    for trial in in_cell:
        if trial.seed == seed:
            return trial
    seeds = ", ".join(str(trial.seed) for trial in in_cell)
    raise SpecError(f"seed {seed} of {method} on {architecture} is not planned; choose from {seeds}.", field="seed")


def row_of(trial: PlannedTrial) -> str:
    """Return the row of a trial: its architecture, and the settings of dataset and recipe that vary."""
    about = trial.configuration
    return f"{about.architecture} {', '.join(about.row_settings)}".strip()


def _matching(trials: list[PlannedTrial], field: str, name: str) -> list[PlannedTrial]:
    """Return the trials of the only row or column with this name."""
    full_name = row_of if field == "architecture" else lambda trial: trial.label
    by_name: dict[tuple[str, str], list[PlannedTrial]] = {}
    for trial in trials:
        # A row also has a dataset, which a plan names in its rows only if it has several.
        dataset = trial.configuration.dataset if field == "architecture" else ""
        by_name.setdefault((dataset, full_name(trial)), []).append(trial)
    several = len({dataset for dataset, _ in by_name}) > 1
    named = {f"{dataset} {full}" if several else full: of_name for (dataset, full), of_name in by_name.items()}
    if name in named:
        return named[name]
    matching = [full for full in named if _words(name) <= _words(full)]
    if not matching:
        raise unknown(field, name, dict.fromkeys([*named, *_first_words(named)]), field=field)
    if len(matching) > 1:
        choices = ", ".join(map(repr, matching))
        raise SpecError(f"{field} {name!r} has several configurations; choose from {choices}.", field=field)
    return named[matching[0]]


def _words(name: str) -> set[str]:
    return set(re.split(r",?\s+", name.strip()))


def _first_words(names: Iterable[str]) -> list[str]:
    return [name.partition(" ")[0] for name in names]

"""Selection of trials by `--only METHOD/ARCH`, with the teachers and backbones that they need."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ...specs import SpecError, nearest
from ...store import Plan, PlannedTrial


def selected(plan: Plan, patterns: Iterable[str]) -> list[PlannedTrial]:
    """Return the trials that match a pattern and the teachers that they need, in the order of the plan.

    Args:
        plan: of a sweep.
        patterns: shell patterns for METHOD/ARCH, such as `eed/*` or `*/resnet8`; none selects all trials.

    Raises:
        SpecError: for a pattern that matches no trial, with the nearest METHOD/ARCH.
    """
    patterns = list(patterns)
    if not patterns:
        return list(plan.trials)
    there = {name(trial): None for trial in plan.trials}
    for pattern in patterns:
        if not any(fnmatchcase(each, pattern) for each in there):
            raise SpecError(f"--only {pattern} matches no trial of the sweep; {nearest(pattern, there)}.", field="only")
    wanted = {trial.key for trial in plan.trials if any(fnmatchcase(name(trial), pattern) for pattern in patterns)}
    for trial in reversed(plan.trials):  # a teacher precedes its students in a plan
        if trial.key in wanted:
            wanted.update(trial.depends_on)
    return [trial for trial in plan.trials if trial.key in wanted]


def name(trial: PlannedTrial) -> str:
    """Return `METHOD/ARCH` of a trial."""
    return f"{trial.configuration.method}/{trial.configuration.architecture}"

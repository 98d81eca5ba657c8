"""`--only METHOD/ARCH`: a part of a plan, with the teachers that it needs."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ...specs import SpecError, nearest
from .plan import Plan, PlannedTrial


def selected(plan: Plan, patterns: Iterable[str]) -> list[PlannedTrial]:
    """The trials whose method and architecture match a pattern, and the teachers that they need, in the plan's order.

    Args:
        plan: of a sweep.
        patterns: as shells have them, such as `eed/*` or `*/resnet8`; without any, everything is selected.

    Raises:
        SpecError: for a pattern that matches nothing, with what there is.
    """
    patterns = list(patterns)
    if not patterns:
        return list(plan.trials)
    there = {name(trial): None for trial in plan.trials}
    for pattern in patterns:
        if not any(fnmatchcase(each, pattern) for each in there):
            raise SpecError(f"--only {pattern} matches nothing in the sweep; {nearest(pattern, there)}.", field="only")
    wanted = {trial.key for trial in plan.trials if any(fnmatchcase(name(trial), pattern) for pattern in patterns)}
    for trial in reversed(plan.trials):  # a teacher stands before those that need it
        if trial.key in wanted and trial.depends_on is not None:
            wanted.add(trial.depends_on)
    return [trial for trial in plan.trials if trial.key in wanted]


def name(trial: PlannedTrial) -> str:
    """`METHOD/ARCH` of a trial."""
    return f"{trial.spec.method.name}/{trial.spec.architecture.name}"

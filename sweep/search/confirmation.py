"""The trials of a sweep with a search: trials that try settings, and final trials with the best settings."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...specs import SpecError
from ...store import PlannedTrial, Store, TuningInfo
from ...training import TrialSpec
from ..planning.cost import Costs
from ..planning.plan import SweepPlan, labels_of, make_plan, merged, single, sweep_plan
from ..planning.sweep_file import Requested, Sweep
from .studies import Studies
from .study_summary import Outcome, is_over, outcomes, repeats_of, tried_trial


def search_plan(sweep: Sweep, store: Store) -> SweepPlan:
    """Return the current plan of a search: its teachers, the tried settings and, once it is over, the final trials.

    A search is over when every space has used up its budget, so that all methods are tuned equally.
    """
    studies, costs = Studies(sweep, store), Costs()
    specs: dict[str, TrialSpec] = {}
    planned = {trial.key: trial for trial in _teachers(studies, costs, specs)}
    coming = tuple(_coming(sweep, [0] * len(studies.search.spaces), costs, specs))
    if studies.exist():
        stand = outcomes(studies)
        coming = tuple(_coming(sweep, [outcome.trainings for outcome in stand], costs, specs))
        for trial in _tried(studies, stand, costs, specs):
            planned.setdefault(trial.key, trial)
        if is_over(stand):
            planned |= {trial.key: trial for trial in confirming(sweep, stand, specs)}
            coming = ()
    trials = tuple(replace(trial, order=order) for order, trial in enumerate(planned.values()))
    return sweep_plan(sweep, trials, specs, coming)


def confirming(sweep: Sweep, stand: Iterable[Outcome], specs: dict[str, TrialSpec]) -> Iterator[PlannedTrial]:
    """Iterate over the final trials: best and default settings of each method with all seeds, and their teachers.

    The specs of their configurations are added to `specs`. Tuned settings have the label of their default settings.
    """
    found = {outcome.space.default.configuration: outcome for outcome in stand}
    requested: list[Requested] = []
    names: dict[str, list[tuple[str, Outcome]]] = {}
    for asked in sweep.requested:
        outcome = found[asked.trial.configuration]
        several = len(outcome.best) > 1
        settings = [("default", asked)]
        for trial in outcome.best:
            label = f"tuned, trial {trial.number}" if several else "tuned"
            spec, exits = outcome.space.trial(trial.params), outcome.space.exits(trial.params)
            settings.append((label, replace(asked, trial=spec, exits=exits)))
        for label, one in settings:
            requested.append(one)
            names.setdefault(one.trial.configuration, []).append((label, outcome))
    plan = make_plan(replace(sweep, requested=tuple(requested)))
    specs.update(plan.specs)
    defaults = labels_of(merged(sweep))
    for trial in plan.trials:
        labelled = names.get(trial.configuration.id) if trial.role == "result" else None
        if labelled is None:
            yield trial
            continue
        outcome = labelled[0][1]
        tuning = " and ".join(label for label, _ in labelled)
        confirmed = TuningInfo(tuning=tuning, budget=outcome.effort, tried=outcome.tried)
        label = defaults[outcome.space.default.configuration]
        about = replace(trial.configuration, settings=label.column, row_settings=label.row)
        yield replace(trial, configuration=about, confirmed=confirmed)


def _coming(
    sweep: Sweep, asked: list[int], costs: Costs, specs: dict[str, TrialSpec]
) -> Iterator[tuple[PlannedTrial, int]]:
    """Iterate over expected trials with their numbers: the rest of each budget, and final trials, tuned and default."""
    search = sweep.search
    assert search is not None
    for space, number in zip(search.spaces, asked, strict=True):
        if search.budget is not None and (left := search.budget - number) > 0:
            spec = search.trial(space, {})
            specs[spec.configuration] = spec
            yield single(spec, costs, "search"), left
    plan = make_plan(sweep)
    specs.update(plan.specs)
    for trial in plan.trials:
        yield trial, 2 if trial.role == "result" else 1


def _teachers(studies: Studies, costs: Costs, specs: dict[str, TrialSpec]) -> Iterator[PlannedTrial]:
    for space in studies.search.spaces:
        teacher = studies.search.teacher(space)
        if teacher is not None:
            specs[teacher.configuration] = teacher
            yield single(teacher, costs, "teacher")


def _tried(
    studies: Studies, stand: Iterable[Outcome], costs: Costs, specs: dict[str, TrialSpec]
) -> Iterator[PlannedTrial]:
    """Iterate over the started trials of the studies whose suggestion has a value for each range."""
    for outcome in stand:
        for trial in outcome.trials:
            if trial.params.keys() != outcome.space.ranges.keys():
                continue
            for repeat in range(repeats_of(trial)):
                if spec := _spec(studies, outcome, trial.params, repeat):
                    specs[spec.configuration] = spec
                    seeds = studies.search.repeats
                    yield tried_trial(spec, outcome.space, trial, costs, seeds=seeds, order=0)


def _spec(studies: Studies, outcome: Outcome, values: dict[str, object], repeat: int) -> TrialSpec | None:
    """Return the trial with these values; None if they contradict each other and the trial could not start."""
    try:
        return studies.search.trial(outcome.space, values, repeat)  # type: ignore[arg-type]
    except SpecError:
        return None

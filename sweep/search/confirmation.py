"""The trials of a sweep with a search: trials that try settings, and final trials with the best settings."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...specs import SpecError
from ...store import Store
from ...training import TrialSpec
from ..planning.plan import Plan, PlannedTrial, TuningInfo, make_plan
from ..planning.sweep_file import Configuration, Sweep
from .studies import Studies
from .study_summary import Outcome, is_over, outcomes, tried_trial


def search_plan(sweep: Sweep, store: Store) -> Plan:
    """Return the current plan of a search: its teachers, the tried settings and, once it is over, the final trials.

    A search is over when every space has used up its budget, so that all methods are tuned equally.
    """
    studies = Studies(sweep, store)
    planned = {trial.key: trial for trial in _teachers(studies)}
    coming = tuple(_coming(sweep, [0] * len(studies.search.spaces)))
    if studies.exist():
        stand = outcomes(studies)
        coming = tuple(_coming(sweep, [len(outcome.trials) for outcome in stand]))
        for trial in _tried(stand):
            planned.setdefault(trial.key, trial)
        if is_over(stand):
            planned |= {trial.key: trial for trial in confirming(sweep, stand)}
            coming = ()
    trials = tuple(replace(trial, order=order) for order, trial in enumerate(planned.values()))
    return Plan(sweep=sweep, trials=trials, coming=coming)


def confirming(sweep: Sweep, stand: Iterable[Outcome]) -> Iterator[PlannedTrial]:
    """Iterate over the final trials: best and default settings of each method with all seeds, and their teachers."""
    found = {outcome.space.default.key: outcome for outcome in stand}
    configurations: list[Configuration] = []
    names: dict[str, list[tuple[str, Outcome]]] = {}
    for asked in sweep.configurations:
        outcome = found[asked.trial.key]
        several = len(outcome.best) > 1
        settings = [("default", asked)]
        for trial in outcome.best:
            label = f"tuned, trial {trial.number}" if several else "tuned"
            spec, exits = outcome.space.trial(trial.params), outcome.space.exits(trial.params)
            settings.append((label, replace(asked, trial=spec, exits=exits)))
        for label, configuration in settings:
            configurations.append(configuration)
            names.setdefault(configuration.trial.key, []).append((label, outcome))
    for trial in make_plan(replace(sweep, configurations=tuple(configurations))).trials:
        labelled = names.get(replace(trial.spec, seed=0).canonical().key) if trial.role == "result" else None
        if labelled is None:
            yield trial
            continue
        outcome = labelled[0][1]
        tuning = " and ".join(label for label, _ in labelled)
        confirmed = TuningInfo(tuning=tuning, budget=outcome.effort, tried=outcome.tried)
        yield replace(trial, confirmed=confirmed)


def _coming(sweep: Sweep, asked: list[int]) -> Iterator[tuple[PlannedTrial, int]]:
    """Iterate over expected trials with their numbers: the rest of each budget, and final trials, tuned and default."""
    search = sweep.search
    assert search is not None
    for space, number in zip(search.spaces, asked, strict=True):
        if search.budget is not None and (left := search.budget - number) > 0:
            spec = search.trial(space, {})
            yield PlannedTrial(spec=spec, key=spec.key, role="search", order=0), left
    for trial in make_plan(sweep).trials:
        yield trial, 2 if trial.role == "result" else 1


def _teachers(studies: Studies) -> Iterator[PlannedTrial]:
    for space in studies.search.spaces:
        teacher = studies.search.teacher(space)
        if teacher is not None:
            yield PlannedTrial(spec=teacher, key=teacher.key, role="teacher", order=0)


def _tried(stand: Iterable[Outcome]) -> Iterator[PlannedTrial]:
    """Iterate over the trials of the studies that have a value for each range."""
    for outcome in stand:
        for trial in outcome.trials:
            if trial.params.keys() == outcome.space.ranges.keys() and (spec := _spec(outcome, trial.params)):
                yield tried_trial(spec, outcome.space, trial, order=0)


def _spec(outcome: Outcome, values: dict[str, object]) -> TrialSpec | None:
    """Return the trial with these values; None if they contradict each other and the trial could not start."""
    try:
        return outcome.search.trial(outcome.space, values)  # type: ignore[arg-type]
    except SpecError:
        return None

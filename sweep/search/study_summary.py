"""State of the search of one method on one network, and its best settings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ...store import PlannedTrial, SearchRecord
from ...training import TrialSpec
from ..planning.cost import Costs
from ..planning.plan import configuration_of
from ..planning.search_space import SearchSpace
from .studies import Studies, StudyReader

SECONDS = "seconds"
"""Attribute of a study's trial: training time in seconds."""
KEY = "key"
"""Attribute of a study's trial: its key in the trial store."""
REASON = "reason"
"""Attribute of a study's trial: reason of its failure."""
REPEATS = "repeats"
"""Attribute of a study's trial: number of its trainings that have started, each with its own seed; 1 if missing.

It is 0 for settings that violate a constraint on their cost and are not trained.
"""
VALUES = "values"
"""Attribute of a study's trial: objectives of each of its trainings, in the order of the seeds."""
IN_VAIN = 100
"""Number of untrained suggestions in a row after which a study ends, since its settings violate the constraints."""


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """State and best trials of one study."""

    name: str
    """`METHOD/ARCHITECTURE`."""
    search: SearchRecord
    trials: tuple[FrozenTrial, ...]
    best: tuple[FrozenTrial, ...]
    """The best trial, as by `best_trials`; with several objectives, the Pareto front."""

    def count(self, *states: TrialState) -> int:
        """Return the number of suggestions in these states; suggestions that are not trained do not count."""
        return sum(trial.state in states and repeats_of(trial) > 0 for trial in self.trials)

    @property
    def trainings(self) -> int:
        """Number of trials that were started: one for each seed of each suggestion."""
        return sum(map(repeats_of, self.trials))

    @property
    def untrained(self) -> int:
        """Number of suggestions that violate a constraint on their cost, and are not trained."""
        return sum(repeats_of(trial) == 0 for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Training time of all trials that have ended, in seconds."""
        return sum(trial.user_attrs.get(SECONDS, 0.0) for trial in self.trials)

    @property
    def is_full(self) -> bool:
        """True if all trials have ended, and the budget is used up or too many suggestions in a row are untrained."""
        if not all(trial.state.is_finished() for trial in self.trials):
            return False
        if in_vain(self.trials):
            return True
        if self.search.budget is not None:
            return self.trainings >= self.search.budget
        return self.seconds >= (self.search.seconds or 0.0)

    @property
    def effort(self) -> str:
        """Budget of the full study, as text; it has more trials if an earlier budget was larger."""
        budget = self.search.budget
        return replace(self.search, budget=budget and max(budget, self.trainings)).effort

    @property
    def tried(self) -> str:
        """Number of ended trials by state, as text: `6 complete, 1 pruned, 1 failed`."""
        pruned, failed = self.count(TrialState.PRUNED), self.count(TrialState.FAIL)
        complete = sum(repeats_of(trial) for trial in self.trials if trial.state.is_finished()) - pruned - failed
        return f"{complete} complete, {pruned} pruned, {failed} failed"

    @property
    def is_infeasible(self) -> bool:
        """True if all evaluated suggestions violate a constraint, and there is at least one."""
        return not self.best and any(not is_feasible(trial) for trial in self.trials)

    @property
    def mostly_failed(self) -> bool:
        """True if at least half of the trials failed."""
        return self.trainings > 0 and 2 * self.count(TrialState.FAIL) >= self.trainings


@dataclass(frozen=True, kw_only=True)
class Outcome(StudySummary):
    """State and best trials of the study of a search space that is known."""

    space: SearchSpace


def repeats_of(trial: FrozenTrial | optuna.Trial) -> int:
    """Return the number of trainings of a suggestion that have started."""
    return trial.user_attrs.get(REPEATS, 1)


def in_vain(trials: Sequence[FrozenTrial]) -> bool:
    """Return True if the latest suggestions of a study are all untrained, so that it ends."""
    latest = trials[-IN_VAIN:]
    return len(latest) == IN_VAIN and all(trial.state.is_finished() and repeats_of(trial) == 0 for trial in latest)


def tried_trial(
    spec: TrialSpec, space: SearchSpace, asked: FrozenTrial | optuna.Trial, costs: Costs, *, seeds: int, order: int
) -> PlannedTrial:
    """Return the planned trial for a suggestion of a study, which has up to this number of seeds."""
    return PlannedTrial(
        configuration=configuration_of(spec, costs, exits=space.exits(asked.params), seeds=seeds),
        seed=spec.seed,
        role="search",
        order=order,
        seed_index=asked.number,
        tried=settings(asked.params),
    )


def settings(values: Mapping[str, object]) -> str:
    """Return settings as text: `temperature=4.769, recipe.learning_rate=0.02`."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


def is_over(stand: Iterable[Outcome]) -> bool:
    """Return True if every space has used up its budget, so that all methods are tuned equally."""
    return all(outcome.is_full for outcome in stand)


def outcomes(studies: Studies) -> list[Outcome]:
    """Return the outcomes of all spaces of a search, in the order of the file."""
    return studies.steadily(
        lambda: [
            Outcome(name=space.name, space=space, search=studies.record, **_trials(studies.of(space)))
            for space in studies.search.spaces
        ]
    )


def summaries(studies: StudyReader) -> list[StudySummary]:
    """Return the state of all studies of a recorded search, in the order of its file. No study is created."""
    return studies.steadily(
        lambda: [
            StudySummary(name=space, search=studies.record, **_trials(studies.existing(study)))
            for study, space in studies.record.spaces.items()
        ]
    )


def best_trials(study: optuna.Study, trials: Iterable[FrozenTrial]) -> tuple[FrozenTrial, ...]:
    """Return the complete trial with the best value, or the Pareto front.

    Only trials that satisfy the constraints and have the most repeats are compared. A value of fewer repeats has more
    noise, so it could win by luck.
    """
    feasible = [trial for trial in trials if trial.state == TrialState.COMPLETE and is_feasible(trial)]
    most = max(map(repeats_of, feasible), default=0)
    compared = [trial for trial in feasible if repeats_of(trial) == most]
    signs = [1 if direction == StudyDirection.MAXIMIZE else -1 for direction in study.directions]
    scores = [[sign * value for sign, value in zip(signs, trial.values, strict=True)] for trial in compared]
    if len(signs) == 1:
        return (compared[scores.index(max(scores))],) if compared else ()
    front: dict[tuple[tuple[str, object], ...], FrozenTrial] = {}
    for trial, own in zip(compared, scores, strict=True):
        if not any(_dominates(other, own) for other in scores):
            front.setdefault(tuple(sorted(trial.params.items())), trial)  # one setting may have been tried twice
    return tuple(front.values())


def is_feasible(trial: FrozenTrial) -> bool:
    """Return True if a trial satisfies all constraints."""
    return all(violation <= 0 for violation in trial.constraints.values())


def _dominates(one: list[float], other: list[float]) -> bool:
    return one != other and all(mine >= its for mine, its in zip(one, other, strict=True))


def _trials(study: optuna.Study | None) -> dict[str, tuple[FrozenTrial, ...]]:
    trials = () if study is None else tuple(study.get_trials(deepcopy=False))
    return {"trials": trials, "best": () if study is None else best_trials(study, trials)}

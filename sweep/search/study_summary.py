"""State of the search of one method on one network, and its best settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import optuna
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


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """State and best trials of one study."""

    name: str
    """`METHOD/ARCHITECTURE`."""
    search: SearchRecord
    trials: tuple[FrozenTrial, ...]
    best: tuple[FrozenTrial, ...]
    """The complete trial with the best value; with several objectives, the Pareto front."""

    def count(self, *states: TrialState) -> int:
        """Return the number of trials in these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Training time of all trials that have ended, in seconds."""
        return sum(trial.user_attrs.get(SECONDS, 0.0) for trial in self.trials)

    @property
    def is_full(self) -> bool:
        """True if the budget is used up and all trials have ended."""
        if self.count(TrialState.RUNNING, TrialState.WAITING):
            return False
        if self.search.budget is not None:
            return len(self.trials) >= self.search.budget
        return self.seconds >= (self.search.seconds or 0.0)

    @property
    def effort(self) -> str:
        """Budget of the full study, as text; it has more trials if an earlier budget was larger."""
        budget = self.search.budget
        return replace(self.search, budget=budget and max(budget, len(self.trials))).effort

    @property
    def tried(self) -> str:
        """Number of trials by state, as text: `6 complete, 1 pruned, 1 failed`."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        return ", ".join(f"{self.count(state)} {name}" for name, state in states.items())

    @property
    def mostly_failed(self) -> bool:
        """True if at least half of the trials failed."""
        return bool(self.trials) and 2 * self.count(TrialState.FAIL) >= len(self.trials)


@dataclass(frozen=True, kw_only=True)
class Outcome(StudySummary):
    """State and best trials of the study of a search space that is known."""

    space: SearchSpace


def tried_trial(
    spec: TrialSpec, space: SearchSpace, asked: FrozenTrial | optuna.Trial, costs: Costs, order: int
) -> PlannedTrial:
    """Return the planned trial for a suggestion of a study."""
    return PlannedTrial(
        configuration=configuration_of(spec, costs, exits=space.exits(asked.params)),
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


def _trials(study: optuna.Study | None) -> dict[str, tuple[FrozenTrial, ...]]:
    trials = () if study is None else tuple(study.get_trials(deepcopy=False))
    return {"trials": trials, "best": () if study is None else _best(study, trials)}


def _best(study: optuna.Study, trials: tuple[FrozenTrial, ...]) -> tuple[FrozenTrial, ...]:
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        return ()
    if len(study.directions) == 1:
        return (study.best_trial,)
    front: dict[tuple[tuple[str, object], ...], FrozenTrial] = {}
    for trial in study.best_trials:  # one setting may have been tried twice
        front.setdefault(tuple(sorted(trial.params.items())), trial)
    return tuple(sorted(front.values(), key=lambda trial: trial.number))

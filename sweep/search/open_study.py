"""The study of a search space while its search runs: open suggestions, and the used part of the budget."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial

from ..planning.cost import Costs
from ..planning.plan import single
from ..planning.search_space import SearchSpace
from .studies import Studies
from .study_summary import SECONDS, best_trials, in_vain, repeats_of


@dataclass(eq=False, kw_only=True)
class OpenSuggestion:
    """Settings that a study suggests. Their trials run one after the other, each with its own seed."""

    asked: optuna.Trial
    metrics: list[Mapping[str, float]] = field(default_factory=list)
    """Metrics of each trial that has ended, in the order of the seeds."""
    seconds: float = 0.0
    """Training time of the trials that have ended."""


class OpenStudy:
    """A search space with its study and the used part of its budget.

    The budget counts trials from the moment when their start is recorded in the study, so an interrupted search
    counts none twice.
    """

    def __init__(self, studies: Studies, space: SearchSpace, costs: Costs) -> None:
        """Open the study of a space, and read the trials of earlier drivers."""
        self.space = space
        self.study = studies.of(space)
        self._studies = studies
        self._search = studies.search
        teacher = self._search.teacher(space)
        self.teacher = teacher.key if teacher else None
        spec = self._search.trial(space, {})
        self.default = single(spec, costs, "search")
        self._open: dict[int, OpenSuggestion] = {}
        self._next_seeds: deque[OpenSuggestion] = deque()
        """Open suggestions whose next seed can run."""
        self._cut_off: list[optuna.Trial] = []
        studies.steadily(self.look_again)

    def look_again(self) -> None:
        """Read the trials of the study again, with those of earlier drivers."""
        trials = self.study.get_trials(deepcopy=False)
        self._asked = len(trials)
        self._started = sum(map(repeats_of, trials))
        ended = [trial for trial in trials if trial.state.is_finished()]
        self._ended = sum(map(repeats_of, ended))
        self._seconds = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in ended)
        self._is_in_vain = in_vain(trials)
        self._cut_off = self._studies.cut_off(self.space, self._open)

    def next(self) -> OpenSuggestion:
        """Return the suggestion whose trial runs next: an open one, an interrupted one, or a new one."""
        if self._next_seeds:
            return self._next_seeds.popleft()
        if self._cut_off:
            asked = self._studies.complete(self.space, self._cut_off[0])
            del self._cut_off[0]
        else:
            asked = self._studies.ask(self.space)
            if asked.number != self._asked:  # Optuna retried, because the first reply was lost
                raise StorageInternalError("the study has one trial more than this driver requested")
            self._asked += 1
            self._started += 1
        self._open[asked.number] = OpenSuggestion(asked=asked)
        return self._open[asked.number]

    def repeat(self, suggestion: OpenSuggestion, *, is_new: bool) -> None:
        """Add another seed of a suggestion; it is new unless an earlier driver has started it."""
        self._started += is_new
        self._next_seeds.append(suggestion)

    def told(self, suggestion: OpenSuggestion) -> None:
        """Count the trials of a suggestion that has ended, and their training time."""
        del self._open[suggestion.asked.number]
        self._ended += repeats_of(suggestion.asked)
        self._seconds += suggestion.seconds

    def best(self) -> tuple[FrozenTrial, ...]:
        """Return the best trial of the study so far, or its Pareto front."""
        return best_trials(self.study, self.study.get_trials(deepcopy=False))

    @property
    def left(self) -> int | None:
        """Number of trials that have not ended; None for a budget in time."""
        if self._search.budget is None:
            return None
        return max(self._search.budget, self._started) - self._ended - self.given_up

    @property
    def given_up(self) -> int:
        """Number of trials of the budget that are not started, because the suggested settings violate constraints."""
        return max(0, (self._search.budget or 0) - self._started) if self._is_in_vain else 0

    @property
    def used(self) -> float:
        """Used part of the budget, in trials or estimated seconds. Running trials count as ended."""
        running = sum(repeats_of(suggestion.asked) for suggestion in self._open.values())
        if self._search.budget is not None:
            return self._ended + running
        seconds = self._seconds + sum(suggestion.seconds for suggestion in self._open.values())
        return seconds * (self._ended + running) / max(1, self._measured)

    @property
    def has_room(self) -> bool:
        """True if the budget allows another trial."""
        if self._is_in_vain:
            return False
        if self._search.budget is not None:
            return self._started < self._search.budget
        return self.used < (self._search.seconds or 0.0) and (self._measured > 0 or not self._open)

    @property
    def _measured(self) -> int:
        """Number of trials whose training time is known."""
        return self._ended + sum(len(suggestion.metrics) for suggestion in self._open.values())

    @property
    def wants_more(self) -> bool:
        """True if the budget allows another trial, or an interrupted suggestion or another seed waits."""
        return bool(self._cut_off or self._next_seeds) or self.has_room

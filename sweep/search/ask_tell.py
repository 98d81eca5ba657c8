"""The ask-and-tell loop of a search: studies suggest trials one by one and receive the result of each."""

from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from statistics import fmean
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from ...specs import SpecError
from ...store import ENDED, DamagedFileError, PlannedTrial, Record, Store
from ...training import TrialSpec
from ..execution.early_stopper import EarlyStopper
from ..execution.shutdown import Shutdown
from ..planning.cost import Costs
from ..terminal.progress import ProgressBoard
from .known_costs import KnownCosts
from .open_study import OpenStudy, OpenSuggestion
from .racing import is_worse
from .studies import Answer, Studies, StudiesError
from .study_summary import KEY, REASON, REPEATS, SECONDS, VALUES, repeats_of, tried_trial

LEAST = 1.0
"""Minimum seconds that a failed trial counts in a time budget, so that a search ends even if all trials fail."""
TRAINS_ANYWAY = "gp"
"""Sampler that learns from trained trials only, so that settings beyond a bound of their cost are trained."""


class Tuning:
    """The source of the trials of a search. All spaces use up their budgets at the same rate.

    The studies are the record. A trial that had no result when a driver was killed resumes under its own number.
    If the studies are unavailable, the sweep shuts down; it loses no result.
    """

    def __init__(
        self,
        studies: Studies,
        store: Store,
        board: ProgressBoard,
        shutdown: Shutdown,
        known: dict[str, PlannedTrial],
        early_stopper: EarlyStopper | None = None,
    ) -> None:
        """Open the studies of a search and count the expected trials.

        Args:
            studies: the studies of the search.
            store: the trial store.
            board: the progress display.
            shutdown: the request that ends the sweep.
            known: the trials of the plan by key; proposed trials are added.
            early_stopper: stops trials early; None without `stopping`.
        """
        self._studies = studies
        self._search = studies.search
        self._store = store
        self._board = board
        self._shutdown = shutdown
        self._known = known
        self._early_stopper = early_stopper
        self._costs = Costs()
        self._known_costs = KnownCosts()
        self._spaces = [OpenStudy(studies, space, self._costs) for space in self._search.spaces]
        self._waiting: dict[str, list[tuple[OpenStudy, OpenSuggestion]]] = {}
        """Suggestions that wait for the result of a trial in the store, by its key."""
        self._ended: dict[str, str] = {}
        for space in self._spaces:
            if (left := space.left) is not None:
                board.add_expected(space.default, left)

    def propose(self, done: Container[str]) -> PlannedTrial | None:
        """Return the next trial to run whose teacher is completed; None if there is none."""
        while (space := self._next_space(done)) is not None:
            suggestion = self._steadily(lambda space=space: space.next(), again=space.look_again)
            if suggestion is None or self._shutdown.is_requested():
                return None
            planned = self._planned(space, suggestion)
            if planned is not None:
                return planned
        return None

    def ended(self, key: str, state: str) -> None:
        """Report the final state of a trial to its studies: `done`, `diverged`, `failed`, or `running` if pruned."""
        self._ended[key] = state
        for space, suggestion in self._waiting.pop(key, []):
            self._evaluate(space, suggestion, key, state)

    def _next_space(self, done: Container[str]) -> OpenStudy | None:
        taught = [space for space in self._spaces if space.teacher is None or space.teacher in done]
        ready = [space for space in taught if space.wants_more]
        return min(ready, key=lambda space: space.used, default=None)

    def _planned(self, space: OpenStudy, suggestion: OpenSuggestion) -> PlannedTrial | None:
        """Return the next trial of a suggestion; None if none need run now."""
        asked, repeat = suggestion.asked, len(suggestion.metrics)
        try:
            spec = self._search.trial(space.space, asked.params, repeat)
            violations = self._known_violations(spec) if repeat == 0 else {}
        except SpecError as error:
            self._fail(space, suggestion, str(error))
            self._board.skip_expected(space.default)
            return None
        if any(violation > 0 for violation in violations.values()):
            self._reject(space, suggestion, violations)
            return None
        key = spec.key
        if repeat == 0:
            self._steadily(lambda: asked.set_user_attr(KEY, key))
        self._waiting.setdefault(key, []).append((space, suggestion))
        if key in self._board.trials and key not in self._ended:  # it is running or waiting
            self._board.skip_expected(space.default)
            return None
        state = self._ended.get(key) or self._recorded(key)
        if state:
            self._board.skip_expected(space.default)
            self.ended(key, state)
            return None
        seeds, order = self._search.repeats, len(self._known)
        tried = tried_trial(spec, space.space, asked, self._costs, seeds=seeds, order=order)
        planned = self._known.setdefault(key, tried)
        self._board.expect(planned, instead_of=space.default)
        if self._early_stopper is not None:
            self._early_stopper.expect(planned)
            self._early_stopper.recall(key, self._history(key))
        return planned

    def _known_violations(self, spec: TrialSpec) -> dict[str, float]:
        """Return the violation of each constraint on a cost, before the training."""
        bounds = [constraint for constraint in self._search.constraints if constraint.is_cost]
        if not bounds or self._search.sampler == TRAINS_ANYWAY:
            return {}
        costs = self._known_costs.of(spec)
        return {str(bound): bound.violation(spec, [costs]) for bound in bounds}

    def _history(self, key: str) -> list[Record]:
        """Return the history of a trial; report a damaged one, which the trial writes anew if it is trained."""
        try:
            return self._store.trial(key).history()
        except DamagedFileError as damage:
            self._board.say(str(damage))
            return []

    def _recorded(self, key: str) -> str:
        """Return the final state of a trial that the store holds already; an empty text for other trials."""
        state = self._store.progress(key, self._studies.stopping and self._studies.stopping.to_dict()).state
        if state == "failed":
            self._store.trial(key).forget_failure()
        return {"pruned": "running"}.get(state, state) if state in ENDED else ""

    def _evaluate(self, space: OpenStudy, suggestion: OpenSuggestion, key: str, state: str) -> None:
        """Add an ended trial to its suggestion; then add the next seed, or report the suggestion to its study."""
        history = self._history(key)
        result: dict[str, Any] = self._store.trial(key).result() or {} if state == "done" else {}
        suggestion.seconds += result.get("seconds", sum(record["seconds"] for record in history))
        if state == "running":
            self._tell_pruned(space, suggestion, history)
            return
        if state != "done":
            self._fail(space, suggestion, self._store.progress(key).reason or state)
            return
        metrics, needed = result.get("metrics", {}), [objective.metric for objective in self._search.objectives]
        if any(name not in metrics for name in needed):
            self._fail(space, suggestion, f"the result lacks {', '.join(needed)}")
            return
        suggestion.metrics.append(metrics)
        if not self._goes_on(space, suggestion):
            self._tell(space, suggestion, history)

    def _goes_on(self, space: OpenStudy, suggestion: OpenSuggestion) -> bool:
        """Add the next seed of a suggestion; return False if it gets none."""
        asked, ended = suggestion.asked, len(suggestion.metrics)
        is_new = ended == repeats_of(asked)  # an earlier driver may have started it
        if is_new:
            if ended == self._search.repeats or not space.has_room or self._is_beaten(space, suggestion):
                return False
            self._steadily(lambda: asked.set_user_attr(REPEATS, ended + 1))
        space.repeat(suggestion, is_new=is_new)
        return True

    def _is_beaten(self, space: OpenStudy, suggestion: OpenSuggestion) -> bool:
        """Return True if a suggestion is worse than the best one so far; False with several objectives."""
        objective, *others = self._search.objectives
        best = self._steadily(space.best)
        if others or not best or repeats_of(best[0]) < self._search.repeats:
            return False
        values = [metrics[objective.metric] for metrics in suggestion.metrics]
        return is_worse(values, [value for (value,) in best[0].user_attrs[VALUES]], objective.direction)

    def _tell(self, space: OpenStudy, suggestion: OpenSuggestion, history: list[Record]) -> None:
        """Report the means over the seeds of a suggestion to its study."""
        asked, search = suggestion.asked, self._search
        values = [[metrics[objective.metric] for objective in search.objectives] for metrics in suggestion.metrics]
        try:
            spec = search.trial(space.space, asked.params)
            violations = {str(bound): bound.violation(spec, suggestion.metrics) for bound in search.constraints}
        except KeyError as error:
            self._fail(space, suggestion, f"the result lacks {error.args[0]}")
            return

        def tell() -> None:
            if search.repeats > 1:
                asked.set_user_attr(VALUES, values)
            _set_constraints(asked, violations)
            self._report(space, asked, history)
            means = [fmean(of_seeds) for of_seeds in zip(*values, strict=True)]
            space.study.tell(asked.number, means, skip_if_finished=True)

        self._end(space, suggestion, tell)

    def _tell_pruned(self, space: OpenStudy, suggestion: OpenSuggestion, history: list[Record]) -> None:
        """Report a suggestion as pruned, because one of its trials was stopped early."""

        def tell() -> None:
            self._report(space, suggestion.asked, history)
            space.study.tell(suggestion.asked.number, state=TrialState.PRUNED, skip_if_finished=True)

        self._end(space, suggestion, tell)

    def _report(self, space: OpenStudy, asked: optuna.Trial, history: list[Record]) -> None:
        """Report the epochs of the last trial of a suggestion, if the sweep stops trials early."""
        if self._studies.stopping is None:
            return
        reported = space.study.get_trials(deepcopy=False)[asked.number].intermediate_values
        metric = self._search.objectives[0].metric
        for record in history:
            # A killed driver may have reported some epochs, and not every epoch is evaluated.
            if record["epoch"] not in reported and metric in record:
                asked.report(record[metric], record["epoch"])

    def _reject(self, space: OpenStudy, suggestion: OpenSuggestion, violations: Mapping[str, float]) -> None:
        """Report a suggestion as pruned, because its known costs violate a constraint; it is not trained."""
        asked = suggestion.asked

        def tell() -> None:
            asked.set_user_attr(REPEATS, 0)
            _set_constraints(asked, violations)
            space.study.tell(asked.number, state=TrialState.PRUNED, skip_if_finished=True)

        self._end(space, suggestion, tell)
        self._steadily(space.look_again)  # this part of the budget is free again
        for _ in range(space.given_up):
            self._board.skip_expected(space.default)

    def _fail(self, space: OpenStudy, suggestion: OpenSuggestion, reason: str) -> None:
        if self._search.seconds is not None:
            suggestion.seconds = max(suggestion.seconds, LEAST)

        def tell() -> None:
            suggestion.asked.set_user_attr(REASON, reason[:500])
            space.study.tell(suggestion.asked.number, state=TrialState.FAIL, skip_if_finished=True)

        self._end(space, suggestion, tell)

    def _end(self, space: OpenStudy, suggestion: OpenSuggestion, tell: Callable[[], None]) -> None:
        def once() -> None:
            with suppress(UpdateFinishedTrialError):  # an earlier attempt succeeded, but its reply was lost
                suggestion.asked.set_user_attr(SECONDS, suggestion.seconds)
                tell()

        self._steadily(once)
        space.told(suggestion)

    def _steadily(self, act: Callable[[], Answer], again: Callable[[], object] = lambda: None) -> Answer | None:
        """Return the result of `act`; request a shutdown and return None if the studies are unavailable."""
        try:
            return self._studies.steadily(act, again)
        except StudiesError as error:
            self._shutdown.request(error)
            return None


def _set_constraints(asked: optuna.Trial, violations: Mapping[str, float]) -> None:
    """Record the violations that an earlier attempt has not recorded."""
    recorded = asked.constraints
    for name, violation in violations.items():
        if name not in recorded:
            asked.set_constraint(name, violation)

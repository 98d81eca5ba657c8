"""The trials of a search: asked of its studies one by one, and told to them when they have ended."""

from collections.abc import Callable, Container
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from ...specs import SpecError
from ..execution.early_stopper import EarlyStopper
from ..execution.shutdown import Shutdown
from ..planning.plan import PlannedTrial
from ..planning.search_space import SearchSpace
from ..store.trial_store import ENDED, Store
from ..terminal.progress import ProgressBoard
from .studies import Answer, Studies, StudiesError
from .study_summary import KEY, REASON, SECONDS, tried_trial

LEAST = 1.0
"""Seconds that a trial which failed uses up of a budget in time, so that it is used up even if all of them fail."""


class Tuning:
    """What is tried next in each space, so that all get their budgets at the same pace.

    The studies are the record: what was asked and not told when a driver died is asked again, under its own number.
    Where they cannot be reached the sweep is shut down, and nothing is lost.
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
        """Of a search.

        Args:
            studies: those of the search.
            store: where trials are.
            board: shows them.
            shutdown: ends the sweep.
            known: the trials of the plan by key, to which those that are proposed are added.
            early_stopper: who stops trials early, if anybody does.
        """
        self._studies = studies
        self._search = studies.search
        self._store = store
        self._board = board
        self._shutdown = shutdown
        self._known = known
        self._early_stopper = early_stopper
        self._spaces = [_InStudy(studies, space) for space in self._search.spaces]
        self._waiting: dict[str, list[tuple[_InStudy, optuna.Trial]]] = {}
        """By key, the trials of studies that are told when the trial of the store has ended."""
        self._ended: dict[str, str] = {}
        for space in self._spaces:
            if (left := space.left) is not None:
                board.add_expected(space.default, left)

    def propose(self, done: Container[str]) -> PlannedTrial | None:
        """The next trial to run, where there is one whose teacher is done."""
        while (space := self._next_space(done)) is not None:
            asked = self._steadily(lambda space=space: space.ask(), again=space.look_again)
            if asked is None or self._shutdown.is_requested():
                return None
            planned = self._planned(space, asked)
            if planned is not None:
                return planned
        return None

    def ended(self, key: str, state: str) -> None:
        """A trial has ended so, and is not run again: `done`, `diverged`, `failed`, `running` where it was pruned."""
        self._ended[key] = state
        for space, asked in self._waiting.pop(key, []):
            self._tell(space, asked, key, state)

    def _next_space(self, done: Container[str]) -> "_InStudy | None":
        taught = [space for space in self._spaces if space.teacher is None or space.teacher in done]
        ready = [space for space in taught if space.wants_more]
        return min(ready, key=lambda space: space.used, default=None)

    def _planned(self, space: "_InStudy", asked: optuna.Trial) -> PlannedTrial | None:
        """The trial of the store with these settings, if it has to be run for this."""
        try:
            spec = self._search.trial(space.space, asked.params)
        except SpecError as error:
            self._fail(space, asked, str(error))
            self._board.skip_expected(space.default)
            return None
        key = spec.key
        self._steadily(lambda: asked.set_user_attr(KEY, key))
        self._waiting.setdefault(key, []).append((space, asked))
        if key in self._board.trials and key not in self._ended:  # it runs, or will
            self._board.skip_expected(space.default)
            return None
        state = self._ended.get(key) or self._recorded(key)
        if state:
            self._board.skip_expected(space.default)
            self.ended(key, state)
            return None
        planned = self._known.setdefault(key, tried_trial(spec, space.space, asked, order=len(self._known)))
        self._board.expect(planned, instead_of=space.default)
        if self._early_stopper is not None:
            self._early_stopper.expect(planned)
            self._early_stopper.recall(key, self._store.trial(key).history())
        return planned

    def _recorded(self, key: str) -> str:
        """How a trial ended that need not be run."""
        state = self._store.progress(key, self._studies.stopping).state
        if state == "failed":
            self._store.trial(key).forget_failure()
        return {"pruned": "running"}.get(state, state) if state in ENDED else ""

    def _tell(self, space: "_InStudy", asked: optuna.Trial, key: str, state: str) -> None:
        directory = self._store.trial(key)
        history = directory.history()
        result: dict[str, Any] = directory.result() or {} if state == "done" else {}
        metrics = result.get("metrics", {})
        values = [metrics.get(objective.metric) for objective in self._search.objectives]
        seconds = result.get("seconds", sum(record["seconds"] for record in history))
        if state == "done" and None in values:
            self._fail(space, asked, f"it does not record {', '.join(o.metric for o in self._search.objectives)}")
            return
        if state not in ("done", "running"):
            progress = self._store.progress(key)
            self._fail(space, asked, progress.reason or state, seconds=seconds)
            return

        def tell() -> None:
            asked.set_user_attr(SECONDS, seconds)
            if self._studies.stopping is not None:
                reported = space.study.get_trials(deepcopy=False)[asked.number].intermediate_values
                for record in history:
                    if record["epoch"] not in reported:  # by a driver that died before it could tell the rest
                        asked.report(record[self._search.objectives[0].metric], record["epoch"])
            if state == "running":
                space.study.tell(asked.number, state=TrialState.PRUNED, skip_if_finished=True)
            else:
                space.study.tell(asked.number, values, skip_if_finished=True)

        self._end(space, asked, tell, seconds)

    def _fail(self, space: "_InStudy", asked: optuna.Trial, reason: str, seconds: float = 0.0) -> None:
        if self._search.seconds is not None:
            seconds = max(seconds, LEAST)

        def tell() -> None:
            asked.set_user_attr(REASON, reason[:500])
            asked.set_user_attr(SECONDS, seconds)
            space.study.tell(asked.number, state=TrialState.FAIL, skip_if_finished=True)

        self._end(space, asked, tell, seconds)

    def _end(self, space: "_InStudy", asked: optuna.Trial, tell: Callable[[], None], seconds: float) -> None:
        def once() -> None:
            with suppress(UpdateFinishedTrialError):  # it was told before, and only the answer was lost
                tell()

        self._steadily(once)
        space.told(asked, seconds)

    def _steadily(self, act: Callable[[], Answer], again: Callable[[], object] = lambda: None) -> Answer | None:
        """What `act` returns; where the studies do not answer, the sweep is shut down."""
        try:
            return self._studies.steadily(act, again)
        except StudiesError as error:
            self._shutdown.request(error)
            return None


class _InStudy:
    """A space, and how much of its budget is used."""

    def __init__(self, studies: Studies, space: SearchSpace) -> None:
        self.space = space
        self.study = studies.of(space)
        self._studies = studies
        self._search = studies.search
        teacher = self._search.teacher(space)
        self.teacher = teacher.key if teacher else None
        spec = self._search.trial(space, {})
        self.default = PlannedTrial(spec=spec, key=spec.key, role="search", order=0)
        self._running: set[int] = set()
        self._cut_off: list[optuna.Trial] = []
        studies.steadily(self.look_again)

    def look_again(self) -> None:
        """What the study holds that this driver has not asked for."""
        trials = self.study.get_trials(deepcopy=False)
        self._asked = len(trials)
        ended = [trial for trial in trials if trial.state.is_finished()]
        self._ended = len(ended)
        self._seconds = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in ended)
        self._cut_off = self._studies.cut_off(self.space, self._running)

    def ask(self) -> optuna.Trial:
        """The next trial, of those that were cut off first."""
        if self._cut_off:
            asked = self._studies.complete(self.space, self._cut_off[0])
            del self._cut_off[0]
        else:
            asked = self._studies.ask(self.space)
            if asked.number != self._asked:  # Optuna asked twice, since the first answer was lost
                raise StorageInternalError("the study has a trial more than was asked for")
            self._asked += 1
        self._running.add(asked.number)
        return asked

    def told(self, asked: optuna.Trial, seconds: float) -> None:
        """A trial has ended."""
        self._running.discard(asked.number)
        self._ended += 1
        self._seconds += seconds

    @property
    def left(self) -> int | None:
        """How many trials are still to end; None where that is not known."""
        return None if self._search.budget is None else max(self._search.budget, self._asked) - self._ended

    @property
    def used(self) -> float:
        """How much of the budget, where trials that run count as those that have ended."""
        if self._search.budget is not None:
            return self._ended + len(self._running)
        return self._seconds + len(self._running) * self._seconds / max(1, self._ended)

    @property
    def wants_more(self) -> bool:
        """Whether there is something left to ask."""
        if self._cut_off:
            return True
        if self._search.budget is not None:
            return self._asked < self._search.budget
        return self.used < (self._search.seconds or 0.0) and (self._ended > 0 or len(self._running) < 1)

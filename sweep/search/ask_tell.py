"""The ask-and-tell loop of a search: studies suggest trials one by one and receive the result of each."""

from collections.abc import Callable, Container
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from ...specs import SpecError
from ...store import ENDED, DamagedFileError, PlannedTrial, Record, Store
from ..execution.early_stopper import EarlyStopper
from ..execution.shutdown import Shutdown
from ..planning.cost import Costs
from ..planning.plan import single
from ..planning.search_space import SearchSpace
from ..terminal.progress import ProgressBoard
from .studies import Answer, Studies, StudiesError
from .study_summary import KEY, REASON, SECONDS, tried_trial

LEAST = 1.0
"""Minimum seconds that a failed trial counts in a time budget, so that a search ends even if all trials fail."""


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
        self._spaces = [_InStudy(studies, space, self._costs) for space in self._search.spaces]
        self._waiting: dict[str, list[tuple[_InStudy, optuna.Trial]]] = {}
        """Trials of studies that wait for the result of a trial in the store, by its key."""
        self._ended: dict[str, str] = {}
        for space in self._spaces:
            if (left := space.left) is not None:
                board.add_expected(space.default, left)

    def propose(self, done: Container[str]) -> PlannedTrial | None:
        """Return the next trial to run whose teacher is completed; None if there is none."""
        while (space := self._next_space(done)) is not None:
            asked = self._steadily(lambda space=space: space.ask(), again=space.look_again)
            if asked is None or self._shutdown.is_requested():
                return None
            planned = self._planned(space, asked)
            if planned is not None:
                return planned
        return None

    def ended(self, key: str, state: str) -> None:
        """Report the final state of a trial to its studies: `done`, `diverged`, `failed`, or `running` if pruned."""
        self._ended[key] = state
        for space, asked in self._waiting.pop(key, []):
            self._tell(space, asked, key, state)

    def _next_space(self, done: Container[str]) -> "_InStudy | None":
        taught = [space for space in self._spaces if space.teacher is None or space.teacher in done]
        ready = [space for space in taught if space.wants_more]
        return min(ready, key=lambda space: space.used, default=None)

    def _planned(self, space: "_InStudy", asked: optuna.Trial) -> PlannedTrial | None:
        """Return the trial with the suggested settings; None if it need not run for this suggestion."""
        try:
            spec = self._search.trial(space.space, asked.params)
        except SpecError as error:
            self._fail(space, asked, str(error))
            self._board.skip_expected(space.default)
            return None
        key = spec.key
        self._steadily(lambda: asked.set_user_attr(KEY, key))
        self._waiting.setdefault(key, []).append((space, asked))
        if key in self._board.trials and key not in self._ended:  # it is running or waiting
            self._board.skip_expected(space.default)
            return None
        state = self._ended.get(key) or self._recorded(key)
        if state:
            self._board.skip_expected(space.default)
            self.ended(key, state)
            return None
        planned = self._known.setdefault(
            key, tried_trial(spec, space.space, asked, self._costs, order=len(self._known))
        )
        self._board.expect(planned, instead_of=space.default)
        if self._early_stopper is not None:
            self._early_stopper.expect(planned)
            self._early_stopper.recall(key, self._history(key))
        return planned

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

    def _tell(self, space: "_InStudy", asked: optuna.Trial, key: str, state: str) -> None:
        files = self._store.trial(key)
        history = self._history(key)
        result: dict[str, Any] = files.result() or {} if state == "done" else {}
        metrics = result.get("metrics", {})
        values = [metrics.get(objective.metric) for objective in self._search.objectives]
        seconds = result.get("seconds", sum(record["seconds"] for record in history))
        if state == "done" and None in values:
            self._fail(space, asked, f"the result lacks {', '.join(o.metric for o in self._search.objectives)}")
            return
        if state not in ("done", "running"):
            progress = self._store.progress(key)
            self._fail(space, asked, progress.reason or state, seconds=seconds)
            return

        def tell() -> None:
            asked.set_user_attr(SECONDS, seconds)
            if self._studies.stopping is not None:
                reported = space.study.get_trials(deepcopy=False)[asked.number].intermediate_values
                metric = self._search.objectives[0].metric
                for record in history:
                    # A killed driver may have reported some epochs, and not every epoch is evaluated.
                    if record["epoch"] not in reported and metric in record:
                        asked.report(record[metric], record["epoch"])
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
            with suppress(UpdateFinishedTrialError):  # an earlier attempt succeeded, but its reply was lost
                tell()

        self._steadily(once)
        space.told(asked, seconds)

    def _steadily(self, act: Callable[[], Answer], again: Callable[[], object] = lambda: None) -> Answer | None:
        """Return the result of `act`; request a shutdown and return None if the studies are unavailable."""
        try:
            return self._studies.steadily(act, again)
        except StudiesError as error:
            self._shutdown.request(error)
            return None


class _InStudy:
    """A search space with its study and the used part of its budget."""

    def __init__(self, studies: Studies, space: SearchSpace, costs: Costs) -> None:
        self.space = space
        self.study = studies.of(space)
        self._studies = studies
        self._search = studies.search
        teacher = self._search.teacher(space)
        self.teacher = teacher.key if teacher else None
        spec = self._search.trial(space, {})
        self.default = single(spec, costs, "search")
        self._running: set[int] = set()
        self._cut_off: list[optuna.Trial] = []
        studies.steadily(self.look_again)

    def look_again(self) -> None:
        """Read the trials of the study again, with those of earlier drivers."""
        trials = self.study.get_trials(deepcopy=False)
        self._asked = len(trials)
        ended = [trial for trial in trials if trial.state.is_finished()]
        self._ended = len(ended)
        self._seconds = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in ended)
        self._cut_off = self._studies.cut_off(self.space, self._running)

    def ask(self) -> optuna.Trial:
        """Return the next trial; interrupted trials come first."""
        if self._cut_off:
            asked = self._studies.complete(self.space, self._cut_off[0])
            del self._cut_off[0]
        else:
            asked = self._studies.ask(self.space)
            if asked.number != self._asked:  # Optuna retried, because the first reply was lost
                raise StorageInternalError("the study has one trial more than this driver requested")
            self._asked += 1
        self._running.add(asked.number)
        return asked

    def told(self, asked: optuna.Trial, seconds: float) -> None:
        """Count a trial that has ended and its training time."""
        self._running.discard(asked.number)
        self._ended += 1
        self._seconds += seconds

    @property
    def left(self) -> int | None:
        """Number of trials that have not ended; None for a budget in time."""
        return None if self._search.budget is None else max(self._search.budget, self._asked) - self._ended

    @property
    def used(self) -> float:
        """Used part of the budget, in trials or estimated seconds. Running trials count as ended."""
        if self._search.budget is not None:
            return self._ended + len(self._running)
        return self._seconds + len(self._running) * self._seconds / max(1, self._ended)

    @property
    def wants_more(self) -> bool:
        """True if the budget allows another trial, or an interrupted trial waits."""
        if self._cut_off:
            return True
        if self._search.budget is not None:
            return self._asked < self._search.budget
        return self.used < (self._search.seconds or 0.0) and (self._ended > 0 or len(self._running) < 1)

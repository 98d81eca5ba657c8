"""Which trial runs next: those whose teacher is done, in the plan's order."""

from collections.abc import Iterable
from typing import Any

from ray.tune.search import Searcher

from ..planning.plan import PlannedTrial


class PlanSearcher(Searcher):
    """Hands a plan's trials to Ray Tune; where only blocked ones are left, Tune waits without a barrier.

    A trial whose teacher did not end as `done` is given up: `given_up` says why.
    """

    def __init__(self, trials: Iterable[PlannedTrial], done: Iterable[str]) -> None:
        """Of the trials to run and the keys of those that are done already."""
        super().__init__()
        self._waiting = {trial.key: trial for trial in trials}
        self._running: dict[str, str] = {}
        self._done = set(done)
        self.given_up: dict[str, str] = {}
        """By key, why a trial cannot run."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's key and spec, None while all that is left waits for a teacher, or `FINISHED`."""
        for key, trial in self._waiting.items():
            if trial.needs is None or trial.needs in self._done:
                del self._waiting[key]
                self._running[trial_id] = key
                return {"key": key, "spec": trial.spec.to_dict()}
        self._give_up_orphans()
        return None if self._waiting else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Frees the trials that waited for this one."""
        key = self._running.pop(trial_id)
        if not error and result is not None and result.get("state") == "done":
            self._done.add(key)

    def _give_up_orphans(self) -> None:
        """Gives up whatever waits for a trial that neither runs nor will run."""
        while orphans := {
            key: trial.needs
            for key, trial in self._waiting.items()
            if trial.needs not in self._waiting and trial.needs not in self._running.values()
        }:
            for key, teacher in orphans.items():
                del self._waiting[key]
                self.given_up[key] = f"its teacher, trial {teacher}, did not end well"

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the trial store says what is done."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a restart makes a new plan from the trial store."""

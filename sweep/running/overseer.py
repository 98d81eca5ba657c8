"""Ray Tune's scheduler of a sweep: trials run in the plan's order, some are stopped early, and all end on request."""

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from .halt import Halt
from .judging import Judge


class Overseer(FIFOScheduler):
    """Asks the judge after each epoch, and drops what has not begun once the sweep is to end."""

    def __init__(self, judge: Judge | None, halt: Halt, on_halt: Callable[[], None]) -> None:
        """Of an experiment.

        Args:
            judge: who stops trials early, if anybody does.
            halt: whether the sweep is to end.
            on_halt: called once when it is, to tell the trials that run.
        """
        super().__init__()
        self._judge = judge
        self._halt = halt
        self._on_halt = on_halt
        self._told = False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its scheduler so that it could restore it, which nobody asks it to.
        return FIFOScheduler, ()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Tune asks after each report of a trial."""
        if self._judge is None or result["state"] != "running":
            return TrialScheduler.CONTINUE
        stops = self._judge.stops(trial.config["key"], result)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Tune asks several times a second; it starts trials in their order without advice."""
        if not self._halt.wanted():
            return
        if not self._told:
            self._told = True
            self._on_halt()
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == Trial.PENDING:
                tune_controller.stop_trial(trial)

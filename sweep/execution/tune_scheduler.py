"""Ray Tune's scheduler of a sweep: trials run in the plan's order, some are stopped early, and all end on request."""

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from .early_stopper import EarlyStopper
from .shutdown import Shutdown


class SweepScheduler(FIFOScheduler):
    """Runs the trials in order, stops some of them early, and drops those that have not started at a shutdown."""

    def __init__(self, early_stopper: EarlyStopper | None, shutdown: Shutdown, on_shutdown: Callable[[], None]) -> None:
        """Make the scheduler of one experiment.

        Args:
            early_stopper: early stopper, called after each epoch; None trains all trials to the end.
            shutdown: source of shutdown requests.
            on_shutdown: function that is called once at a shutdown, to stop the running trials.
        """
        super().__init__()
        self._early_stopper = early_stopper
        self._shutdown = shutdown
        self._on_shutdown = on_shutdown
        self._told = False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its scheduler to restore it later; we never do.
        return FIFOScheduler, ()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return `STOP` or `CONTINUE`; Tune calls this after each report of a trial."""
        if self._early_stopper is None or result["state"] != "running":
            return TrialScheduler.CONTINUE
        stops = self._early_stopper.stops(trial.config["key"], result)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Drop trials that have not started at a shutdown. Tune calls this often, and starts trials itself."""
        if not self._shutdown.is_requested():
            return
        if not self._told:
            self._told = True
            self._on_shutdown()
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == Trial.PENDING:
                tune_controller.stop_trial(trial)

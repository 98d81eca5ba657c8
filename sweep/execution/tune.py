"""Ray Tune as an executor of trials. All code that depends on its release (ray 2.60) is here.

Tune saves, restores, logs and prints experiments, which is switched off: the trial store and the board do it.
"""

import json
import logging
import math
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import ray
from ray import tune
from ray.air._internal import usage
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.trainable import wrap_function

from ...specs import one_line
from ...store import PlannedTrial, Record
from ..planning.resources import Resources
from ..planning.stopping import Stopping
from .placement import machine_failed
from .trial_queue import NODE_FAILED, Suggestion

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end the sweep without checkpoints
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # no snapshots of all trials every 10 s
}
"""Settings that Tune reads only from environment variables."""
STOP_TIMEOUT_S = 600
"""Time limit for a trial that was stopped early to end in its worker; it has written its checkpoint by then."""


class Events(Protocol):
    """Receiver of the events of an experiment. All calls come from the thread that runs it."""

    def is_ending(self) -> bool:
        """Return True to drop the trials that have not started. It is called several times a second."""
        ...

    def is_overdue(self, key: str) -> bool:
        """Return True to kill the worker of a running trial. It is called several times a second."""
        ...

    def started(self, key: str) -> None:
        """Record that an attempt of a trial has started."""
        ...

    def reported(self, key: str, report: Record) -> bool:
        """Record a report of a running trial; return True to stop the trial."""
        ...

    def ended(self, key: str, last: Record, error: str) -> None:
        """Record the end of an attempt.

        Args:
            key: key of the trial.
            last: last report; without a `state` if the attempt has reported nothing.
            error: death of the worker or its exception, in one line; empty if it ended without an error.
        """
        ...


def run_trials(
    suggest: Callable[[], Suggestion | Literal["wait", "finished"]],
    events: Events,
    worker: Callable[[dict[str, Any]], None],
    prepare: Callable[[], None],
    *,
    name: str,
    resources_of: Callable[[PlannedTrial], Resources],
) -> None:
    """Run trials as long as `suggest` returns any, as many at once as Ray's resources allow.

    Args:
        suggest: function that returns the next trial, `wait` while all others must wait, or `finished`.
        events: receiver of what happens to the trials.
        worker: function that runs in a Ray worker for each attempt, with the trial's `key`, its `spec` and its
            `resources` as JSON, and the number or share `gpu` of its GPUs. It reports with `ray.tune.report`; each
            report has a `state`.
        prepare: function that runs in each Ray worker before its first trial.
        name: name of the experiment.
        resources_of: function that returns the resources of a trial.
    """
    os.environ |= ENVIRONMENT
    # By itself, Tune starts one trial after the other.
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(max(1, int(ray.cluster_resources().get("CPU", 1)))))
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    usage.tag_callbacks = lambda _: False  # usage statistics, for which Tune imports MLflow and other loggers
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            _trainable(worker, prepare),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(suggest, resources_of),
                scheduler=_Scheduler(events),
                num_samples=-1,  # the searcher ends the experiment; a retry counts as a sample
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name=name, storage_path=scratch, verbose=0, callbacks=[_Callback(events)]),
        )
        try:
            tuner.fit()
        except RuntimeError as error:
            if "trial_dir_name" not in str(error):  # Tune cannot print a trial that never started
                raise


def use_prestarted_workers() -> None:
    """Let the trials of a local Ray run in the workers that it has started in advance.

    Tune would give trials environment variables of their own, for which Ray starts other workers. The workers of a
    local Ray have all variables of the process that started it.
    """
    class_cache.DEFAULT_ENV_VARS.clear()  # a variable of PyTorch Lightning
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(os.environ)


def _trainable(worker: Callable[[dict[str, Any]], None], prepare: Callable[[], None]) -> type:
    class TrialWorker(wrap_function(worker)):
        def setup(self, config: dict[str, Any]) -> None:
            # Without it, a trial that is slow to stop would make the next trial of this worker fail.
            os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", str(STOP_TIMEOUT_S))
            prepare()
            super().setup(config)

        @classmethod
        def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
            bundles = Resources.from_dict(json.loads(config["resources"])).bundles(config["gpu"])
            return tune.PlacementGroupFactory(bundles, strategy="PACK" if len(bundles) == 1 else "STRICT_SPREAD")

    return TrialWorker


class _NeverRestored:
    """Part of an experiment, which Tune pickles with all that it refers to."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class _Searcher(_NeverRestored, Searcher):
    def __init__(
        self,
        suggest: Callable[[], Suggestion | Literal["wait", "finished"]],
        resources_of: Callable[[PlannedTrial], Resources],
    ) -> None:
        super().__init__()
        self._suggest = suggest
        self._resources_of = resources_of

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        match self._suggest():
            case "wait":
                return None
            case "finished":
                return Searcher.FINISHED
            case Suggestion(trial=trial, gpu=gpu):
                # As JSON, because Tune keeps and copies each suggestion entry by entry.
                spec, resources = json.dumps(trial.located_spec), self._resources_of(trial).text
                return {"key": trial.key, "spec": spec, "resources": resources, "gpu": gpu}

    def on_trial_complete(self, *_: Any, **ended: Any) -> None: ...  # the callback gets the trial with its key

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...


class _Scheduler(_NeverRestored, FIFOScheduler):
    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        stops = self._events.reported(trial.config["key"], result)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> None:  # Tune itself chooses the oldest
        is_ending = self._events.is_ending()
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == Trial.PENDING and is_ending:
                tune_controller.stop_trial(trial)
            elif trial.status == Trial.RUNNING and self._events.is_overdue(trial.config["key"]):
                ray.kill(trial.temporary_state.ray_actor)  # Tune notices the death of the worker


class _Callback(_NeverRestored, TrialProgressCallback):
    """Replacement for Tune's callback, which prints a line for every trial that ends before it started."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._events.started(trial.config["key"])

    def on_trial_result(self, *_: Any, **reported: Any) -> None: ...  # the scheduler has passed it on

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, _error_of(trial))

    def _end(self, trial: Trial, error: str = "") -> None:
        trial.run_metadata.metric_analysis.clear()  # 20 KB of statistics per trial, which are never read
        trial.run_metadata.metric_n_steps.clear()
        self._events.ended(trial.config["key"], trial.last_result, error)


def _error_of(trial: Trial) -> str:
    """Return in one line that a trial's worker died or its node failed, or the exception that it raised."""
    file = trial.pickled_error_file  # `get_pickled_error` reads the storage, to which it is copied later
    if not file or not Path(file).exists():
        return "worker died"
    error = pickle.loads(Path(file).read_bytes())
    if isinstance(error, RayActorError):
        return NODE_FAILED if machine_failed(error) else "worker died"
    if isinstance(error, RayTaskError) and error.cause is not None:
        error = error.cause
    return one_line(f"{type(error).__name__}: {error}".splitlines()[0])


class StoppingRule:
    """One of Tune's rules, which compare trials epoch by epoch. It gets their records instead of Tune's trials."""

    def __init__(self, stopping: Stopping, *, epochs: int, first: int) -> None:
        """Create a rule that has compared no trials yet, for trials with `epochs` epochs, after the `first` of them."""
        by: dict[str, Any] = {"time_attr": "epoch", "metric": stopping.metric, "mode": "max", "grace_period": first}
        self._known: set[str] = set()
        self._rule: TrialScheduler
        if stopping.rule == "median":
            # With a finite time slice, Tune would pause a trial while there are too few to compare.
            self._rule = MedianStoppingRule(**by, min_time_slice=math.inf)  # type: ignore[arg-type]
        else:
            self._rule = ASHAScheduler(**by, max_t=epochs, reduction_factor=stopping.factor)

    def stops(self, key: str, record: Mapping[str, Any]) -> bool:
        """Return True if the trial with this key is to be stopped after the epoch of this record."""
        trial = _Compared(trial_id=key)
        if key not in self._known:
            self._known.add(key)
            self._rule.on_trial_add(None, trial)  # type: ignore[arg-type]
        decision = self._rule.on_trial_result(None, trial, dict(record))  # type: ignore[arg-type]
        return decision == TrialScheduler.STOP


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Trial as Tune's rules identify it: the same in each attempt and after each restart."""

    trial_id: str

"""Execution of the unfinished trials of a plan, as one Ray Tune experiment."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback

from ...specs import SpecError
from ...store import PlannedTrial, StorageError, Store
from ...training import DataSource, datasets
from ..planning.durations import duration
from ..planning.plan import SweepPlan, grown
from ..planning.resources import Resources
from ..terminal.counts import counted
from ..terminal.progress import ProgressBoard
from ..tracking.sync import mirrored
from .early_stopper import EarlyStopper
from .errors import cause_of
from .gpu_packing import Packing, smallest_accelerator
from .preemption import with_stop_event
from .shutdown import Shutdown
from .stop_event import StopEvent
from .tune_scheduler import SweepScheduler
from .tune_searcher import PlanSearcher
from .tune_start import skip_usage_statistics
from .worker import requested, run_trial

if TYPE_CHECKING:
    from ..search import Studies, Tuning


def launch(
    plan: SweepPlan,
    store: Store,
    source: DataSource,
    board: ProgressBoard,
    ray_ready: Callable[[], None],
    tracking_uri: str,
    *,
    driver: str,
    shutdown: Shutdown,
    most: float,
    search: "Studies | None" = None,
) -> None:
    """Train the board's trials, as many at once as Ray's resources and `most` allow, and mirror them to MLflow.

    With a search, trials are added until its budgets are used up. If a trial fails, diverges or is stopped early, the
    board shows it and the sweep continues. A trial whose worker died or whose node failed is retried.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, once all running trials have a checkpoint; at once after a second.
        TimeBudgetExceeded: if the time budget of `shutdown` is used up, once all running trials have a checkpoint.
        StorageError: if the storage is not writable in any attempt of a trial.
        SpecError: if images are missing, or no node has the requested resources, since Ray would wait forever.
    """
    resources, stopping = plan.sweep.resources, plan.stopping
    progress = store.progress_of((trial.key for trial in plan.trials), stopping)
    for key in board.trials:
        if progress[key].state == "failed":
            store.trial(key).forget_failure()  # so that a recorded failure is one of this run
    ray_ready()
    _check_resources(resources)
    for name in _datasets(plan, board):
        board.wait_for(f"the images of {name}")
        datasets[name].load(source)  # download once, and report errors before any trial runs
    known = {trial.key: trial for trial in plan.trials}
    early_stopper = _early_stopper(plan, store)
    tuning = None if search is None else _tuning(search, store, board, shutdown, known, early_stopper)
    searcher = PlanSearcher(
        board.trials.values(),
        [key for key, known in progress.items() if known.state == "done"],
        retries=resources.retries,
        gpu=Packing(smallest_accelerator()) if resources.gpu == "auto" else resources.gpu,
        most=most if tuning is None else min(most, _capacity(resources)),  # early proposals see fewer results
        recorded=lambda key: store.progress(key).state,
        give_up=lambda key, reason: board.end(key, problem=reason),
        shutting_down=shutdown.is_requested,
        proposals=tuning,
    )
    mirror = mirrored(
        plan,
        known,
        store,
        tracking_uri,
        board.say,
        begun=lambda: board.begun,
        left_early=lambda: board.unfinished > 0 or shutdown.is_requested(),
    )
    with shutdown.on_signals(), mirror as changed, StopEvent() as stop_event, tempfile.TemporaryDirectory() as scratch:
        trainable = functools.partial(
            run_trial,
            store=store,
            sweep=plan.name,
            plugins=plan.plugins,
            driver=driver,
            source=source,
            threads=resources.cores // resources.members,
            processes=resources.members,
            accelerated=resources.gpu == "auto" or resources.gpu > 0,
        )
        tuner = tune.Tuner(
            with_stop_event(tune.with_resources(trainable, functools.partial(requested, resources.cores)), stop_event),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=SweepScheduler(early_stopper, shutdown, on_shutdown=lambda: _shut_down(stop_event, board)),
                num_samples=-1,  # the searcher ends the experiment; a retry counts as a sample
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=plan.name,
                storage_path=scratch,  # Tune's own records are not needed: the trial store has all states
                verbose=0,
                callbacks=[_Watch(plan, known, store, board, searcher, shutdown, changed), _Silence()],
            ),
        )
        skip_usage_statistics()
        board.wait_for("the first worker to start and load PyTorch")
        try:
            tuner.fit()
        except RuntimeError as error:
            if "trial_dir_name" not in str(error):  # Tune cannot print a trial that never started (ray 2.60)
                raise
    if board.unfinished:
        raise shutdown.outcome()


def _datasets(plan: SweepPlan, board: ProgressBoard) -> set[str]:
    """Return the datasets of the trials to run, and of those that a search will add."""
    return {trial.configuration.dataset for trial in (*board.trials.values(), *(trial for trial, _ in plan.coming))}


def _early_stopper(plan: SweepPlan, store: Store) -> EarlyStopper | None:
    """Return the plan's early stopper, with all earlier records; None if the plan has no stopping rule."""
    if plan.sweep.stopping is None:
        return None
    early_stopper = EarlyStopper(plan.sweep.stopping, plan.trials)
    for trial in plan.trials:
        early_stopper.recall(trial.key, store.trial(trial.key).history())
    return early_stopper


def _shut_down(stop_event: StopEvent, board: ProgressBoard) -> None:
    stop_event.set()
    if board.running:
        trials = counted(len(board.running), "running trial")
        board.say(f"{trials} will write a checkpoint and stop. Press Ctrl-C (again) to stop at once.")


def _check_resources(wanted: Resources) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, number in (("cpu", wanted.cores), ("gpu", 1 if wanted.gpu == "auto" else wanted.gpu)):
        if number > (most := max(node.get(name.upper(), 0) for node in nodes)):
            rule = f"a trial requires {number:g}, but the largest node has {most:g}; set at most {most:g}"
            raise SpecError(f"resources.{name}: {rule}.", field=name)


def _tuning(search: "Studies", *of_sweep: Any) -> "Tuning":
    from ..search import Tuning  # noqa: PLC0415 (Optuna takes a while to load, and most sweeps have no search)

    return Tuning(search, *of_sweep)


def _capacity(wanted: Resources) -> float:
    """Return the number of trials that can run at once."""
    shares = {"CPU": wanted.cores, "GPU": 0 if wanted.gpu == "auto" else wanted.gpu}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(min(node.get(name, 0) // share for name, share in shares.items() if share) for node in nodes)


def _reason(trial: Trial) -> str:
    """Return the cause of an attempt's end, for a trial that is retried."""
    match trial.last_result:
        case {"state": "stopped"}:
            return "worker received SIGTERM"
        case {"state": "unwritable", "reason": str(reason)}:
            return reason.rstrip(".")
        case _:
            return cause_of(trial)


def _forget_statistics(trial: Trial) -> None:
    """Delete Tune's statistics of a trial that has ended: 20 KB that are never read."""
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()


class _Silence(TrialProgressCallback):
    """Replacement for Tune's callback, which prints a line for every trial that ends before it started."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return tune.Callback, ()

    def on_trial_result(self, *_: Any, **info: Any) -> None:
        """Do nothing: the board shows the result."""

    on_trial_error = on_trial_complete = on_trial_result


class _Watch(tune.Callback):
    """Callback that passes the events of trials to the board, the store and the mirror."""

    def __init__(
        self,
        plan: SweepPlan,
        known: Mapping[str, PlannedTrial],
        store: Store,
        board: ProgressBoard,
        searcher: PlanSearcher,
        shutdown: Shutdown,
        changed: set[str],
    ) -> None:
        self._plan = plan
        self._known = known
        self._saved = len(known)
        self._stopping = plan.stopping
        self._store = store
        self._board = board
        self._searcher = searcher
        self._shutdown = shutdown
        self._changed = changed
        self._busy: set[str] = set()  # trials that another sweep trains: each is shown once

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its callbacks to restore them later; we never do.
        return tune.Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = trial.config["key"]
        self._board.start(key, silently=key in self._busy)
        if len(self._known) > self._saved:  # a search has added trials
            self._saved = len(self._known)
            with self._halting_without_storage(key):
                self._store.save_sweep(grown(self._plan, self._known))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if result["state"] == "running":
            self._board.advance(trial.config["key"], result)
            self._changed.add(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        _forget_statistics(trial)
        key, last = trial.config["key"], trial.last_result
        if "state" not in last:  # it never started, because the sweep shuts down
            self._board.pause(key)
        elif last["state"] == "busy" and self._searcher.retry_delay(key) is not None:
            self._board.pause(key, "" if key in self._busy else last["reason"])
            self._busy.add(key)
        elif last["state"] == "running" and self._stopping is not None:
            with self._halting_without_storage(key):
                self._store.prune(key, self._stopping, epoch=last["epoch"], epochs=last["epochs"])
                self._board.prune(key, self._store.progress(key, self._stopping).reason)
                self._changed.add(key)
        else:
            self._end(key)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        _forget_statistics(trial)
        key, last = trial.config["key"], trial.last_result
        seconds = self._searcher.retry_delay(key)
        if seconds is None and last.get("state") == "unwritable":
            with self._halting_without_storage(key):
                raise StorageError(last["reason"])
        elif seconds is None:
            self._end(key, cause_of(trial))
        elif self._shutdown.is_requested():
            self._board.pause(key)
        else:
            self._board.pause(key, f"{_reason(trial)}; next attempt in {duration(seconds)}")

    def _end(self, key: str, unsaid: str = "") -> None:
        progress = self._store.progress(key)
        if progress.state == "done" and progress.result is not None:
            self._board.end(key, seconds=progress.result["seconds"])
        else:
            problem = progress.reason
            if not problem:
                deaths = self._searcher.failures(key)
                problem = unsaid + (f" (last of {deaths} attempts)" if deaths > 1 else "")
                with suppress(StorageError):  # the next trial reports it
                    self._store.trial(key).write_failure({"reason": problem})
            self._board.end(key, problem=problem)
        self._changed.add(key)

    @contextmanager
    def _halting_without_storage(self, key: str) -> Iterator[None]:
        """Shut down the sweep if the storage is not writable; the next run resumes the trial."""
        try:
            yield
        except StorageError as error:
            self._shutdown.request(error)
            self._board.pause(key)

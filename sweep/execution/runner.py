"""Execution of the unfinished trials of a plan, as one experiment."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray

from ...specs import SpecError
from ...store import DamagedFileError, PlannedTrial, Record, StorageError, Store
from ...training import DataSource, datasets
from ..eta import trained_epochs
from ..planning.durations import duration
from ..planning.plan import SweepPlan, grown
from ..planning.resources import Resources
from ..terminal.counts import counted
from ..terminal.progress import ProgressBoard
from ..tracking.sync import mirrored
from .early_stopper import EarlyStopper
from .gpu_packing import Packing, smallest_accelerator
from .preemption import prepare_worker
from .shutdown import Shutdown
from .stop_event import StopEvent
from .trial_queue import TrialQueue
from .tune import run_trials
from .worker import run_trial

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
    for trial in plan.trials:
        board.estimator.recall(trial, *trained_epochs(trial, progress[trial.key], store))
    for key in board.trials:
        if progress[key].state == "failed":
            store.trial(key).forget_failure()  # so that a recorded failure is one of this run
    ray_ready()
    _check_resources(resources)
    for name in _datasets(plan, board):
        board.wait_for(f"the images of {name}")
        datasets[name].load(source)  # download once, and report errors before any trial runs
    known = {trial.key: trial for trial in plan.trials}
    early_stopper = _early_stopper(plan, store, board.say)
    tuning = None if search is None else _tuning(search, store, board, shutdown, known, early_stopper)
    queue = TrialQueue(
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
    with shutdown.on_signals(), mirror as changed, StopEvent() as stop_event:
        events = _Events(
            plan=plan,
            known=known,
            store=store,
            board=board,
            queue=queue,
            early_stopper=early_stopper,
            shutdown=shutdown,
            stop_event=stop_event,
            changed=changed,
        )
        worker = functools.partial(
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
        prepare = functools.partial(prepare_worker, stop_event)
        board.wait_for("the first worker to start and load PyTorch")
        run_trials(queue.suggest, events, worker, prepare, name=plan.name, cores=resources.cores)
    if board.unfinished:
        raise shutdown.outcome()


def _datasets(plan: SweepPlan, board: ProgressBoard) -> set[str]:
    """Return the datasets of the trials to run, and of those that a search will add."""
    return {trial.configuration.dataset for trial in (*board.trials.values(), *(trial for trial, _ in plan.coming))}


def _early_stopper(plan: SweepPlan, store: Store, say: Callable[[str], None]) -> EarlyStopper | None:
    """Return the plan's early stopper, with all sound earlier records; None if the plan has no stopping rule."""
    if plan.sweep.stopping is None:
        return None
    early_stopper = EarlyStopper(plan.sweep.stopping, plan.trials)
    for trial in plan.trials:
        try:
            early_stopper.recall(trial.key, store.trial(trial.key).history())
        except DamagedFileError as damage:
            say(f"{trial}: {damage}")
    return early_stopper


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


@dataclass(kw_only=True)
class _Events:
    """Receiver of the events of trials. It passes them to the queue, the board, the store and the mirror."""

    plan: SweepPlan
    known: Mapping[str, PlannedTrial]
    """Trials of the plan and those that a search has added, by key."""
    store: Store
    board: ProgressBoard
    queue: TrialQueue
    early_stopper: EarlyStopper | None
    shutdown: Shutdown
    stop_event: StopEvent
    changed: set[str]
    """Keys of the trials to mirror."""
    _saved: int = field(init=False)
    """Number of trials in the stored plan."""
    _busy: set[str] = field(init=False, default_factory=set)
    """Trials that another sweep trains; each is shown once."""
    _is_ending: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._saved = len(self.known)

    def is_ending(self) -> bool:
        """Return True at a shutdown; the first time, make the running trials stop."""
        if not self._is_ending and self.shutdown.is_requested():
            self._is_ending = True
            self.stop_event.set()
            if self.board.running:
                trials = counted(len(self.board.running), "running trial")
                self.board.say(f"{trials} will write a checkpoint and stop. Press Ctrl-C (again) to stop at once.")
        return self._is_ending

    def started(self, key: str) -> None:
        """Show the trial; store the plan if a search has added trials."""
        self.board.start(key, silently=key in self._busy)
        if len(self.known) > self._saved:
            self._saved = len(self.known)
            with self._halting_without_storage(key):
                self.store.save_sweep(grown(self.plan, self.known))

    def reported(self, key: str, report: Record) -> bool:
        """Show a completed epoch; return True to stop the trial early."""
        if report["state"] != "running":
            return False
        self.queue.reported(key, report)
        self.board.advance(key, report)
        self.changed.add(key)
        return self.early_stopper is not None and self.early_stopper.stops(key, report)

    def ended(self, key: str, last: Record, error: str) -> None:
        """Record the end of a trial, or show why it waits."""
        self.queue.ended(key, last, error=bool(error))
        state, delay = last.get("state"), self.queue.retry_delay(key)
        if state == "unwritable" and delay is None:
            with self._halting_without_storage(key):
                raise StorageError(last["reason"])
        elif state is None and not error:  # it never started, because the sweep shuts down
            self.board.pause(key)
        elif state == "running" and not error and (stopping := self.plan.stopping) is not None:
            with self._halting_without_storage(key):
                self.store.prune(key, stopping, epoch=last["epoch"], epochs=last["epochs"])
                self.board.prune(key, self.store.progress(key, stopping).reason)
                self.changed.add(key)
        elif delay is None:
            self._end(key, error)
        elif state == "busy" and not error:
            self.board.pause(key, "" if key in self._busy else last["reason"])
            self._busy.add(key)
        elif self.shutdown.is_requested():
            self.board.pause(key)
        else:
            reasons = {"stopped": "worker received SIGTERM", "unwritable": last.get("reason", "").rstrip(".")}
            self.board.pause(key, f"{reasons.get(state or '', error)}; next attempt in {duration(delay)}")

    def _end(self, key: str, error: str) -> None:
        progress = self.store.progress(key)
        if progress.state == "done" and progress.result is not None:
            self.board.end(key, seconds=progress.result["seconds"])
        else:
            problem = progress.reason
            if not problem:
                deaths = self.queue.failures(key)
                problem = error + (f" (last of {deaths} attempts)" if deaths > 1 else "")
                with suppress(StorageError):  # the next trial reports it
                    self.store.trial(key).write_failure({"reason": problem})
            self.board.end(key, problem=problem)
        self.changed.add(key)

    @contextmanager
    def _halting_without_storage(self, key: str) -> Iterator[None]:
        """Shut down the sweep if the storage is not writable; the next run resumes the trial."""
        try:
            yield
        except StorageError as error:
            self.shutdown.request(error)
            self.board.pause(key)

"""Execution of the unfinished trials of a plan, as one experiment."""

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...store import DamagedFileError, PlannedTrial, Store
from ...training import DatasetSpec, DataSource, TrialSpec
from ..cost_ledger import CostCaps, read_ledgers
from ..eta import trained_epochs
from ..planning.first_steps import first_steps
from ..planning.plan import SweepPlan
from ..terminal.progress import ProgressBoard
from ..tracking.sync import mirrored
from .cost_cap import CostCap
from .deadlines import Deadlines
from .early_stopper import EarlyStopper
from .energy_check import require_energy
from .gpu_packing import GpuShares, probed
from .image_check import images_read
from .placement import Node, capacity, gpus_per_trial, nodes
from .preemption import prepare_worker
from .shutdown import Shutdown
from .stop_event import StopEvent
from .trial_events import TrialEvents
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
    tries: bool = True,
    caps: CostCaps = CostCaps(),  # noqa: B008 (frozen)
) -> None:
    """Train the board's trials, as many at once as Ray's resources and `most` allow, and mirror them to MLflow.

    If `tries` is true, a first training step of each network and method from outside this package is tried before.
    With a search, trials are added until its budgets are used up. If a trial fails, diverges or is stopped early, the
    board shows it and the sweep continues. A trial whose worker died or whose node failed is retried. With caps, a
    seed of a row begins only if all its trials fit, and the running trials stop after the epoch that passes a cap.

    Raises:
        CostCapReached: if trials are left that the caps do not admit.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, once all running trials have a checkpoint; at once after a second.
        TimeBudgetExceeded: if the time budget of `shutdown` is used up, once all running trials have a checkpoint.
        StorageError: if the storage is not writable in any attempt of a trial.
        SpecError: if images are missing, a first training step fails, no machine has the requested resources, or energy
            is capped but not measured.
    """
    resources, stopping = plan.sweep.resources, plan.stopping
    tried = first_steps(_specs(plan, board), plan.plugins, only_foreign=True) if tries else []
    with shutdown.on_budget():
        with images_read(_datasets(plan, board), source, tried) as wait_for_images:
            progress = store.progress_of((trial.key for trial in plan.trials), stopping)
            for trial in plan.trials:
                board.estimator.recall(trial, *trained_epochs(trial, progress[trial.key], store))
            wait_for_images(board.wait_for)
        for key in board.trials:
            if progress[key].state == "failed":
                store.trial(key).forget_failure()  # so that a recorded failure is one of this run
        ray_ready()
        share, at_once = _gpu_shares(plan, source, board, nodes())
        if caps.max_joules is not None:
            needs = {resources.of(trial.configuration).text: trial for trial in board.trials.values()}
            require_energy(caps.max_joules, [(resources.of(one.configuration), share(one)) for one in needs.values()])
    known = {trial.key: trial for trial in plan.trials}
    early_stopper = _early_stopper(plan, store, board.say)
    tuning = None if search is None else _tuning(search, store, board, shutdown, known, early_stopper)
    ledgers = read_ledgers(plan, store, caps.limits)
    cost_cap = CostCap(board.trials.values(), caps.limits, ledgers) if caps.limits else None
    queue = TrialQueue(
        board.trials.values(),
        [key for key, known in progress.items() if known.state == "done"],
        retries=resources.common.retries,
        share=share,
        # A search starts no trial that would wait, because early proposals see fewer results.
        most=most if tuning is None else min(most, at_once),
        recorded=lambda key: store.progress(key).state,
        give_up=lambda key, reason: board.end(key, problem=reason),
        shutting_down=shutdown.is_requested,
        proposals=tuning,
        admission=cost_cap,
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
        events = TrialEvents(
            plan=plan,
            known=known,
            store=store,
            board=board,
            queue=queue,
            early_stopper=early_stopper,
            cost_cap=cost_cap,
            shutdown=shutdown,
            stop_event=stop_event,
            deadlines=Deadlines(report_s=3600 * resources.common.max_epoch_hours),
            changed=changed,
        )
        worker = functools.partial(
            run_trial,
            store=store,
            sweep=plan.name,
            plugins=plan.plugins,
            driver=driver,
            source=source,
            # A trial that is stopped after an epoch can be trained further later.
            checkpoint_epochs=plan.stopping is not None or cost_cap is not None,
        )
        prepare = functools.partial(prepare_worker, stop_event)
        board.wait_for("the first worker to start and load PyTorch")
        run_trials(
            queue.suggest,
            events,
            worker,
            prepare,
            name=plan.name,
            resources_of=lambda trial: resources.of(trial.configuration),
        )
    if board.unfinished:
        if cost_cap is not None:
            shutdown.request(cost_cap.reached())
        raise shutdown.outcome()


def _datasets(plan: SweepPlan, board: ProgressBoard) -> list[DatasetSpec]:
    """Return the datasets of the trials to run, and of those that a search will add, sorted by name."""
    return sorted({spec.dataset for spec in _specs(plan, board)}, key=lambda dataset: dataset.name)


def _specs(plan: SweepPlan, board: ProgressBoard) -> Iterator[TrialSpec]:
    """Iterate over the specs of the trials to run, and of those that a search will add."""
    trials = (*board.trials.values(), *(trial for trial, _ in plan.coming))
    return (plan.specs[trial.configuration.id] for trial in trials)


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


def _gpu_shares(
    plan: SweepPlan, source: DataSource, board: ProgressBoard, present: list[Node]
) -> tuple[Callable[[PlannedTrial], float], int]:
    """Return the GPUs of each trial, or its share of one, and the number of trials that can run at once.

    For `gpu: auto`, the shares are measured.
    """
    rules = plan.sweep.resources
    trials = [*board.trials.values(), *(trial for trial, _ in plan.coming)]
    gpus = gpus_per_trial(rules, (trial.configuration for trial in trials), present, board.say)
    measured = [trial for trial in trials if gpus[trial.configuration.id] == "auto"]
    shares = GpuShares(by_network={}, default=1.0)
    if measured:
        how = {"plugins": plan.plugins, "source": source, "resources": rules}
        shares = probed(measured, wait_for=board.wait_for, say=board.say, **how)
    by_resources = {rules.of(trial.configuration).text: gpus[trial.configuration.id] for trial in trials}

    def share(trial: PlannedTrial) -> float:
        gpu = by_resources[rules.of(trial.configuration).text]
        return gpu if isinstance(gpu, float) else shares.of(trial)

    most = max((capacity(rules.of(trial.configuration), share(trial), present) for trial in trials), default=1)
    return share, most


def _tuning(search: "Studies", *of_sweep: Any) -> "Tuning":
    from ..search import Tuning  # noqa: PLC0415 (Optuna takes a while to load, and most sweeps have no search)

    return Tuning(search, *of_sweep)

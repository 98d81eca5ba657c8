"""Events of trials, and their effects on queue, display, store, mirror and deadlines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...specs import SpecError
from ...store import PlannedTrial, Record, StorageError, Store
from ..planning.durations import duration
from ..planning.plan import SweepPlan, grown
from ..terminal.counts import counted
from ..terminal.progress import ProgressBoard
from .cost_cap import CostCap
from .deadlines import Deadlines
from .early_stopper import EarlyStopper
from .shutdown import Shutdown
from .stop_event import StopEvent
from .trial_queue import NODE_FAILED, TrialQueue


@dataclass(kw_only=True)
class TrialEvents:
    """Receiver of the events of trials. It passes them to the queue, the board, the store and the mirror."""

    plan: SweepPlan
    known: Mapping[str, PlannedTrial]
    """Trials of the plan and those that a search has added, by key."""
    store: Store
    board: ProgressBoard
    queue: TrialQueue
    early_stopper: EarlyStopper | None
    cost_cap: CostCap | None
    shutdown: Shutdown
    stop_event: StopEvent
    deadlines: Deadlines
    changed: set[str]
    """Keys of the trials to mirror."""
    _saved: int = field(init=False)
    """Number of trials in the stored plan."""
    _busy: set[str] = field(init=False, default_factory=set)
    """Trials that another sweep trains; each is shown once."""
    _capped: set[str] = field(init=False, default_factory=set)
    """Trials that are stopped after an epoch, because a cap is passed."""
    _is_ending: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._saved = len(self.known)

    def is_ending(self) -> bool:
        """Return True at a shutdown; the first time, make the running trials stop."""
        if not self._is_ending and self.shutdown.is_requested():
            self._is_ending = True
            self.stop_event.set()
            self.deadlines.stop_trials()
            if self.board.running:
                trials = counted(len(self.board.running), "running trial")
                self.board.say(f"{trials} will write a checkpoint and stop. Press Ctrl-C (again) to stop at once.")
        return self._is_ending

    def is_overdue(self, key: str) -> bool:
        """Return True once if the worker of a trial has not reported or stopped in time."""
        return self.deadlines.is_overdue(key)

    def started(self, key: str) -> None:
        """Show the trial; store the plan if a search has added trials."""
        self.deadlines.heard(key)
        self.board.start(key, silently=key in self._busy)
        if len(self.known) > self._saved:
            self._saved = len(self.known)
            with self._halting_without_storage(key):
                self.store.save_sweep(grown(self.plan, self.known))

    def reported(self, key: str, report: Record) -> bool:
        """Show a completed epoch; return True to stop the trial early, or because a cap is passed."""
        self.deadlines.heard(key)
        if report["state"] != "running":
            return False
        self.board.advance(key, report)
        self.changed.add(key)
        stops_early = self.early_stopper is not None and self.early_stopper.stops(key, report)
        if self.cost_cap is not None:
            self.cost_cap.record(key, report)
            if self.cost_cap.is_passed():
                self.shutdown.request(self.cost_cap.reached())
                if report["epoch"] < report["epochs"] and not stops_early:
                    self._capped.add(key)
        return stops_early or key in self._capped

    def ended(self, key: str, last: Record, error: str) -> None:
        """Record the end of a trial, or show why it waits."""
        error = self.deadlines.reason(key) or error
        self.queue.ended(key, last, error=bool(error), node_failed=error == NODE_FAILED)
        state, delay = last.get("state"), self.queue.retry_delay(key)
        if state == "unwritable" and delay is None:
            with self._halting_without_storage(key):
                raise StorageError(last["reason"])
        elif self.deadlines.did_not_stop(key):
            self.board.pause(key, error)
        elif state == "unreadable":
            self.shutdown.request(SpecError(f"{last['reason']} {self._doctor(key)}", field="dataset"))
            self.board.pause(key)
        elif not error and (state is None or (state == "running" and key in self._capped)):
            # It never started, because the sweep shuts down, or it stopped at a cap.
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
            reasons = {
                "stopped": last.get("reason") or "worker received SIGTERM",
                "unwritable": last.get("reason", "").rstrip("."),
                "crowded": f"out of memory on a shared GPU; share raised to {self.queue.gpu(self.known[key]):g}",
            }
            self.board.pause(key, f"{reasons.get(state or '', error)}; next attempt in {duration(delay)}")

    def _doctor(self, key: str) -> str:
        """Return the sentence with the command that reads every image of a trial's dataset."""
        about = self.known[key].configuration
        name = f"folder:{Path(about.images['train']).parent}" if about.images else about.dataset
        return f"To read every image and list all damaged ones, run: exeunt doctor --dataset '{name}'"

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

"""Verification of the files in the store and of the runs in MLflow."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from ..results.mlflow_reader import KIND, experiment_id, runs_in
from ..results.mlflow_sqlite import RecordedRun
from ..specs import SpecError, trial_key
from ..store import ENDED, WEIGHTS, DamagedFileError, Record, StorageError, Store, TrialFiles, digest, lease_owner
from ..store.migration import OLD_KEY
from .terminal.counts import counted
from .tracking.groups import CHILDREN, COMPLETED, GROUP
from .tracking.records import PARENT, differing

Repair = Literal["rewrite", "retrain", "sync"]
"""`rewrite` writes a spec from a plan, `retrain` sets a result aside, and `sync` writes runs to MLflow."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """File or MLflow run that is missing, damaged or inconsistent."""

    subject: str
    """Key of the trial, or name of the sweep."""
    what: str
    remedy: str
    """Steps that fix the problem."""
    repair: Repair | None = None
    """Action of `exeunt verify --repair`; None if there is none."""
    sweep: str = ""
    """Name of the sweep whose MLflow runs differ."""


@dataclass(kw_only=True)
class Check:
    """Check of the trials of one sweep or of all."""

    store: Store
    sweeps: dict[str, list[str]] = field(default_factory=dict)
    """Keys of the planned trials by sweep."""
    keys: list[str] = field(default_factory=list)
    """Keys of the trials to check."""
    checked: int = 0
    """Number of checked trials."""
    problems: list[Problem] = field(default_factory=list)

    def read_plans(self, name: str | None) -> None:
        """Read the plan of the sweep with this name, or of all. Raises `SpecError` for a sweep that is unknown."""
        for sweep in self.store.sweeps() if name is None else [name]:
            try:
                self.sweeps[sweep] = [trial.key for trial in self.store.plan(sweep).trials]
            except SpecError as error:
                if name is not None and not isinstance(error, DamagedFileError):
                    raise
                self.problems.append(problem_of(sweep, error))
        begun = self.store.keys()
        self.keys = begun if name is None else [key for key in self.sweeps.get(name, []) if key in set(begun)]

    def trials(self, seconds: float) -> Iterator[str]:
        """Check the trials, one at a time; yield the key of each. With a time limit, their order is random."""
        keys, began = self.keys, time.monotonic()
        if math.isfinite(seconds):
            keys = random.sample(keys, len(keys))  # repeated checks come to all
        for key in keys:
            if time.monotonic() - began > seconds:
                return
            self.problems += trial_problems(self.store, key)
            self.checked += 1
            yield key

    def runs(self, tracking_uri: str) -> None:
        """Compare the runs in MLflow with the trials. Raises `TrackingError` if MLflow is unreachable."""
        for sweep, keys in self.sweeps.items():
            self.problems += run_problems(self.store, sweep, keys, tracking_uri)


def problem_of(subject: str, error: SpecError, repair: Repair | None = None) -> Problem:
    """Return the problem of a file that a reader refuses. Only damaged files have a repair."""
    if isinstance(error, DamagedFileError):
        return Problem(subject=subject, what=error.problem, remedy=error.remedy, repair=repair)
    what, _, remedy = str(error).partition("; " if "; " in str(error) else ". ")
    return Problem(subject=subject, what=what, remedy=remedy)


def trial_problems(store: Store, key: str) -> Iterator[Problem]:
    """Iterate over the problems in the files of a trial that has ended."""
    files = store.trial(key)
    anew = f"remove {files.directory.located('result.json')} and run the sweep again to retrain the trial"
    if OLD_KEY.fullmatch(key) and files.directory.entries().keys() != {WEIGHTS}:
        remedy = f"convert the storage with: exeunt migrate --storage {store.location}"
        yield Problem(subject=key, what="trial of Exeunt 0.1.0, which has no key of this release", remedy=remedy)
        return
    try:
        damaged = [*_damaged_files(files, key)]
        yield from damaged
        if not damaged and (result := files.result()) is not None:
            if (spec := files.spec()) is None:
                yield Problem(subject=key, what="spec.json is missing", remedy=anew, repair="rewrite")
                return
            for what in _contradictions(store, files, result, spec):
                yield Problem(subject=key, what=what, remedy=anew, repair="retrain")
    except StorageError as error:
        yield Problem(subject=key, what=str(error), remedy="make the storage readable and verify again")


def _damaged_files(files: TrialFiles, key: str) -> Iterator[Problem]:
    """Iterate over the files of an ended trial that cannot be read."""

    def unreadable(read: Callable[[], object], repair: Repair) -> Iterator[Problem]:
        try:
            read()
        except SpecError as error:
            yield problem_of(key, error, repair)

    of_result = [*unreadable(files.result, "retrain")]
    if not of_result and files.result() is None:
        return
    yield from of_result
    yield from unreadable(files.spec, "rewrite")
    yield from unreadable(files.history, "retrain")


def _contradictions(store: Store, files: TrialFiles, result: Record, spec: Record) -> Iterator[str]:
    """Iterate over the differences between a result and the other files of its trial, its teacher and its backbone."""
    if (content := files.weights()) is None:
        yield "weights.pt is missing"
    elif digest(content) != result.get("weights", digest(content)):  # results before 0.1.0 have no digest
        yield "weights.pt does not match result.json: the digests differ"
    if (teacher := spec.get("teacher")) is not None and "sha256" not in teacher:  # not taught by a file
        present = _present_weights(store, trial_key(teacher))
        if present is not None and result.get("teacher", present) != present:  # results of 0.1.0 do not record it
            yield f"the trial learned from other weights than its teacher, trial {trial_key(teacher)}, has now"
    if (backbone := result.get("backbone")) is not None:
        present = _present_weights(store, backbone["trial"])
        if present is not None and backbone["weights"] != present:
            yield f"the trial started with other weights than its backbone, trial {backbone['trial']}, has now"
    history, epochs = files.history(), spec["recipe"]["epochs"]
    if result["state"] == "done" and len(history) != epochs:
        yield f"history.jsonl has {len(history)} of {epochs} epochs"
    elif names := differing(result["metrics"], history[-1] if history else {}):
        yield f"result.json and history.jsonl differ in {_listed(names)}"


def _present_weights(store: Store, key: str) -> str | None:
    """Return the digest of the weights of a teacher or backbone; None while it has no sound result."""
    with suppress(DamagedFileError):  # reported for the teacher itself
        return (store.trial(key).result() or {}).get("weights")
    return None


def run_problems(store: Store, sweep: str, keys: Iterable[str], tracking_uri: str) -> Iterator[Problem]:
    """Iterate over the differences between MLflow and the store, for a sweep's trials that have ended.

    The runs of configurations are compared with those of their trials.

    Raises:
        TrackingError: if MLflow is unreachable.
    """
    experiment = experiment_id(tracking_uri, sweep)
    runs = [] if experiment is None else runs_in(tracking_uri, experiment)
    by_key = {run.tags.get("exeunt.key"): run for run in runs}
    remedy = f"run `exeunt sync {sweep}`"
    for key, progress in store.progress_of(keys).items():
        if progress.state not in ENDED or progress.result is None:
            continue
        run = by_key.get(key)
        if run is None:
            what = "the run is missing"
        elif (state := run.tags.get("exeunt.state")) != progress.state:
            what = f"the state is {state} in the run, but {progress.state} in the result"
        elif names := differing(progress.result.get("metrics", {}), run.metrics):
            what = f"the run and the result differ in {_listed(names)}"
        else:
            continue
        yield Problem(subject=key, what=f"MLflow, sweep {sweep}: {what}", remedy=remedy, repair="sync", sweep=sweep)
    if lease_owner(store.sweep_directory(sweep)) is None:  # a running sweep compares configurations now and then
        for what in _group_problems(runs):
            yield Problem(subject=sweep, what=f"MLflow: {what}", remedy=remedy, repair="sync", sweep=sweep)


def _group_problems(runs: Iterable[RecordedRun]) -> Iterator[str]:
    """Iterate over the differences between the runs of trials and those of their configurations and studies."""
    groups = {run.run_id: run.tags for run in runs if GROUP in run.tags}
    trials = [run.tags for run in runs if "exeunt.key" in run.tags]
    if orphans := sum(tags.get(PARENT) not in groups for tags in trials):
        yield f"{counted(orphans, 'trial')} without a run of the configuration"
    completed = Counter(tags.get(PARENT) for tags in trials if tags.get("exeunt.state") == "done")
    stale = sum(
        tags.get(COMPLETED) != str(completed[id])
        for id, tags in groups.items()
        if tags.get(KIND) != "sweep" and tags.get(CHILDREN) != "unplanned"
    )
    if stale:
        yield f"{counted(stale, 'configuration')} out of date"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

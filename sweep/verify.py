"""Verification of the files in the store and of the runs in MLflow."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from ..results.mlflow_reader import experiment_id, runs_in
from ..store import ENDED, DamagedFileError, Record, StorageError, Store, TrialFiles, kept_plugins
from ..store.checkpoints import digest
from ..training import TrialSpec, build_student
from ..training.plugins import use
from .tracking.records import differing

AGAIN = "run the sweep again to retrain the trial"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """File or MLflow run that is missing, damaged or inconsistent."""

    subject: str
    """Key of the trial, or name of the sweep."""
    what: str
    remedy: str
    """Steps that fix the problem."""


class Verifier:
    """Verifier of single trials."""

    def __init__(self, store: Store) -> None:
        """Create a verifier for the trials of a store."""
        self._store = store
        self._shapes: dict[tuple[object, ...], dict[str, torch.Size]] = {}

    def problems_of(self, key: str) -> Iterator[Problem]:
        """Iterate over the problems in the files of a trial that has ended."""
        try:
            yield from self._problems_of(key)
        except StorageError as error:
            yield Problem(subject=key, what=str(error), remedy="make the storage readable and verify again")

    def _problems_of(self, key: str) -> Iterator[Problem]:
        files = self._store.trial(key)
        anew = f"remove {files.directory.located('result.json')} and {AGAIN}"

        def problem(what: str, remedy: str = anew) -> Problem:
            return Problem(subject=key, what=what, remedy=remedy)

        try:
            spec, result = files.spec(), files.result()
        except DamagedFileError as damage:
            yield problem(str(damage), AGAIN if "result.json" in str(damage) else anew)
            return
        if result is None:
            return
        try:
            use(kept_plugins(files.directory))
            trial = TrialSpec.from_dict(spec or {})
        except Exception as error:  # a damaged file can raise anything
            reason = "is missing" if spec is None else f"is not a trial of this version ({error})"
            yield problem(f"spec.json {reason}")
            return
        for place, found in (("spec.json", trial.key), ("result.json", result.get("key", key))):
            if found != key:
                why = "another version of Exeunt wrote it, or it was modified"
                yield problem(f"{place} belongs to trial {found}: {why}")
        yield from map(problem, self._weights(trial, result, files))
        yield from map(problem, _history(trial, result, files))

    def _weights(self, trial: TrialSpec, result: Record, files: TrialFiles) -> Iterator[str]:
        if (content := files.weights()) is None:
            yield "weights.pt is missing"
        elif digest(content) != result.get("weights", digest(content)):  # results of older versions have no digest
            yield "weights.pt does not match result.json: the digests differ"
        else:
            try:
                weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                if {name: tensor.shape for name, tensor in weights.items()} != self._expected(trial):
                    yield "weights.pt does not match the network of spec.json"
            except Exception as error:  # a damaged file can raise anything
                yield f"weights.pt cannot be loaded ({str(error).partition(chr(10))[0][:200]})"

    def _expected(self, trial: TrialSpec) -> dict[str, torch.Size]:
        """Return the names and shapes of the weights of the trial's network."""
        network = trial.dataset, trial.architecture, trial.exits, trial.method, trial.plugins
        if network not in self._shapes:
            self._shapes[network] = {n: tensor.shape for n, tensor in build_student(trial).state_dict().items()}
        return self._shapes[network]


def _history(trial: TrialSpec, result: Record, files: TrialFiles) -> Iterator[str]:
    try:
        history = files.history()
    except DamagedFileError as damage:
        yield str(damage)
        return
    if result["state"] == "done" and len(history) != trial.recipe.epochs:
        yield f"history.jsonl has {len(history)} of {trial.recipe.epochs} epochs"
    elif names := differing(result["metrics"], history[-1] if history else {}):
        yield f"result.json and history.jsonl differ in {_listed(names)}"


def run_problems(store: Store, sweep: str, keys: Iterable[str], tracking_uri: str) -> Iterator[Problem]:
    """Iterate over the differences between MLflow and the store, for a sweep's trials that have ended.

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
        yield Problem(subject=key, what=f"MLflow, sweep {sweep}: {what}", remedy=remedy)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

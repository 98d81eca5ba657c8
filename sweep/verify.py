"""Whether what the store and MLflow hold is what was written there."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from ..results.mlflow_client import connect, runs_of
from ..training import DamagedFileError, Record, StorageError, TrialDirectory, TrialSpec, build_student
from ..training.checkpoints import digest
from ..training.plugins import use
from .store.plugins import kept
from .store.trial_store import ENDED, Store
from .tracking.records import differing

AGAIN = "run the sweep again: it trains the trial anew"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is not as it was written."""

    subject: str
    """The trial's key, or the sweep's name."""
    what: str
    remedy: str
    """What to do."""


class Verifier:
    """Looks at trials one by one."""

    def __init__(self, store: Store) -> None:
        """Of those in a store."""
        self._store = store
        self._shapes: dict[tuple[object, ...], dict[str, torch.Size]] = {}

    def problems_of(self, key: str) -> Iterator[Problem]:
        """What is wrong with the files of a trial that has ended."""
        try:
            yield from self._problems_of(key)
        except StorageError as error:
            yield Problem(subject=key, what=str(error), remedy="see to the storage")

    def _problems_of(self, key: str) -> Iterator[Problem]:
        directory = self._store.trial(key)
        anew = f"remove {directory.folder.located('result.json')} and {AGAIN}"

        def problem(what: str, remedy: str = anew) -> Problem:
            return Problem(subject=key, what=what, remedy=remedy)

        try:
            spec, result = directory.spec(), directory.result()
        except DamagedFileError as damage:
            yield problem(str(damage), AGAIN if "result.json" in str(damage) else anew)
            return
        if result is None:
            return
        try:
            use(kept(directory.folder))
            trial = TrialSpec.from_dict(spec or {})
        except Exception as error:  # whatever may stand there
            reason = "is missing" if spec is None else f"is no trial of this version ({error})"
            yield problem(f"spec.json {reason}")
            return
        for place, found in (("spec.json", trial.key), ("result.json", result.get("key", key))):
            if found != key:
                why = "another version of Exeunt wrote it, or it was changed"
                yield problem(f"{place} is of trial {found}, not of this one: {why}")
        yield from map(problem, self._weights(trial, result, directory))
        yield from map(problem, _history(trial, result, directory))

    def _weights(self, trial: TrialSpec, result: Record, directory: TrialDirectory) -> Iterator[str]:
        if (content := directory.weights()) is None:
            yield "weights.pt is missing"
        elif digest(content) != result.get("weights", digest(content)):  # a result of before digests has none
            yield "weights.pt is not the file that result.json names: their digests differ"
        else:
            try:
                weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                if {name: tensor.shape for name, tensor in weights.items()} != self._expected(trial):
                    yield "weights.pt does not fit the network of spec.json"
            except Exception as error:  # whatever may stand there
                yield f"weights.pt cannot be loaded ({str(error).partition(chr(10))[0][:200]})"

    def _expected(self, trial: TrialSpec) -> dict[str, torch.Size]:
        """The names and shapes of the weights of the trial's network."""
        network = trial.dataset, trial.architecture, trial.exits, trial.method, trial.plugins
        if network not in self._shapes:
            self._shapes[network] = {n: tensor.shape for n, tensor in build_student(trial).state_dict().items()}
        return self._shapes[network]


def _history(trial: TrialSpec, result: Record, directory: TrialDirectory) -> Iterator[str]:
    try:
        history = directory.history()
    except DamagedFileError as damage:
        yield str(damage)
        return
    if result["state"] == "done" and len(history) != trial.recipe.epochs:
        yield f"history.jsonl has {len(history)} epochs, the recipe {trial.recipe.epochs}"
    elif names := differing(result["metrics"], history[-1] if history else {}):
        yield f"result.json reports other numbers than history.jsonl: {_listed(names)}"


def run_problems(store: Store, sweep: str, keys: Iterable[str], tracking_uri: str) -> Iterator[Problem]:
    """What MLflow has otherwise than the store, of a sweep's trials that have ended.

    Raises `MlflowException` or `TrackingError` where MLflow cannot be reached.
    """
    client = connect(tracking_uri)
    experiment = client.get_experiment_by_name(sweep)
    runs = list(runs_of(client, experiment.experiment_id)) if experiment else []
    by_key = {run.data.tags.get("exeunt.key"): run.data for run in runs}
    remedy = f"run `exeunt sync {sweep}`"
    for key, progress in store.progress_of(keys).items():
        if progress.state not in ENDED or progress.result is None:
            continue
        run = by_key.get(key)
        if run is None:
            what = "it has no run"
        elif (state := run.tags.get("exeunt.state")) != progress.state:
            what = f"its run says {state}, its result {progress.state}"
        elif names := differing(progress.result.get("metrics", {}), run.metrics):
            what = f"its run has other numbers than its result: {_listed(names)}"
        else:
            continue
        yield Problem(subject=key, what=f"MLflow, sweep {sweep}: {what}", remedy=remedy)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

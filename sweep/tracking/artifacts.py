"""Files in MLflow: those of the sweep, trained weights, and registered models.

A tag of the run has the SHA-256 of each file that was logged, so that no file is logged twice.
"""

import re
from collections.abc import Iterator

from mlflow.entities import RunTag

from ...store import WEIGHTS, Directory, Plan, PlannedTrial, Store, digest
from .writer import ARTIFACT, Mirror, MirroredRun

FILES = ("sweep.yaml", "plan.json", "table.csv", "table.tex", "report.html")
"""Files in the directory of a sweep that are artifacts, besides its figures."""
FIGURES = "figures"
_WEIGHTS_PATH = "weights"
_CONFIGURATION, _KEY, _WEIGHTS = "exeunt.configuration", "exeunt.key", "exeunt.weights"


class Artifacts:
    """Writer of the artifacts of a sweep. Each method returns the number of files or versions that it wrote."""

    def __init__(self, mirror: Mirror, plan: Plan, store: Store) -> None:
        self._mirror = mirror
        self._client = mirror.client
        self._plan = plan
        self._store = store

    def log_sweep(self) -> int:
        """Log the files of the sweep that exist to the run of the sweep."""
        run = self._mirror.open_sweep()
        directory = self._store.sweep_directory(self._plan.name)
        present = directory.entries()
        written = sum(self._log(run, directory, name, "") for name in FILES if name in present)
        return written + sum(self._log(run, *figure) for figure in _figures(directory.inside(FIGURES), FIGURES))

    def log_weights(self) -> int:
        """Log the weights of each completed trial to its run."""
        return sum(
            self._log(run, self._store.trial(trial.key).directory, WEIGHTS, _WEIGHTS_PATH)
            for trial, run in self._completed()
        )

    def register(self) -> int:
        """Register a model for each configuration, with a version for each completed seed, from the logged weights."""
        models: dict[str, str] = {}
        versions: dict[str, set[tuple[str | None, str | None]]] = {}
        written = 0
        for trial, run in self._completed():
            weights = run.tags.get(f"{ARTIFACT}{_WEIGHTS_PATH}/{WEIGHTS}")
            if weights is None:
                continue
            id = trial.configuration.id
            if id not in models:
                models[id] = self._model(trial)
                known = self._client.search_model_versions(f"name='{models[id]}'")
                versions[id] = {(version.tags.get(_KEY), version.tags.get(_WEIGHTS)) for version in known}
            if (trial.key, weights) not in versions[id]:
                source = f"{self._client.get_run(run.id).info.artifact_uri}/{_WEIGHTS_PATH}"
                tags = {_KEY: trial.key, _WEIGHTS: weights, "exeunt.seed": str(trial.seed)}
                self._client.create_model_version(models[id], source, run.id, tags, description=str(trial))
                written += 1
        return written

    def _completed(self) -> Iterator[tuple[PlannedTrial, MirroredRun]]:
        """Iterate over the completed trials of the plan that have a run. Trials of a search are left out."""
        for trial in self._plan.trials:
            run = self._mirror.runs.get(trial.key)
            if run is not None and trial.role != "search" and run.tags.get("exeunt.state") == "done":
                yield trial, run

    def _model(self, trial: PlannedTrial) -> str:
        """Return the name of the registered model of a configuration; create it if it does not exist."""
        about = trial.configuration
        mark = f"{_CONFIGURATION}.{self._store.sweep_id(self._plan.name)}"
        found = self._client.search_registered_models(f"tags.`{mark}` = '{about.id}'")
        if found:
            return found[0].name
        words = " ".join((self._plan.name, trial.label, about.architecture, *about.row_settings, about.id[:8]))
        name = re.sub(r"[^\w .,=+-]", "-", words)
        self._client.create_registered_model(name, {mark: about.id}, f"Weights of {trial.label}: a version per seed.")
        return name

    def _log(self, run: MirroredRun, directory: Directory, name: str, place: str) -> int:
        """Log a file to a run, unless it was logged with the same content; return the number of files logged."""
        if (content := directory.read(name)) is None:
            return 0
        tag, sha256 = f"{ARTIFACT}{f'{place}/{name}' if place else name}", digest(content)
        if run.tags.get(tag) == sha256:
            return 0
        with directory.local(name) as path:
            self._client.log_artifact(run.id, str(path), place or None)
        self._client.log_batch(run.id, tags=[RunTag(tag, sha256)])  # last: a killed upload is repeated
        run.tags[tag] = sha256
        return 1


def _figures(directory: Directory, place: str) -> Iterator[tuple[Directory, str, str]]:
    """Iterate over the files in a directory and its subdirectories: directory, name and path of each."""
    for name in directory.entries():
        yield directory, name, place
    for name in directory.subdirectories():
        yield from _figures(directory.inside(name), f"{place}/{name}")

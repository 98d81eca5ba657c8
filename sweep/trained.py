"""Trained networks in the store."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..models import Cohort, MultiExitNetwork
from ..specs import SpecError, nearest, with_images
from ..specs.identity import KEY
from ..store import PLUGINS, WEIGHTS, Plan, Plugin, Record, Store, TrialFiles, kept_plugins
from ..store.checkpoints import digest
from ..training import TrialSpec, build_student
from ..training.plugins import use
from .find import find_trial


@dataclass(frozen=True, kw_only=True)
class TrainedTrial:
    """Trial that has ended, with its trained network."""

    key: str
    spec: TrialSpec
    network: MultiExitNetwork
    """Network in evaluation mode, on the CPU; the last one of a cohort."""
    files: TrialFiles
    result: Record
    """Content of `result.json`."""


def load_trained(store: Store, key: str, images: Mapping[str, str] | None = None) -> TrainedTrial:
    """Return a trial with its trained network, and run the plugins that it was trained with.

    Args:
        store: the storage.
        key: key of the trial.
        images: location of the images of a folder with a name, which the spec does not have; None: unknown.

    Raises:
        SpecError: if the key has no trained network, if the weights do not match its result, or if a plugin of the
            trial is missing or was changed.
    """
    if not KEY.fullmatch(key):
        raise _unknown_key(store, key)
    files = store.trial(key)
    spec, weights, result = files.spec(), files.weights(), files.result()
    if spec is None or weights is None or result is None:
        raise _unknown_key(store, key)
    if digest(weights) != result.get("weights", digest(weights)):  # results of older versions have no digest
        file = files.directory.located(WEIGHTS)
        raise SpecError(f"{file} does not match result.json (digests differ); run `exeunt verify`.", field="key")
    use(_plugins_of(files, spec))
    trial = TrialSpec.from_dict(with_images(spec, images or {}))
    network = build_student(trial)
    network.load_state_dict(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True))
    if isinstance(network, Cohort):
        last = network.networks[-1]
        assert isinstance(last, MultiExitNetwork)
        network = last
    return TrainedTrial(key=key, spec=trial, network=network.eval(), files=files, result=result)


def load_named(store: Store, plan: Plan, architecture: str, method: str, seed: int) -> TrainedTrial:
    """Return a trial of a plan with its trained network; see `find_trial` for the names.

    Raises:
        SpecError: as in `find_trial` and `load_trained`, and for a trial that has not ended.
    """
    trial = find_trial(plan, architecture, method, seed)
    progress = store.progress(trial.key, plan.stopping)
    if progress.result is None:
        rule = f"{trial} has no trained network (state: {progress.state}); to train it, run: exeunt {plan.command} FILE"
        raise SpecError(f"{rule}.", field="seed")
    return load_trained(store, trial.key, trial.configuration.images)


def _unknown_key(store: Store, key: str) -> SpecError:
    begun = store.keys()
    trained = [name for name in begun if WEIGHTS in store.trial(name).directory.entries()]
    problem = f"no trained network has the key {key!r} in {store.location}; {nearest(key, trained)}"
    return SpecError(f"{problem}. `exeunt explain NAME ARCH METHOD` lists the keys of a table cell.", field="key")


def _plugins_of(files: TrialFiles, spec: Record) -> list[Plugin]:
    """Return the plugins that the trial was trained with. Raises `SpecError` if one is missing or was changed since.

    The spec has the SHA-256 of each plugin, and the key has that of the spec.
    """
    kept = {plugin.sha256: plugin for plugin in kept_plugins(files.directory)}
    if not kept.keys() >= set(wanted := spec.get("plugins", ())):
        folder = files.directory.inside(PLUGINS).located("").rstrip("/")
        rule = "a plugin of the trial is missing or was changed after the training, so it is not run"
        raise SpecError(f"{folder}: {rule}. Restore the file; its SHA-256 is in spec.json.", field="key")
    return [kept[sha256] for sha256 in wanted]

"""Export of a trained network from the store to a file that other programs read."""

import io
from pathlib import Path

import torch

from ..models import SUFFIXES, Cohort, Format, MultiExitNetwork, TruncatedNetwork, export_network
from ..specs import SpecError, nearest
from ..specs.identity import KEY
from ..store import PLUGINS, WEIGHTS, Plugin, Record, Store, TrialFiles, kept_plugins
from ..store.checkpoints import digest
from ..training import TrialSpec, build_student
from ..training.plugins import use


def export_trial(store: Store, key: str, format: Format, exit: int | None, output: Path | None) -> str:
    """Write the trained network of a trial, whole or truncated at an exit, and return a summary of the file.

    Raises:
        SpecError: if the key has no trained network, if the weights do not match its result, or if `export_network`
            rejects the network or the format.
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
    trial = TrialSpec.from_dict(spec)
    facts = trial.dataset_facts
    network = build_student(trial)
    network.load_state_dict(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True))
    if isinstance(network, Cohort):
        last = network.networks[-1]
        assert isinstance(last, MultiExitNetwork)
        network = last
    part = network if exit is None else TruncatedNetwork(network, exit)
    default = f"{key}{'' if exit is None else f'-exit{exit}'}{SUFFIXES[format]}"
    path = output or Path(default)
    difference = export_network(part, path, format, facts.image_shape)
    outputs = "the logits of all exits" if exit is None else f"the logits of exit {exit}"
    shape = ", ".join(map(str, facts.image_shape))
    return (
        f"{path}: {trial.method.name}, {trial.architecture.name}, seed {trial.seed}; input: images (N, {shape}), "
        f"normalised as in training; output: {outputs}. "
        f"Check: outputs differ from PyTorch's by at most {difference:.1g} of the largest."
    )


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

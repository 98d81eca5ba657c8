"""Export of a trained network from the store to a file that other programs read."""

import io
from pathlib import Path

import torch

from ..models import SUFFIXES, Cohort, Format, MultiExitNetwork, TruncatedNetwork, export_network
from ..specs import SpecError, nearest
from ..store import WEIGHTS, Store, kept_plugins
from ..store.checkpoints import digest
from ..training import TrialSpec, build_student
from ..training.plugins import use


def export_trial(store: Store, key: str, format: Format, exit: int | None, output: Path | None) -> str:
    """Write the trained network of a trial, whole or truncated at an exit, and return a summary of the file.

    Raises:
        SpecError: if the key has no trained network, if the weights do not match its result, or if `export_network`
            rejects the network or the format.
    """
    files = store.trial(key)
    spec, weights, result = files.spec(), files.weights(), files.result()
    if spec is None or weights is None or result is None:
        begun = store.keys()
        trained = [name for name in begun if WEIGHTS in store.trial(name).directory.entries()]
        raise SpecError(
            f"no trained network has the key {key!r} in {store.location}; {nearest(key, trained)}.", field="key"
        )
    if digest(weights) != result.get("weights", digest(weights)):  # results of older versions have no digest
        file = files.directory.located(WEIGHTS)
        raise SpecError(f"{file} does not match result.json (digests differ); run `exeunt verify`.", field="key")
    use(kept_plugins(files.directory))
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

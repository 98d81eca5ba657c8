"""From a trial in the store to a file that other programs read."""

import io
from pathlib import Path

import torch

from ..models import SUFFIXES, Cohort, Format, MultiExitNetwork, TruncatedNetwork, export_network
from ..specs import SpecError, nearest
from ..training import TrialSpec, build_student
from ..training.checkpoints import digest
from ..training.directory import WEIGHTS
from ..training.plugins import use
from .store.plugins import kept
from .store.trial_store import Store


def export_trial(store: Store, key: str, format: Format, exit: int | None, output: Path | None) -> str:
    """Writes the trained network of a trial, whole or truncated at an exit, and says what was written.

    Raises:
        SpecError: for a key that has no trained network, weights that are not those of its result, or what
            `export_network` refuses.
    """
    directory = store.trial(key)
    spec, weights, result = directory.spec(), directory.weights(), directory.result()
    if spec is None or weights is None or result is None:
        begun = store.keys()
        trained = [name for name in begun if WEIGHTS in store.trial(name).folder.entries()]
        raise SpecError(
            f"no trained network has the key {key!r} in {store.location}; {nearest(key, trained)}.", field="key"
        )
    if digest(weights) != result.get("weights", digest(weights)):  # a result of before digests has none
        file = directory.folder.located(WEIGHTS)
        raise SpecError(f"{file} is not the file that result.json names; `exeunt verify` says what helps.", field="key")
    use(kept(directory.folder))
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
        f"{path}: {trial.method.name}, {trial.architecture.name}, seed {trial.seed}; images (N, {shape}), normalised "
        f"as in training, to {outputs}. Checked: outputs differ by at most {difference:.1g} of the largest."
    )

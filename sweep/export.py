"""Export of a trained network from the store to a file that other programs read."""

from pathlib import Path

from ..models import SUFFIXES, Format, TruncatedNetwork, export_network
from .trained import TrainedTrial


def export_trial(trained: TrainedTrial, format: Format, exit: int | None, output: Path | None) -> str:
    """Write the trained network of a trial, whole or truncated at an exit, and return a summary of the file.

    Raises:
        SpecError: if `export_network` rejects the network or the format.
    """
    trial, network = trained.spec, trained.network
    image_shape = trial.dataset_facts.image_shape
    part = network if exit is None else TruncatedNetwork(network, exit)
    default = f"{trial.key}{'' if exit is None else f'-exit{exit}'}{SUFFIXES[format]}"
    path = output or Path(default)
    difference = export_network(part, path, format, image_shape)
    outputs = "the logits of all exits" if exit is None else f"the logits of exit {exit}"
    shape = ", ".join(map(str, image_shape))
    return (
        f"{path}: {trial.method.name}, {trial.architecture.name}, seed {trial.seed}; input: images (N, {shape}), "
        f"normalised as in training; output: {outputs}. "
        f"Check: outputs differ from PyTorch's by at most {difference:.1g} of the largest."
    )

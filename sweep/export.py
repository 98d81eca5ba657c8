"""Export of a trained network from the store to a file that other programs read."""

from pathlib import Path

from ..models import SUFFIXES, Format, TruncatedNetwork, export_network
from ..specs import SpecError
from ..store import EARLY_EXIT_FILE, LocalDirectory, StorageError
from ..store.trial_files import EARLY_EXIT
from .calibration import kept, record_of
from .trained import TrainedTrial


def export_trial(trained: TrainedTrial, format: Format, exit: int | None, output: Path | None) -> str:
    """Write the trained network of a trial, whole or truncated at an exit, and return a summary of the file.

    Kept thresholds of early exits are written beside a whole network: `net.early_exit.json` beside `net.onnx`.

    Raises:
        SpecError: if `export_network` rejects the network or the format.
    """
    trial, network = trained.spec, trained.network
    image_shape = trial.dataset_facts.image_shape
    part = network if exit is None else TruncatedNetwork(network, exit)
    default = f"{trained.key}{'' if exit is None else f'-exit{exit}'}{SUFFIXES[format]}"
    path = output or Path(default)
    difference = export_network(part, path, format, image_shape)
    thresholds = _write_thresholds(trained, path) if exit is None else ""
    outputs = "the logits of all exits" if exit is None else f"the logits of exit {exit}"
    shape = ", ".join(map(str, image_shape))
    return (
        f"{path}: {trial.method.name}, {trial.architecture.name}, seed {trial.seed}; input: images (N, {shape}), "
        f"normalised as in training; output: {outputs}. "
        f"Check: outputs differ from PyTorch's by at most {difference:.1g} of the largest."
        f"{thresholds}"
    )


def _write_thresholds(trained: TrainedTrial, path: Path) -> str:
    """Write the kept thresholds of early exits beside a network with all exits, and return a sentence about them."""
    if (calibration := kept(trained)) is None:
        return ""
    beside = path.with_suffix(f".{EARLY_EXIT_FILE}")
    try:
        EARLY_EXIT.write(LocalDirectory(beside.parent.absolute()), beside.name, record_of(trained, calibration))
    except StorageError as error:
        raise SpecError(f"{beside} cannot be written: {error}", field="path") from error
    return f" Thresholds of early exits: {beside}."

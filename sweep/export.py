"""Export of a trained network from the store to a file that other programs read."""

from pathlib import Path

from ..models import SUFFIXES, Format, TemperatureScaledNetwork, TruncatedNetwork, export_network
from ..specs import SpecError
from ..store import EARLY_EXIT_FILE, LocalDirectory, StorageError
from ..store.trial_files import EARLY_EXIT
from .calibration import Calibration, kept, record_of
from .trained import TrainedTrial


def export_trial(trained: TrainedTrial, format: Format, exit: int | None, output: Path | None) -> str:
    """Write the trained network of a trial, whole or truncated at an exit, and return a summary of the file.

    Kept thresholds of early exits are written beside a whole network: `net.early_exit.json` beside `net.onnx`. The
    exported network then divides its logits by the temperatures, unless the file has only weights.

    Raises:
        SpecError: if `export_network` rejects the network or the format.
    """
    trial, network = trained.spec, trained.network
    image_shape = trial.dataset_facts.image_shape
    calibration = kept(trained) if exit is None else None
    scales = calibration is not None and format != "safetensors"
    part = network if exit is None else TruncatedNetwork(network, exit)
    if calibration is not None and scales:
        part = TemperatureScaledNetwork(network, calibration.temperatures)
    default = f"{trained.key}{'' if exit is None else f'-exit{exit}'}{SUFFIXES[format]}"
    path = output or Path(default)
    difference = export_network(part, path, format, image_shape)
    thresholds = "" if calibration is None else _write_thresholds(trained, calibration, path, applied=scales)
    outputs = "the logits of all exits" if exit is None else f"the logits of exit {exit}"
    outputs += ", divided by their temperatures" if scales else ""
    shape = ", ".join(map(str, image_shape))
    return (
        f"{path}: {trial.method.name}, {trial.architecture.name}, seed {trial.seed}; input: images (N, {shape}), "
        f"normalised as in training; output: {outputs}. "
        f"Check: outputs differ from PyTorch's by at most {difference:.1g} of the largest."
        f"{thresholds}"
    )


def _write_thresholds(trained: TrainedTrial, calibration: Calibration, path: Path, *, applied: bool) -> str:
    """Write kept thresholds beside a network with all exits, and return a sentence about them."""
    beside = path.with_suffix(f".{EARLY_EXIT_FILE}")
    record = record_of(trained, calibration) | {"temperatures_applied": applied}
    try:
        EARLY_EXIT.write(LocalDirectory(beside.parent.absolute()), beside.name, record)
    except StorageError as error:
        raise SpecError(f"{beside} cannot be written: {error}", field="path") from error
    return f" Thresholds of early exits: {beside}."

"""A trained trial: its network, thresholds of early exits, export."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..models import SUFFIXES, EarlyExit, Format, original_state
from ..specs import SpecError
from ..sweep.calibration import Calibration, Target, calibrate, kept
from ..sweep.export import export_trial
from ..sweep.trained import TrainedTrial
from ._environment import data_source

if TYPE_CHECKING:
    from torch import Tensor

    from ..models import MultiExitNetwork
    from ..store import Record
    from ..training import TrialSpec


@dataclass(frozen=True)
class LoadedTrial:
    """Trained trial of a sweep."""

    trained: TrainedTrial
    """Spec, network, files and result; `StoredSweep.load` returns the trial."""

    def __repr__(self) -> str:
        method, architecture, seed = self.spec.method.name, self.spec.architecture.name, self.spec.seed
        return f"LoadedTrial({self.key}: {method}, {architecture}, seed {seed})"

    @property
    def key(self) -> str:
        """Key of the trial in the storage."""
        return self.trained.key

    @property
    def spec(self) -> "TrialSpec":
        """Dataset, architecture, exits, method, recipe and seed."""
        return self.trained.spec

    @property
    def result(self) -> "Record":
        """Content of `result.json`: state, metrics of the reported epoch, environment."""
        return self.trained.result

    @property
    def network(self) -> "MultiExitNetwork":
        """Trained network in evaluation mode, on the CPU. Of a cohort, it is the last network."""
        return self.trained.network

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the images; they are normalised as in training."""
        return self.spec.dataset_facts.image_shape

    def original_state(self) -> "dict[str, Tensor]":
        """Return the weights of the backbone under the names of the network that it was made from; see `models`."""
        return original_state(self.network)

    def calibrate(
        self,
        *,
        budget: float | None = None,
        latency_ms: float | None = None,
        accuracy: float | None = None,
        risk: float | None = None,
        confidence: float | None = None,
        criterion: str = "max_probability",
        data: Path | str | None = None,
        download: bool = False,
    ) -> Calibration:
        """Choose temperatures and thresholds of early exits on the validation images that the trial has held out.

        Give one of budget, latency_ms, accuracy and risk.

        Args:
            budget: Maximum mean multiply-adds (MACs) per image, as a share of those of the final exit, above 0, at
                most 1; the most accurate thresholds within it are chosen.
            latency_ms: Maximum mean milliseconds per image; the time to each exit is measured on this machine's CPU, at
                batch size 1, and the most accurate thresholds within it are chosen.
            accuracy: Minimum accuracy on these images, from 0 to 1; the cheapest thresholds that reach it are chosen.
            risk: Maximum share of images that early exits make wrong, but the final exit would not, between 0 and 1;
                the cheapest thresholds for which this is guaranteed are chosen.
            confidence: Probability of the guarantee, between 0 and 1. Default: 0.9.
            criterion: Exit criterion: `max_probability`, `entropy`, `margin` or `patience`.
            data: Directory of the datasets. Default: `EXEUNT_DATA`.
            download: True to download missing images.

        Raises:
            SpecError: unless exactly one target is given and can be reached or guaranteed; for an unknown criterion;
                for a trial without exits or without validation images; or if images are missing.
        """
        target = Target(budget=budget, latency_ms=latency_ms, accuracy=accuracy, risk=risk, confidence=confidence)
        return calibrate(self.trained, data_source(data, download), target, criterion=criterion)

    @property
    def calibration(self) -> Calibration | None:
        """Thresholds that `exeunt calibrate` has kept with the trial; None without any for these weights."""
        return kept(self.trained)

    def early_exit(self, calibration: Calibration) -> EarlyExit:
        """Return the network with early exits, as calibrated. It shares the weights of `network`."""
        return EarlyExit(self.network, calibration.criterion, calibration.thresholds, calibration.temperatures)

    def export(self, path: Path | str, *, exit: int | None = None) -> Path:
        """Write the network to a file, after a check that the file gives the same outputs, and return its path.

        Args:
            path: Path that ends in `.safetensors` (weights), `.pt2` (program of PyTorch) or `.onnx`.
            exit: Last exit of the exported network, from 1; None to export all exits.

        Raises:
            SpecError: for another suffix or exit, if a package is missing, or if the file cannot be written.
        """
        path = Path(path)
        formats: dict[str, Format] = {suffix: format for format, suffix in SUFFIXES.items()}
        if path.suffix not in formats:
            raise SpecError(f"path {str(path)!r} must end in {', '.join(formats)}.", field="path")
        export_trial(self.trained, formats[path.suffix], exit, path)
        return path

"""Teacher of a trial: the trained network of another trial, or one with weights from a file."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from torch import nn

from ..models import PRETRAINED, ArchitectureSpec, build_network
from ..specs import SpecError
from ..store import digest
from .data import DatasetSpec
from .student import build_student
from .trial import TrainedWeights, TrialSpec
from .weights_file import FoundWeights, fitted, read_content

Source = Literal["teacher", "backbone"]


@dataclass(frozen=True, kw_only=True)
class SourceWeights:
    """A file with the weights of a teacher or a backbone, read once: what is checked is what is used."""

    path: Path
    content: bytes
    sha256: str

    @classmethod
    def read(cls, path: Path | None, expected: str | None = None, *, of: Source = "teacher") -> Self:
        """Read the file of a teacher or a backbone, and compare it with its expected SHA-256, if there is one.

        Raises:
            SpecError: if the file is missing, cannot be read, or is another one than expected.
        """
        if path is None or not path.is_file():
            raise SpecError(f"the {of}'s weights are missing: {path}. Train the {of} first.", field=of)
        content = read_content(path)
        if (found := digest(content)) != (expected or found):
            fix = f"Restore the file. For the {of} of a sweep, `exeunt verify` names the remedy."
            raise SpecError(f"{path} has changed: its SHA-256 is {found}, but was {expected}. {fix}", field=of)
        return cls(path=path, content=content, sha256=found)


def build_teacher(trial: TrialSpec, weights: SourceWeights) -> nn.Module:
    """Build the teacher of a trial with these weights. Raises `SpecError` if they are those of another network."""
    if isinstance(trial.teacher, TrainedWeights):
        network, _ = _network_of_file(weights.path, weights.content, trial.teacher.architecture, trial.dataset)
        return network
    assert trial.teacher is not None
    network = build_student(trial.teacher)
    network.load_state_dict(torch.load(io.BytesIO(weights.content), map_location="cpu", weights_only=True))
    return network


def trained_weights(path: Path, architecture: ArchitectureSpec, dataset: DatasetSpec) -> TrainedWeights:
    """Return the description of a weights file, after a check that the weights fit the network.

    The file is a trial's `weights.pt`, an export as `.safetensors`, or another file with the state_dict of a network of
    this architecture for this dataset, see `weights_file`. Weights of exits are ignored, since only the final exit
    teaches.

    Raises:
        SpecError: if the file is missing, cannot be read, or has the weights of another network.
    """
    content = read_content(path)
    _, found = _network_of_file(path, content, architecture, dataset)
    return TrainedWeights(
        architecture=architecture, sha256=digest(content), path=str(path), taken=", ".join(found.taken)
    )


def _network_of_file(
    path: Path, content: bytes, architecture: ArchitectureSpec, dataset: DatasetSpec
) -> tuple[nn.Module, FoundWeights]:
    """Return the network with the weights of a file, and how they were found there."""
    facts = dataset.facts
    untrained = ArchitectureSpec(name=architecture.name.removesuffix(PRETRAINED))  # the file replaces all weights
    network = build_network(untrained, image_shape=facts.image_shape, classes=facts.classes, seed=0)
    try:
        found = fitted(path, content, network)
    except SpecError as error:
        raise SpecError(f"teacher {architecture.name} for {dataset.name}: {error}", field="teacher") from error
    network.load_state_dict(found.state)
    return network, found

"""Teacher of a trial: the trained network of another trial, or one with weights from a file."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from ..models import ArchitectureSpec, build_network
from ..specs import SpecError
from ..store import digest
from .data import DatasetSpec, datasets
from .student import build_student
from .trial import TrainedWeights, TrialSpec


@dataclass(frozen=True, kw_only=True)
class TeacherWeights:
    """A file with a teacher's weights, read once: what is checked is what is used."""

    path: Path
    content: bytes
    sha256: str

    @classmethod
    def read(cls, path: Path | None, expected: str | None = None) -> Self:
        """Read a file and compare it with its expected SHA-256, if there is one.

        Raises:
            SpecError: if the file is missing, cannot be read, or is another one than expected.
        """
        if path is None or not path.is_file():
            raise SpecError(f"the teacher's weights are missing: {path}. Train the teacher first.", field="teacher")
        content = _content(path)
        if (found := digest(content)) != (expected or found):
            fix = "Restore the file. For the teacher of a sweep, `exeunt verify` names the remedy."
            raise SpecError(f"{path} has changed: its SHA-256 is {found}, but was {expected}. {fix}", field="teacher")
        return cls(path=path, content=content, sha256=found)


def build_teacher(trial: TrialSpec, weights: TeacherWeights) -> nn.Module:
    """Build the teacher of a trial with these weights. Raises `SpecError` if they are those of another network."""
    if isinstance(trial.teacher, TrainedWeights):
        return _network_of_file(weights.path, weights.content, trial.teacher.architecture, trial.dataset)
    assert trial.teacher is not None
    network = build_student(trial.teacher)
    network.load_state_dict(_state(weights.path, weights.content))
    return network


def trained_weights(path: Path, architecture: ArchitectureSpec, dataset: DatasetSpec) -> TrainedWeights:
    """Return the description of a weights file, after a check that the weights fit the network.

    The file is a trial's `weights.pt`, an export as `.safetensors`, or another file with the state_dict of a network of
    this architecture for this dataset. Weights of exits are ignored, since only the final exit teaches.

    Raises:
        SpecError: if the file is missing, cannot be read, or has the weights of another network.
    """
    content = _content(path)
    _network_of_file(path, content, architecture, dataset)
    return TrainedWeights(architecture=architecture, sha256=digest(content), path=str(path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"the teacher's weights {path} cannot be read: {error.strerror}.", field="teacher") from error


def _state(path: Path, content: bytes) -> dict[str, Tensor]:
    """Return the tensors in a file's content, by name."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load  # noqa: PLC0415 (an optional package)

            return load(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except ImportError as error:
        install = "pip install 'exeunt[export]'"
        raise SpecError(f"{path} needs safetensors; install it with: {install}.", field="teacher") from error
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError) as error:
        reason = "neither a state_dict of tensors written by torch.save nor a .safetensors file"
        raise SpecError(f"{path} is {reason}; save the network in one of these formats.", field="teacher") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        message = f"{path} holds no state_dict, a dictionary of tensors; save the network's state_dict() in it"
        raise SpecError(f"{message}.", field="teacher")
    return state


def _network_of_file(path: Path, content: bytes, architecture: ArchitectureSpec, dataset: DatasetSpec) -> nn.Module:
    facts = datasets[dataset.name]
    network = build_network(architecture, image_shape=facts.image_shape, classes=facts.classes, seed=0)
    state = {name: tensor for name, tensor in _state(path, content).items() if not str(name).startswith("exits.")}
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in wanted | found:
        if wanted.get(name) != found.get(name):
            shapes = f"{name!r} is {found.get(name, 'missing')} in it, but {wanted.get(name, 'missing')} in the network"
            rule = f"these are not the weights of {architecture.name} for {dataset.name}"
            raise SpecError(f"{rule}: {path}: {shapes}.", field="teacher")
    network.load_state_dict(state)
    return network

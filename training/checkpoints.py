"""A training's state, kept where it survives the death of the process or the machine at any moment."""

import hashlib
import io
import warnings
from typing import Any

import torch

from .folder import Folder

KEPT = 2
"""How many checkpoints are kept: should the last be damaged, there is the one before."""


class Checkpoints:
    """Of one trial: the last two, each named by its place in the training and by the digest of its content."""

    def __init__(self, folder: Folder) -> None:
        """In a trial's folder."""
        self._folder = folder

    def write(self, state: dict[str, Any], *, epoch: int, step: int) -> None:
        """Keeps a state of plain values and tensors, reached after so many epochs and steps of the next epoch."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        self._folder.write(f"checkpoint-{epoch:05d}-{step:07d}-{digest(content)[:16]}.pt", content)
        for old in self._names()[:-KEPT]:
            self._folder.remove(old)

    def latest(self, device: torch.device) -> dict[str, Any] | None:
        """The newest state that is whole, or None. A damaged file is warned of and set aside under another name."""
        for name in reversed(self._names()):
            content = self._folder.read(name) or b""
            if name.removesuffix(".pt").rsplit("-", 1)[1] == digest(content)[:16]:
                return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            self._folder.rename(name, f"damaged-{name}")
            where = self._folder.located(name)
            warnings.warn(f"{where} is damaged, and the checkpoint before it is used.", stacklevel=2)
        return None

    def clear(self) -> None:
        """Removes them all, once the trial has its result."""
        for name in self._names():
            self._folder.remove(name)

    def _names(self) -> list[str]:
        return [name for name in self._folder.entries() if name.startswith("checkpoint-")]


def digest(content: bytes | memoryview) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()

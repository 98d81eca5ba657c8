"""Checkpoints of the training state, which survive the failure of a process or node at any moment."""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import TYPE_CHECKING, Any

from ..specs.lazy import LazyModule
from .folder import Folder

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

KEPT = 2
"""Number of checkpoints kept; if the last one is damaged, the previous one is used."""


class Checkpoints:
    """The last two checkpoints of a trial, each named by its position in training and the digest of its content."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def write(self, state: dict[str, Any], *, epoch: int, step: int) -> None:
        """Write a state of plain values and tensors, reached after `epoch` epochs and `step` steps of the next."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        self._folder.write(f"checkpoint-{epoch:05d}-{step:07d}-{digest(content)[:16]}.pt", content)
        for old in self._names()[:-KEPT]:
            self._folder.remove(old)

    def latest(self, device: torch.device) -> dict[str, Any] | None:
        """Return the newest complete state, or None. A damaged file is renamed to `damaged-...`, with a warning."""
        for name in reversed(self._names()):
            content = self._folder.read(name) or b""
            if name.removesuffix(".pt").rsplit("-", 1)[1] == digest(content)[:16]:
                return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            self._folder.rename(name, f"damaged-{name}")
            where = self._folder.located(name)
            warnings.warn(
                f"{where} is damaged and was renamed to damaged-{name}; the previous checkpoint is used.", stacklevel=2
            )
        return None

    def clear(self) -> None:
        """Remove all checkpoints, once the trial has its result."""
        for name in self._names():
            self._folder.remove(name)

    def _names(self) -> list[str]:
        return [name for name in self._folder.entries() if name.startswith("checkpoint-")]


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()

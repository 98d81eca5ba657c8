"""A training's state on disk, which survives the death of the process or the machine at any moment."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

KEPT = 2
"""How many checkpoints are kept: should the last be damaged, there is the one before."""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Makes a file appear whole or not at all: written elsewhere in its folder, synced, and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Checkpoints:
    """Of one trial: the last two, each named by its place in the training and by the digest of its content."""

    def __init__(self, folder: Path) -> None:
        """In a folder that need not exist yet."""
        self._folder = folder

    def write(self, state: dict[str, Any], *, epoch: int, step: int) -> None:
        """Keeps a state of plain values and tensors, reached after so many epochs and steps of the next epoch."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        name = f"checkpoint-{epoch:05d}-{step:07d}-{_digest(content)}.pt"
        write_whole(self._folder / name, lambda path: path.write_bytes(content))
        for old in self._files()[:-KEPT]:
            old.unlink(missing_ok=True)

    def latest(self, device: torch.device) -> dict[str, Any] | None:
        """The newest state that is whole, or None. A damaged file is warned of and set aside under another name."""
        for path in reversed(self._files()):
            content = path.read_bytes()
            if path.stem.rsplit("-", 1)[1] == _digest(content):
                return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            path.rename(path.with_name(f"damaged-{path.name}"))
            warnings.warn(f"{path} is damaged, and the checkpoint before it is used.", stacklevel=2)
        return None

    def clear(self) -> None:
        """Removes them all, once the trial has its result."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("checkpoint-*.pt"))


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]

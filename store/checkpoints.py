"""Checkpoint files of a trial, which survive the failure of a process or node at any moment."""

import hashlib
import warnings

from .directory import Directory

KEPT = 2
"""Number of checkpoints kept; if the last one is damaged, the previous one is used."""


class CheckpointFiles:
    """The last two checkpoints of a trial, each named by its position in training and the digest of its content."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def write(self, content: bytes | memoryview, *, epoch: int, step: int) -> None:
        """Write the state that was reached after `epoch` epochs and `step` steps of the next epoch."""
        self._directory.write(f"checkpoint-{epoch:05d}-{step:07d}-{digest(content)[:16]}.pt", content)
        self._directory.remove(*self._names()[:-KEPT])

    def latest(self) -> bytes | None:
        """Return the newest complete checkpoint, or None; rename damaged files to `damaged-...`, with a warning."""
        for name in reversed(self._names()):
            content = self._directory.read(name) or b""
            if name.removesuffix(".pt").rsplit("-", 1)[1] == digest(content)[:16]:
                return content
            self._directory.rename(name, f"damaged-{name}")
            where = self._directory.located(name)
            warnings.warn(
                f"{where} is damaged and was renamed to damaged-{name}; the previous checkpoint is used.", stacklevel=2
            )
        return None

    def clear(self) -> None:
        """Remove all checkpoints, once the trial has its result."""
        self._directory.remove(*self._names())

    def _names(self) -> list[str]:
        return [name for name in self._directory.entries() if name.startswith("checkpoint-")]


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()

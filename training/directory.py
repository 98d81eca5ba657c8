"""Files of one trial; `result.json`, written last, makes the trial completed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..specs import SpecError
from ..specs.lazy import LazyModule
from .checkpoints import Checkpoints
from .folder import Folder, LocalFolder

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

Record = dict[str, Any]
"""Plain JSON values by name: one epoch in `history.jsonl`, or the trial in `result.json`."""

WEIGHTS = "weights.pt"
NUMBER = (int, float)
PARTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "spec.json": {},
    "history.jsonl": {"epoch": int, "seconds": NUMBER, "time": NUMBER},
    "result.json": {"state": str, "seconds": NUMBER, "metrics": dict, "environment": dict},
    "failure.json": {"reason": str},
}
"""Required keys of every JSON object in these files, with the types of their values."""


class DamagedFileError(SpecError):
    """A trial file whose content does not have the format in which it was written."""


class TrialDirectory:
    """Reader and writer of `spec.json`, `history.jsonl`, `weights.pt`, `result.json`, `failure.json` and checkpoints.

    Every write is atomic, even if the process or the node fails. Every method raises `StorageError` if the storage
    cannot be read or written.
    """

    def __init__(self, folder: Folder | Path) -> None:
        """Use a directory, which need not exist yet."""
        self.folder = LocalFolder(folder) if isinstance(folder, Path) else folder
        self.checkpoints = Checkpoints(self.folder)

    def spec(self) -> Record | None:
        """Return the spec of the trial, or None if it has not started. Raise `DamagedFileError` if it is damaged."""
        return self._read_json("spec.json")

    def write_spec(self, content: Record) -> None:
        """Write the spec of the trial."""
        self.folder.write("spec.json", _json(content))

    def result(self) -> Record | None:
        """Return the result, or None if the trial has not ended. Raise `DamagedFileError` if it is damaged."""
        return self._read_json("result.json")

    def write_result(self, content: Record) -> None:
        """Write the result, which completes the trial, and remove checkpoints and failure."""
        self.folder.write("result.json", _json(content))
        self.checkpoints.clear()
        self.forget_failure()

    def failure(self) -> Record | None:
        """Return the failure of the last attempt, or None. Raise `DamagedFileError` if the file is damaged."""
        return self._read_json("failure.json")

    def write_failure(self, content: Record) -> None:
        """Write the failure of an attempt; the next attempt resumes from the last checkpoint."""
        self.folder.write("failure.json", _json(content))

    def forget_failure(self) -> None:
        """Remove the failure of an earlier attempt."""
        self.folder.remove("failure.json")

    def history(self) -> list[Record]:
        """Return the records of the completed epochs. Raise `DamagedFileError` if the file is damaged."""
        content = self.folder.read("history.jsonl") or b""
        return [self._parsed("history.jsonl", line) for line in content.splitlines()]

    def write_history(self, records: list[Record]) -> None:
        """Write the records of the completed epochs; a restart reads them from its checkpoint instead."""
        self.folder.write("history.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())

    def write_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Write the weights of the trained network."""
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        self.folder.write(WEIGHTS, buffer.getbuffer())

    def weights(self) -> bytes | None:
        """Return the content of the weights file, or None if it does not exist."""
        return self.folder.read(WEIGHTS)

    def _read_json(self, name: str) -> Record | None:
        content = self.folder.read(name)
        return None if content is None else self._parsed(name, content)

    def _parsed(self, name: str, content: bytes) -> Record:
        try:
            parsed = json.loads(content)
        except ValueError as error:
            raise DamagedFileError(f"{self.folder.located(name)} is damaged ({error}).") from error
        if not isinstance(parsed, dict):
            raise DamagedFileError(f"{self.folder.located(name)} is damaged (not a JSON object).")
        if lacking := [part for part, kind in PARTS[name].items() if not isinstance(parsed.get(part), kind)]:
            raise DamagedFileError(
                f"{self.folder.located(name)} is damaged (missing or invalid: {', '.join(lacking)})."
            )
        return parsed


def _json(content: Record) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()

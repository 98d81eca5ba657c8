"""The files of one trial. `result.json`, written last, is what makes a trial done."""

import io
import json
from pathlib import Path
from typing import Any

import torch

from ..specs import SpecError
from .checkpoints import Checkpoints
from .folder import Folder, LocalFolder

Record = dict[str, Any]
"""Plain JSON values by name: of an epoch in `history.jsonl`, of the trial in `result.json`."""

WEIGHTS = "weights.pt"
NUMBER = (int, float)
PARTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "spec.json": {},
    "history.jsonl": {"epoch": int, "seconds": NUMBER, "time": NUMBER},
    "result.json": {"state": str, "seconds": NUMBER, "metrics": dict, "environment": dict},
    "failure.json": {"reason": str},
}
"""What is in every mapping of these files."""


class DamagedFileError(SpecError):
    """A file of a trial holds something else than was written there."""


class TrialDirectory:
    """Reads and writes `spec.json`, `history.jsonl`, `weights.pt`, `result.json`, `failure.json` and checkpoints.

    Every file appears whole or not at all, whenever the process or the machine dies. Every method raises
    `StorageError` where the storage cannot be read or written.
    """

    def __init__(self, folder: Folder | Path) -> None:
        """Of a folder that need not exist yet."""
        self.folder = LocalFolder(folder) if isinstance(folder, Path) else folder
        self.checkpoints = Checkpoints(self.folder)

    def spec(self) -> Record | None:
        """What the trial is, or None for one that never began. Raises `DamagedFileError`."""
        return self._read_json("spec.json")

    def write_spec(self, content: Record) -> None:
        """Records what the trial is."""
        self.folder.write("spec.json", _json(content))

    def result(self) -> Record | None:
        """What came out, or None for a trial that has not ended. Raises `DamagedFileError`."""
        return self._read_json("result.json")

    def write_result(self, content: Record) -> None:
        """Declares the trial done."""
        self.folder.write("result.json", _json(content))
        self.checkpoints.clear()
        self.forget_failure()

    def failure(self) -> Record | None:
        """Why the last attempt broke off, if it did. Raises `DamagedFileError`."""
        return self._read_json("failure.json")

    def write_failure(self, content: Record) -> None:
        """Records why an attempt broke off; the next attempt starts from the last checkpoint."""
        self.folder.write("failure.json", _json(content))

    def forget_failure(self) -> None:
        """Of an attempt before the one that goes on."""
        self.folder.remove("failure.json")

    def history(self) -> list[Record]:
        """The record of each epoch so far. Raises `DamagedFileError`."""
        content = self.folder.read("history.jsonl") or b""
        return [self._parsed("history.jsonl", line) for line in content.splitlines()]

    def write_history(self, records: list[Record]) -> None:
        """Shows the epochs so far; a restart reads them from its checkpoint."""
        self.folder.write("history.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())

    def write_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Keeps the trained network."""
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        self.folder.write(WEIGHTS, buffer.getbuffer())

    def weights(self) -> bytes | None:
        """The file with the trained network, or None if there is none."""
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
            raise DamagedFileError(f"{self.folder.located(name)} is damaged (no mapping of names to values).")
        if lacking := [part for part, kind in PARTS[name].items() if not isinstance(parsed.get(part), kind)]:
            raise DamagedFileError(f"{self.folder.located(name)} is damaged (it has no {', '.join(lacking)}).")
        return parsed


def _json(content: Record) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()

"""The files of one trial. `result.json`, written last, is what makes a trial done."""

import json
from pathlib import Path
from typing import Any

import torch

from ..specs import SpecError
from .checkpoints import Checkpoints, write_whole

Record = dict[str, Any]
"""Plain JSON values by name: of an epoch in `history.jsonl`, of the trial in `result.json`."""


class TrialDirectory:
    """Reads and writes `spec.json`, `history.jsonl`, `weights.pt`, `result.json`, `failure.json` and checkpoints.

    Every file appears whole or not at all, whenever the process or the machine dies.
    """

    def __init__(self, path: Path) -> None:
        """Of a folder that need not exist yet."""
        self.path = path
        self.checkpoints = Checkpoints(path)

    @property
    def weights(self) -> Path:
        """The trained network's weights."""
        return self.path / "weights.pt"

    def write_spec(self, content: Record) -> None:
        """Records what the trial is."""
        self._write("spec.json", _json(content))

    def result(self) -> Record | None:
        """What came out, or None for a trial that has not ended. Raises `SpecError` for a damaged file."""
        return self._read_json("result.json")

    def write_result(self, content: Record) -> None:
        """Declares the trial done."""
        self._write("result.json", _json(content))
        self.checkpoints.clear()
        (self.path / "failure.json").unlink(missing_ok=True)

    def failure(self) -> Record | None:
        """Why the last attempt broke off, if it did."""
        return self._read_json("failure.json")

    def write_failure(self, content: Record) -> None:
        """Records why an attempt broke off; the next attempt starts from the last checkpoint."""
        self._write("failure.json", _json(content))

    def history(self) -> list[Record]:
        """The record of each epoch so far."""
        path = self.path / "history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def write_history(self, records: list[Record]) -> None:
        """Shows the epochs so far; a restart reads them from its checkpoint."""
        self._write("history.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def write_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Keeps the trained network."""
        write_whole(self.weights, lambda path: torch.save(weights, path))

    def _read_json(self, name: str) -> Record | None:
        path = self.path / name
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise SpecError(f"{path} is damaged ({error}); remove it to train this trial again.") from error

    def _write(self, name: str, text: str) -> None:
        write_whole(self.path / name, lambda path: path.write_text(text))


def _json(content: Record) -> str:
    return json.dumps(content, indent=2) + "\n"

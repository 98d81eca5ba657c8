"""Files of one trial; `result.json`, written last, makes the trial completed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..specs import trial_key
from .checkpoints import CheckpointFiles
from .directory import Directory, LocalDirectory
from .records import (
    Record,
    RecordFile,
    is_count,
    is_digest,
    is_flag,
    is_number,
    is_object,
    is_text,
    is_time,
    list_of,
    object_of,
    one_of,
    optional,
    shaped,
)

WEIGHTS, EARLY_EXIT_FILE = "weights.pt", "early_exit.json"
RETRAIN = "To train the trial again, remove {directory} and run the sweep."
SPEC = RecordFile(
    required={
        "dataset": is_object,
        "architecture": is_object,
        "method": is_object,
        "recipe": is_object,
        "seed": is_count,
    },
    remedy=RETRAIN,
)
HISTORY = RecordFile(required={"epoch": is_count, "seconds": is_number, "time": is_time}, remedy=RETRAIN)
RESULT = RecordFile(
    required={
        "state": one_of("done", "diverged"),
        "seconds": is_number,
        "metrics": object_of(is_number),
        "environment": object_of(lambda value: is_text(value) or is_number(value) or isinstance(value, bool)),
    },
    optional={
        "key": is_text,
        "reason": is_text,
        "protocol": is_text,
        "weights": is_digest,
        "teacher": is_digest,
        "backbone": shaped(trial=is_text, weights=is_digest),
        "reliability": is_object,
    },
    remedy="Run the sweep again to retrain the trial.",
)
FAILURE = RecordFile(
    required={"reason": is_text}, optional={"traceback": is_text}, remedy="Run the sweep again; it retries the trial."
)
PRUNED = RecordFile(
    required={"stopping": is_object, "epoch": is_count, "reason": is_text},
    remedy="Remove the file; the sweep then applies its stopping rule again.",
)
EARLY_EXIT = RecordFile(
    required={
        "weights": is_digest,
        "criterion": is_text,
        "thresholds": list_of(optional(is_number)),
        "temperatures": list_of(is_number),
        "target": shaped(
            budget=optional(is_number),
            latency_ms=optional(is_number),
            accuracy=optional(is_number),
            risk=optional(is_number),
            confidence=optional(is_number),
        ),
        "latencies_ms": optional(list_of(is_number)),
        "guarantee": optional(
            shaped(risk=is_number, confidence=is_number, images=is_count, errors=is_count, allowed=is_count)
        ),
        "validation": shaped(
            images=is_count, accuracy=is_number, cost=is_number, shares=list_of(is_number), risk=is_number
        ),
    },
    optional={"temperatures_applied": is_flag},
    remedy="Remove the file and run `exeunt calibrate` again.",
)


class TrialFiles:
    """Reader and writer of the files of a trial: spec, history, checkpoints, weights, failure, result.

    Every write is atomic and durable. Every method raises `StorageError` if the storage cannot be read or written,
    and every reader `DamagedFileError` or `NewerFormatError`.
    """

    def __init__(self, directory: Directory | Path, key: str | None = None) -> None:
        """Use a directory, which need not exist yet.

        Args:
            directory: place of the files.
            key: key of the trial, with which spec and result must agree; None to skip this check.
        """
        self.directory = LocalDirectory(directory) if isinstance(directory, Path) else directory
        self.checkpoints = CheckpointFiles(self.directory)
        self._key = key

    def at(self, directory: Directory) -> "TrialFiles":
        """Return the same files through another view of their directory, such as a guarded one."""
        return TrialFiles(directory, self._key)

    def spec(self) -> Record | None:
        """Return the canonical spec of the trial, or None if it has not started."""
        spec = SPEC.read(self.directory, "spec.json")
        if spec is None:
            return None
        try:
            key = trial_key(spec)
        except (ValueError, RecursionError) as error:  # NaN, or nested deeper than any spec
            raise SPEC.damaged(self.directory, "spec.json", str(error)) from error
        self._require_key(key, SPEC, "spec.json")
        return spec

    def write_spec(self, spec: Record) -> None:
        """Write the canonical spec of the trial."""
        SPEC.write(self.directory, "spec.json", spec)

    def result(self) -> Record | None:
        """Return the result, or None if the trial has not ended."""
        result = RESULT.read(self.directory, "result.json")
        if result is not None:
            self._require_key(result.get("key", self._key), RESULT, "result.json")
        return result

    def write_result(self, result: Record) -> None:
        """Write the result, which completes the trial, and remove checkpoints and failure."""
        RESULT.write(self.directory, "result.json", result)
        self.checkpoints.clear()
        self.forget_failure()

    def set_result_aside(self) -> None:
        """Rename a damaged result, so that the trial is trained again."""
        self.directory.rename("result.json", "damaged-result.json")

    def start_over(self) -> None:
        """Remove everything that an earlier training has left, because its inputs were not those of the next one."""
        self.directory.remove(WEIGHTS, "history.jsonl")
        self.checkpoints.clear()

    def failure(self) -> Record | None:
        """Return the failure of the last attempt, or None."""
        return FAILURE.read(self.directory, "failure.json")

    def write_failure(self, failure: Record) -> None:
        """Write the failure of an attempt; the next attempt resumes from the last checkpoint."""
        FAILURE.write(self.directory, "failure.json", failure)

    def forget_failure(self) -> None:
        """Remove the failure of an earlier attempt."""
        self.directory.remove("failure.json")

    def history(self) -> list[Record]:
        """Return the records of the completed epochs."""
        return HISTORY.read_lines(self.directory, "history.jsonl")

    def write_history(self, records: list[Record]) -> None:
        """Write the records of the completed epochs; a restart reads them from its checkpoint instead."""
        HISTORY.write_lines(self.directory, "history.jsonl", records)

    def weights(self) -> bytes | None:
        """Return the content of the weights file, or None if it does not exist."""
        return self.directory.read(WEIGHTS)

    def write_weights(self, content: bytes | memoryview) -> None:
        """Write the weights of the trained network, a `state_dict` in PyTorch's format."""
        self.directory.write(WEIGHTS, content)

    def early_exit(self) -> Record | None:
        """Return the thresholds of early exits that `exeunt calibrate` has written, or None."""
        return EARLY_EXIT.read(self.directory, EARLY_EXIT_FILE)

    def write_early_exit(self, thresholds: Record) -> None:
        """Write the thresholds of early exits, with the SHA-256 of the weights that they belong to."""
        EARLY_EXIT.write(self.directory, EARLY_EXIT_FILE, thresholds)

    def write_pruned(self, stopping: Mapping[str, Any], *, epoch: int, epochs: int) -> None:
        """Record that a stopping rule stopped the trial after an epoch. Sweeps without this rule train it further."""
        reason = f"stopped by {stopping['rule']} after epoch {epoch} of {epochs}"
        PRUNED.write(self.directory, "pruned.json", {"stopping": {**stopping}, "epoch": epoch, "reason": reason})

    def reason_pruned(self, stopping: Mapping[str, Any]) -> str | None:
        """Return the reason why this rule stopped the trial; None if the trial has to be trained further."""
        pruned = PRUNED.read(self.directory, "pruned.json")
        return pruned["reason"] if pruned is not None and pruned["stopping"] == stopping else None

    def _require_key(self, found: str | None, kind: RecordFile, name: str) -> None:
        if self._key is not None and found != self._key:
            raise kind.damaged(self.directory, name, f"it belongs to trial {found}")

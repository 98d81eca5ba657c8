"""Log of trainings, which outlives the death of the process that writes it, and the counts in it."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

EPOCHS = 8
"""Epochs of each training."""
LOG = "RESUME_LOG"
"""Environment variable with the path of the log."""

EventName = Literal["start", "epoch", "end", "resumed", "added"]


class Event(NamedTuple):
    """One line of the log."""

    name: EventName
    """`start`, `epoch` and `end` of a training; `resumed` and `added` begin the second and the third run."""
    trial: str = ""
    epoch: int = 0
    """Number of trained epochs."""
    time: float = 0.0
    """Seconds since 1970."""


def trial_name(smoothing: float, seed: int) -> str:
    """Return the name of a trial in the log and in results."""
    return f"smoothing={smoothing} seed={seed}"


def write(name: EventName, trial: str = "", epoch: int = 0) -> None:
    """Append a line to the log and wait until it is on the disk."""
    line = json.dumps(Event(name, trial, epoch, time.time())) + "\n"
    file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())  # one call, so lines of several processes do not mix
        os.fsync(file)
    finally:
        os.close(file)


def read(path: Path) -> list[Event]:
    """Return the complete lines of a log, in their order."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [Event(*json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Work that was done more than once, and results that are missing or different."""

    finished_twice: int
    """Trainings that ended again after they had ended, until the axis was changed."""
    epochs_twice: int
    """Epochs that were trained again, until the axis was changed."""
    missing: int
    """Trials without a result after the second run."""
    trained_again: int
    """Trials of the first grid that the third run trained, in part or completely."""
    missing_at_end: int
    """Trials without a result after the third run."""
    different: int
    """Results after the third run whose weights differ from those of an uninterrupted run."""


def count(
    events: Iterable[Event], resumed: dict[str, str], added: dict[str, str], reference: dict[str, str], first: set[str]
) -> Counts:
    """Count what three runs of a grid repeated, lost or changed.

    Args:
        events: Log of the killed, the resumed and the extended run.
        resumed: Digest of the weights by trial, as the program has them after the second run.
        added: The same after the third run.
        reference: The same after one uninterrupted run of the extended grid.
        first: Trials of the grid before it was extended.
    """
    ends: Counter[str] = Counter()
    epochs: Counter[tuple[str, int]] = Counter()
    again: set[str] = set()
    extended = False
    for event in events:
        extended = extended or event.name == "added"
        if extended and event.name == "epoch" and event.trial in first:
            again.add(event.trial)
        elif not extended and event.name == "end":
            ends[event.trial] += 1
        elif not extended and event.name == "epoch":
            epochs[event.trial, event.epoch] += 1
    return Counts(
        finished_twice=ends.total() - len(ends),
        epochs_twice=epochs.total() - len(epochs),
        missing=len(first - resumed.keys()),
        trained_again=len(again),
        missing_at_end=len(reference.keys() - added.keys()),
        different=sum(added[trial] != weights for trial, weights in reference.items() if trial in added),
    )

"""Deadlines of running trials, after which their workers are killed."""

import time
from dataclasses import dataclass, field

from ..planning.durations import duration

STOP_S = 60.0
"""Seconds in which a trial writes its checkpoint and stops. A killed trial continues from the checkpoint before."""


@dataclass(kw_only=True)
class Deadlines:
    """Time limits of each running trial: for its next report, and for its end once all trials have to stop."""

    report_s: float
    """Seconds from the start or a report to the next report, after an epoch."""
    stop_s: float = STOP_S
    _heard: dict[str, float] = field(init=False, default_factory=dict)
    """Time of the last report of each trial, or of its start."""
    _stop_at: float | None = field(init=False, default=None)
    _missed: dict[str, str] = field(init=False, default_factory=dict)
    """Missed deadline of each trial whose worker is killed."""

    def heard(self, key: str) -> None:
        """Record that a trial has started or reported."""
        self._heard[key] = time.monotonic()
        self._missed.pop(key, None)

    def stop_trials(self) -> None:
        """Start the time in which all trials have to stop."""
        self._stop_at = time.monotonic() + self.stop_s

    def is_overdue(self, key: str) -> bool:
        """Return True if a trial has missed a deadline, but only once, since its worker is killed then."""
        if key in self._missed or key not in self._heard:
            return False
        now = time.monotonic()
        if self._stop_at is not None and now > self._stop_at:
            self._missed[key] = f"did not stop within {duration(self.stop_s)}, so its worker was killed"
        elif now > self._heard[key] + self.report_s:
            limit = f"no epoch ended within {duration(self.report_s)} (resources.max_epoch_hours)"
            self._missed[key] = f"{limit}, so its worker was killed"
        return key in self._missed

    def reason(self, key: str) -> str:
        """Return why the worker of a trial was killed; empty if it was not."""
        return self._missed.get(key, "")

    def did_not_stop(self, key: str) -> bool:
        """Return True if the worker of a trial was killed because it did not stop."""
        return self._stop_at is not None and key in self._missed

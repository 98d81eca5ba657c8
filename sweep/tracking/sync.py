"""Synchronization of MLflow with the store while a sweep runs."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...store import Plan, PlannedTrial, Store
from .trackers import Trackers, tracker_problem

if TYPE_CHECKING:
    from .writer import Mirror

SYNC_INTERVAL_S = 3.0
"""Minimum number of seconds between two updates of MLflow."""
BATCH = 50
"""Number of trials per write, which the end of a sweep may have to wait for."""
GROUPS_INTERVAL_S = 30.0
"""Minimum number of seconds between two comparisons of all configurations."""
GROUPS_SHARE = 0.05
"""Maximum share of the time that these comparisons take."""
FINAL_SYNC_TIMEOUT_S = 10.0
"""Maximum number of seconds that an interrupted sweep waits for MLflow."""


@contextmanager
def mirrored(
    plan: Plan,
    known: Mapping[str, PlannedTrial],
    store: Store,
    tracking_uri: str,
    announce: Callable[[str], None],
    begun: Callable[[], bool],
    left_early: Callable[[], bool],
) -> Iterator[set[str]]:
    """Write trials to MLflow every few seconds once training has begun; yield the set of keys to write.

    If MLflow becomes unreachable or reachable again, one line is announced. Keys stay in the set until they are
    written. An interrupted sweep writes the remaining keys within `FINAL_SYNC_TIMEOUT_S`. After a complete sweep, the
    caller has to update all of MLflow. An exception inside the context skips the last write.
    """
    changed: set[str] = set()
    finished = threading.Event()
    last = False

    def say(line: str) -> None:
        if not finished.is_set():  # later, other lines report the end of the sweep
            announce(line)

    writer = _Writer(plan, known, store, tracking_uri, say)

    def write(*, until: Callable[[], bool]) -> None:
        due = list(changed)  # if empty, the mirror is still opened, which marks trials of earlier plans
        while writer.write(due[:BATCH], changed) and due[BATCH:] and not until():
            del due[:BATCH]

    def write_on() -> None:
        pause = SYNC_INTERVAL_S
        while not finished.wait(pause):
            if not begun():  # the import of MLflow would delay the first trial
                continue
            started = time.monotonic()
            write(until=finished.is_set)
            pause = max(SYNC_INTERVAL_S, time.monotonic() - started)  # leave half of the time to the driver
        if last and changed:
            write(until=lambda: False)

    thread = threading.Thread(target=write_on, name="mlflow", daemon=True)
    thread.start()
    try:
        yield changed
        last = left_early()
    finally:
        finished.set()
    thread.join(FINAL_SYNC_TIMEOUT_S if last else None)


class _Writer:
    """Mirror that is opened again after every error."""

    def __init__(
        self,
        plan: Plan,
        known: Mapping[str, PlannedTrial],
        store: Store,
        tracking_uri: str,
        announce: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._known = known
        self._store = store
        self._tracking_uri = tracking_uri
        self._announce = announce
        self._mirror: Mirror | None = None
        self._away_since: float | None = None
        self._trackers = Trackers(plan, store)
        self._trackers_fail = False
        self._groups_due = time.monotonic() + GROUPS_INTERVAL_S

    def write(self, batch: list[str], changed: set[str]) -> bool:
        """Write new data of the trials with these keys, and remove written keys from `changed`.

        Returns:
            True if MLflow is reachable.
        """
        # Imported while the first trials train, because MLflow takes seconds to load.
        from ...results.mlflow_client import answering  # noqa: PLC0415
        from .writer import Mirror  # noqa: PLC0415

        self._write_to_trackers(batch)
        changed.difference_update(batch)  # before they are read, so that a change meanwhile adds its key again
        try:
            with answering(self._tracking_uri):
                if self._mirror is None:
                    self._mirror = Mirror(self._plan, self._store, self._tracking_uri)
                    self._mirror.mark_unplanned(self._known)
                self._mirror.update(self._known[key] for key in batch)
                self._update_groups(self._mirror)
        except Exception as error:  # no error of MLflow may end the sweep; its end tries again
            changed.update(batch)
            self._mirror = None
            self._went_away(error)
            return False
        self._came_back()
        return True

    def _write_to_trackers(self, batch: list[str]) -> None:
        try:
            self._trackers.update(self._known[key] for key in batch)
        except Exception as error:  # no error of a tracker may end the sweep; its end tries again
            if not self._trackers_fail:
                self._announce(f"{time.strftime('%H:%M:%S')} {tracker_problem(error)} The sweep continues.")
            self._trackers_fail = True

    def _update_groups(self, mirror: "Mirror") -> None:
        """Compare the configurations if it is time; in a large sweep this takes seconds."""
        if (started := time.monotonic()) >= self._groups_due:
            mirror.update_groups()
            ended = time.monotonic()
            self._groups_due = ended + max(GROUPS_INTERVAL_S, (ended - started) / GROUPS_SHARE)

    def _went_away(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.time()
            consequence = "The sweep continues; missing data is written when MLflow is reachable again."
            self._announce(f"{time.strftime('%H:%M:%S')} {error} {consequence}")

    def _came_back(self) -> None:
        if self._away_since is not None:
            seconds = time.time() - self._away_since
            self._announce(f"{time.strftime('%H:%M:%S')} MLflow is reachable again after {seconds:.0f} s.")
            self._away_since = None

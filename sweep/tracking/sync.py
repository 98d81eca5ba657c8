"""MLflow is brought up to what the store holds while the sweep goes on."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..planning.plan import Plan, PlannedTrial
from ..store.trial_store import Store

if TYPE_CHECKING:
    from .writer import Mirror

SYNC_INTERVAL_S = 3.0
"""Seconds between two looks at what is new for MLflow, at least."""
BATCH = 50
"""Trials that are written at once: the end of a sweep waits seconds for them."""
FINAL_SYNC_TIMEOUT_S = 10.0
"""Seconds that a sweep which is left early waits for MLflow, at most."""


@contextmanager
def mirrored(
    plan: Plan,
    known: Mapping[str, PlannedTrial],
    store: Store,
    tracking_uri: str,
    announce: Callable[[str], None],
    left_early: Callable[[], bool],
) -> Iterator[set[str]]:
    """Writes the known trials whose keys are put into the set to MLflow, every few seconds, beside the training.

    MLflow may go away and come back: each is announced in a line, and the keys stay in the set until they are written.
    A sweep that is left early has what is in the set written, if that is done in seconds; one that ends is to bring all
    of MLflow up to date itself. An error inside waits for nothing.
    """
    changed: set[str] = set()
    finished = threading.Event()
    last = False

    def say(line: str) -> None:
        if not finished.is_set():  # later it is told otherwise how the sweep ended
            announce(line)

    writer = _Writer(plan, known, store, tracking_uri, say)

    def write(*, until: Callable[[], bool]) -> None:
        due = list(changed)  # where it is empty, the mirror is opened for trials that were planned before
        while writer.write(due[:BATCH], changed) and due[BATCH:] and not until():
            del due[:BATCH]

    def write_on() -> None:
        pause = SYNC_INTERVAL_S
        while not finished.wait(pause):
            started = time.monotonic()
            write(until=finished.is_set)
            pause = max(SYNC_INTERVAL_S, time.monotonic() - started)  # half of the time is the driver's
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
    """A mirror that is opened again after whatever went wrong."""

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

    def write(self, batch: list[str], changed: set[str]) -> bool:
        """Writes what is new of the trials with these keys, and takes those out that are written.

        Returns whether MLflow is there.
        """
        # Late, when something is being trained already: MLflow takes seconds to load.
        from ...results.mlflow_client import answering  # noqa: PLC0415
        from .writer import Mirror  # noqa: PLC0415

        changed.difference_update(batch)  # before they are read: what changes meanwhile is put in anew
        try:
            with answering(self._tracking_uri):
                if self._mirror is None:
                    self._mirror = Mirror(self._plan, self._store, self._tracking_uri)
                    self._mirror.mark_unplanned(self._known)
                self._mirror.update(self._known[key] for key in batch)
        except Exception as error:  # whatever it is, the sweep goes on, and its end tries once more
            changed.update(batch)
            self._mirror = None
            self._went_away(error)
            return False
        self._came_back()
        return True

    def _went_away(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.time()
            consequence = "The sweep goes on; what MLflow lacks is written when it is back."
            self._announce(f"{time.strftime('%H:%M:%S')} {error} {consequence}")

    def _came_back(self) -> None:
        if self._away_since is not None:
            seconds = time.time() - self._away_since
            self._announce(f"{time.strftime('%H:%M:%S')} MLflow is written again, after {seconds:.0f} s.")
            self._away_since = None

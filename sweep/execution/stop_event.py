"""The event that makes all trials of a sweep write a checkpoint and end, on every machine of a cluster."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Self

import ray

POLL_INTERVAL_S = 0.5
"""Seconds between two checks of the event in a worker."""


class StopEvent:
    """An event that the driver sets once and that its workers poll.

    It is set once Ray has an actor with its name, so an event that is never set needs no process. Use it as a context:
    on exit the actor is killed, since Ray may outlive the sweep.
    """

    def __init__(self) -> None:
        self._name = f"exeunt-stop-{uuid.uuid4().hex}"
        self._actor: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._actor is not None:
            ray.kill(self._actor)

    def __getstate__(self) -> dict[str, Any]:
        return {"_name": self._name, "_actor": None}

    def set(self) -> None:
        """Set the event."""
        self._actor = self._actor or ray.remote(_Set).options(name=self._name, num_cpus=0).remote()

    def on_set(self, then: Callable[[], None]) -> None:
        """Call `then` once from another thread, at most `POLL_INTERVAL_S` after the event was set."""

        def wait() -> None:
            while not self._is_set():
                time.sleep(POLL_INTERVAL_S)
            then()

        threading.Thread(target=wait, name="stop-event", daemon=True).start()

    def _is_set(self) -> bool:
        try:
            ray.get_actor(self._name)
        except ValueError:
            return False
        return True


class _Set:
    """Actor whose existence means that the event is set."""

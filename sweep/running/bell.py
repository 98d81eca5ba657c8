"""Tells all trials of a sweep at once to write a checkpoint and end, on whatever machine they run."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Self

import ray

INTERVAL = 0.5
"""Seconds between two looks at whether it was rung."""


class Bell:
    """Rings once. Sent to workers, who look from time to time.

    It has been rung when Ray knows an actor of its name: nothing runs for it as long as it is silent. A context, since
    that actor would otherwise run as long as Ray, which may outlive the sweep.
    """

    def __init__(self) -> None:
        self._name = f"exeunt-bell-{uuid.uuid4().hex}"
        self._actor: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._actor is not None:
            ray.kill(self._actor)

    def __getstate__(self) -> dict[str, Any]:
        return {"_name": self._name, "_actor": None}

    def ring(self) -> None:
        """Tells all that listen or will."""
        self._actor = self._actor or ray.remote(_Rung).options(name=self._name, num_cpus=0).remote()

    def listen(self, then: Callable[[], None]) -> None:
        """Calls something, in another thread, soon after the bell was rung."""

        def wait() -> None:
            while not self._rung():
                time.sleep(INTERVAL)
            then()

        threading.Thread(target=wait, name="bell", daemon=True).start()

    def _rung(self) -> bool:
        try:
            ray.get_actor(self._name)
        except ValueError:
            return False
        return True


class _Rung:
    """It is enough that there is one."""

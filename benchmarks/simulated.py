"""Simulated workers for Ray Tune's driver: they train nothing and report at once, in turn."""

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from exeunt.store import Record, Store
from exeunt.sweep.execution.worker import TOLD
from ray.air.execution._internal.tracked_actor import TrackedActor

Answer = Callable[[], object]


def record_of(epoch: int) -> Record:
    """Return a typical training record of an epoch of a network with one exit."""
    names = ("loss/target", "final/top1", "final/top5", "final/nll", "gradient_norm", "learning_rate")
    numbers = {f"train/{name}": 1.5 + 1 / epoch for name in names} | {"test/final/top1": 50.0}
    return {"epoch": epoch, **numbers, "peak_memory_bytes": 1000, "seconds": 1.0, "time": time.time()}


def result_of(key: str, last: Record) -> Record:
    """Return the result of a trial with this record of its last epoch."""
    metrics = {name: value for name, value in last.items() if "/" in name}
    return {"state": "done", "key": key, "seconds": 1.0, "metrics": metrics, "environment": {"commit": "0"}}


class Workers:
    """Replacement of Tune's `RayActorManager` (ray 2.60), with the methods that Tune calls."""

    def __init__(self, resource_manager: object, *, store: Store, count: int, epochs: int) -> None:
        """Create the workers.

        Args:
            resource_manager: resource manager of Tune, which is not used.
            store: store for the files of a trial that the driver reads, written without waiting for the disk.
            count: number of trials that run at the same time.
            epochs: number of epochs of each trial.
        """
        del resource_manager
        self._trials = Path(store.location) / "trials"
        self._count = count
        self._epochs = epochs
        self._live_actors_to_ray_actors_resources: dict[TrackedActor, tuple[Any, None]] = {}
        self._waiting: dict[TrackedActor, dict[str, Any]] = {}
        self._reports: dict[TrackedActor, Iterator[Record]] = {}
        self._answers: deque[Answer] = deque()

    num_live_actors = property(lambda self: len(self._live_actors_to_ray_actors_resources))
    num_pending_actors = property(lambda self: len(self._waiting))
    num_total_actors = property(lambda self: self.num_live_actors + self.num_pending_actors)
    num_actor_tasks = property(lambda self: len(self._answers))

    def add_actor(
        self, *, cls: object, resource_request: object, kwargs: dict[str, Any], **callbacks: Any
    ) -> TrackedActor:
        """Queue an actor, which starts as soon as a worker is free."""
        del cls, resource_request
        actor = TrackedActor(uuid.uuid4().int, **callbacks)
        self._waiting[actor] = kwargs["config"]
        return actor

    def remove_actor(self, tracked_actor: Any, **how: object) -> bool:
        """Remove an actor. Return True if it had started."""
        del how
        if self._waiting.pop(tracked_actor, None) is not None:
            return False
        del self._live_actors_to_ray_actors_resources[tracked_actor], self._reports[tracked_actor]
        self._answers.append(lambda: tracked_actor._on_stop and tracked_actor._on_stop(tracked_actor))
        return True

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        """Return True if the actor has started."""
        return tracked_actor in self._live_actors_to_ray_actors_resources

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        """Return False, because simulated actors never fail."""
        del tracked_actor
        return False

    def schedule_actor_task(
        self, tracked_actor: TrackedActor, method_name: str, args: Any = (), on_result: Any = None, **how: object
    ) -> None:
        """Queue the result of a task after the results of all earlier tasks."""
        del how
        if method_name == "reset":
            self._reports[tracked_actor] = self._trained(args[0]["key"])
            self._answers.append(lambda: on_result(tracked_actor, True))
        elif method_name == "train":
            self._answers.append(lambda: on_result(tracked_actor, next(self._reports[tracked_actor])))

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        """Do nothing, because an ended trial has no tasks."""

    def next(self, timeout: float) -> bool:
        """Process one queued result. Return False if there is none."""
        while self._waiting and self.num_live_actors < self._count:
            actor = next(iter(self._waiting))
            handle = SimpleNamespace(get_auto_filled_metrics=SimpleNamespace(remote=lambda **how: dict(how)))
            self._live_actors_to_ray_actors_resources[actor] = handle, None
            self._reports[actor] = self._trained(self._waiting.pop(actor)["key"])
            if actor._on_start:
                actor._on_start(actor)
        if not self._answers:
            time.sleep(timeout)
            return False
        self._answers.popleft()()
        return True

    def cleanup(self) -> None:
        """Do nothing, because there are no processes to end."""

    def _trained(self, key: str) -> Iterator[Record]:
        """Iterate over the reports of a trial's worker, with the fields that Tune adds."""
        folder = self._trials / key
        folder.mkdir(parents=True)
        record: Record = {}
        for epoch in range(1, self._epochs + 1):
            record = record_of(epoch)
            with (folder / "history.jsonl").open("a", encoding="utf-8") as history:
                history.write(json.dumps(record) + "\n")
            told = {name: record[name] for name in TOLD if name in record}
            yield {**told, "state": "running", "epochs": self._epochs, **_added(epoch)}
        (folder / "result.json").write_text(json.dumps(result_of(key, record)), encoding="utf-8")
        yield {"state": "done", "seconds": 1.0, **_added(self._epochs + 1)}
        yield {"done": True, "__duplicate__": True}


def _added(reports: int) -> Record:
    places = {"pid": 1, "hostname": "worker", "node_ip": "127.0.0.1", "date": "2026-01-01_00-00-00"}
    times = dict.fromkeys(("timestamp", "time_this_iter_s", "time_total_s", "time_since_restore"), 1.0)
    counts = dict.fromkeys(("training_iteration", "iterations_since_restore"), reports)
    return {**places, **times, **counts, "done": False}

"""Which trial runs next: those whose teacher is done, in the plan's order."""

import heapq
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable
from typing import Any, Protocol

from ray.tune.search import Searcher

from ..planning.plan import PlannedTrial
from .gpu_packing import Packing

FIRST_RETRY_DELAY_S = 2.0
"""Seconds until a trial whose worker died is started again; each further time twice as long."""


class Proposals(Protocol):
    """Where trials come from that are in no plan, because each depends on how those before it ended."""

    def propose(self, done: Container[str]) -> PlannedTrial | None:
        """Another trial that can run now, given the keys of those that are done; None if there is none at present."""
        ...

    def ended(self, key: str, state: str) -> None:
        """The trial with this key will not be run again; the state is that of its last report."""
        ...


class PlanSearcher(Searcher):
    """Hands a plan's trials to Ray Tune; where only blocked ones are left, Tune waits without a barrier.

    A trial whose worker or machine died is handed out again. One that failed or diverged by itself is not, and those
    that wait for it are given up.
    """

    def __init__(
        self,
        trials: Iterable[PlannedTrial],
        done: Iterable[str],
        *,
        retries: int = 0,
        back_off: float = FIRST_RETRY_DELAY_S,
        most: float = math.inf,
        gpu: float | Packing = 0.0,
        recorded: Callable[[str], str] = lambda key: "running",  # noqa: ARG005
        give_up: Callable[[str, str], None] = lambda key, reason: None,  # noqa: ARG005
        shutting_down: Callable[[], bool] = lambda: False,
        proposals: Proposals | None = None,
    ) -> None:
        """Of the trials to run and the keys of those that are done already.

        Args:
            trials: in the order in which they are handed out.
            done: what teachers need not run.
            retries: how often a trial is handed out again after its worker died.
            back_off: seconds before the first time, doubled for each further one.
            most: how many trials may run at once.
            gpu: the accelerators or the share of one that each trial gets; suggested as `gpu`.
            recorded: a trial's state in the store, asked when its worker ended with an error.
            give_up: told the key of a trial that cannot run, and why.
            shutting_down: whether to hand out nothing more.
            proposals: asked for more trials when all that may run are handed out.
        """
        super().__init__()
        self._trials = list(trials)
        self._done = set(done)
        self._retries = retries
        self._back_off = back_off
        self._most = most
        self._packing = gpu if isinstance(gpu, Packing) else None
        self._gpu = 0.0 if isinstance(gpu, Packing) else gpu
        self._recorded = recorded
        self._give_up = give_up
        self._shutting_down = shutting_down
        self._proposals = proposals
        self._ready: list[int] = []  # a heap of positions in the plan
        self._again: list[tuple[float, int]] = []  # a heap of the times from which trials may run again
        self._dependents: defaultdict[str, list[int]] = defaultdict(
            list
        )  # by the key of the teacher that they wait for
        self._running: dict[str, int] = {}  # by Tune's name for the attempt
        self._reported: dict[str, str] = {}
        self._deaths: Counter[str] = Counter()
        self._begin()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its searcher so that it could restore it, which nobody asks it to.
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's key and spec as JSON, None while all that is left has to wait, or `FINISHED`."""
        if self._shutting_down():
            return Searcher.FINISHED
        if len(self._running) >= self._most:
            return None
        while self._again and self._again[0][0] <= time.monotonic():
            heapq.heappush(self._ready, heapq.heappop(self._again)[1])
        waits = self._packing is not None and self._packing.holds_back
        if not self._ready and self._proposals and not waits and (proposed := self._proposals.propose(self._done)):
            self._ready.append(len(self._trials))
            self._trials.append(proposed)
        while self._ready:
            position = heapq.heappop(self._ready)
            trial = self._trials[position]
            share = self._packing.share(trial, position) if self._packing else self._gpu
            if share is not None:
                self._running[trial_id] = position
                # As text: Tune keeps and copies each suggestion, entry by entry.
                return {"key": trial.key, "spec": json.dumps(trial.spec.to_dict()), "gpu": share}
        return None if self._running or self._again else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Notes how the trial is, and what memory it takes."""
        self._reported[trial_id] = result["state"]
        if self._packing and "peak_memory_bytes" in result:
            self._release(self._packing.measured(self._trials[self._running[trial_id]], result["peak_memory_bytes"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Frees the trials that waited for this one, or puts it back."""
        position = self._running.pop(trial_id)
        trial = self._trials[position]
        state = self._reported.pop(trial_id, "")
        if self._packing:
            self._release(self._packing.ended(trial))
        storage_is_away = state == "unwritable"
        if error and state not in ("done", "diverged", "failed", "stopped"):
            state = self._recorded(trial.key)  # it may have ended well and died before it could say so
        elif not error:
            state = result["state"] if result else ""
        if state == "done":
            self._done.add(trial.key)
            self._release(self._dependents.pop(trial.key, []))
        elif state == "stopped":  # its machine goes; it said so, and has its checkpoint
            self._put_back(position, self._back_off)
        elif error and state not in ("diverged", "failed") and self._dies(trial.key) <= self._retries:
            self._put_back(position, self._back_off * 2 ** (self._deaths[trial.key] - 1))
        else:
            self._give_up_pupils(trial.key)
        is_told = state == "done" or (state and not storage_is_away)
        if self._proposals and is_told and self.retry_delay(trial.key) is None:
            self._proposals.ended(trial.key, "failed" if error and state == "running" else state)

    def retry_delay(self, key: str) -> float | None:
        """In how many seconds a trial is handed out again; None if it is not."""
        times = (at for at, position in self._again if self._trials[position].key == key)
        return next((at - time.monotonic() for at in times), None)

    def failures(self, key: str) -> int:
        """How often a trial's worker or machine died."""
        return self._deaths[key]

    def _dies(self, key: str) -> int:
        self._deaths[key] += 1
        return self._deaths[key]

    def _begin(self) -> None:
        coming = {trial.key for trial in self._trials}
        for position, trial in enumerate(self._trials):
            if trial.depends_on is None or trial.depends_on in self._done:
                heapq.heappush(self._ready, position)
            else:
                self._dependents[trial.depends_on].append(position)
        for teacher in [key for key in self._dependents if key not in coming]:
            self._give_up_pupils(teacher)

    def _release(self, positions: Iterable[int]) -> None:
        for position in positions:
            heapq.heappush(self._ready, position)

    def _put_back(self, position: int, seconds: float) -> None:
        heapq.heappush(self._again, (time.monotonic() + seconds, position))

    def _give_up_pupils(self, teacher: str) -> None:
        """And those who wait for them."""
        if self._shutting_down():
            return
        for position in self._dependents.pop(teacher, []):
            key = self._trials[position].key
            self._give_up(key, f"its teacher, trial {teacher}, did not end well")
            self._give_up_pupils(key)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the trial store says what is done."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a restart makes a new plan from the trial store."""

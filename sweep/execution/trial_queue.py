"""Queue of a sweep's trials: those whose teacher is completed, in the plan's order."""

import heapq
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ...store import PlannedTrial

BUSY_DELAY_S = 10.0
"""Seconds before a trial that another sweep trains is tried again, which costs no retry."""
NODE_FAILED = "node failed"
"""Error of an attempt whose machine failed or was preempted."""
FIRST_RETRY_DELAY_S = 2.0
"""Seconds before the first retry of a trial whose worker died; doubled for each further retry."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Trial to start now."""

    trial: PlannedTrial
    gpu: float
    """Number of its GPUs, or its share of one."""


class Proposals(Protocol):
    """Source of trials that are not in the plan, because each depends on the results of earlier ones."""

    def propose(self, done: Container[str]) -> PlannedTrial | None:
        """Return another trial that can run now, given the keys of completed trials; None if there is none yet."""
        ...

    def ended(self, key: str, state: str) -> None:
        """Record that the trial with this key will not run again; the state is that of its last report."""
        ...


class Admission(Protocol):
    """Rule by which trials that can run have to wait, or do not start in this run."""

    def admits(self, trial: PlannedTrial) -> bool:
        """Return True if a trial may start now."""
        ...

    def ended(self, key: str) -> None:
        """Record that the trial with this key will not run again."""
        ...


class TrialQueue:
    """Queue that suggests a plan's trials as soon as they can run, without a barrier for teachers.

    A trial whose worker died is suggested again, and always if its node failed. A trial that failed or diverged is not,
    and trials that depend on it are given up.
    """

    def __init__(
        self,
        trials: Iterable[PlannedTrial],
        done: Iterable[str],
        *,
        retries: int = 0,
        back_off: float = FIRST_RETRY_DELAY_S,
        most: float = math.inf,
        share: Callable[[PlannedTrial], float] = lambda trial: 0.0,  # noqa: ARG005
        recorded: Callable[[str], str] = lambda key: "running",  # noqa: ARG005
        give_up: Callable[[str, str], None] = lambda key, reason: None,  # noqa: ARG005
        shutting_down: Callable[[], bool] = lambda: False,
        proposals: Proposals | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Create a queue of the trials to run.

        Args:
            trials: trials to run, in the order in which they are suggested.
            done: keys of trials that are already completed, on which others may depend.
            retries: maximum number of retries of a trial whose worker died.
            back_off: seconds before the first retry, doubled for each further one.
            most: maximum number of trials that run at once.
            share: function that returns the number of a trial's GPUs, or its share of one.
            recorded: function that returns a trial's state in the store; called if its worker ended with an error.
            give_up: function that is called with the key of a trial that cannot run, and the reason.
            shutting_down: function that returns True if no more trials may start.
            proposals: source of more trials, used if all trials that can run have started.
            admission: rule by which trials that can run have to wait; None to start each of them.
        """
        self._trials = list(trials)
        self._done = set(done)
        self._retries = retries
        self._back_off = back_off
        self._most = most
        self._share = share
        self._recorded = recorded
        self._give_up = give_up
        self._shutting_down = shutting_down
        self._proposals = proposals
        self._admission = admission
        self._ready: list[int] = []  # heap of positions in the plan
        self._again: list[tuple[float, int]] = []  # heap of the earliest time and the position of each retry
        self._dependents: defaultdict[str, list[int]] = defaultdict(list)  # positions by the key of what they need
        self._given_up: set[int] = set()  # positions of trials whose teacher or backbone did not complete
        self._running: dict[str, int] = {}  # position by key
        self._deaths: Counter[str] = Counter()
        self._larger: dict[str, float] = {}  # shares of the trials that ran out of memory on a shared GPU
        self._begin()

    def suggest(self) -> Suggestion | Literal["wait", "finished"]:
        """Return the next trial, `wait` while all remaining trials must wait, or `finished`."""
        if self._shutting_down():
            return "finished"
        if len(self._running) >= self._most:
            return "wait"
        while self._again and self._again[0][0] <= time.monotonic():
            heapq.heappush(self._ready, heapq.heappop(self._again)[1])
        if not self._ready and self._proposals and (proposed := self._proposals.propose(self._done)):
            self._ready.append(len(self._trials))
            self._trials.append(proposed)
        if (position := self._next()) is not None:
            trial = self._trials[position]
            self._running[trial.key] = position
            return Suggestion(trial=trial, gpu=self.gpu(trial))
        return "wait" if self._running or self._again else "finished"

    def gpu(self, trial: PlannedTrial) -> float:
        """Return the number of GPUs that a trial gets when it starts next, or its share of one."""
        return self._larger.get(trial.key, self._share(trial))

    def ended(self, key: str, last: Mapping[str, Any], *, error: bool = False, node_failed: bool = False) -> None:
        """Release the trials that waited for this one, or schedule its retry.

        Args:
            key: key of a trial that was suggested.
            last: last report of this attempt; empty if there was none.
            error: True if the attempt ended with an exception or its worker died.
            node_failed: True if its machine failed or was preempted, which costs no retry.
        """
        position = self._running.pop(key)
        state = reported = last.get("state", "")
        busy = not error and reported == "busy"
        if busy or (error and reported not in ("done", "diverged", "failed", "stopped", "crowded", "unreadable")):
            state = self._recorded(key)  # it may have ended in another sweep, or before its last report
        if busy and state not in ("done", "diverged"):
            self._put_back(position, BUSY_DELAY_S)
        elif state == "done":
            self._done.add(key)
            self._release(self._dependents.pop(key, []))
        elif state == "unreadable":
            pass  # the sweep ends; the next run resumes the trial and starts those that need it
        elif state == "stopped":  # it received SIGTERM and has a checkpoint
            self._put_back(position, self._back_off)
        elif state == "crowded":  # out of memory, perhaps because of its neighbours: first more, then a GPU alone
            self._larger[key] = 1.0 if key in self._larger else min(1.0, 2 * self.gpu(self._trials[position]))
            self._put_back(position, self._back_off)
        elif node_failed and state not in ("diverged", "failed"):
            self._put_back(position, self._back_off)
        elif error and state not in ("diverged", "failed") and self._dies(key) <= self._retries:
            self._put_back(position, self._back_off * 2 ** (self._deaths[key] - 1))
        else:
            self._give_up_dependents(key)
        if self._admission and self.retry_delay(key) is None:
            self._admission.ended(key)
        is_told = state == "done" or (state and reported not in ("unwritable", "unreadable"))
        if self._proposals and is_told and self.retry_delay(key) is None:
            self._proposals.ended(key, "failed" if error and state == "running" else state)

    def retry_delay(self, key: str) -> float | None:
        """Return the seconds until a trial is retried; None if it is not."""
        times = (at for at, position in self._again if self._trials[position].key == key)
        return next((at - time.monotonic() for at in times), None)

    def failures(self, key: str) -> int:
        """Return the number of times a trial's worker died."""
        return self._deaths[key]

    def _next(self) -> int | None:
        """Remove the first trial that can run and is admitted, and return its position; None if there is none."""
        refused: list[int] = []
        found = None
        while self._ready and found is None:
            position = heapq.heappop(self._ready)
            if self._admission is None or self._admission.admits(self._trials[position]):
                found = position
            else:
                refused.append(position)
        for position in refused:
            heapq.heappush(self._ready, position)
        return found

    def _dies(self, key: str) -> int:
        self._deaths[key] += 1
        return self._deaths[key]

    def _begin(self) -> None:
        coming = {trial.key for trial in self._trials}
        for position, trial in enumerate(self._trials):
            for source in self._missing(trial):
                self._dependents[source].append(position)
        self._release(range(len(self._trials)))
        for source in [key for key in self._dependents if key not in coming]:
            self._give_up_dependents(source)

    def _missing(self, trial: PlannedTrial) -> list[str]:
        return [source for source in trial.depends_on if source not in self._done]

    def _release(self, positions: Iterable[int]) -> None:
        for position in positions:
            if not self._missing(self._trials[position]):
                heapq.heappush(self._ready, position)

    def _put_back(self, position: int, seconds: float) -> None:
        heapq.heappush(self._again, (time.monotonic() + seconds, position))

    def _give_up_dependents(self, source: str) -> None:
        """Give up the trials that need this one, and those that need them."""
        if self._shutting_down():
            return
        for position in self._dependents.pop(source, []):
            if position in self._given_up:
                continue
            self._given_up.add(position)
            trial = self._trials[position]
            role = "backbone" if source == trial.backbone_key else "teacher"
            if self._admission:
                self._admission.ended(trial.key)
            self._give_up(trial.key, f"its {role}, trial {source}, did not complete")
            self._give_up_dependents(trial.key)

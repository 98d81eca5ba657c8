"""One seeded history: sweeps that share trials, failures at random moments, and what must hold in spite of them."""

import functools
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from exeunt.results.mlflow_reader import experiment_id, runs_in
from exeunt.specs import SpecError
from exeunt.store import Store
from exeunt.store.fencing import newest_attempt
from exeunt.store.lease import lease_owner
from exeunt.store.liveness import STALE_AFTER_S
from exeunt.sweep.planning.plan import SweepPlan, make_plan, missing
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.verify import run_problems, trial_problems

from ..io_calls import memory_folder
from ..simulated_training import EPOCHS, weights_of
from .sweeps import HOSTS, Cluster, sweep
from .world import MOST_TURNS, Process, World

RETRIES = 1
FILE = f"""\
name: history
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {{base: fast, epochs: {EPOCHS}}}
resources: {{cpu: 1, retries: {RETRIES}}}
methods:
  baseline: {{}}
  kd: {{teacher: self}}
"""
FAILURES = 0.02
"""Chance of a failure at each turn, as long as failures are left."""
MIRRORED = 4
"""Number of histories of which one writes to MLflow."""
ORPHANED_S = 6.0
"""Maximum number of seconds until Ray ends the workers of a dead driver."""


class BrokenPromise(BaseException):
    """A promise that does not hold, which the product cannot catch."""


def require(holds: bool, problem: str) -> None:
    """Raise `BrokenPromise` if a promise does not hold."""
    if not holds:
        raise BrokenPromise(problem)


@functools.cache
def plan_of_file() -> SweepPlan:
    """Return the plan of the sweep file."""
    folder = memory_folder()
    (folder / "sweep.yaml").write_text(FILE, encoding="utf-8")
    plan = make_plan(read_sweep(folder / "sweep.yaml"))
    shutil.rmtree(folder)
    return plan


@dataclass
class History:
    """History of a seed. `run` raises `BrokenPromise` or `AssertionError` if a promise is broken."""

    seed: int
    tracking_uri: str
    trace: Callable[[str], None] = lambda _: None
    root: Path = field(default_factory=memory_folder)
    results: Counter[str] = field(default_factory=Counter)
    """Number of times that a result of a trial was written."""
    numbers: dict[tuple[int, str], int] = field(default_factory=dict)
    """Newest number of an attempt of a process at a trial."""

    def run(self) -> None:
        """Run sweeps until all of them have ended, then each command again, and check all promises."""
        world = World(self.seed, self.root, self._watch, self.trace)
        has_mlflow = self.seed % MIRRORED == 0
        cluster = Cluster(world, has_mlflow=has_mlflow, lost_answers=world.random.choice((0.0, 0.2)))
        store, draw = Store(self.root / "store"), world.random
        plans = [replace(plan_of_file(), name=f"history-{self.seed}-{name}") for name in "ab"[: draw.choice((1, 1, 2))]]
        try:
            with world.simulated(), cluster.connected():
                for plan in plans:
                    self._start(world, plan)
                self._fail(world, cluster, plans, failures=draw.randint(0, 6))
                cluster.lost_answers = 0.0
                for number, plan in enumerate(2 * plans):  # the same commands again, undisturbed
                    if number < len(plans) or missing(plan, store):  # the first one can be refused, or find a failure
                        world.now += STALE_AFTER_S  # then the lease of a driver that died on another host is void
                        self._start(world, plan)
                        self._until_all_end(world, cluster)
            for plan in plans:
                assert lease_owner(store.sweep_directory(plan.name)) is None
                self._check(plan, store)
                if has_mlflow:
                    self._check_mlflow(plan, store)
        finally:
            shutil.rmtree(self.root)

    def _start(self, world: World, plan: SweepPlan) -> None:
        def body() -> None:
            try:
                sweep(plan, self.root / "store", self.tracking_uri)
            except (SpecError, KeyboardInterrupt) as error:
                world.say(f"{type(error).__name__}: {error}")

        world.start("driver", world.random.choice(HOSTS), body)

    def _fail(self, world: World, cluster: Cluster, plans: list[SweepPlan], failures: int) -> None:
        """Let failures happen until they are used up and all processes have ended."""
        draw = world.random
        orphans: list[tuple[float, Process]] = []
        turns = 0
        while world.turn():
            turns += 1
            require(turns < MOST_TURNS, "the sweeps do not end")
            self._require_few_retries(cluster)
            for at, process in orphans:
                if at <= world.now and process.alive:
                    world.kill(process)
            alive = [process for process in world.processes if process.alive]
            if not failures or not alive or draw.random() > FAILURES:
                continue
            failures -= 1
            chosen = draw.choice(alive)
            match draw.choice(("kill", "kill", "cut", "pause", "jump", "second driver")):
                case "kill":
                    world.kill(chosen)
                    for attempt in cluster.drivers.get(chosen, []):
                        if draw.random() < 0.7:
                            orphans.append((world.now + draw.uniform(0.0, ORPHANED_S), attempt.process))
                    if chosen not in cluster.attempts:
                        self._start(world, draw.choice(plans))
                case "cut" if chosen in cluster.attempts:
                    world.say(f"{chosen.name} is cut off")
                    cluster.attempts[chosen].is_cut = True
                case "pause":
                    chosen.paused_until = world.now + draw.expovariate(1 / 40)
                    world.say(f"{chosen.name} pauses until {chosen.paused_until:.1f}")
                case "jump":
                    world.jumps[chosen.host] = draw.uniform(-7200.0, 7200.0)
                    world.say(f"the clock of {chosen.host} jumps by {world.jumps[chosen.host]:.0f} s")
                case _:
                    self._start(world, draw.choice(plans))

    def _until_all_end(self, world: World, cluster: Cluster) -> None:
        for _ in range(MOST_TURNS):
            if not world.turn():
                return
            self._require_few_retries(cluster)
        require(False, "the sweeps do not end")

    def _watch(self, process: Process, call: str, path: Path) -> None:
        """Check that a worker changes the files of a trial only if no newer attempt has started."""
        directory, name = path.parent, path.name
        if call not in ("rename", "unlink") or name.startswith(".") or directory.parent.name != "trials":
            return
        key, place = directory.name, (process.pid, directory.name)
        if name == "result.json" and call == "rename":
            self.results[key] += 1
            require(self.results[key] == 1, f"{process.name} overwrites the result of {key}")
        if process.name.startswith("worker"):
            if number := re.fullmatch(r"attempt-(\d+)\.json", name):
                self.numbers[place] = max(self.numbers.get(place, 0), int(number[1]))
            newest = newest_attempt(Store(self.root / "store").trial(key).directory)
            ours = self.numbers.get(place, 0)
            require(newest <= ours, f"{process.name} changes {name} of {key} after attempt {newest} began")

    def _require_few_retries(self, cluster: Cluster) -> None:
        for (driver, key), number in cluster.starts.items():
            require(number <= RETRIES + 1, f"driver {driver} starts {key} {number} times")

    def _check(self, plan: SweepPlan, store: Store) -> None:
        """Check that each trial has its one result, which is that of an undisturbed training."""
        keys = [trial.key for trial in plan.trials]
        for key in keys:
            assert store.progress(key).state == "done", f"{key} is {store.progress(key)}"
            assert self.results[key] == 1
            assert store.trial(key).weights() == weights_of(key), f"{key} has other weights"
            assert [record["epoch"] for record in store.trial(key).history()] == [*range(1, EPOCHS + 1)]
            assert list(trial_problems(store, key)) == []

    def _check_mlflow(self, plan: SweepPlan, store: Store) -> None:
        """Check that MLflow has each trial once, with its numbers."""
        keys = [trial.key for trial in plan.trials]
        experiment = experiment_id(self.tracking_uri, plan.name)
        assert experiment is not None
        runs = Counter(run.tags.get("exeunt.key") for run in runs_in(self.tracking_uri, experiment))
        assert {key: runs[key] for key in keys} == dict.fromkeys(keys, 1), "MLflow has not each trial once"
        problems = list(run_problems(store, plan.name, keys, self.tracking_uri))
        assert [problem for problem in problems if problem.subject != plan.name] == []

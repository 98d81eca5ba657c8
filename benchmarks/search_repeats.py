"""Several seeds per suggestion against one, in simulated searches of equal budget.

    python benchmarks/search_repeats.py [--studies 200] [--budget 60] [--repeats 3] [--sampler tpe] [--noise 0.1 1 2]
        [--jobs 2]

Each study searches three settings of a recipe. The mean accuracy of settings is known, with a maximum of 90% at a place
that differs between studies. A trial adds Gaussian noise, which depends on its settings and its seed. Studies, sampler,
queue and trial store are those of `exeunt search`; only the training is replaced. The regret of a study is 90% minus
the mean accuracy of the settings that it found.

The program also kills every twentieth study at random moments. Its suggestions have to be those of the uninterrupted
study.
"""

import argparse
import functools
import io
import math
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from exeunt.store import PlannedTrial, Store
from exeunt.sweep.execution.shutdown import Shutdown
from exeunt.sweep.execution.trial_queue import TrialQueue
from exeunt.sweep.planning.sweep_file import Sweep, read_sweep
from exeunt.sweep.search import Outcome, Studies, Tuning, outcomes, repeats_of
from exeunt.sweep.terminal.progress import PlainBoard
from exeunt.training import TrialSpec
from rich.console import Console
from scipy.stats import wilcoxon

FILE = """\
name: simulated
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {{base: crd, epochs: 1, milestones: []}}
methods: {{baseline: {{}}}}
search:
  budget: {budget}
  sampler: {sampler}
  seed: {seed}
  repeats: {repeats}
  recipe:
    learning_rate: {{low: 0.001, high: 1, log: true}}
    momentum: {{low: 0, high: 1}}
    weight_decay: {{low: 0, high: 1}}
"""
BEST = 90.0
SHOWN = 25
"""Number of studies after which a line is printed."""
KILLS = 5
"""Number of times that a study is killed."""


class Killed(BaseException):
    """Exception that the product does not catch."""


class Task:
    """A search problem with a known optimum, which is drawn with the number of the study."""

    def __init__(self, number: int, noise: float) -> None:
        """Draw the optimum; `noise` is the standard deviation over seeds, in percentage points."""
        draw = random.Random(number)
        self._rate, self._momentum, self._decay = (
            draw.uniform(-1.8, -0.5),
            draw.uniform(0.2, 0.8),
            draw.uniform(0.2, 0.8),
        )
        self._noise = noise

    def mean(self, spec: TrialSpec) -> float:
        """Return the mean accuracy of the settings of a trial, in percent."""
        recipe = spec.recipe
        rate = 12 * (math.log10(recipe.learning_rate) - self._rate) ** 2
        return BEST - rate - 6 * (recipe.momentum - self._momentum) ** 2 - 3 * (recipe.weight_decay - self._decay) ** 2

    def measured(self, spec: TrialSpec) -> float:
        """Return the accuracy of a trial."""
        return self.mean(spec) + self._noise * random.Random(spec.key).gauss()


class Search:
    """A search whose trainings write their results at once."""

    def __init__(self, sweep: Sweep, folder: Path, task: Task) -> None:
        """Prepare a search in a folder."""
        self.sweep, self.store, self.task = sweep, Store(folder), task
        self.trained: list[str] = []
        """Keys of all trainings, in order."""

    def run(self, before: Callable[[], None] = lambda: None) -> Outcome:
        """Run or resume the search; `before` is called between its steps."""
        studies = Studies(self.sweep, self.store)
        studies.mend()
        board = PlainBoard([], 0, Console(file=io.StringIO()))
        known: dict[str, PlannedTrial] = {}
        tuning = Tuning(studies, self.store, board, Shutdown(), known)
        queue = TrialQueue([], [], proposals=tuning)
        while not isinstance(suggested := queue.suggest(), str):
            key = suggested.trial.key
            before()
            board.start(key)
            self._train(TrialSpec.from_dict(suggested.trial.spec))
            before()
            queue.ended(key, {"state": "done"})
            board.end(key)
            before()
        (outcome,) = outcomes(studies)
        assert board.unfinished == 0
        return outcome

    def _train(self, spec: TrialSpec) -> None:
        metrics = {"validation/final/top1": self.task.measured(spec)}
        result = {"state": "done", "key": spec.key, "seconds": 1.0, "metrics": metrics, "environment": {}}
        self.trained.append(spec.key)
        self.store.trial(spec.key).write_result(result)


def searched(
    number: int, noise: float, repeats: int, options: argparse.Namespace, kills: int = 0
) -> tuple[Outcome, Task]:
    """Run a study, killed at random moments, and check its budget."""
    moments = random.Random(number)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "search.yaml"
        values = {"budget": options.budget, "sampler": options.sampler, "seed": number + 1, "repeats": repeats}
        file.write_text(FILE.format(**values))
        search = Search(read_sweep(file), Path(folder) / "runs", task := Task(number, noise))
        for kill in range(kills + 1):
            left = moments.randrange(1, 3 * options.budget // KILLS) if kill < kills else -1

            def before() -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed

            try:
                outcome = search.run(before)
            except Killed:
                continue
    trials = len(search.trained), len(set(search.trained)), outcome.trainings
    assert trials == (options.budget,) * 3, f"study {number}: {trials} trials instead of {options.budget}"
    return outcome, task


def regret(outcome: Outcome, task: Task) -> float:
    """Return the distance of the best settings from the optimum, in percentage points."""
    (best,) = outcome.best
    return BEST - task.mean(outcome.space.trial(best.params))


def told(outcome: Outcome) -> list[object]:
    """Return all suggestions of a study with their values and repeats."""
    return [(trial.number, trial.params, trial.values, repeats_of(trial)) for trial in outcome.trials]


def compared(number: int, noise: float, options: argparse.Namespace) -> tuple[float, float, int, int]:
    """Return the regrets of a study with one seed and with several, its number of settings, and of killed studies."""
    os.fsync = lambda _: None  # nothing here has to survive a loss of power
    once = regret(*searched(number, noise, 1, options))
    outcome, task = searched(number, noise, options.repeats, options)
    is_killed = number % 20 == 0
    if is_killed:
        again, _ = searched(number, noise, options.repeats, options, kills=KILLS)
        assert told(again) == told(outcome), f"study {number} suggests other settings after {KILLS} kills"
    return once, regret(outcome, task), len(outcome.trials), is_killed


def main() -> None:
    """Compare the regrets, and print a row for each level of noise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.1, 1.0, 2.0])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for noise in options.noise:
        results: list[tuple[float, float, int, int]] = []
        with ProcessPoolExecutor(options.jobs) as pool:
            for result in pool.map(functools.partial(compared, noise=noise, options=options), range(options.studies)):
                results.append(result)
                if len(results) % SHOWN == 0 or len(results) == options.studies:
                    print(
                        f"{options.sampler}, noise {noise:g}, {options.budget} trials: {summary(results)}", flush=True
                    )


def summary(results: list[tuple[float, float, int, int]]) -> str:
    """Return the comparison of the studies so far, as text."""
    once, several, settings, killed = zip(*results, strict=True)
    p = wilcoxon(np.subtract(several, once), alternative="less").pvalue
    wins = sum(own < other for own, other in zip(several, once, strict=True))
    return (
        f"{len(results)} studies: regret {statistics.mean(once):.3f} with 1 seed, {statistics.mean(several):.3f} with "
        f"several (medians {statistics.median(once):.3f} and {statistics.median(several):.3f}; lower in {wins}; "
        f"one-sided Wilcoxon p = {p:.2g}); {statistics.mean(settings):.1f} settings; "
        f"{sum(killed)} studies killed {KILLS} times are equal"
    )


if __name__ == "__main__":
    main()
